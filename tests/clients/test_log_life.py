"""What becomes of records while real clients write and read: topics deleted and made again under the name,
DeleteRecords, retention, all at full speed; and a killed broker afterwards.

No old record shows through, no client meets an error that it cannot retry, no file is left.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import create_topic

# kafka-python reads its message definitions in a way that Python 3.11 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")

TOPIC = "life"
SEGMENT_BYTES = 1024 * 1024
VALUE_BYTES = 1000
TIMEOUT_S = 60.0
_MISSING = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    settings = {
        "auto.create.topics.enable": "false",
        "flymq.durability": "os",
        "log.retention.check.interval.ms": 20,
        "log.segment.bytes": SEGMENT_BYTES,
    }
    with BrokerProcess(tmp_path / "data", settings) as started:
        yield started
        assert started.stop()[0] == 0
        assert started.stderr == ""


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(0.01)


class Client(threading.Thread):
    """Works in a loop until `finish`; an error that it could not retry ends it, and fails the test."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(daemon=True)
        self.bootstrap = bootstrap
        self.failed: list[str] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.failed.append(f"{type(self).__name__}: {error!r}")

    def work(self) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        self.stopping.set()
        self.join(TIMEOUT_S)
        assert not self.is_alive(), type(self).__name__
        assert self.failed == []


class Writer(Client):
    """`acked`: (offset, value) of what the broker took, in order of the answers."""

    name_of: str

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap)
        self.acked: list[tuple[int, bytes]] = []
        self.sent = 0

    def next_value(self) -> bytes:
        self.sent += 1
        return b"%s:%d:" % (self.name_of.encode(), self.sent) + bytes(VALUE_BYTES)


class LibrdkafkaWriter(Writer):
    name_of = "librdkafka"

    def work(self) -> None:
        producer = Producer({
            "bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 2, "retry.backoff.ms": 10,
            "retry.backoff.max.ms": 50, "topic.metadata.refresh.interval.ms": 100, "log_level": 0,
        })  # fmt: skip

        def delivered(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                self.failed.append(f"librdkafka did not deliver: {error}")
            else:
                self.acked.append((message.offset(), message.value()))

        while not self.stopping.is_set():
            if len(producer) < 200:
                producer.produce(TOPIC, self.next_value(), b"key", on_delivery=delivered)
                producer.poll(0)
            else:
                producer.poll(0.01)
        assert producer.flush(TIMEOUT_S) == 0


class KafkaPythonWriter(Writer):
    name_of = "kafka-python"

    def work(self) -> None:
        from kafka import KafkaProducer

        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", linger_ms=2, retry_backoff_ms=10, metadata_max_age_ms=100,
            max_block_ms=TIMEOUT_S * 1000, delivery_timeout_ms=TIMEOUT_S * 1000, request_timeout_ms=10_000,
        )  # fmt: skip
        pending: list[tuple[Any, bytes]] = []
        while not self.stopping.is_set():
            value = self.next_value()
            pending.append((producer.send(TOPIC, value, b"key"), value))
            if len(pending) >= 100:
                self.settle(pending)
        self.settle(pending)
        producer.close()

    def settle(self, pending: list[tuple[Any, bytes]]) -> None:
        for future, value in pending:
            self.acked.append((future.get(TIMEOUT_S).offset, value))
        pending.clear()


class Reader(Client):
    """`found`: (offset, value) of all that came, in order."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(bootstrap)
        self.found: list[tuple[int, bytes]] = []


class LibrdkafkaReader(Reader):
    def work(self) -> None:
        consumer = Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": "never-joined", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "check.crcs": True, "fetch.wait.max.ms": 100, "log_level": 0,
            "topic.metadata.refresh.interval.ms": 100, "allow.auto.create.topics": False,
        })  # fmt: skip
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        while not self.stopping.is_set():
            for message in consumer.consume(500, 0.1):
                error = message.error()
                if error is None:
                    self.found.append((message.offset(), message.value()))
                elif error.code() not in _MISSING and not error.retriable():
                    self.failed.append(f"librdkafka: {error}")
        consumer.close()


class KafkaPythonReader(Reader):
    def work(self) -> None:
        from kafka import KafkaConsumer
        from kafka.structs import TopicPartition

        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False,
            fetch_max_wait_ms=100, metadata_max_age_ms=100, retry_backoff_ms=10,
        )  # fmt: skip
        partition = TopicPartition(TOPIC, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        while not self.stopping.is_set():
            for records in consumer.poll(100).values():
                self.found += [(record.offset, record.value) for record in records]
        consumer.close()


def start_all(bootstrap: str) -> tuple[list[Writer], list[Reader]]:
    writers = [LibrdkafkaWriter(bootstrap), KafkaPythonWriter(bootstrap)]
    readers = [LibrdkafkaReader(bootstrap), KafkaPythonReader(bootstrap)]
    for client in (*writers, *readers):
        client.start()
    return writers, readers


def read_everything(bootstrap: str) -> list[tuple[int, bytes]]:
    """All that the topic holds now, by a consumer that knows nothing of its past."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "x", "auto.offset.reset": "error", "log_level": 0})
    try:
        partition = TopicPartition(TOPIC, 0)
        start, end = consumer.get_watermark_offsets(partition, TIMEOUT_S)
        partition.offset = start
        consumer.assign([partition])
        found: list[tuple[int, bytes]] = []
        while start < end and (not found or found[-1][0] < end - 1):
            for message in consumer.consume(500, 0.1):
                assert message.error() is None, message.error()
                found.append((message.offset(), message.value()))
        return found
    finally:
        consumer.close()


