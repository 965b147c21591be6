"""`flymq-cli consume`: what is in a topic now. Never waits, commits or creates."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.options import Command, examples

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    from flymq.client.client import FlyMQClient
    from flymq.client.messages import Message
    from flymq_cli.positions import Range


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli consume orders                          # everything",
        "flymq-cli consume orders --offset 0 --count 10    # ten messages from offset 0 on",
        "flymq-cli consume orders --offset -5              # the last five of each partition",
        "flymq-cli consume orders --offset @-1h            # those of the last hour",
        "flymq-cli consume orders --offset 10:20 -p 0      # offsets 10 to 19 of partition 0",
        "flymq-cli consume orders -F '%k %v\\n'             # keys and values",
        "flymq-cli consume orders -O json | flymq-cli produce copy --input jsonl",
    ),
)
@parameters.topic_argument()
@parameters.offset_option("Where to begin, in every partition", "earliest")
@parameters.count_option("Stop after so many messages, over all partitions.")
@parameters.partitions_option()
@parameters.isolation_option()
@parameters.format_option()
@pass_app
def consume(
    app: App, topic: str, offset: str, count: int | None, partitions: tuple[int, ...], isolation: str,
    format_: str | None,
) -> None:
    """Print what is in a topic, without a group.

    Reads all partitions (each in its order) up to where they end when it starts, then exits. It never waits for new
    messages, commits nothing and creates nothing. `subscribe` waits and remembers; `tail` shows the latest.

    A line is partition:offset, key and value, with tabs between them and `-` for none. -O json prints JSON Lines: what
    is not UTF-8 is in key_base64 and value_base64, and `produce --input jsonl` takes them back. -O name prints the
    values alone.
    """
    from flymq_cli.messages import binary_stdout, formatter
    from flymq_cli.positions import parse_range

    wanted = parse_range(offset)
    line = formatter(app, format_)
    out = binary_stdout()
    printed = 0
    with app.client() as client, contextlib.closing(_read(client, topic, wanted, partitions, isolation)) as messages:
        for message in _first(count, messages):
            out.write(line(message))
            printed += 1
        out.flush()
        if not printed and isinstance(wanted.start, int) and count != 0:
            _say_where_it_ends(app, client, topic, wanted.start, partitions)


def _first(
    count: int | None, messages: Generator[Message[Any, Any], None, None]
) -> Iterable[Message[Any, Any]]:
    # Not one more than wanted is looked for: that could mean another fetch.
    return messages if count is None else itertools.islice(messages, count) if count else _only_errors(messages)


def _only_errors(messages: Generator[Message[Any, Any], None, None]) -> Iterable[Message[Any, Any]]:
    """No message, but the errors of a topic that is not there."""
    next(messages, None)
    return ()


def _read(
    client: FlyMQClient, topic: str, wanted: Range, partitions: tuple[int, ...], isolation: str
) -> Generator[Message[Any, Any], None, None]:
    from flymq_cli.places import located

    chosen = sorted(set(partitions)) or None
    yield from client.read(
        topic,
        partitions=chosen,
        start=located(client, topic, wanted.start, chosen),
        end=located(client, topic, wanted.end, chosen),
        isolation=isolation,
    )


def _say_where_it_ends(
    app: App, client: FlyMQClient, topic: str, start: int, partitions: tuple[int, ...]
) -> None:
    """Nothing printed looks like a broken command; it may be just an offset that is not there yet."""
    ends = client.topics.offsets(topic, "latest", partitions=sorted(set(partitions)) or None)
    if start >= max(ends.values()):
        app.say(f"flymq-cli: {topic} has nothing from offset {start} on: it ends at {max(ends.values())}")
