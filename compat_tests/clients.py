"""Four unmodified Kafka clients behind one shape: send numbered lines, read a topic in a group.

A record's key is the line's number in decimal, counted from 0, and its value the line. The partition is
the client's own choice from the key.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


_SILENCE_S_MAX = 60.0


class Record(NamedTuple):
    """One record as a consumer got it."""

    partition: int
    offset: int
    key: bytes
    value: bytes


def create_topic(bootstrap: str, topic: str, partitions: int, **config: str) -> None:
    """Through confluent-kafka's admin client."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    new = NewTopic(topic, partitions, 1, config={name.replace("_", "."): value for name, value in config.items()})
    admin.create_topics([new])[topic].result(30)


class Patience:
    """AssertionError from `heard(0)` a minute after records last came."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def heard(self, records: int) -> int:
        now = time.monotonic()
        if records:
            self._last = now
        assert now - self._last < _SILENCE_S_MAX, f"no record in {_SILENCE_S_MAX:.0f} s"
        return records


# -- kafka-python -----------------------------------------------------------------------------------


def _kafka_python_produce(bootstrap: str, topic: str, lines: Sequence[bytes], codec: str) -> None:
    from kafka import KafkaProducer

    failures: list[BaseException] = []
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=None if codec == "none" else codec,
        batch_size=128 * 1024,
        linger_ms=20,
    )
    try:
        for number, line in enumerate(lines):
            producer.send(topic, key=b"%d" % number, value=line).add_errback(failures.append)
        producer.flush(300)
    finally:
        producer.close(30)
    if failures:
        raise failures[0]


def _kafka_python_consume(bootstrap: str, topic: str, group: str, count: int) -> Iterator[Record]:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=5000,
    )
    patience = Patience()
    try:
        while count > 0:
            polled = consumer.poll(1000).values()
            for records in polled:
                for record in records:
                    yield Record(record.partition, record.offset, record.key, record.value)
            count -= patience.heard(sum(map(len, polled)))
        consumer.commit()
    finally:
        consumer.close()


# -- confluent-kafka --------------------------------------------------------------------------------


def _confluent_produce(bootstrap: str, topic: str, lines: Sequence[bytes], codec: str) -> None:
    from confluent_kafka import Producer

    failures: list[object] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "enable.idempotence": True,
            "linger.ms": 20,
            "queue.buffering.max.messages": 200_000,
        }
    )
    for number, line in enumerate(lines):
        while True:
            try:
                producer.produce(topic, line, b"%d" % number, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(1)
        if number % 1000 == 0:
            producer.poll(0)
    unsent = producer.flush(300)
    assert not unsent, f"{unsent} records were not sent"
    assert not failures, failures[0]


def _confluent_consume(bootstrap: str, topic: str, group: str, count: int) -> Iterator[Record]:
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "check.crcs": True,
        }
    )
    patience = Patience()
    try:
        consumer.subscribe([topic])
        while count > 0:
            messages = consumer.consume(5000, 1)
            for message in messages:
                assert message.error() is None, message.error()
                yield Record(message.partition(), message.offset(), message.key(), message.value())
            count -= patience.heard(len(messages))
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()


# -- aiokafka ---------------------------------------------------------------------------------------


def _aiokafka_produce(bootstrap: str, topic: str, lines: Sequence[bytes], codec: str) -> None:
    from aiokafka import AIOKafkaProducer

    async def run() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=True,
            max_batch_size=128 * 1024,
            linger_ms=20,
        )
        await producer.start()
        try:
            for first in range(0, len(lines), 20_000):
                sent = [
                    await producer.send(topic, lines[number], b"%d" % number)
                    for number in range(first, min(first + 20_000, len(lines)))
                ]
                for result in sent:
                    await result
        finally:
            await producer.stop()

    asyncio.run(run())


def _aiokafka_consume(bootstrap: str, topic: str, group: str, count: int) -> Iterator[Record]:
    from aiokafka import AIOKafkaConsumer

    loop = asyncio.new_event_loop()
    consumer: Any = None

    async def start() -> None:
        nonlocal consumer
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()

    patience = Patience()
    try:
        loop.run_until_complete(start())
        while count > 0:
            polled = loop.run_until_complete(consumer.getmany(timeout_ms=1000, max_records=5000)).values()
            for records in polled:
                for record in records:
                    yield Record(record.partition, record.offset, record.key, record.value)
            count -= patience.heard(sum(map(len, polled)))
        loop.run_until_complete(consumer.commit())
    finally:
        if consumer is not None:
            loop.run_until_complete(consumer.stop())
        loop.close()


# -- kcat -------------------------------------------------------------------------------------------


def _kcat_produce(bootstrap: str, topic: str, lines: Sequence[bytes], codec: str) -> None:
    command = ["kcat", "-P", "-b", bootstrap, "-t", topic, "-K", "\\t", "-X", "enable.idempotence=true",
               "-X", f"compression.codec={codec}", "-X", "linger.ms=20"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as kcat:
        assert kcat.stdin is not None
        for first in range(0, len(lines), 10_000):
            part = lines[first : first + 10_000]
            kcat.stdin.write(b"".join(b"%d\t%s\n" % (first + number, line) for number, line in enumerate(part)))
        _, errors = kcat.communicate(timeout=300)
    assert kcat.returncode == 0, errors


def _kcat_consume(bootstrap: str, topic: str, group: str, count: int) -> Iterator[Record]:
    command = ["kcat", "-G", group, "-b", bootstrap, "-q", "-X", "auto.offset.reset=earliest", "-c", str(count),
               "-f", "%p %o %K %S\\n%k%s", topic]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as kcat:
        assert kcat.stdout is not None
        watchdog = threading.Timer(300, kcat.send_signal, [signal.SIGKILL])
        watchdog.start()
        try:
            while header := kcat.stdout.readline():
                partition, offset, key_bytes, value_bytes = map(int, header.split())
                key = kcat.stdout.read(key_bytes)
                yield Record(partition, offset, key, kcat.stdout.read(value_bytes))
            _, errors = kcat.communicate()
        finally:
            watchdog.cancel()
            if kcat.poll() is None:
                kcat.kill()
    assert kcat.returncode == 0, errors


class Client(NamedTuple):
    """`produce(bootstrap, topic, lines, codec)` returns when all is acknowledged; `consume(bootstrap, topic,
    group, count)` gives `count` records, commits, and leaves the group.
    """

    produce: Callable[[str, str, Sequence[bytes], str], None]
    consume: Callable[[str, str, str, int], Iterator[Record]]


CLIENTS = {
    "kafka-python": Client(_kafka_python_produce, _kafka_python_consume),
    "confluent-kafka": Client(_confluent_produce, _confluent_consume),
    "aiokafka": Client(_aiokafka_produce, _aiokafka_consume),
    "kcat": Client(_kcat_produce, _kcat_consume),
}
PYTHON_CLIENTS = ("kafka-python", "confluent-kafka", "aiokafka")
