"""`AsyncConsumer`: as the synchronous one, and a wait that is cancelled loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from flymq import AsyncFlyMQClient, EmbeddedBroker
from flymq.client.aio import AsyncConsumer
from flymq.client.errors import ClosedError, DeserializationError, InvalidArgumentError, NoCommittedOffsetError
from flymq.client.messages import Message

TIMEOUT_S = 20.0
A_MOMENT_S = 0.01


def run(main: Callable[[AsyncFlyMQClient], Coroutine[Any, Any, None]], broker: EmbeddedBroker) -> None:
    async def with_client() -> None:
        async with AsyncFlyMQClient(broker.bootstrap_servers) as client:
            await asyncio.wait_for(main(client), TIMEOUT_S)

    asyncio.run(with_client())


@pytest.fixture
def topic(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("orders")
    broker.create_topics({name: 1})
    return name


async def given_up(wait: Coroutine[Any, Any, Any]) -> None:
    """It was begun, waited, and was cancelled."""
    task = asyncio.ensure_future(wait)
    await asyncio.wait([task], timeout=A_MOMENT_S)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled(), f"it was over: {task}"


def texts(messages: list[Message[Any, Any]]) -> list[str]:
    return [message.text() for message in messages]


# -- alike ----------------------------------------------------------------------------------------


def test_it_is_iterated_over_and_commits_what_is_done(broker: EmbeddedBroker, topic: str, group: str) -> None:
    broker.seed(topic, [str(n) for n in range(10)])

    async def main(client: AsyncFlyMQClient) -> None:
        seen = []
        async with client.consumer(topic, group, auto_offset_reset="earliest", idle_timeout=0.2) as consumer:
            assert consumer.group_id == group
            assert consumer.assignment() == [(topic, 0)]
            async for message in consumer:
                seen.append(message.text())
        assert seen == [str(n) for n in range(10)]

    run(main, broker)
    assert broker.committed(group) == {(topic, 0): 10}


def test_an_exception_leaves_its_message_uncommitted(broker: EmbeddedBroker, topic: str, group: str) -> None:
    broker.seed(topic, [str(n) for n in range(10)])

    async def main(client: AsyncFlyMQClient) -> None:
        async with client.consumer(topic, group, auto_offset_reset="earliest") as consumer:
            async for message in consumer:
                _ = 1 / (int(message.text()) - 4)

    with pytest.raises(ZeroDivisionError):
        run(main, broker)
    assert broker.committed(group) == {(topic, 0): 4}


def test_commits_positions_and_seeking(broker: EmbeddedBroker, topic: str, group: str) -> None:
    broker.seed(topic, [{"value": str(n), "timestamp": n * 1000} for n in range(10)])
    where = (topic, 0)

    async def main(client: AsyncFlyMQClient) -> None:
        async with client.consumer(topic, group, auto_offset_reset="earliest", auto_commit=False) as consumer:
            first = await anext(consumer)
            assert await consumer.committed(where) is None
            await consumer.commit()
            assert await consumer.committed(where) == 1
            await anext(consumer)
            await consumer.commit(first)
            assert await consumer.committed(where) == 1
            assert await consumer.position(where) == 2
            assert await consumer.lag() == {where: 8}
            await consumer.seek(where, 7)
            assert (await anext(consumer)).text() == "7"
            await consumer.seek_to_beginning()
            assert (await anext(consumer)).text() == "0"
            await consumer.seek_to_time(5000)
            assert (await anext(consumer)).text() == "5"
            await consumer.seek_to_end(where)
            assert await consumer.position(where) == 10
            await consumer.pause()
            assert await consumer.poll(0.05) == []
            await consumer.resume()
            await client.produce(topic, "10")
            assert texts(await consumer.poll(TIMEOUT_S)) == ["10"]
            assert consumer.resumed_from() == {}
            with pytest.raises(InvalidArgumentError, match="not assigned"):
                await consumer.seek((topic, 7), 0)

    run(main, broker)


def test_lists_of_messages(broker: EmbeddedBroker, topic: str) -> None:
    broker.seed(topic, [str(n) for n in range(10)])

    async def main(client: AsyncFlyMQClient) -> None:
        consumer = client.consumer(topic, auto_offset_reset="earliest", idle_timeout=0.2)
        assert texts(await consumer.poll(TIMEOUT_S, max_records=3)) == ["0", "1", "2"]
        assert [texts(batch) async for batch in consumer.batches(4)] == [["3", "4", "5", "6"], ["7", "8", "9"]]

    run(main, broker)


def test_stop_ends_the_iteration(broker: EmbeddedBroker, topic: str) -> None:
    broker.seed(topic, [str(n) for n in range(10)])

    async def main(client: AsyncFlyMQClient) -> None:
        consumer = client.consumer(topic, auto_offset_reset="earliest")
        seen = []
        async for message in consumer:
            seen.append(message.text())
            if message.text() == "4":
                consumer.stop()
        assert seen == ["0", "1", "2", "3", "4"]
        waiting = asyncio.create_task(anext(client.consumer(topic)))
        await asyncio.wait([waiting], timeout=A_MOMENT_S)
        waiting.cancel()

    run(main, broker)


def test_errors_are_the_same(broker: EmbeddedBroker, topic: str, group: str) -> None:
    broker.seed(topic, ["no number", "1"])

    async def main(client: AsyncFlyMQClient) -> None:
        with pytest.raises(NoCommittedOffsetError):
            await anext(client.consumer(topic, group, auto_offset_reset="committed"))
        consumer = client.consumer(topic, auto_offset_reset="earliest", value_deserializer=int)
        for _ in range(2):
            with pytest.raises(DeserializationError, match="at offset 0"):
                await anext(consumer)
        await consumer.seek((topic, 0), 1)
        assert (await anext(consumer)).value == 1
        with pytest.raises(InvalidArgumentError, match="did you mean earliest"):
            client.consumer(topic, auto_offset_reset="erliest")

    run(main, broker)


def test_closing_twice_is_harmless_and_what_is_closed_says_so(
    broker: EmbeddedBroker, topic: str, group: str
) -> None:
    broker.seed(topic, ["one"])

    async def main(client: AsyncFlyMQClient) -> None:
        async with client.consumer(topic, group, auto_offset_reset="earliest") as consumer:
            await anext(consumer)
            await consumer.close(commit=True)
            await consumer.close()
        await consumer.close()
        uses: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            lambda: anext(consumer),
            consumer.poll,
            consumer.commit,
            consumer.lag,
            lambda: anext(consumer.batches()),
            lambda: consumer.seek((topic, 0), 0),
        ]
        for use in uses:
            with pytest.raises(ClosedError, match="the consumer is closed"):
                await use()
        unused = client.consumer(topic)
        await unused.close()

    run(main, broker)
    assert broker.committed(group) == {(topic, 0): 1}


def test_who_waits_while_it_is_closed_is_at_the_end(broker: EmbeddedBroker, topic: str) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        consumer = client.consumer(topic)
        await consumer.poll(0.01)

        async def loop() -> list[str]:
            return [message.text() async for message in consumer]

        waiting = asyncio.create_task(loop())
        await asyncio.wait([waiting], timeout=A_MOMENT_S)
        await consumer.close()
        assert await waiting == []

    run(main, broker)


def test_callbacks_run_on_another_thread_than_the_loop_s(broker: EmbeddedBroker, topic: str, group: str) -> None:
    called: list[tuple[str, bool]] = []
    loop_thread = threading.current_thread()

    def note(what: str) -> Callable[[list[Any]], None]:
        return lambda partitions: called.append((what, threading.current_thread() is loop_thread))

    async def main(client: AsyncFlyMQClient) -> None:
        async with client.consumer(topic, group, on_assigned=note("assigned"), on_revoked=note("revoked")):
            pass

    run(main, broker)
    assert called[0] == ("assigned", False)
    assert not any(on_loop for _, on_loop in called)


# -- cancelled ------------------------------------------------------------------------------------

TAKES: dict[str, Callable[[AsyncConsumer], Coroutine[Any, Any, Any]]] = {
    "next": lambda consumer: anext(consumer),
    "poll": lambda consumer: consumer.poll(TIMEOUT_S),
    "batches": lambda consumer: anext(consumer.batches(timeout=TIMEOUT_S)),
}
takes = pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
takes_next = pytest.mark.parametrize("then", TAKES.values(), ids=TAKES)


async def beginning(client: AsyncFlyMQClient, topic: str, group: str) -> AsyncConsumer:
    """A member that has read what there was, "first"."""
    await client.produce(topic, "first")
    consumer = client.consumer(topic, group, auto_offset_reset="earliest")
    assert (await anext(consumer)).text() == "first"
    return consumer


@takes
@takes_next
def test_what_comes_after_a_wait_was_given_up_goes_to_the_next_one(
    broker: EmbeddedBroker, topic: str, group: str,
    take: Callable[[AsyncConsumer], Coroutine[Any, Any, Any]],
    then: Callable[[AsyncConsumer], Coroutine[Any, Any, Any]],
) -> None:  # fmt: skip
    """The messages come while nobody waits, so the wait that was given up has them."""

    async def main(client: AsyncFlyMQClient) -> None:
        consumer = await beginning(client, topic, group)
        await given_up(take(consumer))
        under_way = consumer._wait
        assert under_way is not None
        await client.produce_many(topic, ["second", "third"])
        await asyncio.wait([under_way], timeout=TIMEOUT_S)
        seen: list[str] = []
        while len(seen) < 2:
            found = await then(consumer)
            seen += [found.text()] if isinstance(found, Message) else texts(found)
        assert seen == ["second", "third"]
        await consumer.close(commit=True)

    run(main, broker)
    assert broker.committed(group) == {(topic, 0): 3}


@takes
def test_what_nobody_saw_is_not_committed(
    broker: EmbeddedBroker, topic: str, group: str, take: Callable[[AsyncConsumer], Coroutine[Any, Any, Any]]
) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        consumer = await beginning(client, topic, group)
        await given_up(take(consumer))
        under_way = consumer._wait
        assert under_way is not None
        await client.produce_many(topic, ["second", "third"])
        await asyncio.wait([under_way], timeout=TIMEOUT_S)
        await consumer.commit()
        assert await consumer.committed((topic, 0)) == 1
        assert await consumer.position((topic, 0)) == 1
        assert await consumer.lag() == {(topic, 0): 2}
        await consumer.close()

    run(main, broker)
    assert broker.committed(group) == {(topic, 0): 1}


@takes
def test_closing_right_after_a_wait_was_given_up(
    broker: EmbeddedBroker, topic: str, group: str, take: Callable[[AsyncConsumer], Coroutine[Any, Any, Any]]
) -> None:
    async def main(client: AsyncFlyMQClient) -> None:
        async with await beginning(client, topic, group) as consumer:
            await given_up(take(consumer))
            under_way = consumer._wait
            assert under_way is not None
            await client.produce(topic, "second")
            await asyncio.wait([under_way], timeout=TIMEOUT_S)

    run(main, broker)
    assert broker.committed(group) == {(topic, 0): 1}


def test_waits_that_are_given_up_again_and_again_lose_nothing_and_repeat_nothing(
    broker: EmbeddedBroker, topic: str, group: str
) -> None:
    count, seed = 400, 7
    chance = random.Random(seed)

    async def main(client: AsyncFlyMQClient) -> None:
        async def produce() -> None:
            for n in range(count):
                await client.produce(topic, str(n))

        seen: list[str] = []
        async with client.consumer(topic, group, auto_offset_reset="earliest") as consumer:
            producing = asyncio.create_task(produce())
            while len(seen) < count:
                take = chance.choice(list(TAKES.values()))
                with contextlib.suppress(TimeoutError):
                    found = await asyncio.wait_for(take(consumer), chance.choice([0.0001, 0.001, 0.005]))
                    seen += [found.text()] if isinstance(found, Message) else texts(found)
                if chance.random() < 0.05:
                    await consumer.commit()
                    assert (await consumer.committed((topic, 0)) or 0) == len(seen)
            await producing
        assert seen == [str(n) for n in range(count)]

    run(main, broker)
    assert broker.committed(group) == {(topic, 0): count}
