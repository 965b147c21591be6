"""`flymq-cli produce`: arguments, lines or JSON Lines, as messages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.errors import INTERRUPTED, OK, USAGE, CliError, HintedUsageError
from flymq_cli.options import Command, examples

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from flymq_cli.jsonl import Record
    from flymq_cli.sending import Sender


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli produce orders 'two coffees' -k ada",
        "flymq-cli produce orders < lines.txt                         # each line is a message",
        "flymq-cli produce orders --key-separator : < pairs.txt       # ada:two coffees",
        "flymq-cli produce orders -k ada --tombstone                  # deletes the key from a compacted topic",
        "flymq-cli consume orders -O json | flymq-cli produce copy --input jsonl",
    ),
)
@parameters.topic_argument()
@click.argument("values", metavar="[VALUE]...", nargs=-1)
@click.option("-k", "--key", metavar="KEY", help="Of every message that brings none of its own.")
@click.option("-H", "--header", "headers", metavar="NAME=VALUE", multiple=True, help="Repeat it for more.")
@click.option("-p", "--partition", "partition", type=click.IntRange(0), metavar="N",
              help="Write to this partition. Else equal keys share one.")
@click.option("--input", "input_", type=click.Choice(["lines", "jsonl"]), default="lines",
              help="What stdin is: a value a line, or what `consume -O json` prints.  [default: lines]")
@click.option("--ignore-partitions", is_flag=True,
              help="With --input jsonl: let the keys decide instead of the lines' \"partition\".")
@click.option("--key-separator", metavar="TEXT", help="With --input lines: what is before the first TEXT is the key.")
@click.option("--null-value", metavar="TEXT", help="With --input lines: a value that is TEXT is none, a tombstone.")
@click.option("--tombstone", is_flag=True, help="Write one message without a value: it deletes --key.")
@parameters.compression_option()
@parameters.create_option()
@pass_app
def produce(app: App, /, topic: str, compression: str | None, create: bool, **options: Any) -> int:
    """Write messages to a topic: each VALUE, or, without any, what comes from stdin.

    Waits until the broker has them all, and says how many on stderr. -O json prints where each is, one JSON object a
    line. With --input jsonl, key, value, headers, timestamp and partition of each line are kept, its topic and offset
    not; what was in a partition that TOPIC does not have goes where its key says.

    Stops at the first message that can't be sent, and exits with 7 where some were sent before it. Ctrl-C and SIGTERM
    send what was read, say how many, and exit with 130.
    """
    from flymq_cli.signals import Waiting, stop_on_signals

    records = _records(options)
    waiting = Waiting()
    with app.client(auto_create_topics=create) as client:
        from flymq_cli.sending import Sender, closed_after

        with closed_after(client.producer(compression_type=compression)) as producer:
            sender = Sender(producer, topic, app.timeout(), _print_ack if app.output == "json" else None)
            with stop_on_signals(waiting.stop):
                _send(app, sender, waiting.take(records), topic, strict=options["partition"] is not None)
    end = ", then interrupted" if waiting.stopped else ""
    app.say(f"flymq-cli: {_messages(sender.acknowledged)} to {topic}{end}")
    return INTERRUPTED if waiting.stopped else OK


def _messages(count: int) -> str:
    from flymq_cli.output import counted

    return counted(count, "message")


def _print_ack(acknowledged: Any) -> None:
    from flymq_cli.output import print_line

    print_line(acknowledged)


def _send(app: App, sender: Sender, records: Iterable[Record], topic: str, *, strict: bool) -> None:
    """All of them. Not `strict`: what was in a partition that this topic does not have goes where its key says."""
    from flymq.client.errors import PartitionNotFoundError

    missing: set[int | None] = set()
    with sender.finished(lambda count: f"{_messages(count)} before that arrived in {topic}"):
        for record in records:
            try:
                sender.send(record if record.partition not in missing else record._replace(partition=None))
            except PartitionNotFoundError as error:
                if strict:
                    raise
                if not missing:
                    app.say(f"flymq-cli: {error}: what was in such a partition goes where its key says")
                missing.add(record.partition)
                sender.send(record._replace(partition=None))
            sender.settle_done()


# -- what to send ---------------------------------------------------------------------------------


def _records(options: dict[str, Any]) -> Iterator[Record]:
    """Checks the options now, reads when asked."""
    from flymq_cli.jsonl import Record

    headers = [_header(text) for text in options["headers"]]
    key = None if options["key"] is None else _encoded(options["key"])
    common = Record(b"", key, headers or None, options["partition"])
    values = options["values"]
    if options["tombstone"]:
        if key is None or values:
            raise HintedUsageError("--tombstone is a message with a key and no value", "give --key, and no VALUE")
        return iter([common._replace(value=None)])
    if values:
        return (common._replace(value=_encoded(value)) for value in values)
    if sys.stdin.isatty():
        click.echo("flymq-cli: each line is a message; Ctrl-D on an empty line ends", err=True)
    if options["input_"] == "jsonl":
        return _of_jsonl(common, options["ignore_partitions"])
    return _of_lines(common, options["key_separator"], options["null_value"])


def _encoded(text: str) -> bytes:
    """An argument's bytes as the shell gave them, also where they are no text."""
    return text.encode(errors="surrogateescape")


def _header(text: str) -> tuple[str, bytes]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise HintedUsageError(f"-H {text} is not NAME=VALUE", "write -H trace=a1")
    return name, _encoded(value)


def _lines() -> Iterator[tuple[int, bytes]]:
    """Numbered, without their ends."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        yield number, line.removesuffix(b"\n")


def _of_lines(common: Record, separator: str | None, null_value: str | None) -> Iterator[Record]:
    between = None if separator is None else _encoded(separator)
    null = None if null_value is None else _encoded(null_value)
    for number, line in _lines():
        key, value = common.key, line
        if between is not None:
            key, found, value = line.partition(between)
            if not found:
                raise CliError(
                    f"line {number} of stdin has no {separator!r}", "each line is KEY, --key-separator, value", USAGE
                )
        yield common._replace(key=key, value=None if value == null else value)


def _of_jsonl(common: Record, ignore_partitions: bool) -> Iterator[Record]:
    from flymq_cli.jsonl import BadLine, parse_line

    for number, line in _lines():
        if not line.strip():
            continue
        try:
            found = parse_line(line)
        except BadLine as error:
            raise CliError(f"line {number} of stdin: {error}", error.hint, USAGE) from None
        kept = None if ignore_partitions else found.partition
        yield common._replace(
            value=found.value,
            key=common.key if found.key is None else found.key,
            headers=[*(found.headers or ()), *(common.headers or ())] or None,
            partition=kept if common.partition is None else common.partition,
            timestamp=found.timestamp,
        )
