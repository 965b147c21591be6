"""`flymq-cli groups`: who is in them, how far they are; put them elsewhere, delete them."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.complete import complete_groups, complete_topics
from flymq_cli.errors import CONFLICT, OK, CliError
from flymq_cli.options import Group, examples
from flymq_cli.several import for_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flymq.client.admin.types import Member, PartitionLag
    from flymq.client.client import FlyMQClient
    from flymq.client.messages import Partition
    from flymq_cli.positions import Place

_LAG_COLUMNS = ("topic", "partition", "committed", "end", "lag", "client_id", "host")
_WATCH_EVERY_S = 2.0
_LOOK_S = 0.05


@click.group(cls=Group)
def groups() -> None:
    """List groups; their members, offsets and lag; reset them."""


@groups.command("list")
@pass_app
def list_(app: App) -> None:
    """All groups, by name, also those without members.

    Type: "consumer" are those of Kafka's new protocol, to which the broker assigns partitions, "classic" all others.
    """
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.groups.list()
    print_rows(app, found, ("group_id", "group_type", "state", "protocol_type"), name="group_id")


@groups.command()
@parameters.group_argument()
@pass_app
def describe(app: App, group: str) -> None:
    """One group: its state, its members and what they have, and how far it is in each partition."""
    from flymq_cli.output import print_facts

    with app.client() as client:
        found = client.groups.describe(group)
    if app.output != "table":
        print_facts(app, found, name="group_id")
        return
    facts: dict[str, Any] = {"group": found.group_id, "type": found.group_type, "state": found.state}
    if found.group_epoch is not None:
        facts |= {"group epoch": found.group_epoch, "assignment epoch": found.assignment_epoch}
    facts |= {"protocol": found.protocol, "coordinator": found.coordinator}
    print_facts(app, facts, name="group")
    if found.members:
        click.echo()
        _print_members(app, found.members)
    if found.partitions:
        click.echo()
        _print_lag(app, found.partitions)


@groups.command()
@parameters.group_argument()
@pass_app
def members(app: App, group: str) -> None:
    """Who is in a group, and which partitions each member has.

    Of a consumer group also which protocol each speaks, its epoch and, while they differ, what it is to have.
    """
    from flymq_cli.output import print_names, print_rows

    with app.client() as client:
        found = client.groups.members(group)
    if app.output == "table":
        _print_members(app, found)
    elif app.output == "name":
        print_names(member.member_id for member in found)
    else:
        print_rows(app, found, (), name="member_id")


def _print_members(app: App, found: Sequence[Member]) -> None:
    from flymq_cli.output import print_table

    columns = ["client_id", "host", "member_id", "assignment"]
    if any(row.epoch is not None for row in found):
        columns[3:3] = ["protocol", "epoch"]
    if any(row.target not in (None, row.assignment) for row in found):
        columns.append("target")
    rows = [[getattr(row, column) for column in columns] for row in found]
    print_table(app, rows, ["partitions" if column == "assignment" else column for column in columns])


@groups.command()
@parameters.group_argument()
@pass_app
def offsets(app: App, group: str) -> None:
    """What a group has committed: for each partition, the offset of the message that it goes on with."""
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.groups.offsets(group)
        if not found:
            client.groups.members(group)  # an error, where there is no such group
    rows = [{"topic": at.topic, "partition": at.partition, "committed": offset} for at, offset in found.items()]
    print_rows(app, rows, ("topic", "partition", "committed"), name="topic")


@groups.command(
    epilog=examples(
        "flymq-cli groups lag kitchen --watch              # look again every 2 seconds, until Ctrl-C",
        "flymq-cli groups lag kitchen --fail-above 1000    # for a script: exits with 6 if it is behind by more",
    )
)
@parameters.group_argument()
@click.option("--watch", is_flag=True, help=f"Look again every {_WATCH_EVERY_S:g} seconds, until Ctrl-C.")
@click.option("--fail-above", type=click.IntRange(0), metavar="N", help="Exit with 6 if the sum is more than N.")
@pass_app
def lag(app: App, group: str, watch: bool, fail_above: int | None) -> int:
    """How many messages a group has yet to commit, for each partition.

    With --fail-above, a partition without a commit counts with all its messages.
    """
    with app.client() as client:
        if watch:
            _watch(app, client, group, fail_above)
            return OK
        _check_lag(client, group, _show_lag(app, client, group), fail_above)
    return OK


def _show_lag(app: App, client: FlyMQClient, group: str) -> list[PartitionLag]:
    from flymq_cli.output import print_rows

    found = client.groups.lag(group)
    if app.output == "table":
        _print_lag(app, found)
    else:
        print_rows(app, found, _LAG_COLUMNS, name="topic")
    return found


def _print_lag(app: App, found: Sequence[PartitionLag]) -> None:
    from flymq_cli.output import print_table

    print_table(app, [[getattr(row, column) for column in _LAG_COLUMNS] for row in found], _LAG_COLUMNS)


def _check_lag(client: FlyMQClient, group: str, found: Sequence[PartitionLag], fail_above: int | None) -> None:
    if fail_above is None:
        return
    starts: dict[str, dict[int, int]] = {}
    behind = 0
    for row in found:
        if row.lag is None and row.end is not None:
            if row.topic not in starts:
                starts[row.topic] = client.topics.offsets(row.topic, "earliest")
            behind += row.end - starts[row.topic].get(row.partition, row.end)
        behind += row.lag or 0
    if behind > fail_above:
        raise CliError(
            f"group {group} is {behind:,} messages behind, more than {fail_above:,}",
            f"`flymq-cli groups describe {group}` shows who should be reading", CONFLICT,
        )


def _watch(app: App, client: FlyMQClient, group: str, fail_above: int | None) -> None:
    from flymq_cli.output import clear_terminal, print_line
    from flymq_cli.signals import stop_on_signals

    # No Event: a signal handler that sets one waits for ever where the signal finds us about to wait for it.
    stopped: list[bool] = []
    with stop_on_signals(lambda: stopped.append(True)):
        while not stopped:
            if app.output == "json":  # a document a line, not one over many
                found = client.groups.lag(group)
                print_line(found)
            else:
                clear_terminal()
                found = _show_lag(app, client, group)
            sys.stdout.flush()
            _check_lag(client, group, found, fail_above)
            due = time.monotonic() + _WATCH_EVERY_S
            while not stopped and time.monotonic() < due:
                time.sleep(_LOOK_S)


@groups.command(
    epilog=examples(
        "flymq-cli groups reset kitchen                       # everything again",
        "flymq-cli groups reset kitchen --to latest           # skip what is there",
        "flymq-cli groups reset kitchen --to @-1h --dry-run   # what would the last hour be?",
        "flymq-cli groups reset kitchen --topic orders -p 0 --to 42",
    )
)
@parameters.group_argument()
@click.option("--to", metavar="POS", default="earliest",
              help="N, -N (the last N of each partition), +N, earliest, latest or @TIME.  [default: earliest]")
@click.option("-t", "--topic", "topics", multiple=True, metavar="TOPIC", shell_complete=complete_topics,
              help="Only this topic, whether the group has committed it or not. Repeat it for more.")
@parameters.partitions_option()
@click.option("--dry-run", is_flag=True, help="Show before and after, change nothing.")
@click.option("--force", is_flag=True, help="Make members leave first. They may come back, and begin there.")
@pass_app
def reset(
    app: App, group: str, to: str, topics: tuple[str, ...], partitions: tuple[int, ...], dry_run: bool, force: bool
) -> None:
    """Put a group elsewhere: every partition that it has committed, or all of a --topic, to the beginning or to POS.

    Refuses while the group has members, and names them. A group that does not exist yet is placed with --topic.
    """
    from flymq_cli.output import print_rows
    from flymq_cli.positions import parse_place

    place = parse_place(to)
    with app.client() as client:
        changes = client.groups.reset(
            group,
            to=_where(client, group, place, topics, partitions),
            topics=topics or None,
            partitions=sorted(set(partitions)) or None,
            dry_run=dry_run,
            force=force,
        )
    print_rows(app, changes, ("topic", "partition", "before", "after"), name="topic")
    if dry_run:
        app.say("flymq-cli: nothing was changed: --dry-run")


def _where(
    client: FlyMQClient, group: str, place: Place, topics: Sequence[str], partitions: Sequence[int]
) -> Any:
    """The place, in what the client has words for: those counted from an end become offsets."""
    from flymq.client.messages import Partition
    from flymq_cli.places import offsets_of
    from flymq_cli.positions import FromEnd, FromStart

    if not isinstance(place, FromEnd | FromStart):
        return place
    wanted: Mapping[str, Sequence[int] | None] = dict.fromkeys(topics)
    if not topics:
        committed: dict[str, list[int]] = {}
        for at in client.groups.offsets(group):
            committed.setdefault(at.topic, []).append(at.partition)
        wanted = committed
    found: dict[Partition, int] = {
        Partition(topic, number): offset
        for topic, numbers in wanted.items()
        for number, offset in offsets_of(client, topic, place, numbers).items()
    }
    return found or "earliest"  # nothing: the client says why


@groups.command()
@click.argument("groups", metavar="GROUP...", nargs=-1, required=True, shell_complete=complete_groups)
@click.option("--if-exists", is_flag=True, help="One that is not there is fine.")
@parameters.yes_option()
@pass_app
def delete(app: App, groups: tuple[str, ...], if_exists: bool, yes: bool) -> int:
    """Delete groups and what they have committed. Refuses those that have members, and names them."""
    parameters.confirm(f"Delete {', '.join(groups)} with all offsets", yes)
    with app.client() as client:

        def act(group: str) -> None:
            client.groups.delete(group, missing_ok=if_exists)
            app.say(f"flymq-cli: group {group} is gone")

        return for_each(groups, act)
