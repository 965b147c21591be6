"""AsyncEmbeddedBroker: a broker on the caller's loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from flymq import AsyncEmbeddedBroker, FlyMQClient
from flymq.client.errors import BrokerUnavailableError
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


def test_clients_that_are_still_connecting_are_not_forgotten() -> None:
    """Those that a blocked loop could not accept. Their sockets would be left open."""

    async def once() -> None:
        async with AsyncEmbeddedBroker() as broker:
            clients = [socket.create_connection((broker.host, broker.port)) for _ in range(5)]
        for client in clients:
            client.setblocking(False)
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1), 10) == b""
            client.close()

    asyncio.run(once())
    before = left_open()
    for _ in range(10):
        asyncio.run(once())
    assert left_open() == before


def test_it_closes_connections_and_listens_no_more() -> None:
    async def main() -> None:
        async with AsyncEmbeddedBroker() as broker:
            reader, writer = await asyncio.open_connection(broker.host, broker.port)
            with contextlib.closing(writer):
                await broker.stop()
                assert await reader.read(1) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((broker.host, broker.port))

    asyncio.run(main())


def test_one_that_does_not_run_says_so() -> None:
    async def main() -> None:
        broker = AsyncEmbeddedBroker()
        not_running = r"does not run: await start\(\), or use it with `async with`"
        for _ in range(2):  # before and after
            for ask in (broker.wipe, partial(broker.records, "orders"), partial(broker.create_topics, {"orders": 1})):
                with pytest.raises(RuntimeError, match=not_running):
                    await ask()
            with pytest.raises(RuntimeError, match=not_running):
                broker.requests()
            assert not broker.running
            async with broker:
                assert broker.running

    with pytest.raises(RuntimeError, match="does not run"):
        _ = AsyncEmbeddedBroker().bootstrap_servers
    asyncio.run(main())


def test_it_is_not_for_with() -> None:
    with (
        pytest.raises(TypeError, match="AsyncEmbeddedBroker is for `async with`; for `with` there is EmbeddedBroker"),
        AsyncEmbeddedBroker(),  # type: ignore[attr-defined]
    ):
        pass
    with pytest.raises(TypeError, match=r"AsyncEmbeddedBroker\(topics=\.\.\.\) is \{name: partitions\}"):
        AsyncEmbeddedBroker(topics=["orders"])  # type: ignore[arg-type]


def test_a_client_that_blocks_the_loop_is_told() -> None:
    """A synchronous one waits for a broker that waits for it. Its time-out says the rest."""

    async def main() -> None:
        async with AsyncEmbeddedBroker() as broker:
            FlyMQClient(broker.bootstrap_servers, connect_timeout=1.2).list_topics()

    with pytest.raises(BrokerUnavailableError) as caught:
        asyncio.run(main())
    *_, note = caught.value.__notes__
    assert note.startswith("the event loop, and AsyncEmbeddedBroker on it, stood still for 1.")
    assert note.endswith("use EmbeddedBroker, or `await asyncio.to_thread(...)`")


def test_another_failure_is_left_as_it_is() -> None:
    async def main() -> None:
        async with AsyncEmbeddedBroker():
            raise LookupError("a test's own")

    with pytest.raises(LookupError) as caught:
        asyncio.run(main())
    assert not hasattr(caught.value, "__notes__")


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
