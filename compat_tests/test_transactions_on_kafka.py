"""Transactions of `FlyMQClient` are the same on FlyMQ and on Apache Kafka: each test runs on both."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from flymq import AsyncFlyMQClient, FlyMQClient
from flymq.client.aio import AsyncProducer
from flymq.client.consumer import Consumer
from flymq.client.errors import (
    ClosedError,
    CommitFailedError,
    InvalidArgumentError,
    MessageTooLargeError,
    ProducerFencedError,
    TransactionalIdNotFoundError,
    TransactionError,
)
from flymq.client.messages import Partition
from flymq.client.producer import Producer
from flymq.client.transactions import Transaction
from tests.client.members import live_member

pytestmark = [pytest.mark.compat, pytest.mark.scenario("transactions", client="FlyMQClient")]

TIMEOUT_S = 20.0
# Reads `source` with a group and writes it to `sink`, ten messages a transaction; dies in the middle of one.
DIES = """
import os, sys
from flymq import FlyMQClient
servers, source, sink, group, after = sys.argv[1:]
client = FlyMQClient(servers)
consumer = client.consumer(source, group, auto_commit=False, auto_offset_reset="earliest", group_instance_id="one")
producer = client.producer(transactional_id=group)
done = 0
for messages in consumer.batches(max_records=10):
    with producer.transaction() as transaction:
        for message in messages:
            producer.send(sink, message.value)
        transaction.send_offsets(consumer)
        producer.flush()
        done += 1
        if done > int(after):
            os._exit(9)
"""


@pytest.fixture
def name(fresh_name: Callable[..., str]) -> str:
    """A transactional id that nobody has."""
    return fresh_name("writer")


@pytest.fixture
def sink(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """A topic with nothing in it."""
    topic = fresh_name("sink")
    client.create_topic(topic)
    return topic


@pytest.fixture
def source(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Two partitions, with "0" to "99" in turns."""
    topic = fresh_name("source")
    client.create_topic(topic, partitions=2)
    client.produce_many(topic, [{"value": str(n), "partition": n % 2} for n in range(100)]).raise_for_errors()
    return topic


