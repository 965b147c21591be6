"""Two hundred brokers, some with clients, one after the other: no thread, file, socket or folder is left of them.

Then fifty tests on two workers of xdist, as a suite that is written on all this.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Producer

from flymq import AsyncEmbeddedBroker, EmbeddedBroker, FlyMQClient
from tests.testing.suites import Suite

STARTS = 200
CLIENT_EVERY = 10


class Open(NamedTuple):
    """What this process holds: of the system's, not of Python's."""

    threads: int
    descriptors: int
    children: int


def left_open() -> Open:
    gc.collect()
    process = psutil.Process()
    return Open(process.num_threads(), process.num_fds(), len(process.children()))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, and the working folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(folder)
    return folder


def use(broker: EmbeddedBroker) -> None:
    """A client in a group, one that writes, and the helpers."""
    broker.seed("orders", ["one"])
    with FlyMQClient(broker.bootstrap_servers) as client, client.consumer(
        "orders", "kitchen", auto_offset_reset="earliest"
    ) as consumer:
        assert next(consumer).text() == "one"
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        producer.produce("orders", b"two")
        assert producer.flush(30) == 0
    assert broker.committed("kitchen") == {("orders", 0): 1}


def test_of_embedded_ones(temporary: Path) -> None:
    def once(*, used: bool) -> None:
        with EmbeddedBroker(topics={"orders": 1}) as broker:
            if used:
                use(broker)

    once(used=True)  # whatever is opened once for the whole process
    before = left_open()
    for number in range(STARTS):
        once(used=number % CLIENT_EVERY == 0)
    assert left_open() == before
    assert list(temporary.iterdir()) == []


def test_of_embedded_ones_with_data(temporary: Path, tmp_path: Path) -> None:
    """Nothing but the data, which belongs to nobody: the folder can be opened again, moved, deleted."""

    def once(folder: Path, *, used: bool) -> None:
        with EmbeddedBroker(topics={"orders": 1}, data_dir=str(folder)) as broker:
            if used:
                use(broker)

    folder = tmp_path / "data"
    once(tmp_path / "another", used=True)
    before = left_open()
    for number in range(STARTS):
        once(folder, used=number == 0)
    moved = folder.rename(tmp_path / "moved")
    once(moved, used=False)
    assert left_open() == before
    assert list(temporary.iterdir()) == []
    assert not [held for held in psutil.Process().memory_maps() if str(tmp_path) in held.path]
    with EmbeddedBroker(data_dir=str(moved)) as broker:
        broker.expect("orders", ["one", "two"])


async def use_async(broker: AsyncEmbeddedBroker) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        await producer.send_and_wait("orders", b"one")
    async with AIOKafkaConsumer(
        "orders", bootstrap_servers=broker.bootstrap_servers, group_id="kitchen", auto_offset_reset="earliest"
    ) as consumer:
        assert (await consumer.getone()).value == b"one"
    assert await broker.committed("kitchen") == {("orders", 0): 1}


def test_of_async_ones(temporary: Path) -> None:
    """On one loop, and each on its own."""

    async def once(*, used: bool) -> None:
        async with AsyncEmbeddedBroker(topics={"orders": 1}) as broker:
            if used:
                await use_async(broker)

    async def on_one_loop() -> None:
        for number in range(STARTS // 2):
            await once(used=number % CLIENT_EVERY == 0)

    asyncio.run(once(used=True))
    before = left_open()
    asyncio.run(on_one_loop())
    for number in range(STARTS // 2):
        asyncio.run(once(used=number % CLIENT_EVERY == 0))
    assert left_open() == before
    assert list(temporary.iterdir()) == []


SUITE = '''
import os
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer
from flymq import AsyncFlyMQClient
from kafka import KafkaConsumer, KafkaProducer

NUMBERS = range(10)
GROUP = {"group_id": "kitchen", "auto_offset_reset": "earliest"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def note_who_uses_what(flymq, flymq_client):
    worker = os.environ["PYTEST_XDIST_WORKER"]
    assert flymq_client.list_topics() == []
    assert flymq_client.groups.list() == []
    with open(Path(__file__).parent / "brokers.txt", "a") as file:
        file.write(f"{worker} {flymq.bootstrap_servers}\\n")


@pytest.mark.parametrize("number", NUMBERS)
def test_flymq_client(flymq, flymq_client, number):
    flymq.seed("orders", [str(number)])
    with flymq_client.consumer("orders", "kitchen", auto_offset_reset="earliest") as consumer:
        assert next(consumer).text() == str(number)
    assert flymq.lag("kitchen") == 0


@pytest.mark.anyio
@pytest.mark.parametrize("number", NUMBERS)
async def test_flymq_client_awaited(flymq, number):
    async with AsyncFlyMQClient(flymq.bootstrap_servers) as client:
        await client.produce("orders", str(number))
    flymq.expect("orders", str(number))


@pytest.mark.parametrize("number", NUMBERS)
def test_confluent_kafka(flymq, flymq_topic, number):
    producer = Producer({"bootstrap.servers": flymq.bootstrap_servers})
    producer.produce(flymq_topic, str(number))
    assert producer.flush(60) == 0
    consumer = Consumer({"bootstrap.servers": flymq.bootstrap_servers, "group.id": "kitchen",
                         "auto.offset.reset": "earliest"})
    consumer.subscribe([flymq_topic])
    assert consumer.poll(60).value() == str(number).encode()
    consumer.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_kafka_python(flymq, flymq_topic, number):
    with KafkaProducer(bootstrap_servers=flymq.bootstrap_servers) as producer:
        producer.send(flymq_topic, str(number).encode()).get(60)
    consumer = KafkaConsumer(flymq_topic, bootstrap_servers=flymq.bootstrap_servers, **GROUP)
    assert next(consumer).value == str(number).encode()
    consumer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("number", NUMBERS)
async def test_aiokafka(flymq, flymq_topic, number):
    where = {"bootstrap_servers": flymq.bootstrap_servers}
    async with AIOKafkaProducer(**where) as producer:
        await producer.send_and_wait(flymq_topic, str(number).encode())
    async with AIOKafkaConsumer(flymq_topic, **where, **GROUP) as consumer:
        assert (await consumer.getone()).value == str(number).encode()
'''


def test_fifty_tests_on_two_workers_have_a_broker_each(tmp_path: Path) -> None:
    suite = Suite(tmp_path)
    suite.write("test_suite.py", SUITE)
    result = suite.run("-n", "2")
    result.assert_outcomes(passed=50)
    lines = (tmp_path / "brokers.txt").read_text().splitlines()
    assert len(lines) == 50
    assert sorted({line.split()[0] for line in lines}) == ["gw0", "gw1"]
    assert len(set(lines)) == 2  # each has one, and it is always the same
    assert len({line.split()[1] for line in lines}) == 2  # and not the other's
