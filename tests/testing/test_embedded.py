"""EmbeddedBroker as a test's author meets it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

import flymq
from flymq.core.settings import SettingError
from flymq.storage.api import EngineError


def send(broker: flymq.EmbeddedBroker, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce("orders", value)
    assert producer.flush(10) == 0


def first(broker: flymq.EmbeddedBroker) -> bytes | None:
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["orders"])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None
    return message.value()


def test_a_client_produces_and_consumes() -> None:
    with flymq.EmbeddedBroker(topics={"orders": 3, "other": 1}) as broker:
        send(broker, b"two coffees")
        assert first(broker) == b"two coffees"
        topics = AdminClient({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=10).topics
        assert {name: len(topic.partitions) for name, topic in topics.items() if not name.startswith("__")} == {
            "orders": 3,
            "other": 1,
        }


def test_nothing_is_left_behind() -> None:
    process = psutil.Process()
    flymq.EmbeddedBroker().start().stop()  # whatever is imported once is open by now
    threads, descriptors = threading.active_count(), process.num_fds()
    broker = flymq.EmbeddedBroker(topics={"orders": 1}).start()
    with socket.create_connection((broker.host, broker.port)) as connection:
        broker.stop()
        assert connection.recv(1) == b""  # closed, not forgotten
    assert (threading.active_count(), process.num_fds()) == (threads, descriptors)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((broker.host, broker.port))


def test_several_run_side_by_side_and_start_again() -> None:
    brokers = [flymq.EmbeddedBroker(topics={"orders": 1}).start() for _ in range(3)]
    assert len({broker.port for broker in brokers}) == 3
    for number, broker in enumerate(brokers):
        send(broker, b"%d" % number)
    assert [first(broker) for broker in brokers] == [b"0", b"1", b"2"]
    for broker in brokers:
        broker.stop()
        broker.stop()  # harmless
    with brokers[0] as again:
        send(again, b"fresh")
        assert first(again) == b"fresh"  # memory is gone with the broker


def test_a_data_folder_keeps_records_and_belongs_to_one_broker(tmp_path: Path) -> None:
    with flymq.EmbeddedBroker(topics={"orders": 1}, data_dir=str(tmp_path)) as broker:
        send(broker, b"kept")
        with pytest.raises(EngineError, match="in use"):
            flymq.EmbeddedBroker(data_dir=str(tmp_path)).start()
    with flymq.EmbeddedBroker(topics={"orders": 1}, data_dir=str(tmp_path)) as broker:
        assert first(broker) == b"kept"


def test_settings_go_by_kafkas_names() -> None:
    with flymq.EmbeddedBroker(config={"num.partitions": 4, "auto.create.topics.enable": True}) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        assert len(admin.list_topics("made-by-asking", timeout=10).topics["made-by-asking"].partitions) == 4


def test_mistakes_are_told_in_the_callers_thread() -> None:
    with pytest.raises(SettingError, match=r"num\.partition"):
        flymq.EmbeddedBroker(config={"num.partition": 4})
    with pytest.raises(ValueError, match="or/ders"):
        flymq.EmbeddedBroker(topics={"or/ders": 1}).start()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=rf"127\.0\.0\.1:{port}.*taken"):
            flymq.EmbeddedBroker(port=port).start()