def until(condition: Callable[[], object]) -> None:
    """A commit returns when it is decided; that partitions know of it, comes a moment later."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline


def visible(client: FlyMQClient, topic: str) -> list[str]:
    return [message.text() for message in client.read(topic, isolation="committed")]


def committed(client: FlyMQClient, topic: str) -> list[str]:
    """All there is, once no transaction is open."""
    until(lambda: all(one.open_since is None for one in client.transactions.producers(topic, 0)))
    return visible(client, topic)


def everything(client: FlyMQClient, topic: str) -> list[str]:
    return [message.text() for message in client.read(topic)]


def reader(client: FlyMQClient, source: str, group: str, **settings: Any) -> Consumer:
    return client.consumer(source, group, auto_commit=False, auto_offset_reset="earliest", idle_timeout=2.0, **settings)


def transact(
    producer: Producer, *records: tuple[str, str], then: Callable[[Transaction], object] = lambda _: None
) -> None:
    """A transaction with these records, each sent to a topic; `then` is called within it, at its end."""
    with producer.transaction() as transaction:
        for topic, value in records:
            producer.send(topic, value)
        then(transaction)


def fail(*_: object) -> None:
    raise ZeroDivisionError


# -- what is sent ---------------------------------------------------------------------------------


def test_all_of_a_transaction_is_seen_once_it_is_committed(client: FlyMQClient, sink: str, name: str) -> None:
    with client.producer(transactional_id=name) as producer:
        with producer.transaction():
            producer.send(sink, "one").result(TIMEOUT_S)
            assert (visible(client, sink), everything(client, sink)) == ([], ["one"])
            producer.send(sink, "two")
        assert committed(client, sink) == ["one", "two"]
        with producer.transaction():
            pass
        with producer.transaction():
            producer.send(sink, "three")
    assert committed(client, sink) == ["one", "two", "three"]


def test_an_exception_undoes_it_and_goes_on(client: FlyMQClient, sink: str, name: str) -> None:
    with client.producer(transactional_id=name, linger_ms=100) as producer:
        with pytest.raises(ZeroDivisionError):  # what is still here
            transact(producer, (sink, "undone"), then=fail)
        with pytest.raises(ZeroDivisionError):  # and what has arrived
            transact(producer, (sink, "undone"), then=lambda _: fail(producer.flush()))
        with producer.transaction() as transaction:
            producer.send(sink, "undone, too")
            transaction.abort()
            with pytest.raises(TransactionError):
                producer.send(sink, "late")
        with producer.transaction():
            producer.send(sink, "done")
    assert committed(client, sink) == ["done"]


def test_a_record_that_is_refused_undoes_it(
    client: FlyMQClient, sink: str, name: str, fresh_name: Callable[..., str]
) -> None:
    small = fresh_name("small")
    client.create_topic(small, config={"max.message.bytes": 1000})
    with client.producer(transactional_id=name) as producer:
        with pytest.raises(MessageTooLargeError, match=f"commit the transaction of {name}"):
            transact(producer, (sink, "undone"), (small, "x" * 5000))
        with producer.transaction():
            producer.send(sink, "done")
            producer.send(small, "done")
    assert (committed(client, sink), committed(client, small)) == (["done"], ["done"])


def test_sends_outside_and_transactions_inside_one_are_refused(client: FlyMQClient, sink: str, name: str) -> None:
    with client.producer(transactional_id=name) as producer:
        with pytest.raises(TransactionError, match=f"produce to {sink}: no transaction of this producer is open"):
            producer.send(sink, "x")
        with producer.transaction():
            with pytest.raises(TransactionError, match="one is open"), producer.transaction():
                raise AssertionError
            producer.send(sink, "done")
    with client.producer() as plain, pytest.raises(TransactionError) as caught:
        plain.transaction()
    assert "transactional_id=" in caught.value.hint
    assert committed(client, sink) == ["done"]


def test_a_newer_producer_fences_the_older_one(client: FlyMQClient, sink: str, name: str) -> None:
    with client.producer(transactional_id=name) as older:


        def take_over(_: object) -> None:
            older.flush()
            with client.producer(transactional_id=name) as newer:
                transact(newer, (sink, "done"))
            older.send(sink, "undone, too")

        with pytest.raises(ProducerFencedError) as caught:
            transact(older, (sink, "undone"), then=take_over)
        assert caught.value.code in ("PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH")
        assert "a newer producer has this transactional_id" in caught.value.hint
        with pytest.raises(ProducerFencedError), older.transaction():
            raise AssertionError
    assert committed(client, sink) == ["done"]


def test_closing_in_a_transaction_undoes_it(client: FlyMQClient, sink: str, name: str) -> None:
    producer = client.producer(transactional_id=name)

    def close(_: object) -> None:
        producer.flush()
        assert client.transactions.describe(name).state == "Ongoing"
        producer.close()
        assert client.transactions.describe(name).state in ("PrepareAbort", "CompleteAbort")

    with pytest.raises(TransactionError, match="the producer was closed"):
        transact(producer, (sink, "undone"), then=close)
    with pytest.raises(ClosedError):
        producer.transaction()
    assert committed(client, sink) == []


def test_a_time_out_that_the_broker_does_not_take(client: FlyMQClient, name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.producer(transactional_id=name, transaction_timeout=1e6)
    assert caught.value.code == "INVALID_TRANSACTION_TIMEOUT"
    assert "transaction.max.timeout.ms" in caught.value.hint


# -- with what was read ---------------------------------------------------------------------------


def test_read_process_write_is_exactly_once_over_crashes(
    client: FlyMQClient, bootstrap_servers: str, source: str, sink: str, group: str
) -> None:
    for after in ("3", "2", "0"):
        died = subprocess.run(
            [sys.executable, "-c", DIES, bootstrap_servers, source, sink, group, after], timeout=120, check=False
        )
        assert died.returncode == 9
    reads = reader(client, source, group, group_instance_id="one")  # at once in the dead one's place
    with client.producer(transactional_id=group) as producer, reads as consumer:
        for messages in consumer.batches(max_records=10):
            with producer.transaction() as transaction:
                for message in messages:
                    producer.send(sink, message.value)
                transaction.send_offsets(consumer)
    assert Counter(committed(client, sink)) == Counter(str(n) for n in range(100))
    assert len(everything(client, sink)) > 100
    until(lambda: client.groups.offsets(group) == {Partition(source, 0): 50, Partition(source, 1): 50})


def test_after_an_abort_the_loop_goes_back(client: FlyMQClient, source: str, sink: str, group: str) -> None:
    turn = 0
    with client.producer(transactional_id=group) as producer, reader(client, source, group) as consumer:
        for messages in consumer.batches(max_records=10):
            turn += 1
            try:
                with producer.transaction() as transaction:
                    for message in messages:
                        producer.send(sink, message.value)
                    transaction.send_offsets(consumer)
                    if turn % 3 == 1:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                consumer.seek_to_committed()
    assert Counter(committed(client, sink)) == Counter(str(n) for n in range(100))


def test_one_message_a_transaction(client: FlyMQClient, source: str, sink: str, group: str) -> None:
    with client.producer(transactional_id=group) as producer, reader(client, source, group) as consumer:
        for message in consumer:
            with producer.transaction() as transaction:
                producer.send(sink, message.value)
                transaction.send_offsets(consumer)
            if message.offset == 3:
                break
        assert consumer.committed((message.topic, message.partition)) == 4
    assert len(committed(client, sink)) == 4


def test_what_another_member_reads_by_now_is_not_committed(
    client: FlyMQClient, bootstrap_servers: str, source: str, sink: str, group: str
) -> None:
    reads = reader(client, source, group, heartbeat_interval_ms=100)
    with client.producer(transactional_id=group) as producer, reads as consumer:
        messages = consumer.poll(TIMEOUT_S, max_records=100)
        while len({message.partition for message in messages}) < 2:
            messages += consumer.poll(TIMEOUT_S, max_records=100)
        with live_member(bootstrap_servers, source, group, "the-other"):
            while len(consumer.assignment()) > 1:
                consumer.pause()  # the rest is not read
                consumer.poll(0.1)
            with pytest.raises(CommitFailedError) as caught:
                transact(producer, (sink, "undone"), then=lambda transaction: transaction.send_offsets(consumer))
            assert "another member" in str(caught.value)
            with producer.transaction() as transaction:  # it was told, and goes on with what is left
                transaction.send_offsets(consumer)
    assert committed(client, sink) == []
    until(lambda: len(client.groups.offsets(group)) == 1)


def test_a_consumer_that_commits_by_itself_has_no_part_in_it(
    client: FlyMQClient, source: str, group: str, name: str
) -> None:
    consumer = client.consumer(source, group)
    with client.producer(transactional_id=name) as producer, pytest.raises(InvalidArgumentError) as caught:
        transact(producer, then=lambda transaction: transaction.send_offsets(consumer))
    assert "auto_commit=False" in caught.value.hint


def test_readers_of_committed_messages_wait_for_the_end(
    client: FlyMQClient, sink: str, group: str, name: str
) -> None:
    with client.producer(transactional_id=name) as producer:
        with producer.transaction():
            producer.send(sink, "one").result(TIMEOUT_S)
            client.produce(sink, "by another")
            with reader(client, sink, group, isolation="committed") as consumer:
                assert consumer.poll(0.5) == []
        with reader(client, sink, group, isolation="committed") as consumer:
            assert [message.text() for message in consumer] == ["one", "by another"]


# -- asyncio --------------------------------------------------------------------------------------


def test_in_asyncio(client: FlyMQClient, bootstrap_servers: str, source: str, sink: str, group: str) -> None:
    async def undone(producer: AsyncProducer) -> None:
        async with producer.transaction():
            await producer.send(sink, "undone")
            raise ZeroDivisionError

    async def main() -> None:
        async with (
            AsyncFlyMQClient(bootstrap_servers) as other,
            other.producer(transactional_id=group) as producer,
            other.consumer(
                source, group, auto_commit=False, auto_offset_reset="earliest", idle_timeout=2.0
            ) as consumer,
        ):
            with pytest.raises(ZeroDivisionError):
                await undone(producer)
            async for messages in consumer.batches(max_records=10):
                async with producer.transaction() as transaction:
                    await producer.send_many(sink, [message.value for message in messages])
                    await transaction.send_offsets(consumer)
            async with producer.transaction() as transaction:
                await producer.send(sink, "undone, too")
                await transaction.abort()
            with pytest.raises(TransactionError):
                await producer.send(sink, "late")

    asyncio.run(asyncio.wait_for(main(), 120))
    assert Counter(committed(client, sink)) == Counter(str(n) for n in range(100))


# -- looking after them ---------------------------------------------------------------------------


def test_transactions_are_listed_and_described(client: FlyMQClient, sink: str, name: str) -> None:
    with client.producer(transactional_id=name, transaction_timeout=42.0) as producer:
        with producer.transaction():
            producer.send(sink, "one").result(TIMEOUT_S)
            assert name in [row.transactional_id for row in client.transactions.list(states=["Ongoing"])]
            found = client.transactions.describe(name)
            assert (found.transactional_id, found.state, found.timeout) == (name, "Ongoing", 42.0)
            assert found.partitions == [Partition(sink, 0)]
            assert found.duration is not None
            assert found.duration < TIMEOUT_S
            (one,) = client.transactions.producers(sink, 0)
            assert (one.producer_id, one.producer_epoch, one.open_since) == (found.producer_id, found.producer_epoch, 0)
            assert [row.transactional_id for row in client.transactions.list(pattern=f"{name}", older_than=0)] == [name]
            assert client.transactions.list(pattern=name, producer_ids=[one.producer_id + 1000]) == []
            assert client.transactions.list(pattern=name, older_than=1000) == []
            assert client.transactions.find_hanging(sink, older_than=0) == []
        client.transactions.describe(name)
        while (found := client.transactions.describe(name)).state == "PrepareCommit":
            continue
        assert (found.state, found.started, found.partitions) == ("CompleteCommit", None, [])
        assert client.transactions.list(states=["Ongoing"], pattern=name) == []
        (one,) = client.transactions.producers(sink, 0)
        assert (one.open_since, one.coordinator_epoch) == (None, 0)
    with pytest.raises(TransactionalIdNotFoundError) as caught:
        client.transactions.describe(f"{name}x")
    assert caught.value.hint == f"did you mean {name}?"
    with pytest.raises(InvalidArgumentError, match="is no pattern"):
        client.transactions.list(pattern="[")


def test_a_transaction_is_aborted_by_where_it_began(client: FlyMQClient, sink: str, name: str) -> None:
    client.produce(sink, "before")
    with client.producer(transactional_id=name) as producer, producer.transaction():
        producer.send(sink, "undone").result(TIMEOUT_S)
        with pytest.raises(TransactionError) as caught:
            client.transactions.abort(sink, 0, open_since=0)
        assert caught.value.hint == "there are some since 1"
        client.transactions.abort(sink, 0, open_since=1)
        assert [one.open_since for one in client.transactions.producers(sink, 0)] == [None, None]
        client.produce(sink, "after")
        assert committed(client, sink) == ["before", "after"]
