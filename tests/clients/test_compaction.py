"""A compacted topic as real clients see it: while it is cleaned, after it, after a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from compat_tests.clients import CLIENTS, CODECS, PYTHON_CLIENTS
from flymq import EmbeddedBroker

# kafka-python reads its message definitions in a way that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")

KEYS = 40
COUNT = 6000
VALUE_BYTES = 1000
CONFIG = {
    "log.cleanup.policy": "compact",
    "log.segment.bytes": 1 << 20,
    "log.cleaner.backoff.ms": 2**40,  # only when told to
    "log.cleaner.delete.retention.ms": 0,
}


@pytest.fixture(params=["files", "memory"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EmbeddedBroker]:
    data_dir = str(tmp_path / "data") if request.param == "files" else None
    with EmbeddedBroker({"orders": 1}, CONFIG, data_dir=data_dir) as broker:
        yield broker


def compact(broker: EmbeddedBroker) -> list[Any]:
    """Clean what is due now; what came of it."""
    found: list[Any] = []

    async def run(running: Any) -> None:
        token = running._broker.services.compaction.run_now()
        done = asyncio.get_running_loop().create_future()
        token.then(done.set_result)
        found.extend(await done)

    broker._on_loop(run)
    return found


def produce(broker: EmbeddedBroker, first: int, count: int, codec: str = "none", keys: int = KEYS) -> None:
    """Numbered values of about a kilobyte, hardly compressible, by an idempotent producer."""
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "compression.type": codec,
            "enable.idempotence": True,
            "batch.num.messages": 100,
        }
    )
    failures: list[Any] = []
    noise = Random(1).randbytes(100 * VALUE_BYTES)

    def done(error: object, _: object) -> None:
        if error is not None:
            failures.append(error)

    for number in range(first, first + count):
        start = number % 100 * VALUE_BYTES
        value = b"%08d" % number + noise[start : start + VALUE_BYTES]
        producer.produce("orders", value, b"key-%d" % (number % keys), on_delivery=done)
    producer.flush(60)
    assert not failures


def newest(broker: EmbeddedBroker, client: str, group: str, total: int) -> dict[bytes, int]:
    """key -> its newest number, as this client reads the topic to its end; offsets must ascend."""
    found: dict[bytes, int] = {}
    before = -1
    for record in CLIENTS[client].consume(broker.bootstrap_servers, "orders", group, total):
        assert record.offset > before
        before = record.offset
        found[record.key] = int(record.value[:8])
    return found


def left(broker: EmbeddedBroker) -> int:
    """How many records there are."""
    return len(read(broker, 0))


def read(broker: EmbeddedBroker, start: int) -> list[tuple[int, bytes, bytes | None]]:
    """(offset, key, value) of everything from `start` on, by librdkafka."""
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "r", "enable.partition.eof": True}
    )
    consumer.assign([TopicPartition("orders", 0, start)])
    found = []
    until = time.monotonic() + 60
    while time.monotonic() < until:
        message = consumer.poll(1)
        if message is not None and message.error() is not None:
            assert message.error().name() == "_PARTITION_EOF", message.error()
            break
        if message is not None:
            found.append((message.offset(), message.key(), message.value()))
    consumer.close()
    return found


@pytest.mark.parametrize("codec", CODECS)
def test_every_client_reads_what_is_left(broker: EmbeddedBroker, codec: str) -> None:
    produce(broker, 0, COUNT, codec)
    (cleaned,) = compact(broker)
    assert cleaned.bytes_written < cleaned.bytes_read / 2
    total = left(broker)
    assert KEYS <= total < COUNT / 2
    expected = {b"key-%d" % key: COUNT - KEYS + key for key in range(KEYS)}
    for client in PYTHON_CLIENTS:
        assert newest(broker, client, f"group-{client}", total) == expected


def test_tombstones_go_and_a_restart_finds_the_same(tmp_path: Path) -> None:
    broker = EmbeddedBroker({"orders": 1}, CONFIG, data_dir=str(tmp_path / "data"))
    with broker:
        produce(broker, 0, COUNT)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for key in range(1, 11):
            producer.produce("orders", None, b"key-%d" % key)
        producer.flush(60)
        del producer
        produce(broker, COUNT, 2000, keys=1)  # rolls, so that the tombstones can be cleaned
        compact(broker)
        assert [value for _, _, value in read(broker, 0)].count(None) == 10
        produce(broker, COUNT, 3000, keys=1)
        compact(broker)
        after = read(broker, 0)
        assert None not in [value for _, _, value in after]
        assert {key for _, key, _ in after} == {b"key-0", *(b"key-%d" % key for key in range(11, KEYS))}
    with broker:
        assert read(broker, 0) == after
        produce(broker, 9000, 10)
    names = [path.name for path in tmp_path.rglob("*.log")]
    assert not list(tmp_path.rglob("*.cleaned*"))
    assert 1 < len(names) < 8


def test_a_reader_in_the_middle_sees_no_error(broker: EmbeddedBroker) -> None:
    """It has read a third when the topic is cleaned; it goes on, and gets the newest of each key."""
    produce(broker, 0, COUNT)
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "slow",
            "enable.partition.eof": True,
            "max.partition.fetch.bytes": 200_000,
            "queued.max.messages.kbytes": 200,
        }
    )
    consumer.assign([TopicPartition("orders", 0, 0)])
    offsets, found = [], {}
    is_cleaned = False
    while True:
        message = consumer.poll(30)
        assert message is not None, "nothing more comes"
        if message.error() is not None:
            assert message.error().name() == "_PARTITION_EOF", message.error()
            break
        offsets.append(message.offset())
        found[message.key()] = int(message.value()[:8])
        if message.offset() > COUNT / 3 and not is_cleaned:
            assert compact(broker)
            is_cleaned = True
    consumer.close()
    assert offsets == sorted(set(offsets))
    assert len(offsets) < COUNT
    assert found == {b"key-%d" % key: COUNT - KEYS + key for key in range(KEYS)}


def test_a_fetch_from_any_offset_in_a_gap(broker: EmbeddedBroker) -> None:
    produce(broker, 0, COUNT, "lz4")
    compact(broker)
    everything = read(broker, 0)
    for start in (1, COUNT // 3, COUNT // 2, everything[5][0] + 1, COUNT - 1):
        assert read(broker, start) == [one for one in everything if one[0] >= start]


def test_an_idempotent_producer_goes_on_after_its_batches_were_emptied(tmp_path: Path) -> None:
    """What it wrote is superseded, and the broker restarted without a clean stop's snapshot of it."""
    broker = EmbeddedBroker({"orders": 1}, CONFIG, data_dir=str(tmp_path / "data"))
    with broker:
        producer = Producer(
            {"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True, "message.timeout.ms": 60_000}
        )
        producer.produce("orders", b"%08d" % 1, b"key-0")
        producer.flush(60)
        produce(broker, 2, 3000, keys=1)
        assert compact(broker)
        broker.stop()
        for path in tmp_path.rglob("*.producers"):
            path.unlink()
        broker.start()
        failures: list[Any] = []
        producer.produce("orders", b"%08d" % 3, b"last", on_delivery=lambda e, _: failures.append(e))
        producer.flush(60)
        assert failures == [None]
        assert read(broker, 0)[-1][1] == b"last"
