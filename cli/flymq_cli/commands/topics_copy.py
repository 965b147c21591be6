"""`flymq-cli topics copy`: messages of a topic, to another one, here or on another broker. Streams."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.errors import CONFLICT, INTERRUPTED, OK, CliError, HintedUsageError, exit_code
from flymq_cli.options import Command, examples

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from flymq.client.client import FlyMQClient
    from flymq.client.messages import Message
    from flymq_cli.jsonl import Record
    from flymq_cli.positions import Range
    from flymq_cli.sending import Sender


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli topics copy orders orders-copy                        # on one broker",
        "flymq-cli topics copy orders --to localhost:9093                # to another one, same name",
        "flymq-cli topics copy orders recent --offset @-1h               # the last hour",
    ),
)
@parameters.topic_argument()
@click.argument("target", required=False)
@click.option("--to", "to_servers", metavar="HOST:PORT,...", help="Where to copy to.  [default: the same broker]")
@parameters.offset_option("What to copy, of every partition", "earliest")
@parameters.partitions_option()
@click.option("--ignore-partitions", is_flag=True, help="Let the keys decide instead of the partitions they are in.")
@click.option("--append", is_flag=True, help="Go on even if the target has messages.")
@parameters.isolation_option("committed")
@parameters.compression_option()
@pass_app
def copy(
    app: App, /, topic: str, target: str | None, to_servers: str | None, compression: str | None, **options: Any
) -> int:
    """Copy a topic, as it is now, to TARGET (the same name, if --to says where).

    Keys, values, headers, timestamps and partitions stay as they are; offsets begin anew. A target that is not there is
    created, with as many partitions and the same settings. --to connects with the same user and TLS options as -b.

    Exits with 7 where some messages were copied and then something failed.
    """
    if to_servers is None and target in (None, topic):
        raise HintedUsageError("copy where to?", "name another topic, or another broker with --to")
    target = target or topic
    with app.client() as source, contextlib.ExitStack() as stack:
        other = stack.enter_context(app.client(to_servers)) if to_servers is not None else source
        job = _Copy(app, source, other, topic, target, options)
        from flymq_cli.sending import Sender, closed_after

        producer = stack.enter_context(closed_after(other.producer(linger_ms=5, compression_type=compression)))
        return job.run(Sender(producer, target, app.timeout()))


class _Copy:
    """One run: looks first, creates the target, then streams."""

    def __init__(
        self, app: App, source: FlyMQClient, other: FlyMQClient, topic: str, target: str, options: Mapping[str, Any]
    ) -> None:
        from flymq_cli.positions import parse_range

        wanted = parse_range(options["offset"])
        self._app = app
        self._source = source
        self._topic = topic
        self._target = target
        self._keep_partitions = not options["ignore_partitions"]
        self._isolation = options["isolation"]
        self._stopped = False
        self._starts, self._ends = self._bounds(wanted, sorted(set(options["partitions"])) or None)
        self._prepare(other, append=options["append"])

    def _bounds(self, wanted: Range, partitions: list[int] | None) -> tuple[dict[int, int], dict[int, int]]:
        from flymq_cli.places import offsets_of

        starts = offsets_of(self._source, self._topic, wanted.start, partitions)
        ends = offsets_of(self._source, self._topic, wanted.end, partitions)
        return starts, {partition: max(end, starts[partition]) for partition, end in ends.items()}

    def _prepare(self, other: FlyMQClient, *, append: bool) -> None:
        """The target, created where it is missing, and fit to take what comes."""
        from flymq.client.errors import TopicNotFoundError
        from flymq_cli.output import counted

        try:
            ends = other.topics.offsets(self._target)
        except TopicNotFoundError:
            described = self._source.topics.describe(self._topic)
            config = {name: value.value for name, value in described.config.items()}
            other.topics.create(self._target, partitions=len(described.partitions), config=config)
            return
        starts = other.topics.offsets(self._target, "earliest")
        held = sum(end - starts[partition] for partition, end in ends.items())
        if held and not append:
            raise CliError(
                f"{self._target} has messages already: {held:,} offsets",
                "add to them with --append, or name another topic",
                CONFLICT,
            )
        if self._keep_partitions and max(self._starts, default=0) >= len(ends):
            raise CliError(
                f"{self._target} has {counted(len(ends), 'partition')}, {self._topic} has {max(self._starts) + 1}",
                "give --ignore-partitions, or a topic with as many", CONFLICT,
            )

    def run(self, sender: Sender) -> int:
        from flymq_cli.signals import stop_on_signals

        with sender.finished(lambda count: f"{self._done(count)} before that"), stop_on_signals(self._stop):
            self._stream(sender)
        self._app.say(
            f"flymq-cli: {self._done(sender.acknowledged)}" + (", then interrupted" if self._stopped else "")
        )
        return INTERRUPTED if self._stopped else OK

    def _done(self, count: int) -> str:
        from flymq_cli.output import counted

        return f"{counted(count, 'message')} of {self._topic} copied to {self._target}"

    def _stop(self) -> None:
        self._stopped = True

    def _stream(self, sender: Sender) -> None:
        from flymq_cli.progress import Progress

        total = sum(self._ends[partition] - start for partition, start in self._starts.items())
        bar = Progress(self._app, f"copying {self._topic}", total)
        with bar, contextlib.closing(self._messages()) as messages:
            for message in messages:
                try:
                    sender.send(self._record(message))
                except (TypeError, ValueError) as error:  # this message's fault, and not a broker's
                    code = exit_code(error)
                    if code is None:
                        raise
                    where = f"{message.topic}-{message.partition} at offset {message.offset}"
                    raise CliError(f"{where}: {error}", "-o and -p can go around it", code) from error
                sender.settle_done()
                bar.advance()
                if self._stopped:
                    return

    def _messages(self) -> Generator[Message[Any, Any], None, None]:
        yield from self._source.read(
            self._topic, partitions=list(self._starts), start=self._starts, end=self._ends, isolation=self._isolation
        )

    def _record(self, message: Message[Any, Any]) -> Record:
        from flymq_cli.jsonl import Record

        return Record(
            value=message.value,
            key=message.key,
            headers=list(message.headers),
            partition=message.partition if self._keep_partitions else None,
            timestamp=message.timestamp if message.timestamp >= 0 else None,
        )
