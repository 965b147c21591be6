"""EmbeddedBroker as a test's author meets it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

import flymq
from flymq import FlyMQClient
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


def left_open() -> tuple[int, int]:
    """Threads and file descriptors, sockets among them."""
    return threading.active_count(), psutil.Process().num_fds()


def test_nothing_is_left_of_one_that_could_not_start(tmp_path: Path) -> None:
    def fail_at_each_stage() -> None:
        with pytest.raises(ValueError, match="or/ders"):
            flymq.EmbeddedBroker(topics={"orders": 1, "or/ders": 1}).start()
        with pytest.raises(ValueError, match="or/ders"):
            flymq.EmbeddedBroker(topics={"or/ders": 1}, data_dir=str(tmp_path)).start()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(EngineError, match=rf"127\.0\.0\.1:{port}.*taken"):
                flymq.EmbeddedBroker(port=port).start()

    fail_at_each_stage()
    before = left_open()
    for _ in range(5):
        fail_at_each_stage()
    assert left_open() == before


def test_it_stops_under_its_clients() -> None:
    """Those that wait for messages, in a group and without, and one that says nothing."""
    flymq.EmbeddedBroker().start().stop()  # whatever is opened once is open by now
    before = left_open()
    with flymq.EmbeddedBroker(topics={"orders": 1}) as broker:
        settings = {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}
        # librdkafka's close() never returns where it is still joining, or has yet to commit, and the broker is gone.
        reading = {"group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False}
        consumer = Consumer({**settings, **reading})
        consumer.subscribe(["orders"])
        producer = Producer(settings)
        producer.produce("orders", b"two coffees")
        assert producer.flush(10) == 0
        assert consumer.poll(30) is not None
        silent = socket.create_connection((broker.host, broker.port))
        broker.stop()
        assert silent.recv(1) == b""  # closed, not forgotten
        silent.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((broker.host, broker.port))
    consumer.close()
    del consumer, producer
    assert left_open() == before


def test_a_forgotten_one_does_not_keep_the_interpreter() -> None:
    script = (
        "import flymq\n"
        "broker = flymq.EmbeddedBroker(topics={'orders': 1}).start()\n"
        "broker.seed('orders', ['one'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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


def test_started_again_it_is_where_its_clients_look_for_it(tmp_path: Path) -> None:
    broker = flymq.EmbeddedBroker(topics={"orders": 1}, data_dir=str(tmp_path)).start()
    where = broker.bootstrap_servers
    with pytest.raises(RuntimeError, match=f"runs already, at {where}"):
        broker.start()
    producer = Producer({"bootstrap.servers": where, "reconnect.backoff.ms": 5, "log_level": 0})
    producer.produce("orders", b"before")
    assert producer.flush(10) == 0
    broker.stop()
    with pytest.raises(RuntimeError, match="does not run"):
        broker.wipe()
    producer.produce("orders", b"meanwhile")
    with broker:
        assert broker.bootstrap_servers == where
        assert producer.flush(10) == 0
        broker.expect("orders", ["before", "meanwhile"])


def test_settings_go_by_kafkas_names() -> None:
    with flymq.EmbeddedBroker(config={"num.partitions": 4, "auto.create.topics.enable": True}) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        assert len(admin.list_topics("made-by-asking", timeout=10).topics["made-by-asking"].partitions) == 4


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingError, match=r"there is no setting num\.partition\ndid you mean num\.partitions or"):
        flymq.EmbeddedBroker(config={"num.partition": 4})
    with pytest.raises(TypeError, match=r"EmbeddedBroker\(config=\.\.\.\) is \{name: value\}.*not \['num"):
        flymq.EmbeddedBroker(config=["num.partitions=4"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"topic orders can't be created: .*partitions"):
        flymq.EmbeddedBroker(topics={"orders": 0}).start()


@pytest.mark.parametrize("topics", [["orders"], "orders", {"orders": "3"}, {b"orders": 3}])
def test_topics_are_names_with_numbers_of_partitions(topics: Any) -> None:
    right = re.escape('is {name: partitions}, such as {"orders": 1}, not ')
    with pytest.raises(TypeError, match=rf"EmbeddedBroker\(topics=\.\.\.\) {right}"):
        flymq.EmbeddedBroker(topics=topics)
    with flymq.EmbeddedBroker() as broker, pytest.raises(TypeError, match=rf"create_topics\(\) {right}"):
        broker.create_topics(topics)


def test_one_that_does_not_run_says_so() -> None:
    """Before the first start, not even where it will be; after a stop, not what became of a connection."""
    broker = flymq.EmbeddedBroker()
    asked: list[Callable[[], object]] = [
        lambda: broker.create_topics({"orders": 1}),
        lambda: broker.seed("orders", ["one"]),
        lambda: broker.expect("orders"),
        lambda: broker.requests(),
        broker.wipe,
    ]
    not_running = r"does not run: call start\(\), or use it with `with`"
    for ask in [*asked, lambda: broker.bootstrap_servers]:
        with pytest.raises(RuntimeError, match=not_running):
            ask()
    with broker:
        assert broker.running
        broker.seed("orders", ["one"])
    before = left_open()
    for ask in asked:
        with pytest.raises(RuntimeError, match=not_running):
            ask()
    assert not broker.running
    assert broker.bootstrap_servers == f"127.0.0.1:{broker.port}"
    assert left_open() == before


def test_a_port_that_was_asked_for_is_known_before_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    broker = flymq.EmbeddedBroker(port=port)
    where = broker.bootstrap_servers
    with broker:
        assert broker.bootstrap_servers == where == f"127.0.0.1:{port}"
        broker.seed("orders", ["one"])


def test_it_is_not_for_async_with() -> None:
    async def main() -> None:
        async with flymq.EmbeddedBroker():  # type: ignore[attr-defined]
            pass

    with pytest.raises(TypeError, match="EmbeddedBroker is for `with`; for `async with` there is AsyncEmbeddedBroker"):
        asyncio.run(main())


def test_helpers_of_many_threads_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = FlyMQClient.__init__

    def counted(self: FlyMQClient, *args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            both_are_here.wait(0.5)  # for a second thread, which is not let in
        make(self, *args, **kwargs)
        made.append(self)

    both_are_here = threading.Barrier(2)
    with flymq.EmbeddedBroker(topics={"orders": 1}) as broker:
        monkeypatch.setattr(FlyMQClient, "__init__", counted)
        with ThreadPoolExecutor(4) as pool:
            assert [found.result() for found in [pool.submit(broker.records, "orders") for _ in range(4)]] == [[]] * 4
    assert len(made) == 1
