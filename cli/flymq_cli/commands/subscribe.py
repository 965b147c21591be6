"""`flymq-cli subscribe`: messages, as a member of a group that remembers how far it is."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.complete import complete_groups
from flymq_cli.errors import UNREACHABLE, CliError, HintedUsageError
from flymq_cli.options import Command, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flymq.client.client import FlyMQClient
    from flymq.client.consumer import Consumer
    from flymq.client.messages import Message, Partition

_BATCH = 500
_WAIT_S = 0.5


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli subscribe orders --group kitchen                    # new messages, until Ctrl-C",
        "flymq-cli subscribe orders --group kitchen --from-beginning   # all, the first time",
        "flymq-cli subscribe orders --group kitchen -n 10 -O json      # ten, as JSON Lines",
        "flymq-cli subscribe orders --group kitchen --exit-at-end      # what is there and not read yet",
    ),
)
@parameters.topics_argument()
@click.option("-g", "--group", metavar="NAME", shell_complete=complete_groups,
              help="The group to be in. Without one: a group of its own, deleted at the end.")
@click.option("--from-beginning", is_flag=True, help="Where the group has committed nothing, begin with the oldest.")
@click.option("--from-latest", is_flag=True, help="Where it has committed nothing, begin with new ones. The default.")
@parameters.count_option("Exit after so many messages.")
@click.option("--exit-at-end", is_flag=True, help="Exit where the partitions ended when they were assigned.")
@click.option("--idle-timeout", type=click.FloatRange(0), metavar="SECONDS",
              help="Exit after so long without a message.")
@click.option("--no-commit", is_flag=True, help="Leave the group's offsets as they are.")
@parameters.isolation_option()
@parameters.create_option()
@parameters.format_option()
@pass_app
def subscribe(app: App, /, topics: tuple[str, ...], format_: str | None, create: bool, **options: Any) -> None:
    """Print messages of topics as a member of a group.

    The topics' partitions are shared among the group's members. The group remembers what was printed: the next run goes
    on from there. Ctrl-C and SIGTERM commit, leave the group, and exit with 0. What could not be written, because the
    reader of a pipe was gone, is not committed.

    --from-beginning and --from-latest say where a group begins that has committed nothing; `groups reset` moves one
    that has.
    """
    from flymq_cli.messages import formatter

    if options["from_beginning"] and options["from_latest"]:
        raise HintedUsageError("--from-beginning and --from-latest exclude each other", "give one of them")
    line = formatter(app, format_)
    with app.client(auto_create_topics=create) as client:
        client.connection.reach()  # Ctrl-C ends that at once: there is nothing to commit yet
        consumer = client.consumer(
            list(topics),
            options["group"],
            auto_offset_reset="earliest" if options["from_beginning"] else "latest",
            auto_commit=not options["no_commit"],
            isolation=options["isolation"],
        )
        _Subscription(app, client, consumer, line, options).run()


class _Subscription:
    """One run of the command, from joining to leaving."""

    def __init__(
        self, app: App, client: FlyMQClient, consumer: Consumer, line: Callable[[Message[Any, Any]], bytes],
        options: dict[str, Any],
    ) -> None:
        self._app = app
        self._client = client
        self._consumer = consumer
        self._line = line
        self._from_beginning = options["from_beginning"]
        self._left = math.inf if options["count"] is None else options["count"]
        self._at_end = options["exit_at_end"]
        self._idle = math.inf if options["idle_timeout"] is None else options["idle_timeout"]
        self._ends: dict[Partition, int] = {}
        self._stopped = False
        self._began_at = time.monotonic()

    def stop(self) -> None:
        """From a signal handler."""
        self._stopped = True
        self._consumer.stop()

    def run(self) -> None:
        from flymq_cli.messages import binary_stdout
        from flymq_cli.signals import stop_on_signals

        out = binary_stdout()
        with stop_on_signals(self.stop), self._consumer:
            self._warn_of_commits()
            # A batch is finished by the next poll, or by a clean end: not before it is written and flushed.
            for batch in self._batches():
                for message in batch:
                    out.write(self._line(message))
                out.flush()

    def _batches(self) -> Iterator[Sequence[Message[Any, Any]]]:
        heard_at = time.monotonic()
        while not self._stopped and self._left > 0 and not (self._at_end and self._is_at_end()):
            wait = min(_WAIT_S, max(0.0, heard_at + self._idle - time.monotonic()))
            batch = self._consumer.poll(wait, int(min(self._left, _BATCH)))
            if batch:
                self._left -= len(batch)
                yield batch
                heard_at = time.monotonic()
            elif time.monotonic() >= heard_at + self._idle:
                return

    def _is_at_end(self) -> bool:
        """Whether every partition is where it ended when it became ours."""
        assigned = self._consumer.assignment()
        if not assigned:
            return self._has_nothing()
        if new := [partition for partition in assigned if partition not in self._ends]:
            for topic in {partition.topic for partition in new}:
                numbers = [partition.partition for partition in new if partition.topic == topic]
                ends = self._client.topics.offsets(topic, partitions=numbers)
                self._ends |= {p: ends[p.partition] for p in new if p.topic == topic}
        return all(self._consumer.position(partition) >= self._ends[partition] for partition in assigned)

    def _has_nothing(self) -> bool:
        """Whether the group is settled, and the other members have everything. Not yet being in it is no end."""
        from flymq.client.errors import GroupNotFoundError

        with contextlib.suppress(GroupNotFoundError):
            if self._client.groups.describe(self._consumer.group_id).state == "Stable":
                return True
        if time.monotonic() > self._began_at + self._app.timeout():
            raise CliError(
                f"no partition of group {self._consumer.group_id} within {self._app.timeout():g} s",
                f"`flymq-cli groups describe {self._consumer.group_id}` shows who it waits for", UNREACHABLE,
            )
        return False

    def _warn_of_commits(self) -> None:
        """A group that has committed goes on from there, whatever --from-beginning says."""
        resumed = self._consumer.resumed_from() if self._from_beginning else {}
        if resumed:
            where = ", ".join(f"{partition} at {offset}" for partition, offset in sorted(resumed.items()))
            group = self._consumer.group_id
            self._app.say(
                f"flymq-cli: --from-beginning has no effect: group {group} goes on with {where}\n"
                f"  `flymq-cli groups reset {group}` makes it begin again"
            )
