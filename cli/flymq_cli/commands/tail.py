"""`flymq-cli tail`: the last messages of a topic, and those that come. Without a group."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.options import Command, examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flymq.client.client import FlyMQClient
    from flymq.client.messages import Message

_LAST = 10
_WAIT_MS = 200


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli tail orders             # the last ten",
        "flymq-cli tail orders -n 100 -f   # the last hundred, and what comes, until Ctrl-C",
    ),
)
@parameters.topic_argument()
@parameters.count_option(f"How many, over all partitions.  [default: {_LAST}]", default=_LAST)
@click.option("-f", "--follow", is_flag=True, help="Go on with new messages, until Ctrl-C.")
@parameters.partitions_option()
@parameters.isolation_option()
@parameters.format_option()
@pass_app
def tail(
    app: App, topic: str, count: int, follow: bool, partitions: tuple[int, ...], isolation: str, format_: str | None
) -> None:
    """Print the last messages of a topic, by their timestamps over all partitions; then follow it, with --follow.

    Joins no group and commits nothing. Ctrl-C while it follows exits with 0.
    """
    from flymq_cli.messages import binary_stdout, formatter
    from flymq_cli.signals import stop_on_signals

    stopped: list[bool] = []
    line = formatter(app, format_)
    out = binary_stdout()
    with app.client() as client, contextlib.ExitStack() as stack:
        ends = client.topics.offsets(topic, "latest", partitions=sorted(set(partitions)) or None)
        if follow:  # from the first line on: whoever sees one may have enough of it
            stack.enter_context(stop_on_signals(lambda: stopped.append(True)))
        for message in _last(client, topic, count, ends, isolation):
            out.write(line(message))
        out.flush()
        if follow:
            _follow(client, topic, ends, isolation, lambda message: out.write(line(message)), out.flush, stopped)


def _last(
    client: FlyMQClient, topic: str, count: int, ends: Mapping[int, int], isolation: str
) -> list[Message[Any, Any]]:
    """The last `count` before `ends`, oldest first. Offsets have gaps: so each look goes further back, until each
    partition has shown enough, or all that it has.
    """
    if not count:
        return []
    starts = client.topics.offsets(topic, "earliest", partitions=list(ends))
    found: dict[int, deque[Message[Any, Any]]] = {}
    span = count
    wanted = list(ends)
    while wanted:
        begin = {partition: max(starts[partition], ends[partition] - span) for partition in wanted}
        found |= {partition: deque(maxlen=count) for partition in wanted}
        for message in client.read(topic, partitions=wanted, start=begin, end=ends, isolation=isolation):
            found[message.partition].append(message)
        wanted = [p for p in wanted if len(found[p]) < count and begin[p] > starts[p]]
        span *= 8
    merged = sorted(
        (message for messages in found.values() for message in messages),
        key=lambda message: (message.timestamp, message.partition, message.offset),
    )
    return merged[-count:]


def _follow(
    client: FlyMQClient, topic: str, ends: Mapping[int, int], isolation: str,
    write: Callable[[Message[Any, Any]], object], flush: Callable[[], None], stopped: Sequence[bool],
) -> None:
    """Until `stopped` has something."""
    from flymq.client.errors import translate
    from flymq.client.kafka_python import topic_partition
    from flymq.client.messages import Message, Partition

    consumer = client.connection.consumer(
        group_id=None, auto_offset_reset="earliest", isolation_level=f"read_{isolation}", fetch_max_wait_ms=_WAIT_MS
    )
    try:
        consumer.assign([topic_partition(Partition(topic, partition)) for partition in ends])
        for partition, end in ends.items():
            consumer.seek(topic_partition(Partition(topic, partition)), end)
        while not stopped:
            try:
                records = consumer.poll(timeout_ms=_WAIT_MS)
            except Exception as error:
                if getattr(error, "retriable", False):
                    continue  # a broker that is away for a while is waited for
                raise translate(error, f"follow {topic}") from error
            for batch in records.values():
                for record in batch:
                    write(Message.of_record(record))
            flush()
    finally:
        consumer.close(timeout_ms=1000)
