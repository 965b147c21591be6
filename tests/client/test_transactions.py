"""Transactions on a broker inside the test: what is refused, and what a broker that hangs leaves open.

What both FlyMQ and Apache Kafka do is in compat_tests/test_transactions_on_kafka.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import AsyncFlyMQClient, EmbeddedBroker, FlyMQClient
from flymq.client.admin.transactions import TransactionAdmin
from flymq.client.admin.types import TransactionListing
from flymq.client.errors import (
    ClosedError,
    FlyMQError,
    InvalidArgumentError,
    RequestTimeoutError,
    TransactionError,
)
from flymq.client.messages import Partition
from flymq.client.producer import Producer

TIMEOUT_S = 20.0


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("orders")
    client.create_topic(name)
    return name


@pytest.fixture
def name(fresh_name: Callable[..., str]) -> str:
    """A transactional id that nobody has."""
    return fresh_name("writer")


def committed(client: FlyMQClient, topic: str) -> list[str]:
    return [message.text() for message in client.read(topic, isolation="committed")]


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"transactional_id": ""}, "'' is no transactional_id"),
        ({"transactional_id": 5}, "5 is no transactional_id"),
        ({"transactional_id": "x", "transaction_timeout": -1}, "transaction_timeout is -1"),
        ({"transactional_id": "x", "transaction_timeout_ms": 5000}, "use transaction_timeout, in seconds"),
        ({"transactional_id": "x", "acks": 0}, "acks"),
    ],
)
def test_settings_that_can_not_be(client: FlyMQClient, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.producer(**settings)
    assert told in f"{caught.value} {caught.value.hint}"


def test_a_producer_without_a_transactional_id_has_no_transactions(client: FlyMQClient) -> None:
    with client.producer() as producer, pytest.raises(TransactionError) as caught:
        producer.transaction()
    assert caught.value.hint.startswith('client.producer(transactional_id="...")')
    with pytest.raises(ClosedError):
        producer.transaction()


def test_a_transaction_that_is_not_open_does_nothing(client: FlyMQClient, topic: str, name: str) -> None:
    with client.producer(transactional_id=name) as producer:
        transaction = producer.transaction()
        consumer = client.consumer(topic, name, auto_commit=False)
        for use in (transaction.abort, lambda: transaction.send_offsets(consumer)):
            with pytest.raises(TransactionError, match="the transaction is not open"):
                use()
        with transaction:
            transaction.abort()
            with pytest.raises(TransactionError, match="the transaction is not open"):
                transaction.abort()
        with transaction:  # it can be used again
            producer.send(topic, "done")
    assert committed(client, topic) == ["done"]


def test_one_of_two_threads_begins(client: FlyMQClient, topic: str, name: str) -> None:
    begun: list[bool] = []
    both = threading.Barrier(2)
    ended = threading.Barrier(2)

    def work(producer: Producer) -> None:
        both.wait(TIMEOUT_S)
        try:
            with producer.transaction():
                producer.send(topic, "done")
                ended.wait(TIMEOUT_S)
            begun.append(True)
        except TransactionError:
            begun.append(False)
            ended.wait(TIMEOUT_S)

    with client.producer(transactional_id=name) as producer:
        threads = [threading.Thread(target=work, args=(producer,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
    assert sorted(begun) == [False, True]
    assert committed(client, topic) == ["done"]


# -- offsets --------------------------------------------------------------------------------------


def test_offsets_are_those_that_commit_would_commit(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    broker.seed(topic, ["a", "b", "c"])
    settings: dict[str, Any] = {"auto_commit": False, "auto_offset_reset": "earliest"}
    with client.producer(transactional_id=group) as producer, client.consumer(topic, group, **settings) as consumer:
        assert next(consumer).text() == "a"
        assert next(consumer).text() == "b"
        with producer.transaction() as transaction:
            transaction.send_offsets(consumer)
            transaction.send_offsets(consumer)
        assert consumer.committed((topic, 0)) == 2
        with producer.transaction() as transaction:  # nothing new
            transaction.send_offsets(consumer)
        assert next(consumer).text() == "c"
        with producer.transaction() as transaction:
            transaction.send_offsets(consumer)
            transaction.abort()
        consumer.seek_to_committed()
        assert next(consumer).text() == "c"
    assert client.groups.offsets(group) == {Partition(topic, 0): 2}


# -- what hangs -----------------------------------------------------------------------------------


class Forgetful(TransactionAdmin):
    """For which no coordinator knows of any transaction."""

    def list(self, **_: Any) -> list[TransactionListing]:
        return []


def test_what_no_coordinator_knows_of_hangs_and_is_aborted(client: FlyMQClient, topic: str, name: str) -> None:
    client.produce(topic, "before")
    admin = Forgetful(client.connection)
    with client.producer(transactional_id=name) as producer, producer.transaction() as transaction:
        producer.send(topic, "undone").result(TIMEOUT_S)
        client.produce(topic, "after")
        assert admin.find_hanging(topic) == []  # not for long enough
        (found,) = admin.find_hanging(topic, older_than=0)
        assert (found.topic, found.partition, found.open_since) == (topic, 0, 1)
        assert found.producer_id == client.transactions.describe(name).producer_id
        assert topic in [one.topic for one in admin.find_hanging(older_than=0)]
        assert committed(client, topic) == ["before"]
        admin.abort(topic, 0, open_since=found.open_since)
        assert admin.find_hanging(topic, older_than=0) == []
        assert committed(client, topic) == ["before", "after"]
        transaction.abort()


# -- asyncio --------------------------------------------------------------------------------------


def test_one_that_is_not_entered_does_nothing(broker: EmbeddedBroker, topic: str, name: str) -> None:
    async def main() -> None:
        async with AsyncFlyMQClient(broker.bootstrap_servers) as other:
            consumer = other.consumer(topic, name, auto_commit=False)
            producer = other.producer(transactional_id=name)
            for use in (producer.transaction().abort(), producer.transaction().send_offsets(consumer)):
                with pytest.raises(TransactionError, match="the transaction is not open"):
                    await use

    asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))


def test_a_task_that_is_cancelled_in_a_transaction_undoes_it(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, name: str
) -> None:
    async def main() -> None:
        async with (
            AsyncFlyMQClient(broker.bootstrap_servers) as other,
            other.producer(transactional_id=name) as producer,
        ):
            sent = asyncio.Event()

            async def work() -> None:
                async with producer.transaction():
                    await producer.send(topic, "undone")
                    sent.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await sent.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with producer.transaction():
                await producer.send(topic, "done")

    asyncio.run(asyncio.wait_for(main(), TIMEOUT_S))
    assert committed(client, topic) == ["done"]


# -- a broker that is away ------------------------------------------------------------------------


def test_a_broker_that_hangs_is_given_up_on(name: str) -> None:
    """A commit that was asked for may have happened, and says so; a new producer settles it."""
    with BrokerProcess(None) as broker, FlyMQClient(broker.bootstrap_servers, timeout=2) as client:
        client.create_topic("orders")
        producer = client.producer(transactional_id=name)
        try:
            with pytest.raises(RequestTimeoutError) as caught:
                _hang_at_commit(producer, broker.pid)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert f"commit the transaction of {name}" in str(caught.value)
        assert caught.value.hint == "a new producer of this transactional_id settles whether it was"
        with client.producer(transactional_id=name) as newer, newer.transaction():
            newer.send("orders", "after")
        assert committed(client, "orders") in (["maybe", "after"], ["after"])
        with pytest.raises(FlyMQError):
            send(producer, "orders", "undone")
        assert committed(client, "orders")[-1] == "after"


def send(producer: Producer, topic: str, value: str) -> None:
    with producer.transaction():
        producer.send(topic, value)


def _hang_at_commit(producer: Producer, pid: int) -> None:
    with producer.transaction():
        producer.send("orders", "maybe").result(TIMEOUT_S)
        os.kill(pid, signal.SIGSTOP)
