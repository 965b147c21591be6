"""A topic gets more partitions while clients use it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from flymq import EmbeddedBroker

REFRESH_MS = 200
PATIENCE_S = 30.0


def create(broker: EmbeddedBroker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)


def grow(broker: EmbeddedBroker, topic: str, total: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_partitions([NewPartitions(topic, total)])[topic].result(20)


def test_a_consumer_and_a_producer_that_are_at_work_go_on_with_all(
    broker: EmbeddedBroker, fresh_name: Callable[..., str]
) -> None:
    topic = fresh_name()
    create(broker, topic)
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap_servers, "group.id": fresh_name("g"), "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": REFRESH_MS, "heartbeat.interval.ms": REFRESH_MS,
    })  # fmt: skip
    consumer.subscribe([topic])
    producer = Producer({
        "bootstrap.servers": broker.bootstrap_servers, "topic.metadata.refresh.interval.ms": REFRESH_MS,
        "partitioner": "random", "sticky.partitioning.linger.ms": 0,
    })  # fmt: skip
    got: dict[int, int] = {}
    placed: set[int] = set()

    def exchange() -> None:
        producer.produce(topic, b"v", on_delivery=lambda error, message: placed.add(message.partition()))
        assert producer.flush(20) == 0
        for message in consumer.consume(100, 0.1):
            assert message.error() is None
            got[message.partition()] = got.get(message.partition(), 0) + 1

    try:
        _until(lambda: got, exchange)
        grow(broker, topic, 3)
        _until(lambda: len(got) == 3, exchange)
        assert placed == set(got) == {0, 1, 2}
    finally:
        consumer.close()


def _until(reached: Callable[[], object], step: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline
        step()


@pytest.mark.parametrize("stops", ["cleanly", "not at all"])
def test_new_partitions_and_what_is_in_them_survive_a_restart(tmp_path: Path, stops: str) -> None:
    data = str(tmp_path / "data")
    with EmbeddedBroker(data_dir=data) as broker:
        create(broker, "t")
        grow(broker, "t", 3)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("t", b"v", partition=2)
        assert producer.flush(20) == 0
        if stops == "not at all":
            copy = tmp_path / "copy"
            shutil.copytree(data, copy, ignore=shutil.ignore_patterns("LOCK"))
            data = str(copy)
    with EmbeddedBroker(data_dir=data) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        assert set(admin.list_topics("t", 20).topics["t"].partitions) == {0, 1, 2}
        assert [message.partition for message in broker.records("t")] == [2]
