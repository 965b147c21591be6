"""`AsyncProducer`: each send is awaited until the broker has the record; together they share batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from flymq import AsyncFlyMQClient, EmbeddedBroker
from flymq.client.errors import ClosedError, InvalidArgumentError, SerializationError, TransactionError

TIMEOUT_S = 20.0


@pytest.fixture
def topic(fresh_name: Callable[..., str]) -> str:
    return fresh_name("orders")


def run(main: Callable[[AsyncFlyMQClient], Coroutine[Any, Any, None]], servers: str, **settings: Any) -> None:
    async def with_client() -> None:
        async with AsyncFlyMQClient(servers, **settings) as client:
            await asyncio.wait_for(main(client), TIMEOUT_S)

    asyncio.run(with_client())


def test_a_producer_of_one_s_own(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        async with client.producer(linger_ms=1, compression_type="gzip") as producer:
            assert (await producer.send(topic, "one", key="ada")).offset == 0
            assert (await producer.send_many(topic, ["two", ("bob", "three"), 5])).sent == 2
            await producer.flush()
            with pytest.raises(TransactionError):
                await producer.transaction().__aenter__()
            with pytest.raises(SerializationError):
                await producer.send(topic, 5)
        for use in (producer.send(topic, "x"), producer.send_many(topic, ["x"]), producer.flush()):
            with pytest.raises(ClosedError, match="the producer is closed"):
                await use
        await producer.close()
        unused = client.producer()
        await unused.close()
        assert [message.text() async for message in client.read(topic)] == ["one", "two", "three"]

    run(main, broker.bootstrap_servers)


def test_bad_settings_of_a_producer(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        with pytest.raises(InvalidArgumentError) as caught:
            async with client.producer(lingerms=5):
                pass
        assert caught.value.hint == "did you mean linger_ms?"
        with pytest.raises(InvalidArgumentError):
            await client.producer(acks=7).send(topic, "x")

    run(main, broker.bootstrap_servers)


def test_a_send_and_a_flush_that_begin_together_share_one_producer() -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        for _ in range(5):
            producer = client.producer()
            await asyncio.gather(producer.send("orders", "x"), producer.flush(), producer.flush())
            await producer.close()

    with EmbeddedBroker() as broker:
        run(main, broker.bootstrap_servers)
        assert len(broker.requests("InitProducerId")) == 5


def test_sends_that_are_under_way_are_flushed_when_it_closes(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        producer = client.producer(linger_ms=60_000)
        sends = [asyncio.create_task(producer.send(topic, str(n))) for n in range(100)]
        await asyncio.wait(sends, timeout=0)
        await producer.close()
        assert sorted([where.offset for where in await asyncio.gather(*sends)]) == list(range(100))

    run(main, broker.bootstrap_servers)


def test_a_cancelled_send_may_arrive_and_stops_no_other(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        await client.create_topic(topic)
        tasks = [asyncio.create_task(client.produce(topic, str(n))) for n in range(200)]
        await asyncio.wait(tasks, timeout=0)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in done[::2])
        assert all(isinstance(one, tuple) for one in done[1::2])
        assert (await client.produce(topic, "last")).offset >= 100

    run(main, broker.bootstrap_servers)
