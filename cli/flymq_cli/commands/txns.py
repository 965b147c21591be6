"""`flymq-cli txns`: transactions, who writes to a partition, and what hangs."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.complete import complete_topics
from flymq_cli.options import Group, examples

_PRODUCER_COLUMNS = ("partition", "producer_id", "producer_epoch", "last_sequence", "last_written", "open_since")
_HANGING_COLUMNS = ("topic", "partition", "open_since", "producer_id", "producer_epoch", "idle")


@click.group(cls=Group)
def txns() -> None:
    """List and describe transactions; find those that hang, and abort them."""


@txns.command(
    "list",
    epilog=examples(
        "flymq-cli txns list --state Ongoing",
        "flymq-cli txns list --older-than 5m",
        "flymq-cli txns list --pattern 'billing-.*'",
    ),
)
@click.option("--state", "states", multiple=True, metavar="STATE",
              help="Only those in this state: Ongoing, CompleteCommit ... Repeat it for more.")
@click.option("--producer-id", "producer_ids", multiple=True, type=click.IntRange(0), metavar="N",
              help="Only this producer's. Repeat it for more.")
@parameters.duration_option("--older-than", "Only transactions that are open for longer: 90s, 5m, 1h.")
@click.option("--pattern", metavar="REGEX", help="Only ids that match it, in whole.")
@pass_app
def list_(
    app: App, states: tuple[str, ...], producer_ids: tuple[int, ...], older_than: float | None, pattern: str | None
) -> None:
    """What each transactional id is at, by name."""
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.transactions.list(
            states=states, producer_ids=producer_ids, older_than=older_than, pattern=pattern
        )
    print_rows(app, found, ("transactional_id", "producer_id", "state"), name="transactional_id")


@txns.command()
@parameters.transactional_id_argument()
@pass_app
def describe(app: App, transactional_id: str) -> None:
    """One transactional id: its state and producer, and with which partitions a transaction is open since when."""
    from flymq_cli.output import print_facts

    with app.client() as client:
        found = client.transactions.describe(transactional_id)
    if app.output != "table":
        print_facts(app, found, name="transactional_id")
        return
    facts = {
        "transactional id": found.transactional_id,
        "state": found.state,
        "producer": f"{found.producer_id} epoch {found.producer_epoch}",
        "coordinator": found.coordinator_id,
        "timeout": f"{found.timeout:g} s",
        "open since": None if found.started is None else f"{_time(found.started)}, {found.duration:.1f} s",
        "partitions": [str(partition) for partition in found.partitions],
    }
    print_facts(app, facts, name="transactional id")


@txns.command()
@parameters.topic_argument()
@parameters.partitions_option()
@pass_app
def producers(app: App, topic: str, partitions: tuple[int, ...]) -> None:
    """Who has written to a topic's partitions, idempotently or in transactions, and is remembered.

    OPEN SINCE is the offset where a transaction began that is not ended yet.
    """
    from flymq_cli.output import plain, print_rows

    with app.client() as client:
        chosen = sorted(set(partitions)) or sorted(client.topics.offsets(topic))
        found = {number: client.transactions.producers(topic, number) for number in chosen}
    rows = [
        {"topic": topic, "partition": number, **plain(one)} for number, producers in found.items() for one in producers
    ]
    if app.output == "table":
        rows = [{**row, "last_written": _time(row["last_timestamp"])} for row in rows]
    print_rows(app, rows, _PRODUCER_COLUMNS, name="producer_id")


@txns.command("find-hanging")
@click.argument("topics", metavar="[TOPIC]...", nargs=-1, shell_complete=complete_topics)
@parameters.duration_option(
    "--older-than", "How long nothing has been written: as long as a broker lets a transaction take.  [default: 15m]",
    default="15m",
)
@pass_app
def find_hanging(app: App, topics: tuple[str, ...], older_than: float) -> None:
    """Transactions that a partition takes for open and no coordinator knows of, in all topics or in these.

    Nobody will end them, and who reads committed messages waits at them for ever. `txns abort` ends them.
    """
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.transactions.find_hanging(*topics, older_than=older_than)
    print_rows(app, found, _HANGING_COLUMNS, name="topic")


@txns.command(epilog=examples("flymq-cli txns abort orders -p 0 --open-since 42"))
@parameters.topic_argument()
@click.option("-p", "--partition", "partition", type=click.IntRange(0), required=True, metavar="N", help="Which one.")
@click.option("--open-since", type=click.IntRange(0), required=True, metavar="OFFSET",
              help="The offset where it began, as `txns producers` and `txns find-hanging` show it.")
@parameters.yes_option()
@pass_app
def abort(app: App, topic: str, partition: int, open_since: int, yes: bool) -> None:
    """End a transaction that hangs, in one partition. Who reads committed messages never sees what was written in it.

    For what `txns find-hanging` finds: it goes around the coordinator, and a producer that still lives fails.
    """
    parameters.confirm(f"Abort the transaction of {topic}-{partition} that is open since offset {open_since}", yes)
    with app.client() as client:
        client.transactions.abort(topic, partition, open_since=open_since)
    app.say(f"flymq-cli: the transaction of {topic}-{partition} is aborted")


def _time(ms: int) -> str:
    """ms since the epoch, as people read it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
