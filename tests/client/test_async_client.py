"""`AsyncFlyMQClient`: behaves as the other one, never blocks the loop, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import AsyncFlyMQClient, EmbeddedBroker
from flymq.client.errors import (
    BrokerUnavailableError,
    ClosedError,
    GroupNotFoundError,
    InvalidArgumentError,
    MessageTooLargeError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    SerializationError,
    TopicNotFoundError,
)
from tests.client.listeners import free_port, http_server, never_answers, serving

TIMEOUT_S = 20.0


@pytest.fixture
def topic(fresh_name: Callable[..., str]) -> str:
    return fresh_name("orders")


def run(main: Callable[[AsyncFlyMQClient], Coroutine[Any, Any, None]], servers: str, **settings: Any) -> None:
    async def with_client() -> None:
        async with AsyncFlyMQClient(servers, **settings) as client:
            await asyncio.wait_for(main(client), TIMEOUT_S)

    asyncio.run(with_client())


# -- alike ----------------------------------------------------------------------------------------


def test_it_writes_and_reads(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        await client.create_topic(topic, partitions=2)
        when = datetime(2024, 1, 1, tzinfo=UTC)
        where = await client.produce(topic, "one", key="ada", partition=1, headers={"a": "b"}, timestamp=when)
        assert where == (topic, 1, 0, 1704067200000)
        report = await client.produce_many(topic, [{"value": "two", "partition": 1}, 5])
        assert (report.sent, [index for index, _ in report.failed]) == (1, [1])
        result = await client.fetch(topic, partition=1, offset=-2, count=1)
        assert [message.text() for message in result] == ["one"]
        assert (result.next_offset, result.high_watermark) == (1, 2)
        assert (result[0].key, result[0].header("a"), result[0].datetime) == (b"ada", b"b", when)
        assert [message.text() async for message in client.read(topic)] == ["one", "two"]
        assert [message.text() async for message in client.read(topic, partitions=[1], start=1)] == ["two"]
        assert topic in await client.list_topics()
        assert await client.ping() > 0
        await client.delete_topic(topic)
        assert topic not in await client.list_topics()

    run(main, broker.bootstrap_servers)


def test_administration_is_the_same(broker: EmbeddedBroker, topic: str, fresh_name: Callable[..., str]) -> None:
    group = fresh_name("group")

    async def main(client: AsyncFlyMQClient) -> None:
        await client.topics.create(topic, partitions=2)
        await client.produce_many(topic, [{"value": str(n), "partition": 1} for n in range(3)])
        assert len((await client.topics.describe(topic)).partitions) == 2
        assert await client.topics.offsets(topic) == {0: 0, 1: 3}
        assert topic in [row.name for row in await client.topics.list()]
        await client.groups.reset(group, topics=[topic])
        assert [row.lag for row in await client.groups.lag(group)] == [0, 3]
        assert (await client.groups.describe(group)).state == "Empty"
        await client.groups.delete(group)
        with pytest.raises(GroupNotFoundError):
            await client.groups.describe(group)
        assert len((await client.cluster.info()).brokers) == 1
        assert await client.cluster.api_versions()

    run(main, broker.bootstrap_servers)


def test_errors_are_the_same(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        await client.create_topic(topic)
        bad: list[tuple[type[Exception], Coroutine[Any, Any, Any]]] = [
            (TopicNotFoundError, client.fetch(topic.replace("orders", "ordres"))),
            (PartitionNotFoundError, client.fetch(topic, partition=7)),
            (OffsetOutOfRangeError, client.fetch(topic, offset=7)),
            (InvalidArgumentError, client.fetch(topic, count=-1)),
            (SerializationError, client.produce(topic, 5)),
            (PartitionNotFoundError, client.produce(topic, "x", partition=7)),
            (InvalidArgumentError, client.produce(topic, "x", timestamp=-2)),
            (MessageTooLargeError, client.produce(topic, b"x" * 2_000_000)),
            (InvalidArgumentError, client.produce_many(topic, "two coffees")),
        ]
        for kind, call in bad:
            with pytest.raises(kind) as caught:
                await call
            assert caught.value.hint  # type: ignore[attr-defined]
        with pytest.raises(TopicNotFoundError, match="no topic ordres"):
            async for _ in client.read("ordres"):
                pass
        assert (await client.produce(topic, "x")).offset == 0

    run(main, broker.bootstrap_servers)
    with pytest.raises(InvalidArgumentError, match="bootstrap_servers"):
        AsyncFlyMQClient("")


def test_serializers_and_deserializers(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        await client.produce(topic, {"cups": 2})
        assert [message.value async for message in client.read(topic)] == [{"cups": 2}]
        async with client.producer() as producer:
            await producer.send(topic, {"cups": 3})
        assert (await client.fetch(topic))[1].value == {"cups": 3}

    def to_json(value: Any) -> bytes:
        return json.dumps(value).encode()

    run(main, broker.bootstrap_servers, value_serializer=to_json, value_deserializer=json.loads)


def test_many_at_once(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        await client.create_topic(topic)
        sent = await asyncio.gather(*(client.produce(topic, str(n)) for n in range(2000)))
        assert sorted(where.offset for where in sent) == list(range(2000))
        found = await asyncio.gather(*(client.fetch(topic, offset=n, count=1) for n in range(50)))
        assert [result[0].offset for result in found] == list(range(50))
        assert len([message async for message in client.read(topic)]) == 2000

    run(main, broker.bootstrap_servers)


# -- the loop -------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def ticking(stall_s_max: float) -> AsyncIterator[None]:
    """The loop is never kept for longer."""
    stalls = [0.0]

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            stalls.append(time.monotonic() - before)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert len(stalls) > 2
    assert max(stalls) < stall_s_max, f"the loop stood still for {max(stalls):.2f} s"


def test_looking_for_a_broker_does_not_block_the_loop() -> None:
    async def main() -> None:
        with serving(never_answers) as port:
            client = AsyncFlyMQClient(f"127.0.0.1:{port}", connect_timeout=1.2)
            async with ticking(0.6):
                with pytest.raises(BrokerUnavailableError, match="did not answer"):
                    await client.produce("orders", "x")
            async with ticking(0.6):
                with pytest.raises(BrokerUnavailableError, match="did not answer"):
                    await client.ping()
            await client.close()

    asyncio.run(main())


def test_a_broker_that_hangs_does_not_block_the_loop_nor_the_end() -> None:
    async def main() -> None:
        with BrokerProcess(None) as broker:
            client = AsyncFlyMQClient(broker.bootstrap_servers, timeout=60)
            await client.produce("orders", "x")
            await client.ping()
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                async with ticking(1.0):
                    calls = [asyncio.create_task(client.ping()) for _ in range(8)]
                    calls.append(asyncio.create_task(client.produce("orders", "y")))
                    await asyncio.wait(calls, timeout=0.1)
                    for call in calls:
                        call.cancel()
                    await asyncio.wait(calls)
                    began = time.monotonic()
                    with contextlib.suppress(TimeoutError):  # what it could not flush
                        await client.close()
                    assert time.monotonic() - began < 15
            finally:
                os.kill(broker.pid, signal.SIGCONT)

    asyncio.run(main())


def test_it_says_what_is_wrong_with_an_address() -> None:
    async def main() -> None:
        port = free_port()
        async with AsyncFlyMQClient(f"127.0.0.1:{port}") as client:
            with pytest.raises(BrokerUnavailableError, match="nothing listens"):
                await client.fetch("orders")
            with pytest.raises(BrokerUnavailableError, match="nothing listens"):
                await client.produce("orders", "x")
            with EmbeddedBroker(port=port):
                assert (await client.produce("orders", "x")).offset == 0
        with http_server() as web:
            async with AsyncFlyMQClient(f"127.0.0.1:{web}", connect_timeout=1) as client:
                with pytest.raises(BrokerUnavailableError, match="speaks HTTP"):
                    await client.list_topics()

    asyncio.run(main())


# -- the end --------------------------------------------------------------------------------------


def test_a_closed_client_says_so(broker: EmbeddedBroker, topic: str) -> None:
    async def main() -> None:
        client = AsyncFlyMQClient(broker.bootstrap_servers)
        await client.produce(topic, "x")
        await client.close()
        await client.close()
        uses: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            client.ping,
            lambda: client.fetch(topic),
            lambda: client.produce(topic, "x"),
            lambda: client.produce_many(topic, ["x"]),
            client.list_topics,
            client.topics.list,
            client.groups.list,
            client.cluster.info,
            lambda: anext(client.read(topic)),
            lambda: client.producer().send(topic, "x"),
        ]
        for use in uses:
            with pytest.raises(ClosedError, match="is closed"):
                await use()
        with pytest.raises(ClosedError):
            client.consumer(topic)

    asyncio.run(main())


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A broker that opens and closes nothing in this process."""
    with BrokerProcess(None) as broker:
        yield broker.bootstrap_servers


