"""`Consumer`: positions, seeking, pausing, lag; and what a new user gets wrong."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.consumer import Consumer
from flymq.client.errors import (
    BrokerUnavailableError,
    ClosedError,
    FlyMQError,
    InvalidArgumentError,
    InvalidTopicError,
    OffsetOutOfRangeError,
    TopicNotFoundError,
)
from flymq.client.kafka_python import topic_partition
from flymq.client.messages import Partition
from tests.client.consuming import EARLIEST, drain, offsets, pairs, take

EACH = 5  # messages in each of two partitions, one second apart from 1970 on


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("topic")
    client.create_topic(name, partitions=2, config={"retention.ms": -1})
    items = [{"value": "x", "partition": number % 2, "timestamp": number // 2 * 1000} for number in range(2 * EACH)]
    client.produce_many(name, items).raise_for_errors()
    return name


@pytest.fixture
def consumer(client: FlyMQClient, topic: str, group: str) -> Iterator[Consumer]:
    with client.consumer(topic, group, **EARLIEST) as consumer:
        yield consumer


def test_the_position_is_that_of_the_next_message(consumer: Consumer, topic: str) -> None:
    assert consumer.assignment() == [(topic, 0), (topic, 1)]
    assert [consumer.position(partition) for partition in consumer.assignment()] == [0, 0]
    first, second = take(consumer, 2)
    assert consumer.position((topic, first.partition)) == second.offset + 1 == 2
    assert consumer.position([topic, 1 - first.partition]) == 0  # type: ignore[arg-type]
    assert consumer.position(topic_partition(Partition(topic, first.partition))) == 2
    drain(consumer, 2 * EACH - 2)
    assert [consumer.position(partition) for partition in consumer.assignment()] == [EACH, EACH]


def test_lag_is_what_is_left(consumer: Consumer, client: FlyMQClient, topic: str) -> None:
    assert consumer.lag() == {(topic, 0): EACH, (topic, 1): EACH}
    (first,) = take(consumer, 1)
    assert consumer.lag() == {(topic, first.partition): EACH - 1, (topic, 1 - first.partition): EACH}
    drain(consumer, 2 * EACH - 1)
    client.produce(topic, "more", partition=1)
    assert consumer.lag() == {(topic, 0): 0, (topic, 1): 1}


def test_committed_is_of_the_group(
    consumer: Consumer, client: FlyMQClient, broker: EmbeddedBroker, topic: str, group: str
) -> None:
    assert consumer.committed((topic, 0)) is None
    drain(consumer, 2 * EACH)
    consumer.commit()
    assert consumer.committed((topic, 0)) == EACH
    other = client.consumer(topic, group)  # that has not joined, and need not
    assert other.committed((topic, 1)) == EACH
    assert len(client.groups.members(group)) == 1


# -- seeking --------------------------------------------------------------------------------------


def test_seek_back_and_forth(consumer: Consumer, broker: EmbeddedBroker, topic: str, group: str) -> None:
    drain(consumer, 2 * EACH)
    consumer.seek((topic, 0), 1)
    assert consumer.position((topic, 0)) == 1
    assert pairs(drain(consumer, 4)) == [(0, 1), (0, 2), (0, 3), (0, 4)]
    consumer.seek_to_beginning((topic, 1))
    assert offsets(take(consumer, 2)) == [0, 1]
    consumer.seek((topic, 1), 4)
    assert pairs(drain(consumer, 1)) == [(1, 4)]
    consumer.seek_to_beginning()
    consumer.seek_to_end((topic, 1))
    assert pairs(drain(consumer, EACH)) == [(0, offset) for offset in range(EACH)]
    consumer.commit()
    assert broker.committed(group) == {(topic, 0): EACH, (topic, 1): EACH}


def test_seek_in_the_loop_drops_what_was_fetched(
    client: FlyMQClient, broker: EmbeddedBroker, topic: str, group: str
) -> None:
    got: list[tuple[int, int]] = []
    with client.consumer(topic, group, **EARLIEST) as consumer:
        for message in consumer:
            got.append((message.partition, message.offset))
            if got.count((message.partition, 2)) == 1 and message.offset == 2:
                consumer.seek((topic, message.partition), 1)
            if len(got) == 2 * 7:
                break
    for partition in range(2):
        assert [offset for found, offset in got if found == partition] == [0, 1, 2, 1, 2, 3, 4]
    assert broker.committed(group) == {(topic, 0): EACH, (topic, 1): EACH}


def test_a_commit_after_seek_covers_what_is_before_it(
    client: FlyMQClient, broker: EmbeddedBroker, topic: str, group: str
) -> None:
    """Also back: that is how a group is made to read again."""
    with client.consumer(topic, group, **EARLIEST) as consumer:
        drain(consumer, 2 * EACH)
        consumer.commit()
        consumer.seek((topic, 0), 1)
        consumer.seek((topic, 1), 3)
        consumer.commit()
        assert broker.committed(group) == {(topic, 0): 1, (topic, 1): 3}


@pytest.mark.parametrize(
    ("when", "wanted"),
    [(2000, 2), (2001, 3), (0, 0), (99_000, EACH), (datetime.fromtimestamp(2, UTC), 2)],
)
def test_seek_to_time(consumer: Consumer, topic: str, when: Any, wanted: int) -> None:
    consumer.seek_to_time(when, (topic, 1))
    assert [consumer.position((topic, partition)) for partition in range(2)] == [0, wanted]
    consumer.seek_to_time(when)
    assert [consumer.position((topic, partition)) for partition in range(2)] == [wanted, wanted]


def test_seek_to_committed(consumer: Consumer, topic: str) -> None:
    """Or to where it began, where the group has committed nothing."""
    take(consumer, 2 * EACH)
    consumer.seek_to_committed()
    assert {consumer.position((topic, partition)) for partition in (0, 1)} == {0}
    consumer.seek((topic, 0), 2)
    consumer.commit()
    consumer.seek((topic, 0), 4)
    consumer.seek_to_committed((topic, 0))
    assert (consumer.position((topic, 0)), consumer.position((topic, 1))) == (2, 0)
    take(consumer, EACH - 2 + EACH)
    consumer.seek_to_committed()
    assert consumer.position((topic, 0)) == 2


def test_seek_joins_the_group_first(client: FlyMQClient, topic: str, group: str) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    consumer.seek((topic, 0), 3)
    consumer.seek_to_end((topic, 1))
    assert pairs(drain(consumer, 2)) == [(0, 3), (0, 4)]
    consumer.close()


def test_seek_beyond_the_end(client: FlyMQClient, topic: str, group: str) -> None:
    """The log has no such offset: auto_offset_reset says where to go on, as for one that was deleted."""
    with client.consumer(topic, group, **EARLIEST) as consumer:
        consumer.seek_to_end()
        consumer.seek((topic, 1), 1000)
        assert pairs(take(consumer, EACH)) == [(1, offset) for offset in range(EACH)]
    with client.consumer(topic, group, idle_timeout=20, auto_offset_reset="committed") as consumer:
        consumer.seek((topic, 1), 1000)
        with pytest.raises(OffsetOutOfRangeError):
            next(consumer)


# -- pausing --------------------------------------------------------------------------------------


def test_pause_and_resume(consumer: Consumer, topic: str) -> None:
    (first,) = take(consumer, 1)
    paused = Partition(topic, first.partition)
    consumer.pause(paused)
    assert consumer.position(paused) == 1
    assert pairs(drain(consumer, EACH)) == [(1 - first.partition, offset) for offset in range(EACH)]
    consumer.resume(paused)
    assert pairs(drain(consumer, EACH - 1)) == [(first.partition, offset) for offset in range(1, EACH)]
    consumer.seek_to_beginning()
    consumer.pause()
    drain(consumer, 0)
    consumer.resume()
    assert len(drain(consumer, 2 * EACH)) == 2 * EACH


def test_what_is_paused_stays_so_while_the_loop_is_slow(
    client: FlyMQClient, topic: str, group: str
) -> None:
    """Between two slow turns everything is paused for a moment."""
    with client.consumer(topic, group, **EARLIEST) as consumer:
        (first,) = take(consumer, 1)
        consumer.pause((topic, 1 - first.partition))
        got = []
        for message in consumer:
            got.append((message.partition, message.offset))
            if message.offset == 1:
                time.sleep(1.1)  # the work
            if message.offset == EACH - 1:
                break
        assert consumer.poll(0.1) == []
    assert got == [(first.partition, offset) for offset in range(1, EACH)]


# -- what a new user gets wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"auto_offset_reset": "begining"}, "auto_offset_reset is 'begining'", '"earliest", "latest", "committed"'),
        ({"auto_offset_reset": "earlest"}, "earlest", "did you mean earliest?"),
        ({"auto_offset_reset": None}, "None", '"earliest"'),
        ({"isolation": "read_committed"}, "read_committed", "did you mean committed?"),
        ({"auto_commit_interval": -1}, "auto_commit_interval is -1", "0 or more"),
        ({"idle_timeout": -0.1}, "idle_timeout is -0.1", "0 or more"),
        ({"group_id": ""}, "'' is no name of a group", "str"),
        ({"group_id": b"kitchen"}, "b'kitchen' is no name of a group", "str"),
        ({"group": "kitchen"}, "there is no setting group", "did you mean group_id?"),
        ({"auto_comit": False}, "there is no setting auto_comit", "did you mean auto_commit?"),
        ({"enable_auto_commit": False}, "enable_auto_commit", "use auto_commit"),
        ({"auto_commit_interval_ms": 100}, "auto_commit_interval_ms", "use auto_commit_interval, in seconds"),
        ({"consumer_timeout_ms": 100}, "consumer_timeout_ms", "use idle_timeout, in seconds"),
        ({"isolation_level": "read_committed"}, "isolation_level", "use isolation"),
        ({"zzzzzz": 1}, "there is no setting zzzzzz", "kafka-python"),
        ({"topics": []}, "no topic to subscribe to", "pattern"),
        ({"topics": b"orders"}, "not bytes", "write 'orders' without the b"),
        ({"topics": ["orders", b"payments"]}, "not bytes", "write 'payments' without the b"),
        ({"topics": "or ders"}, "'or ders' can't be the name of a topic", "a-z"),
    ],
)
def test_bad_arguments_are_told_at_once(
    client: FlyMQClient, arguments: dict[str, Any], message: str, hint: str
) -> None:
    """Before anything is connected, and with what to do instead."""
    with pytest.raises((InvalidArgumentError, InvalidTopicError), match=re.escape(message)) as caught:
        client.consumer(**{"topics": "orders", "group_id": "kitchen", **arguments})
    assert hint in caught.value.hint


@pytest.mark.parametrize("wrong", [0, "orders", ("orders",), ("orders", "0"), (0, "orders"), None, "ab"])
def test_what_is_no_partition_is_told(consumer: Consumer, wrong: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: consumer.seek(wrong, 0), lambda: consumer.position(wrong), lambda: consumer.pause(wrong),
        lambda: consumer.committed(wrong), lambda: consumer.seek_to_beginning(wrong),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(InvalidArgumentError, match="is no partition") as caught:
            call()
        assert '("orders", 0)' in caught.value.hint


def test_a_partition_of_somebody_else_is_told(consumer: Consumer, topic: str) -> None:
    for wrong in ((topic, 2), ("other", 0)):
        for call in (consumer.position, consumer.pause, consumer.seek_to_end, lambda one: consumer.seek(one, 0)):
            with pytest.raises(InvalidArgumentError, match=f"{wrong[0]}-{wrong[1]} is not assigned") as caught:
                call(wrong)
            assert caught.value.hint == f"it has {topic}-0, {topic}-1"


@pytest.mark.parametrize("offset", [-1, "5", 1.5, None])
def test_what_is_no_offset_is_told(consumer: Consumer, topic: str, offset: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="there is no offset") as caught:
        consumer.seek((topic, 0), offset)
    assert "begin at 0" in caught.value.hint


def test_a_time_without_a_zone_is_told(consumer: Consumer) -> None:
    with pytest.raises(InvalidArgumentError, match="time zone"):
        consumer.seek_to_time(datetime(2020, 1, 1))


@pytest.mark.parametrize("count", [0, -1])
def test_a_batch_has_at_least_one(consumer: Consumer, count: int) -> None:
    with pytest.raises(InvalidArgumentError, match="max_records"):
        consumer.poll(0, max_records=count)


def test_a_closed_one_says_so(client: FlyMQClient, topic: str, group: str) -> None:
    consumer = client.consumer(topic, group, **EARLIEST)
    assert offsets(take(consumer, 2)) == [0, 1]
    consumer.close()
    calls: list[Callable[[], object]] = [
        lambda: next(consumer), consumer.poll, consumer.commit, consumer.lag, consumer.__enter__,
        lambda: list(consumer), lambda: list(consumer.batches()), lambda: consumer.seek((topic, 0), 0),
        lambda: consumer.position((topic, 0)), lambda: consumer.committed((topic, 0)), consumer.pause,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ClosedError, match="the consumer is closed") as caught:
            call()
        assert caught.value.hint
    client.close()
    with pytest.raises(ClosedError, match="the client is closed"):
        client.consumer(topic)


@pytest.mark.parametrize("attempt", ["iterate", "with", "poll"])
def test_a_mistyped_topic_is_told_each_time(broker: EmbeddedBroker, topic: str, group: str, attempt: str) -> None:
    with FlyMQClient(broker.bootstrap_servers, auto_create_topics=False) as client:
        consumer = client.consumer(f"{topic}s", group)
        calls = {"iterate": lambda: next(consumer), "with": consumer.__enter__, "poll": consumer.poll}
        for _ in range(2):
            with pytest.raises(TopicNotFoundError, match=f"there is no topic {topic}s") as caught:
                calls[attempt]()
            assert caught.value.hint == f"did you mean {topic}?"
        client.create_topic(f"{topic}s")
        client.produce(f"{topic}s", "there it is")
        consumer = client.consumer(f"{topic}s", group, **EARLIEST)
        assert [message.text() for message in take(consumer, 1)] == ["there it is"]


def test_a_mistyped_topic_that_is_created_is_noticed(
    client: FlyMQClient, topic: str, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    with client.consumer(f"{topic}s", group):
        assert f"{topic}s" in client.list_topics()
    (warning,) = [record.message for record in caplog.records if record.name == "flymq.client"]
    assert f"did you mean {topic}?" in warning


def test_a_broker_that_creates_no_topics_is_told(fresh_name: Callable[..., str]) -> None:
    with (
        EmbeddedBroker(config={"auto.create.topics.enable": False}) as broker,
        FlyMQClient(broker.bootstrap_servers, timeout=0.4) as client,
        pytest.raises(TopicNotFoundError, match="the broker does not create it"),
    ):
        client.consumer("orders", "kitchen").poll()


@pytest.mark.parametrize("use", [Consumer.__enter__, Consumer.__next__, Consumer.poll, Consumer.lag])
def test_a_dead_broker_is_told_within_connect_timeout(use: Callable[[Consumer], object]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        port = unused.getsockname()[1]
        with FlyMQClient(f"127.0.0.1:{port}", connect_timeout=2.0) as client:
            consumer = client.consumer("orders", "kitchen")
            began = time.monotonic()
            with pytest.raises(BrokerUnavailableError, match=f"nothing listens at 127.0.0.1:{port}") as caught:
                use(consumer)
            assert time.monotonic() - began < 5
            assert isinstance(caught.value, FlyMQError | ConnectionError)
            assert "flymq serve" in caught.value.hint
            consumer.close()
