"""What is changed while the broker runs acts at once, and is there after a restart: asked with real clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

from flymq import EmbeddedBroker
from tests.wire.altering import BROKER, DELETE, SET, alter
from tests.wire.client import Client

MIB = 1 << 20


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def durable(data: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(data_dir=str(data), config={"flymq.durability": "os"}) as broker:
        yield broker


def admin(broker: EmbeddedBroker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


def change(broker: EmbeddedBroker, kind: ResourceType, name: str, **values: str | None) -> None:
    """Settings by Kafka's names with `_` for `.`; None deletes. Raises KafkaException."""
    entries = [
        ConfigEntry(
            key.replace("_", "."),
            text or "",
            incremental_operation=AlterConfigOpType.DELETE if text is None else AlterConfigOpType.SET,
        )
        for key, text in values.items()
    ]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    client = admin(broker)
    for done in client.incremental_alter_configs([resource]).values():
        done.result(20)


def in_force(broker: EmbeddedBroker, kind: ResourceType, name: str, key: str) -> tuple[str, int]:
    """(value, source)."""
    client = admin(broker)
    (found,) = client.describe_configs([ConfigResource(kind, name)]).values()
    entry = found.result(20)[key]
    return entry.value, entry.source


def create(broker: EmbeddedBroker, name: str, **config: str) -> None:
    topic = NewTopic(name, 1, 1, config={key.replace("_", "."): text for key, text in config.items()})
    client = admin(broker)
    client.create_topics([topic])[name].result(20)


def send(broker: EmbeddedBroker, topic: str, size: int) -> KafkaError | None:
    """Why a record of `size` bytes was refused; None where it was taken."""
    errors: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "message.max.bytes": 4 * MIB})
    producer.produce(topic, b"x" * size, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    return errors[0]


def segments(data: Path, topic: str) -> int:
    return len(list(data.glob(f"logs/{topic}/*/*.log")))


def test_a_topics_limits_act_at_once(durable: EmbeddedBroker, data: Path) -> None:
    create(durable, "t")
    assert send(durable, "t", 500_000) is None
    change(durable, ResourceType.TOPIC, "t", max_message_bytes="100000", segment_bytes=str(MIB))
    refused = send(durable, "t", 500_000)
    assert refused is not None
    assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE
    change(durable, ResourceType.TOPIC, "t", max_message_bytes=None)
    for _ in range(4):
        assert send(durable, "t", 500_000) is None
    assert segments(data, "t") == 3
    assert in_force(durable, ResourceType.TOPIC, "t", "max.message.bytes")[1] == ConfigSource.DEFAULT_CONFIG.value


def test_the_brokers_defaults_act_on_topics_that_have_no_value_of_their_own(durable: EmbeddedBroker) -> None:
    create(durable, "plain")
    create(durable, "own", max_message_bytes=str(2 * MIB))
    assert send(durable, "own", MIB + 500_000) is None
    change(durable, ResourceType.BROKER, "1", message_max_bytes="1000")
    refused = send(durable, "plain", 2000)
    assert refused is not None
    assert refused.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert send(durable, "own", 2000) is None
    create(durable, "new")
    assert send(durable, "new", 2000) is not None
    change(durable, ResourceType.BROKER, "1", message_max_bytes=None)
    assert send(durable, "plain", 2000) is None


def test_changes_are_there_after_a_restart(data: Path) -> None:
    settings = {"flymq.durability": "os"}
    with EmbeddedBroker(data_dir=str(data), config=settings) as broker:
        create(broker, "t")
        change(broker, ResourceType.TOPIC, "t", max_message_bytes="3000")
        change(broker, ResourceType.BROKER, "1", log_retention_ms="4000")
        with Client(broker.port) as client:  # librdkafka can't name all brokers
            assert alter(client, BROKER, "", ("log.retention.bytes", SET, "5000")) == 0
    with EmbeddedBroker(data_dir=str(data), config=settings) as broker:
        assert in_force(broker, ResourceType.TOPIC, "t", "max.message.bytes")[0] == "3000"
        found = in_force(broker, ResourceType.TOPIC, "t", "retention.ms")
        assert found == ("4000", ConfigSource.DYNAMIC_BROKER_CONFIG.value)
        found = in_force(broker, ResourceType.TOPIC, "t", "retention.bytes")
        assert found == ("5000", ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG.value)
        assert send(broker, "t", 4000) is not None


@pytest.mark.parametrize("name", ["max.connections", "max.connections.per.ip"])
def test_limits_of_connections_act_on_the_next_one(broker: EmbeddedBroker, name: str) -> None:
    with Client(broker.port) as connected:
        assert alter(connected, BROKER, "1", (name, SET, "1")) == 0
        with Client(broker.port) as refused:
            assert refused.is_closed()
        assert alter(connected, BROKER, "1", (name, DELETE, None)) == 0
        with Client(broker.port) as taken:
            assert alter(taken, BROKER, "1", (name, DELETE, None)) == 0


def test_a_refusal_reaches_the_client(durable: EmbeddedBroker) -> None:
    create(durable, "t")
    for kind, name, values, code in (
        (ResourceType.TOPIC, "t", {"retention_ms": "x"}, KafkaError.INVALID_CONFIG),
        (ResourceType.TOPIC, "none", {"retention_ms": "1"}, KafkaError.UNKNOWN_TOPIC_OR_PART),
        (ResourceType.BROKER, "1", {"num_partitions": "3"}, KafkaError.INVALID_REQUEST),
    ):
        with pytest.raises(KafkaException) as refused:
            change(durable, kind, name, **values)
        assert refused.value.args[0].code() == code
