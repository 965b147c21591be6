"""`flymq-cli bench`: how fast a broker is, as this client sees it."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Any

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.complete import complete_topics
from flymq_cli.options import Group, examples

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from flymq.client.client import FlyMQClient
    from flymq.client.messages import Message

_MB = 1e6
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
_WARM_UP = 100


@click.group(
    cls=Group,
    epilog=examples(
        "flymq-cli bench produce --count 1000000 --size 100",
        "flymq-cli bench consume orders             # what is there already",
        "flymq-cli bench roundtrip --count 1000 -O json",
    ),
)
def bench() -> None:
    """Measure a broker.

    What is measured is this client, kafka-python, as much as the broker: it is the slower of the two. Without TOPIC, a
    topic of its own is made, and deleted in the end.
    """


def _count(default: int) -> parameters.Decorator:
    return parameters.count_option(f"How many messages.  [default: {default}]", default=default)


_size = click.option("--size", type=click.IntRange(0), default=1000, metavar="BYTES",
                     help="Of each message's value.  [default: 1000]")
_topic = click.argument("topic", required=False, shell_complete=complete_topics)


@bench.command()
@_topic
@_count(100_000)
@_size
@parameters.compression_option()
@pass_app
def produce(app: App, topic: str | None, count: int, size: int, compression: str | None) -> None:
    """Write messages as fast as the broker acknowledges them all."""
    with _topic_for(app, topic) as (client, name):
        seconds = _write(app, client, name, count, size, compression)
    _print_rate(app, "produce", count, count * size, seconds)


@bench.command()
@_topic
@_count(100_000)
@_size
@pass_app
def consume(app: App, topic: str | None, count: int, size: int) -> None:
    """Read messages as fast as they come: of TOPIC what is there, --count at most, else --count that are written first.
    """
    with _topic_for(app, topic) as (client, name):
        if topic is None:
            _write(app, client, name, count, size, None)
        read = read_bytes = 0
        started = time.perf_counter()
        with contextlib.closing(_read(client, name)) as messages:
            for message in messages:
                read += 1
                read_bytes += len(message.value or b"")
                if read >= count:
                    break
        seconds = time.perf_counter() - started
    _print_rate(app, "consume", read, read_bytes, seconds)


@bench.command()
@_topic
@_count(1_000)
@_size
@pass_app
def roundtrip(app: App, topic: str | None, count: int, size: int) -> None:
    """Time one message after the other: until it is acknowledged, and until a consumer has it."""
    value = os.urandom(size)
    acknowledged, received = [], []
    with _topic_for(app, topic) as (client, name), client.consumer(name, auto_commit=False) as consumer:
        for number in range(count + _WARM_UP):
            started = time.perf_counter()
            sent = client.produce(name, value)
            done = time.perf_counter()
            while (message := next(consumer)).offset != sent.offset or message.partition != sent.partition:
                pass  # somebody else's
            if number >= _WARM_UP:
                acknowledged.append(done - started)
                received.append(time.perf_counter() - started)
    facts: dict[str, Any] = {"benchmark": "roundtrip", "messages": count}
    for what, times in (("acknowledged", acknowledged), ("received", received)):
        facts |= {f"{what}_{name}_ms": ms for name, ms in _percentiles(times).items()}
    _print(app, facts)


@contextlib.contextmanager
def _topic_for(app: App, topic: str | None) -> Iterator[tuple[FlyMQClient, str]]:
    """The topic that was named; else one for the time of the benchmark."""
    with app.client() as client:
        if topic is not None:
            client.topics.offsets(topic)  # an error, where there is none
            yield client, topic
            return
        name = f"flymq-bench-{secrets.token_hex(4)}"
        client.topics.create(name, partitions=1)
        try:
            yield client, name
        finally:
            client.topics.delete(name, missing_ok=True)


def _write(app: App, client: FlyMQClient, topic: str, count: int, size: int, compression: str | None) -> float:
    """Seconds that it took."""
    from flymq_cli.jsonl import Record
    from flymq_cli.progress import Progress
    from flymq_cli.sending import Sender, closed_after

    record = Record(os.urandom(size))
    settings: dict[str, Any] = {"linger_ms": 5, "batch_size": 65536, "compression_type": compression}
    with closed_after(client.producer(**settings)) as producer, Progress(app, "producing", count) as bar:
        sender = Sender(producer, topic, app.timeout())
        started = time.perf_counter()
        for _ in range(count):
            sender.send(record)
            sender.settle_done()
            bar.advance()
        sender.finish()
        return time.perf_counter() - started


def _read(client: FlyMQClient, topic: str) -> Generator[Message[Any, Any], None, None]:
    yield from client.read(topic)


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(seconds) or [0.0]
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)] * 1000, 3) for name, share in _PERCENTILES.items()}


def _print_rate(app: App, what: str, messages: int, size: int, seconds: float) -> None:
    facts = {
        "benchmark": what,
        "messages": messages,
        "seconds": round(seconds, 3),
        "messages_per_second": round(messages / seconds),
        "megabytes_per_second": round(size / seconds / _MB, 2),
    }
    _print(app, facts)


def _print(app: App, facts: dict[str, Any]) -> None:
    from flymq_cli.output import print_facts

    print_facts(app, facts, name="benchmark")