def log_files(data: Path) -> list[Path]:
    return [path for path in data.glob("logs/*/*/*") if path.exists()]


def open_deleted_files(pid: int, data: Path) -> list[str]:
    """Files of the data folder that are gone, but for a descriptor of the broker's."""
    folder = f"/proc/{pid}/fd"
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if target.startswith(str(data)) and target.endswith(" (deleted)"):
            found.append(target)
    return found


def test_a_topic_made_again_under_the_name_shows_nothing_of_the_old_one(broker: BrokerProcess, tmp_path: Path) -> None:
    bootstrap = broker.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    create_topic(bootstrap, TOPIC, 1)
    writers, readers = start_all(bootstrap)
    gone: set[bytes] = set()
    for _ in range(6):
        marks = [len(client.acked) for client in writers] + [len(client.found) for client in readers]

        def went_on(marks: list[int] = marks) -> bool:
            now = [len(client.acked) for client in writers] + [len(client.found) for client in readers]
            failed = [error for client in (*writers, *readers) for error in client.failed]
            assert failed == []
            return all(after > before + 50 for after, before in zip(now, marks, strict=True))

        until(went_on, "every client to go on")
        found = read_everything(bootstrap)
        assert len(found) > 100
        assert [value for _, value in found if value in gone] == []
        for writer in writers:
            gone.update(value for _, value in writer.acked[:])
        admin.delete_topics([TOPIC])[TOPIC].result(TIMEOUT_S)
        create_topic(bootstrap, TOPIC, 1)
    for client in (*writers, *readers):
        client.finish()
    admin.delete_topics([TOPIC])[TOPIC].result(TIMEOUT_S)
    data = tmp_path / "data"
    until(lambda: not (data / "logs" / TOPIC).exists(), "the folders to go")
    assert log_files(data) == []
    assert open_deleted_files(broker.pid, data) == []


def test_deletions_from_the_front_while_clients_work(broker: BrokerProcess, tmp_path: Path) -> None:
    """DeleteRecords and retention by size at once: what is left is what was written, in order."""
    bootstrap = broker.bootstrap_servers
    create_topic(bootstrap, TOPIC, 1, retention_bytes=str(2 * SEGMENT_BYTES))
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    writers, readers = start_all(bootstrap)
    dice = random.Random(5)
    partition = TopicPartition(TOPIC, 0)
    log_start = 0
    deadline = time.monotonic() + TIMEOUT_S
    while sum(len(writer.acked) for writer in writers) < 15_000:
        assert time.monotonic() < deadline
        assert [error for client in (*writers, *readers) for error in client.failed] == []
        partition.offset = dice.choice([-1, log_start + dice.randrange(200), log_start + dice.randrange(2000)])
        deletion = admin.delete_records([partition])[partition]
        refusal = deletion.exception(TIMEOUT_S)
        if refusal is not None:
            assert isinstance(refusal, KafkaException)
            assert refusal.args[0].code() == KafkaError.OFFSET_OUT_OF_RANGE  # there are not so many yet
            continue
        told = deletion.result()
        assert told.low_watermark >= max(log_start, partition.offset)
        log_start = told.low_watermark
    for client in (*writers, *readers):
        client.finish()
    acked = {offset: value for writer in writers for offset, value in writer.acked}
    assert len(acked) == sum(len(writer.acked) for writer in writers)
    for reader in readers:
        offsets = [offset for offset, _ in reader.found]
        assert offsets == sorted(set(offsets))
        assert len(offsets) > 100
        assert [offset for offset, value in reader.found if acked[offset] != value] == []
    rest = read_everything(bootstrap)
    assert rest == [(offset, acked[offset]) for offset in range(rest[0][0] if rest else 0, len(acked))][: len(rest)]
    assert log_start > 100
    data = tmp_path / "data"

    def is_small() -> bool:
        return sum(path.stat().st_size for path in log_files(data) if path.suffix == ".log") <= 3 * SEGMENT_BYTES

    until(is_small, "retention by size")
    partition.offset = -1
    admin.delete_records([partition])[partition].result(TIMEOUT_S)
    until(lambda: not [path for path in log_files(data) if path.suffix in (".log", ".index")], "the files to go")
    assert open_deleted_files(broker.pid, data) == []


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_a_log_start_that_was_answered_survives_kill_9(tmp_path: Path, durability: str) -> None:
    settings = {"flymq.durability": durability, "log.segment.bytes": SEGMENT_BYTES}
    dice = random.Random(7)
    with BrokerProcess(tmp_path / "data", settings) as broker:
        bootstrap = broker.bootstrap_servers
        create_topic(bootstrap, TOPIC, 1)
        partition = TopicPartition(TOPIC, 0)
        values: list[bytes] = []
        log_start = 0
        for round_ in range(4):
            producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "log_level": 0})
            for _ in range(1500):
                values.append(b"%d:" % len(values) + bytes(VALUE_BYTES))
                producer.produce(TOPIC, values[-1])
            assert producer.flush(TIMEOUT_S) == 0
            partition.offset = -1 if round_ == 2 else log_start + 1 + dice.randrange(len(values) - log_start)
            admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
            log_start = admin.delete_records([partition])[partition].result(TIMEOUT_S).low_watermark
            broker.kill()
            broker.start()
            found = read_everything(bootstrap)
            assert found == [(offset, values[offset]) for offset in range(log_start, len(values))]
            consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "x", "log_level": 0})
            assert consumer.get_watermark_offsets(TopicPartition(TOPIC, 0), TIMEOUT_S) == (log_start, len(values))
            consumer.close()
