"""AsyncEmbeddedBroker: a broker on the caller's loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from flymq import AsyncEmbeddedBroker
from flymq.storage.api import EngineError


def left_open() -> tuple[int, int]:
    """Threads and file descriptors, sockets among them."""
    return threading.active_count(), psutil.Process().num_fds()


def test_a_client_produces_and_consumes_on_one_loop() -> None:
    async def main() -> None:
        async with AsyncEmbeddedBroker(topics={"orders": 3}) as broker:
            async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
                await producer.send_and_wait("orders", b"two coffees", key=b"ada")
            async with AIOKafkaConsumer(
                "orders",
                bootstrap_servers=broker.bootstrap_servers,
                group_id="kitchen",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            ) as consumer:
                message = await consumer.getone()
                assert message.value == b"two coffees"
                await consumer.commit()
                await broker.wait_for_group("kitchen", members=1)
                committed = await broker.committed("kitchen")
                assert committed[("orders", message.partition)] == 1  # type: ignore[index]  # equal to the plain pair
            assert len(broker.requests("OffsetCommit")) == 1

    asyncio.run(main())


def test_the_helpers_are_awaited() -> None:
    async def main() -> None:
        async with AsyncEmbeddedBroker() as broker:
            await broker.seed("orders", ["one", ("ada", "two")])
            assert [message.text() for message in await broker.records("orders")] == ["one", "two"]
            (late,), _ = await asyncio.gather(broker.expect("late", 1), broker.seed("late", ["three"]))
            assert late.text() == "three"
            with pytest.raises(AssertionError, match="wanted 3 messages in orders, found 2"):
                await broker.expect("orders", 3, timeout=0)
            await broker.wipe()
            await broker.create_topics({"bills": 2})
            with pytest.raises(LookupError, match="orders"):
                await broker.records("orders")
            assert await broker.records("bills") == []

    asyncio.run(main())


def test_nothing_is_left_behind() -> None:
    async def once(*, helped: bool) -> None:
        async with AsyncEmbeddedBroker(topics={"orders": 1}) as broker:
            if helped:
                await broker.seed("orders", ["one"])
            reader, writer = await asyncio.open_connection(broker.host, broker.port)
            with contextlib.closing(writer):
                await broker.stop()
                assert await reader.read(1) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((broker.host, broker.port))

    asyncio.run(once(helped=True))
    before = left_open()
    for _ in range(50):
        asyncio.run(once(helped=False))
    asyncio.run(once(helped=True))
    assert left_open() == before


def test_a_start_that_fails_or_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        before = left_open()
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(EngineError, match="taken"):
            await AsyncEmbeddedBroker(port=taken.getsockname()[1]).start()
        starting = asyncio.create_task(AsyncEmbeddedBroker(data_dir=str(tmp_path)).start())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert left_open() == before
        async with AsyncEmbeddedBroker(data_dir=str(tmp_path)):  # the folder is free
            pass

    asyncio.run(main())


def test_started_again_it_has_its_port_and_its_data(tmp_path: Path) -> None:
    async def main() -> None:
        broker = AsyncEmbeddedBroker(topics={"orders": 1}, data_dir=str(tmp_path))
        with pytest.raises(RuntimeError, match="does not run"):
            await broker.wipe()
        await broker.start()
        where = broker.bootstrap_servers
        with pytest.raises(RuntimeError, match=f"runs already, at {where}"):
            await broker.start()
        await broker.seed("orders", ["kept"])
        await broker.stop()
        await broker.stop()  # harmless
        async with broker:
            assert broker.bootstrap_servers == where
            await broker.expect("orders", "kept")

    asyncio.run(main())