def test_nothing_is_left_behind(elsewhere: str) -> None:
    """Also of what was not closed: a producer, consumers of which one waits, a stream that was given up."""

    async def main() -> None:
        async with AsyncFlyMQClient(elsewhere) as client:
            await client.produce_many("orders", ["one", "two"])
            await client.produce("orders", "three")
            await client.ping()
            async for _ in client.read("orders"):
                break
            await client.producer().send("orders", "four")
            waiting = client.consumer("orders", "kitchen")
            wait = asyncio.create_task(anext(waiting))
            await client.consumer("orders", "bar", auto_offset_reset="earliest").poll(TIMEOUT_S)
            client.consumer("orders", "never")
            async with client.consumer("orders", "cellar", auto_offset_reset="earliest") as consumer:
                await anext(consumer)
            await asyncio.wait([wait], timeout=0)
        with pytest.raises((StopAsyncIteration, ClosedError)):
            await wait

    before, open_before = set(threading.enumerate()), psutil.Process().num_fds()
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(TIMEOUT_S)
    assert set(threading.enumerate()) <= before
    assert psutil.Process().num_fds() <= open_before


def test_one_that_does_not_close_does_not_keep_the_others_open(broker: EmbeddedBroker, topic: str) -> None:
    async def main() -> None:
        client = AsyncFlyMQClient(broker.bootstrap_servers)
        good, bad = client.producer(), client.producer()
        await good.send(topic, "x")
        await bad.send(topic, "x")

        async def fail(*_: object) -> None:
            raise TimeoutError("no")

        real, bad.close = bad.close, fail  # type: ignore[method-assign]
        with pytest.raises(TimeoutError):
            await client.close()
        await real()
        with pytest.raises(ClosedError):
            await good.send(topic, "x")
        with pytest.raises(ClosedError):
            await client.ping()

    asyncio.run(main())
