"""Transactions with the clients that people use: librdkafka, kafka-python, aiokafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as AioTopicPartition
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from flymq import EmbeddedBroker
from flymq.client.kafka_python import commit_offsets, kafka
from flymq.client.messages import Partition

DEADLINE_S = 20.0  # what does not come by then never comes
PARTITIONS = 2


class TransactionalProducer(Protocol):
    def write(self, topic: str, values: Iterable[bytes], offsets: tuple[str, str, int] | None, commit: bool) -> None:
        """One transaction; `offsets`: (group, topic, next offset of partition 0)."""

    def close(self) -> None: ...


class Librdkafka:
    def __init__(self, broker: EmbeddedBroker, name: str, **settings: object) -> None:
        self.client = Producer({
            "bootstrap.servers": broker.bootstrap_servers, "transactional.id": name, "linger.ms": 0, **settings,
        })
        self.client.init_transactions(DEADLINE_S)

    def begin(self, topic: str, values: Iterable[bytes]) -> None:
        self.client.begin_transaction()
        for number, value in enumerate(values):
            self.client.produce(topic, value, partition=number % PARTITIONS)
        assert self.client.flush(DEADLINE_S) == 0

    def write(self, topic: str, values: Iterable[bytes], offsets: tuple[str, str, int] | None, commit: bool) -> None:
        self.begin(topic, values)
        if offsets is not None:
            group, source, position = offsets
            consumer = Consumer({"bootstrap.servers": "unused:1", "group.id": group})
            self.client.send_offsets_to_transaction(
                [TopicPartition(source, 0, position)], consumer.consumer_group_metadata(), DEADLINE_S
            )
            consumer.close()
        if commit:
            self.client.commit_transaction(DEADLINE_S)
        else:
            self.client.abort_transaction(DEADLINE_S)

    def close(self) -> None:
        self.client.flush(DEADLINE_S)


class KafkaPython:
    def __init__(self, broker: EmbeddedBroker, name: str) -> None:
        self.client: Any = kafka().KafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id=name)
        self.client.init_transactions()

    def write(self, topic: str, values: Iterable[bytes], offsets: tuple[str, str, int] | None, commit: bool) -> None:
        self.client.begin_transaction()
        for number, value in enumerate(values):
            self.client.send(topic, value, partition=number % PARTITIONS)
        if offsets is not None:
            group, source, position = offsets
            self.client.send_offsets_to_transaction(commit_offsets({Partition(source, 0): position}), group)
        if commit:
            self.client.commit_transaction()
        else:
            self.client.flush(DEADLINE_S)
            self.client.abort_transaction()

    def close(self) -> None:
        self.client.close()


class Aiokafka:
    def __init__(self, broker: EmbeddedBroker, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.client: Any = self.loop.run_until_complete(self._start(broker.bootstrap_servers, name))

    @staticmethod
    async def _start(servers: str, name: str) -> AIOKafkaProducer:
        client = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=name)
        await client.start()
        return client

    def write(self, topic: str, values: Iterable[bytes], offsets: tuple[str, str, int] | None, commit: bool) -> None:
        self.loop.run_until_complete(self._write(topic, values, offsets, commit))

    async def _write(
        self, topic: str, values: Iterable[bytes], offsets: tuple[str, str, int] | None, commit: bool
    ) -> None:
        await self.client.begin_transaction()
        for number, value in enumerate(values):
            await self.client.send_and_wait(topic, value, partition=number % PARTITIONS)
        if offsets is not None:
            group, source, position = offsets
            await self.client.send_offsets_to_transaction({AioTopicPartition(source, 0): position}, group)
        await (self.client.commit_transaction() if commit else self.client.abort_transaction())

    def close(self) -> None:
        self.loop.run_until_complete(self.client.stop())
        self.loop.close()


CLIENTS: list[Callable[[EmbeddedBroker, str], TransactionalProducer]] = [Librdkafka, KafkaPython, Aiokafka]


@pytest.fixture
def topic(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("txn-topic")
    broker.create_topics({name: PARTITIONS})
    return name


@pytest.fixture(params=CLIENTS, ids=lambda client: client.__name__)
def producer(
    request: pytest.FixtureRequest, broker: EmbeddedBroker, fresh_name: Callable[..., str]
) -> Iterator[TransactionalProducer]:
    opened = request.param(broker, fresh_name("txn"))
    yield opened
    opened.close()


def read(broker: EmbeddedBroker, topic: str, isolation: str = "read_committed") -> list[bytes]:
    """All that is there now, in no order."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap_servers, "group.id": "unused", "isolation.level": isolation,
        "auto.offset.reset": "earliest", "enable.partition.eof": True, "enable.auto.commit": False,
    })
    consumer.assign([TopicPartition(topic, index, 0) for index in range(PARTITIONS)])
    found, ends = [], 0
    while ends < PARTITIONS:
        message = consumer.poll(DEADLINE_S)
        assert message is not None
        if message.error() is not None:
            assert message.error().name() == "_PARTITION_EOF"
            ends += 1
        else:
            found.append(message.value())
    consumer.close()
    return sorted(found)


def committed(broker: EmbeddedBroker, group: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=DEADLINE_S)
    consumer.close()
    return int(found.offset)


def test_what_is_committed_is_read_and_what_is_aborted_is_not(
    broker: EmbeddedBroker, topic: str, producer: TransactionalProducer
) -> None:
    for number in range(6):
        values = [b"%d-%d" % (number, i) for i in range(5)]
        producer.write(topic, values, None, commit=number % 3 != 1)
    kept = sorted(b"%d-%d" % (number, i) for number in (0, 2, 3, 5) for i in range(5))
    assert read(broker, topic) == kept
    assert len(read(broker, topic, "read_uncommitted")) == 30


def test_offsets_go_with_the_records(
    broker: EmbeddedBroker, topic: str, producer: TransactionalProducer, fresh_name: Callable[..., str]
) -> None:
    group = fresh_name("group")
    for number, commit in enumerate([False, True, True, False]):
        producer.write(topic, [b"%d" % number], (group, topic, 10 + number), commit)
        assert committed(broker, group, topic) == [-1001, 11, 12, 12][number]
    assert read(broker, topic) == [b"1", b"2"]


def test_a_zombie_is_fenced(broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("txn")
    zombie = Librdkafka(broker, name)
    zombie.begin(topic, [b"of the zombie"])
    Librdkafka(broker, name).write(topic, [b"of its successor"], None, commit=True)
    with pytest.raises(KafkaException) as refused:
        zombie.client.commit_transaction(DEADLINE_S)
    assert refused.value.args[0].name() in ("_FENCED", "INVALID_PRODUCER_EPOCH")
    assert read(broker, topic) == [b"of its successor"]


def test_a_transaction_that_hangs_is_aborted_when_its_time_is_up(
    broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]
) -> None:
    hanging = Librdkafka(broker, fresh_name("txn"), **{"transaction.timeout.ms": 4000, "message.timeout.ms": 4000})
    hanging.begin(topic, [b"hangs"])
    broker.seed(topic, [{"value": b"behind it", "partition": 0}], partitions=PARTITIONS)
    assert b"behind it" not in read(broker, topic)
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap_servers, "group.id": "unused", "isolation.level": "read_committed",
    })
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(DEADLINE_S)
    assert message is not None
    assert message.value() == b"behind it"
    consumer.close()
    with pytest.raises(KafkaException):
        hanging.client.commit_transaction(DEADLINE_S)
