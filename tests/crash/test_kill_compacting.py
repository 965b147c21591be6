"""`kill -9` while a topic is written and compacted without a pause: each key's newest acknowledged value is there."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import create_topic

TOPIC = "churn"
KEYS = 60
ROUNDS = 4
IN_FLIGHT = 2000
SETTINGS = {
    "log.segment.bytes": 1 << 20,
    "log.cleaner.backoff.ms": 1,
    "log.cleaner.min.cleanable.ratio": 0.01,
    "log.cleaner.delete.retention.ms": 1000,
}


class Load(threading.Thread):
    """Numbers in random keys, now and then a tombstone. `acked[key]` is the newest number that was acknowledged."""

    def __init__(self, bootstrap: str, seed: int, codec: str) -> None:
        super().__init__(name="load")
        self.acked: dict[bytes, int] = {}
        self.values: list[bytes | None] = []  # by number
        self.errors: list[object] = []
        self._stopping = threading.Event()
        self._random = random.Random(seed)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "compression.type": codec,
                "batch.num.messages": 20,
                "message.timeout.ms": 0,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 100,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        while not self._stopping.is_set() and not self.errors:
            while len(self._producer) < IN_FLIGHT:
                self._send()
            self._producer.poll(0.02)
        if self._producer.flush(60):
            self.errors.append("records were never answered")

    def _send(self) -> None:
        number = len(self.values)
        key = b"key of a good length %d" % self._random.randrange(KEYS)
        is_tombstone = self._random.random() < 0.05
        value = None if is_tombstone else b"%d:%s" % (number, self._random.randbytes(1000))
        self.values.append(value)

        def done(error: object, _: object) -> None:
            if error is not None:
                self.errors.append(error)
            self.acked[key] = number

        self._producer.produce(TOPIC, value, key, on_delivery=done)

    def finish(self) -> None:
        self._stopping.set()
        self.join()


def newest(bootstrap: str) -> tuple[dict[bytes, bytes | None], int]:
    """key -> its newest value (None: a tombstone), and how many records there are; offsets and numbers must ascend."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "r", "enable.partition.eof": True})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found: dict[bytes, bytes | None] = {}
    last: dict[bytes, int] = {}
    count, before = 0, -1
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until, "the topic's end does not come"
        for message in consumer.consume(1000, 1):
            if message.error() is not None:
                assert message.error().name() == "_PARTITION_EOF", message.error()
                consumer.close()
                return found, count
            assert message.offset() > before
            before = message.offset()
            key, value = message.key(), message.value()
            if value is not None:
                number = int(value.partition(b":")[0])
                assert last.get(key, -1) < number, f"an older value after a newer one, at offset {before}"
                last[key] = number
            found[key] = value
            count += 1


@pytest.mark.parametrize(("durability", "codec", "seed"), [("fsync", "none", 1), ("os", "zstd", 2)])
def test_the_newest_of_each_key_survives(durability: str, codec: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with BrokerProcess(tmp_path, {**SETTINGS, "flymq.durability": durability}) as broker:
        create_topic(broker.bootstrap_servers, TOPIC, 1, cleanup_policy="compact")
        load = Load(broker.bootstrap_servers, seed, codec)
        load.start()
        try:
            for _ in range(ROUNDS):
                until_cleaning(tmp_path)
                time.sleep(chance.uniform(0, 0.3))  # the instant of the kill is what is being varied
                broker.kill()
                broker.start()
        finally:
            load.finish()
        assert not load.errors
        deadline = time.monotonic() + 60
        count = len(load.values)
        while count > len(load.values) / 2:
            assert time.monotonic() < deadline, "it is not compacted"
            found, count = newest(broker.bootstrap_servers)
            for key, number in load.acked.items():
                expected: Any = load.values[number]
                assert found.get(key) == expected, key
        code, _ = broker.stop()
        assert code == 0, broker.stderr
        assert not list(tmp_path.rglob("*.cleaned*"))
        broker.start()
        again, _ = newest(broker.bootstrap_servers)
        assert {key: value for key, value in again.items() if value is not None} == {
            key: value for key, value in found.items() if value is not None
        }


def until_cleaning(folder: Path) -> None:
    """Until a cleaned segment is being written."""
    deadline = time.monotonic() + 60
    while not list(folder.rglob("*.cleaned")):
        assert time.monotonic() < deadline, "nothing is cleaned"
        time.sleep(0.001)
