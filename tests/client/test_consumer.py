"""`Consumer`: what a loop gets, where it begins, how it ends. Commits, groups, crashes and positions have their own."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.consumer import Consumer
from flymq.client.errors import NoCommittedOffsetError
from tests.client.consuming import EARLIEST, TIMEOUT_S, drain, looping, offsets, pairs, take, until

MESSAGES = 10


@pytest.fixture
def topic(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> str:
    """One partition with `MESSAGES` messages."""
    name = fresh_name("topic")
    broker.seed(name, [str(number) for number in range(MESSAGES)])
    return name


# -- what comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_block", [True, False])
def test_a_loop_gets_all_messages_in_order(client: FlyMQClient, topic: str, group: str, with_block: bool) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    if with_block:
        with consumer as entered:
            assert entered is consumer
            got = drain(consumer, MESSAGES)
    else:
        got = drain(consumer, MESSAGES)
    assert [message.text() for message in got] == [str(number) for number in range(MESSAGES)]
    assert offsets(got) == list(range(MESSAGES))
    assert {(message.topic, message.partition) for message in got} == {(topic, 0)}


def test_a_message_has_all_that_was_sent(client: FlyMQClient, topic: str, group: str) -> None:
    with client.consumer(topic, group) as consumer:
        client.produce(topic, "two coffees", key="ada", headers={"table": "7"}, timestamp=1000)
        client.produce(topic, None, key="ada")
        order, tombstone = take(consumer, 2)
    assert (order.key, order.value, order.offset, order.timestamp) == (b"ada", b"two coffees", MESSAGES, 1000)
    assert order.header("table") == b"7"
    assert tombstone.is_tombstone


def test_more_than_one_fetch_comes_in_order(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str], group: str
) -> None:
    topic = fresh_name("topic")
    broker.seed(topic, ({"value": "x", "partition": number % 3} for number in range(3000)), partitions=3)
    with client.consumer(topic, group, max_partition_fetch_bytes=5000, **EARLIEST) as consumer:
        got = pairs(drain(consumer, 3000))
    assert len(got) == 3000
    for partition in range(3):
        assert [offset for found, offset in got if found == partition] == list(range(1000))


def test_what_is_produced_within_the_block_is_seen(client: FlyMQClient, topic: str, group: str) -> None:
    """Although the group begins at the end: it is a member when the block begins."""
    with client.consumer(topic, group) as consumer:
        client.produce(topic, "new")
        assert [message.text() for message in take(consumer, 1)] == ["new"]


def test_several_topics(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    broker.seed(f"{topic}-b", ["b"])
    with client.consumer([topic, f"{topic}-b"], group, **EARLIEST) as consumer:
        got = drain(consumer, MESSAGES + 1)
        assert consumer.assignment() == [(topic, 0), (f"{topic}-b", 0)]
    assert sorted({message.topic for message in got}) == [topic, f"{topic}-b"]
    assert len(got) == MESSAGES + 1


def test_a_pattern(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    broker.seed(f"{topic}-B", ["b"])
    pattern = re.compile(f"{topic}-b", re.IGNORECASE)
    with client.consumer(pattern, group, **EARLIEST) as consumer:
        assert [message.text() for message in take(consumer, 1)] == ["b"]
        assert consumer.assignment() == [(f"{topic}-B", 0)]


def test_deserializers(broker: EmbeddedBroker, fresh_name: Callable[..., str], group: str) -> None:
    """The consumer's own go before the client's; none of them sees None."""
    topic = fresh_name("topic")
    broker.seed(topic, [("1", "2"), (None, "3"), ("4", None)])
    with FlyMQClient(broker.bootstrap_servers, key_deserializer=int, value_deserializer=int) as client:
        with client.consumer(topic, group, **EARLIEST) as consumer:
            assert [(message.key, message.value) for message in take(consumer, 3)] == [(1, 2), (None, 3), (4, None)]
        with client.consumer(topic, f"{group}-2", value_deserializer=bytes.decode, **EARLIEST) as consumer:
            assert [(message.key, message.value) for message in consumer.poll(5)] == [(1, "2"), (None, "3"), (4, None)]


# -- where it begins ------------------------------------------------------------------------------


def test_it_begins_at_the_end_by_default_and_says_so(
    client: FlyMQClient, topic: str, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    with client.consumer(topic, group) as consumer:
        assert consumer.position((topic, 0)) == MESSAGES
    (hint,) = [record for record in caplog.records if record.name == "flymq.client"]
    assert hint.levelname == "WARNING"
    assert f"{MESSAGES} older messages are not read" in hint.message
    assert 'auto_offset_reset="earliest"' in hint.message


def test_nothing_is_said_where_nothing_is_passed_over(
    client: FlyMQClient, topic: str, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.create_topic(f"{topic}-empty")
    with client.consumer(f"{topic}-empty", group), client.consumer(topic, f"{group}-2", **EARLIEST):
        pass
    with client.consumer(f"{topic}-empty", group):  # it has a commit by now
        pass
    assert [record for record in caplog.records if record.name == "flymq.client"] == []


@pytest.mark.parametrize("reset", ["earliest", "latest", "committed"])
def test_a_commit_goes_before_where_a_group_would_begin(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, reset: str
) -> None:
    client.groups.reset(group, to=4, topics=[topic])
    with client.consumer(topic, group, auto_offset_reset=reset) as consumer:
        assert consumer.position((topic, 0)) == 4
        assert consumer.resumed_from() == {(topic, 0): 4}
        assert offsets(take(consumer, 2)) == [4, 5]


def test_committed_wants_a_commit(client: FlyMQClient, topic: str, group: str) -> None:
    consumer = client.consumer(topic, group, auto_offset_reset="committed")
    with pytest.raises(NoCommittedOffsetError, match=f"group {group} has committed nothing for {topic}-0") as caught:
        next(consumer)
    assert "earliest" in caught.value.hint


# -- groups of their own --------------------------------------------------------------------------


def test_without_a_group_each_gets_everything_and_nothing_is_left(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str
) -> None:
    settings = {"auto_commit_interval": 0, **EARLIEST}
    consumers = [client.consumer(topic, **settings) for _ in range(2)]
    names = {consumer.group_id for consumer in consumers}
    assert len(names) == 2
    assert all(re.fullmatch("flymq-auto-[0-9a-f]{16}", name) for name in names)
    for consumer in consumers:
        with consumer:
            assert offsets(drain(consumer, MESSAGES)) == list(range(MESSAGES))
            assert consumer.group_id in {row.group_id for row in client.groups.list()}
    assert not names & {row.group_id for row in client.groups.list()}


# -- how it ends ----------------------------------------------------------------------------------


def test_idle_timeout_counts_from_the_last_message(client: FlyMQClient, topic: str, group: str) -> None:
    with client.consumer(topic, group, **{**EARLIEST, "idle_timeout": 0.7}) as consumer:
        got = []
        for message in consumer:
            got.append(message.offset)
            if len(got) in (MESSAGES, MESSAGES + 1):
                client.produce(topic, "more")
        assert got == list(range(MESSAGES + 2))
        client.produce(topic, "and more")
        assert offsets(consumer) == [MESSAGES + 2]  # it may go on


@pytest.mark.parametrize("batches", [False, True])
def test_joining_is_not_idling(fresh_name: Callable[..., str], batches: bool) -> None:
    with EmbeddedBroker(config={"group.initial.rebalance.delay.ms": 1200}) as slow:
        slow.seed("orders", ["1", "2", "3"])
        with FlyMQClient(slow.bootstrap_servers) as client:
            consumer = client.consumer("orders", "kitchen", **{**EARLIEST, "idle_timeout": 0.7})
            got = [message for batch in consumer.batches() for message in batch] if batches else list(consumer)
    assert offsets(got) == [0, 1, 2]


def test_stop_from_another_thread_ends_a_loop_that_waits(client: FlyMQClient, topic: str, group: str) -> None:
    with looping(client.consumer(topic, group, **EARLIEST)) as loop:
        loop.wait_for(MESSAGES)
        loop.consumer.stop()
        loop.thread.join(TIMEOUT_S)
        assert not loop.thread.is_alive()
    assert loop.error is None


def test_a_stop_that_comes_before_the_loop_begins_ends_it(client: FlyMQClient, topic: str, group: str) -> None:
    """A signal may come while the group is joined."""
    consumer = client.consumer(topic, group, **EARLIEST)
    consumer.stop()
    with consumer:
        assert list(consumer) == []
        assert offsets(take(consumer, 2)) == [0, 1]  # that loop is over: another is another
    consumer = client.consumer(topic, group, **EARLIEST)
    consumer.stop()
    assert list(consumer.batches()) == []
    consumer.close()


def test_stop_ends_batches_and_one_poll(client: FlyMQClient, topic: str, group: str) -> None:
    with client.consumer(topic, group, **EARLIEST) as consumer:
        got = []
        for messages in consumer.batches(4):
            got.append(offsets(messages))
            if len(got) == 2:
                consumer.stop()
        assert got == [[0, 1, 2, 3], [4, 5, 6, 7]]
        consumer.stop()
        assert consumer.poll(TIMEOUT_S) == []
        assert offsets(consumer.poll(5)) == [8, 9]


def test_close_is_harmless_twice_and_before_it_began(client: FlyMQClient, topic: str, group: str) -> None:
    never_used = client.consumer(topic, group)
    never_used.close()
    never_used.close()
    used = client.consumer(topic, group, **EARLIEST)
    take(used, 1)
    assert repr(used) == f"<Consumer of {topic} in group {group}: 1 partitions>"
    used.close()
    used.close()
    assert repr(used) == f"<Consumer of {topic} in group {group}: closed>"
    assert client.groups.members(group) == []


def test_the_client_closes_what_is_open(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    with FlyMQClient(broker.bootstrap_servers) as other:
        consumer = other.consumer(topic, group, **EARLIEST)
        take(consumer, 1)
        assert len(client.groups.members(group)) == 1
    assert client.groups.members(group) == []


def test_no_thread_is_left(broker: EmbeddedBroker, topic: str, group: str) -> None:
    def ours() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name.startswith(("kafka-", "flymq-close"))]

    before = set(ours())
    with FlyMQClient(broker.bootstrap_servers) as client, client.consumer(topic, group, **EARLIEST) as consumer:
        take(consumer, 3)
        assert set(ours()) - before
    until(lambda: not set(ours()) - before, "the end of all threads")


# -- poll and batches -----------------------------------------------------------------------------


def test_poll(client: FlyMQClient, topic: str, group: str) -> None:
    consumer: Consumer = client.consumer(topic, group, **EARLIEST)
    assert offsets(consumer.poll(5, max_records=3)) == [0, 1, 2]
    assert offsets(consumer.poll(5)) == [3, 4, 5, 6, 7, 8, 9]
    assert consumer.poll(0) == []
    assert consumer.poll(0.1) == []
    client.produce(topic, "more")
    assert offsets(consumer.poll(5)) == [MESSAGES]
    consumer.close()


def test_batches_leave_out_what_is_empty(client: FlyMQClient, topic: str, group: str) -> None:
    consumer = client.consumer(topic, group, **{**EARLIEST, "idle_timeout": 0.7})
    assert [offsets(messages) for messages in consumer.batches(4, timeout=0.05)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_settings_of_kafka_python_go_through(client: FlyMQClient, topic: str, group: str) -> None:
    settings: dict[str, Any] = {"client_id": "waiter", "max_poll_records": 2, **EARLIEST}
    with client.consumer(topic, group, **settings) as consumer:
        assert offsets(consumer.poll(5)) == [0, 1]
        assert [member.client_id for member in client.groups.members(group)] == ["waiter"]
