"""The main job: real text through a topic of six partitions, by every client, and back to the byte.

    python -m compat_tests.main_job                      a million lines; each client sends them all, each
                                                         reads them all in a group
    python -m compat_tests.main_job --lines 20000 --every-codec
    python -m compat_tests.main_job --bootstrap HOST:PORT     against any broker, Apache Kafka too
"""

from __future__ import annotations

import hashlib
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import CLIENTS, CODECS, Record, create_topic
from compat_tests.real_lines import real_lines

PARTITIONS = 6

FULL_SIZE_JOBS = (
    ("kafka-python", "gzip"),
    ("confluent-kafka", "zstd"),
    ("aiokafka", "snappy"),
    ("kcat", "lz4"),
    ("confluent-kafka", "none"),
)


def check(records: Iterable[Record], lines: Sequence[bytes]) -> None:
    """AssertionError unless `records` are `lines`: each once, to the byte, in order within each partition."""
    seen = bytearray(len(lines))
    next_offset: dict[int, int] = {}
    last_number: dict[int, int] = {}
    for record in records:
        number = int(record.key)
        where = f"line {number}, partition {record.partition}, offset {record.offset}"
        assert record.value == lines[number], f"{where}: {record.value[:80]!r} is not {lines[number][:80]!r}"
        assert not seen[number], f"{where}: it came twice"
        seen[number] = 1
        expected = next_offset.get(record.partition, 0)
        assert record.offset == expected, f"{where}: offset {expected} was next"
        next_offset[record.partition] = expected + 1
        last = last_number.get(record.partition, -1)
        assert number > last, f"{where}: it came after line {last}"
        last_number[record.partition] = number
    missing = len(lines) - sum(seen)
    assert not missing, f"{missing} lines are missing, the first is {seen.index(0)}"
    assert len(next_offset) == PARTITIONS, f"only partitions {sorted(next_offset)} were used"


def check_ends(bootstrap: str, topic: str, group: str, count: int) -> None:
    """AssertionError unless the topic holds `count` records and the group has committed all of them."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        partitions = [TopicPartition(topic, index) for index in range(PARTITIONS)]
        ends = [consumer.get_watermark_offsets(partition, 30)[1] for partition in partitions]
        assert sum(ends) == count, f"the topic ends at {ends}, {sum(ends)} together; {count} were sent"
        committed = [partition.offset for partition in consumer.committed(partitions, 30)]
        assert committed == ends, f"committed {committed}, ends {ends}"
    finally:
        consumer.close()


def run_job(
    bootstrap: str, lines: Sequence[bytes], producer: str, codec: str, consumers: Iterable[str]
) -> Iterator[tuple[str, float]]:
    """One client sends all, each of `consumers` reads all; (what, seconds) for each."""
    topic = f"main-{producer}-{codec}-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, PARTITIONS)
    began = time.monotonic()
    CLIENTS[producer].produce(bootstrap, topic, lines, codec)
    yield f"{producer} sends, {codec}", time.monotonic() - began
    for consumer in consumers:
        group = f"{topic}-{consumer}"
        began = time.monotonic()
        check(CLIENTS[consumer].consume(bootstrap, topic, group, len(lines)), lines)
        yield f"  {consumer} reads", time.monotonic() - began
        check_ends(bootstrap, topic, group, len(lines))


@click.command()
@click.option("--lines", "count", default=1_000_000, show_default=True)
@click.option("--every-codec", is_flag=True, help="Every client with every codec, instead of one each.")
@click.option("--client", "only", multiple=True, type=click.Choice(list(CLIENTS)), help="Only these.")
@click.option("--durability", default="fsync", show_default=True, type=click.Choice(["fsync", "os"]))
@click.option("--bootstrap", help="A broker that runs already.  [default: flymq serve in a folder of its own]")
def main(count: int, every_codec: bool, only: tuple[str, ...], durability: str, bootstrap: str | None) -> None:
    """Real lines through a topic of six partitions, by every client and back to the byte."""
    lines = real_lines(count)
    size = sum(map(len, lines))
    digest = hashlib.sha256(b"\n".join(lines)).hexdigest()
    click.echo(f"{len(lines):,} lines, {size / 1e6:.1f} MB, sha256 {digest}")
    clients = only or tuple(CLIENTS)
    jobs = [(client, codec) for client in clients for codec in CODECS] if every_codec else FULL_SIZE_JOBS
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        broker = None
        try:
            if bootstrap is None:
                broker = BrokerProcess(Path(folder), {"flymq.durability": durability})
                broker.start()
                bootstrap = broker.bootstrap_servers
            for producer, codec in jobs:
                if producer in clients:
                    for what, seconds in run_job(bootstrap, lines, producer, codec, clients):
                        click.echo(f"{what:32} {seconds:7.2f} s {count / seconds:12,.0f} lines/s")
            if broker is not None:
                code, seconds = broker.stop()
                assert code == 0, f"the broker ended with {code}: {broker.stderr}"
        finally:
            if broker is not None:
                broker.__exit__()
    click.echo(f"all identical, in order, nothing twice; {time.monotonic() - began:.1f} s in all")


if __name__ == "__main__":
    main()
