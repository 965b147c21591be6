"""`FlyMQClient` does the same on FlyMQ and on Apache Kafka: each test runs on both."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from flymq import AsyncFlyMQClient, FlyMQClient
from flymq.client.admin.types import OffsetChange, PartitionInfo, PartitionLag, TopicInfo
from flymq.client.errors import (
    GroupActiveError,
    GroupNotFoundError,
    InvalidArgumentError,
    MessageTooLargeError,
    NoCommittedOffsetError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    TopicExistsError,
    TopicNotFoundError,
)
from flymq.client.messages import Message, Partition
from tests.client.members import live_member

pytestmark = pytest.mark.compat

TIMEOUT_S = 20.0  # what does not come by then never comes

MESSAGES = 4
# Of the log's own clock: the first message of `filled` has this timestamp, each later one is a second younger.
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Three partitions, with nothing in them."""
    name = fresh_name("topic")
    client.create_topic(name, partitions=3, config={"retention.ms": -1})
    return name


@pytest.fixture
def filled(client: FlyMQClient, topic: str) -> str:
    """The topic with "0" to "3" in each partition, a second apart from `NOON` on."""
    items = [
        {"value": str(n), "partition": partition, "timestamp": NOON + timedelta(seconds=n)}
        for partition in range(3)
        for n in range(MESSAGES)
    ]
    client.produce_many(topic, items).raise_for_errors()
    return topic


def texts(messages: Any) -> list[str]:
    return [message.text() for message in messages]


# -- topics ---------------------------------------------------------------------------------------


def test_a_topic_from_its_creation_to_its_end(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("life")
    client.create_topic(name, partitions=2, replication_factor=1, config={"retention.ms": 5000})
    assert TopicInfo(name, 2, 1, False) in client.topics.list()
    assert name in client.list_topics()
    client.produce_many(name, [{"value": "a", "partition": 1}, {"value": "b", "partition": 1}]).raise_for_errors()
    found = client.topics.describe(name)
    assert (found.name, found.internal) == (name, False)
    assert found.partitions == [PartitionInfo(0, 1, [1], [1], 0, 0), PartitionInfo(1, 1, [1], [1], 0, 2)]
    assert {key: value.value for key, value in found.config.items()} == {"retention.ms": "5000"}
    assert client.topics.offsets(name) == {0: 0, 1: 2}
    client.delete_topic(name)
    assert name not in client.list_topics()
    with pytest.raises(TopicNotFoundError):
        client.topics.describe(name)
    client.create_topic(name)  # at once: nothing of the old one is in the way
    assert client.topics.offsets(name) == {0: 0}


def test_a_topic_that_exists(client: FlyMQClient, topic: str) -> None:
    with pytest.raises(TopicExistsError):
        client.create_topic(topic)
    client.create_topic(topic, partitions=7, exist_ok=True)
    assert TopicInfo(topic, 3, 1, False) in client.topics.list()


@pytest.mark.parametrize("ask", ["describe", "config", "offsets", "delete"])
def test_a_topic_that_is_missing(client: FlyMQClient, topic: str, ask: str) -> None:
    with pytest.raises(TopicNotFoundError, match=f"there is no topic {topic}x") as caught:
        getattr(client.topics, ask)(f"{topic}x")
    assert caught.value.hint == f"did you mean {topic}?"
    assert f"{topic}x" not in client.list_topics()
    client.delete_topic(f"{topic}x", missing_ok=True)


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        ({"config": {"retention.mss": 1}}, "INVALID_CONFIG", "did you mean retention.ms?"),
        ({"config": {"retention.ms": "soon"}}, "INVALID_CONFIG", "`flymq config explain NAME`"),
        ({"config": {"cleanup.policy": "burn"}}, "INVALID_CONFIG", "`flymq config explain NAME`"),
        ({"replication_factor": 2}, "INVALID_REPLICATION_FACTOR", "see the method's docstring"),
    ],
)  # fmt: skip
def test_a_topic_that_can_not_be(
    client: FlyMQClient, fresh_name: Callable[..., str], arguments: Any, code: str, hint: str
) -> None:
    name = fresh_name("impossible")
    with pytest.raises(InvalidArgumentError) as caught:
        client.create_topic(name, **arguments)
    assert caught.value.code == code
    assert caught.value.hint.startswith(hint)
    assert name not in client.list_topics()


def test_settings(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("settings")
    client.create_topic(name, config={"cleanup.policy": ["compact", "delete"], "preallocate": False})
    found = client.topics.config(name)
    set_here = {key: value.value for key, value in found.items() if value.source == "DYNAMIC_TOPIC_CONFIG"}
    assert set_here == {"cleanup.policy": "compact,delete", "preallocate": "false"}
    retention = found["retention.ms"]
    assert (retention.value, retention.is_default, retention.source) == ("604800000", True, "DEFAULT_CONFIG")
    assert (retention.sensitive, retention.read_only) == (False, False)
    assert list(found) == sorted(found)


def test_the_cluster(client: FlyMQClient, bootstrap_servers: str) -> None:
    assert client.ping() < 5
    found = client.cluster.info()
    assert found.cluster_id
    assert found.controller_id == 1
    (broker,) = client.cluster.brokers()
    assert (broker.node_id, f"{broker.host}:{broker.port}", broker.rack) == (1, bootstrap_servers, None)
    apis = {row.name: row for row in client.cluster.api_versions()}
    assert {"Produce", "Fetch", "Metadata", "JoinGroup", "ApiVersions"} <= set(apis)
    assert (apis["Produce"].key, apis["Produce"].min_version) == (0, 0)


# -- writing --------------------------------------------------------------------------------------


def test_produce_tells_where_the_message_is(client: FlyMQClient, topic: str) -> None:
    found = [client.produce(topic, f"{n}", key="ada", timestamp=NOON) for n in range(2)]
    assert [(one.topic, one.offset, one.timestamp) for one in found] == [
        (topic, 0, 1577880000000), (topic, 1, 1577880000000),
    ]  # fmt: skip
    # By Kafka's hash of the key, with three partitions.
    assert {one.partition for one in found} == {client.produce(topic, "x", key=b"ada").partition}
    assert client.produce(topic, "x", partition=2).partition == 2
    with pytest.raises(PartitionNotFoundError) as caught:
        client.produce(topic, "x", partition=3)
    assert caught.value.hint == "give 0 to 2, or none"


def test_the_broker_sets_the_time_where_the_topic_says_so(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("appended")
    client.create_topic(name, config={"message.timestamp.type": "LogAppendTime"})
    before = datetime.now(UTC) - timedelta(seconds=1)
    told = client.produce(name, "x", timestamp=NOON)
    (message,) = client.fetch(name)
    assert message.timestamp_type == 1
    assert message.timestamp == told.timestamp
    assert message.datetime is not None
    assert before < message.datetime < before + timedelta(seconds=30)


def test_produce_many_reports_each_item(client: FlyMQClient, topic: str) -> None:
    report = client.produce_many(
        topic,
        ["plain", ("key", "pair"), {"value": "mapped", "partition": 1, "headers": {"h": "1"}}, 17,
         {"value": "nowhere", "partition": 9}],
    )  # fmt: skip
    assert (report.topic, report.sent, report.ok) == (topic, 3, False)
    assert [(index, type(error).__name__) for index, error in report.failed] == [
        (3, "SerializationError"), (4, "PartitionNotFoundError"),
    ]  # fmt: skip
    ends = client.topics.offsets(topic)
    assert sum(ends.values()) == 3
    assert report.offsets == {partition: (0, end - 1) for partition, end in ends.items() if end}
    assert sorted(texts(client.read(topic))) == ["mapped", "pair", "plain"]


def test_tombstones_and_headers(client: FlyMQClient, topic: str) -> None:
    headers = [("trace", b"1"), ("trace", b"\xff\x00"), ("empty", b"")]
    client.produce(topic, None, key="gone", partition=0, headers=headers, timestamp=NOON)
    client.produce(topic, b"", key=b"", partition=0)
    first, second = client.fetch(topic)
    assert first == Message(topic, 0, 0, b"gone", None, headers, 1577880000000, 0, first.leader_epoch)
    assert first.is_tombstone
    assert first.header("trace") == b"\xff\x00"
    assert first.datetime == NOON
    assert (second.key, second.value, second.is_tombstone, list(second.headers)) == (b"", b"", False, [])


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed(client: FlyMQClient, topic: str, codec: str) -> None:
    with client.producer(compression_type=codec, linger_ms=50) as producer:
        for n in range(100):
            producer.send(topic, f"{n}" * 10, partition=0)
    assert texts(client.fetch(topic, count=1000)) == [f"{n}" * 10 for n in range(100)]


def test_a_message_that_is_too_large(bootstrap_servers: str, topic: str, fresh_name: Callable[..., str]) -> None:
    small = fresh_name("small")
    with FlyMQClient(bootstrap_servers) as client:
        client.create_topic(small, config={"max.message.bytes": 1000})
        with pytest.raises(MessageTooLargeError):  # for this side already
            client.produce(topic, bytes(2_000_000))
        with pytest.raises(MessageTooLargeError) as caught:
            client.produce(small, bytes(2000))
        assert caught.value.code == "MESSAGE_TOO_LARGE"


def test_a_message_that_is_refused_harms_no_other(
    bootstrap_servers: str, topic: str, fresh_name: Callable[..., str]
) -> None:
    small = fresh_name("small")
    with FlyMQClient(bootstrap_servers) as client:
        client.create_topic(small, config={"max.message.bytes": 1000})
        with pytest.raises(MessageTooLargeError):
            client.produce(small, bytes(2000))
        client.produce(small, "fits")
        client.produce(topic, "elsewhere")
        report = client.produce_many(small, [bytes(2000) if n % 100 == 50 else f"{n}" for n in range(1000)])
        assert [index for index, _ in report.failed] == list(range(50, 1000, 100))
        assert (report.sent, len(list(client.read(small)))) == (990, 991)


def test_a_missing_topic_is_created_by_writing(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("created")
    client.produce(name, "x")
    assert texts(client.fetch(name)) == ["x"]


def test_a_missing_topic_is_not_created_without_leave(bootstrap_servers: str, topic: str) -> None:
    with FlyMQClient(bootstrap_servers, auto_create_topics=False) as client:
        for ask in (
            lambda: client.produce(f"{topic}x", "x"),
            lambda: client.produce_many(f"{topic}x", ["x"]),
            lambda: next(client.consumer(f"{topic}x")),
        ):
            with pytest.raises(TopicNotFoundError, match=f"there is no topic {topic}x") as caught:
                ask()
            assert caught.value.hint == f"did you mean {topic}?"
        assert f"{topic}x" not in client.list_topics()


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "count", "found", "next_offset"),
    [
        (0, 10, ["0", "1", "2", "3"], 4),
        (0, 2, ["0", "1"], 2),
        (3, 10, ["3"], 4),
        (-1, 10, ["3"], 4),
        (-3, 2, ["1", "2"], 3),
        (-100, 1, ["0"], 1),
        (4, 10, [], 4),
        ("earliest", 1, ["0"], 1),
        ("latest", 1, [], 4),
        (1, 0, [], 1),
    ],
)
def test_fetch(
    client: FlyMQClient, filled: str, offset: int | str, count: int, found: list[str], next_offset: int
) -> None:
    result = client.fetch(filled, partition=1, offset=offset, count=count)
    assert texts(result) == found
    assert (result.next_offset, result.high_watermark, result.log_start) == (next_offset, 4, 0)


def test_fetch_of_what_is_not_there(client: FlyMQClient, filled: str) -> None:
    with pytest.raises(OffsetOutOfRangeError, match=f"{filled}-0 has no offset 5: it holds 0 to 3") as beyond:
        client.fetch(filled, offset=5)
    assert beyond.value.hint == "the next message will be at 4"
    with pytest.raises(PartitionNotFoundError, match=f"{filled} has no partition 3: it has 3"):
        client.fetch(filled, partition=3)
    with pytest.raises(TopicNotFoundError) as missing:
        client.fetch(f"{filled}x")
    assert missing.value.hint == f"did you mean {filled}?"
    assert f"{filled}x" not in client.list_topics()


def test_read(client: FlyMQClient, filled: str) -> None:
    found = [(message.partition, message.text()) for message in client.read(filled)]
    assert sorted(found) == [(partition, str(n)) for partition in range(3) for n in range(MESSAGES)]
    assert [n for partition, n in found if partition == 2] == ["0", "1", "2", "3"]
    between = client.read(
        filled, partitions=[1], start=NOON + timedelta(milliseconds=500), end=NOON + timedelta(seconds=3)
    )
    assert texts(between) == ["1", "2"]
    assert texts(client.read(filled, partitions=[1], start=datetime.now(UTC) + timedelta(days=1))) == []
    assert texts(client.read(filled, partitions=[0], start=datetime(1971, 1, 1, tzinfo=UTC), end=2)) == ["0", "1"]
    assert texts(client.read(filled, start={0: 3, 1: 4, 2: 4}, end={0: 4, 1: 4, 2: 4})) == ["3"]
    with pytest.raises(TopicNotFoundError):
        list(client.read(f"{filled}x"))


# -- groups: consuming ----------------------------------------------------------------------------


def test_a_consumer_commits_what_its_loop_is_done_with(client: FlyMQClient, filled: str, group: str) -> None:
    with client.consumer(filled, group, auto_offset_reset="earliest", idle_timeout=2) as consumer:
        assert consumer.assignment() == [(filled, 0), (filled, 1), (filled, 2)]
        seen = [(message.partition, message.offset) for message in islice(consumer, 5)]
    committed = client.groups.offsets(group)
    assert sum(committed.values()) == 5
    assert {(p, o) for p, o in seen} == {(one.partition, o) for one, end in committed.items() for o in range(end)}
    with client.consumer(filled, group, auto_offset_reset="earliest", idle_timeout=0.5) as consumer:
        assert consumer.resumed_from() == committed
        more = [(message.partition, message.offset) for message in consumer]
    assert len(seen) + len(more) == len({*seen, *more}) == 3 * MESSAGES
    assert client.groups.offsets(group) == {(filled, partition): MESSAGES for partition in range(3)}


def test_a_message_whose_handling_failed_comes_again(client: FlyMQClient, topic: str, group: str) -> None:
    client.produce_many(topic, [{"value": str(n), "partition": 0} for n in range(3)]).raise_for_errors()

    def handle() -> None:
        with client.consumer(topic, group, auto_offset_reset="earliest", idle_timeout=TIMEOUT_S) as consumer:
            for message in consumer:
                if message.offset == 1:
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handle()
    assert client.groups.offsets(group) == {(topic, 0): 1}
    with client.consumer(topic, group, idle_timeout=TIMEOUT_S) as consumer:
        assert next(consumer).offset == 1


def test_without_auto_commit_nothing_is_committed_but_by_commit(client: FlyMQClient, filled: str, group: str) -> None:
    with client.consumer(
        filled, group, auto_offset_reset="earliest", auto_commit=False, idle_timeout=TIMEOUT_S
    ) as consumer:
        for _ in islice(consumer, 3):
            pass
    assert client.groups.offsets(group) == {}
    with client.consumer(
        filled, group, auto_offset_reset="earliest", auto_commit=False, idle_timeout=TIMEOUT_S
    ) as consumer:
        first = next(consumer)
        consumer.commit()
        second = next(consumer)
        assert first.partition == second.partition
        partition = Partition(filled, first.partition)
        assert consumer.committed(partition) == 1
        next(consumer)
        consumer.commit(second)
        assert consumer.committed(partition) == 2
        assert consumer.position(partition) == 3
        assert sum(consumer.lag().values()) == 3 * MESSAGES - 3
        consumer.seek(partition, 0)
        assert next(message for message in consumer if message.partition == first.partition).offset == 0
    assert client.groups.offsets(group) == {partition: 2}


def test_where_a_group_without_a_commit_begins(client: FlyMQClient, filled: str, group: str) -> None:
    with client.consumer(filled, group, idle_timeout=TIMEOUT_S) as consumer:  # at the end
        client.produce(filled, "new", partition=2)
        assert next(consumer).text() == "new"
    assert client.groups.offsets(group) == {(filled, 0): MESSAGES, (filled, 1): MESSAGES, (filled, 2): MESSAGES + 1}
    strict = client.consumer(filled, f"{group}-strict", auto_offset_reset="committed")
    with pytest.raises(NoCommittedOffsetError, match=f"group {group}-strict has committed nothing for {filled}-0"):
        next(strict)
    strict.close()


def test_a_consumer_that_can_not_begin_is_no_member(client: FlyMQClient, filled: str, group: str) -> None:
    """Else nobody who comes after it gets a partition before max.poll.interval.ms is over."""

    def refuse(_: object) -> None:
        raise ZeroDivisionError

    consumer = client.consumer(filled, group, on_assigned=refuse)
    try:
        with pytest.raises(ZeroDivisionError), consumer:
            pass
        there = group in {row.group_id for row in client.groups.list()}  # Kafka keeps it, empty, for a while
        assert not there or client.groups.members(group) == []
    finally:
        consumer.close()


def test_a_group_shares_and_hands_over(client: FlyMQClient, bootstrap_servers: str, filled: str, group: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    with client.consumer(filled, group, auto_offset_reset="earliest", heartbeat_interval_ms=100) as consumer:
        assert len(consumer.assignment()) == 3
        with live_member(bootstrap_servers, filled, group, "other") as other:
            while len(consumer.assignment()) + len(other.assigned) != 3 or not other.assigned:
                consumer.poll(0.05)
                assert time.monotonic() < deadline
            assert {partition.partition for partition in consumer.assignment()} | other.assigned == {0, 1, 2}
        while len(consumer.assignment()) != 3:
            consumer.poll(0.05)
            assert time.monotonic() < deadline


def test_a_consumer_of_a_pattern_and_by_time(client: FlyMQClient, filled: str) -> None:
    with client.consumer(re.compile(f"^{filled}$"), auto_offset_reset="earliest", idle_timeout=0.5) as consumer:
        consumer.seek_to_time(NOON + timedelta(seconds=2))
        assert sorted(texts(consumer)) == ["2"] * 3 + ["3"] * 3


def test_a_group_of_ones_own_is_deleted_on_close(client: FlyMQClient, filled: str) -> None:
    with client.consumer(filled, auto_offset_reset="earliest", idle_timeout=TIMEOUT_S) as consumer:
        next(consumer)
        consumer.commit()
        assert client.groups.describe(consumer.group_id).members
    assert consumer.group_id not in {row.group_id for row in client.groups.list()}
    with pytest.raises(GroupNotFoundError):
        client.groups.describe(consumer.group_id)


def test_subscribing_to_a_missing_topic_creates_it(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("subscribed")
    with client.consumer(name, fresh_name("group"), idle_timeout=TIMEOUT_S) as consumer:
        client.produce(name, "first")
        assert next(consumer).text() == "first"


# -- groups: administration -----------------------------------------------------------------------


def test_a_group_is_described(client: FlyMQClient, bootstrap_servers: str, filled: str, group: str) -> None:
    client.groups.reset(group, to=1, topics=[filled], partitions=[0])
    with live_member(bootstrap_servers, filled, group, "ada") as ada:
        ada.wait_for((0, 3), (1, 3), (2, 3))
        found = client.groups.describe(group)
        (listed,) = (row for row in client.groups.list() if row.group_id == group)
    assert (listed.state, listed.protocol_type) == ("Stable", "consumer")
    assert (found.state, found.protocol_type, found.protocol) == ("Stable", "consumer", "range")
    assert found.coordinator == f"{bootstrap_servers} (id 1)"
    (member,) = found.members
    assert (member.client_id, member.host, member.instance_id) == ("ada", "/127.0.0.1", None)
    assert member.assignment == [(filled, 0), (filled, 1), (filled, 2)]
    owner = (member.member_id, "ada", "/127.0.0.1")
    assert found.partitions == [
        PartitionLag(filled, 0, 1, MESSAGES, MESSAGES - 1, *owner),
        PartitionLag(filled, 1, None, MESSAGES, None, *owner),
        PartitionLag(filled, 2, None, MESSAGES, None, *owner),
    ]
    left = client.groups.describe(group)
    assert (left.state, left.members) == ("Empty", [])
    assert left.partitions == client.groups.lag(group) == [PartitionLag(filled, 0, 1, MESSAGES, MESSAGES - 1)]


def test_reset(client: FlyMQClient, filled: str, group: str) -> None:
    wanted = [OffsetChange(filled, partition, None, 2) for partition in range(3)]
    assert client.groups.reset(group, to=NOON + timedelta(seconds=2), topics=[filled], dry_run=True) == wanted
    assert group not in {row.group_id for row in client.groups.list()}
    assert client.groups.reset(group, to=NOON + timedelta(seconds=2), topics=[filled]) == wanted
    assert client.groups.reset(group) == [OffsetChange(filled, partition, 2, 0) for partition in range(3)]
    assert client.groups.reset(group, to="latest", partitions=[1]) == [OffsetChange(filled, 1, 0, MESSAGES)]
    assert client.groups.reset(group, to={Partition(filled, 2): 3}) == [OffsetChange(filled, 2, 0, 3)]
    assert client.groups.offsets(group) == {(filled, 0): 0, (filled, 1): MESSAGES, (filled, 2): 3}
    with pytest.raises(OffsetOutOfRangeError):
        client.groups.reset(group, to=MESSAGES + 1)
    with pytest.raises(PartitionNotFoundError):
        client.groups.reset(group, partitions=[7])


@pytest.mark.parametrize("instance_id", [None, "ada-1"])
def test_reset_of_a_group_with_members(
    client: FlyMQClient, bootstrap_servers: str, filled: str, group: str, instance_id: str | None
) -> None:
    client.groups.reset(group, to=3, topics=[filled])
    with live_member(bootstrap_servers, filled, group, "ada", group_instance_id=instance_id) as ada:
        ada.wait_for((0, 3), (1, 3), (2, 3))
        for dry_run in (False, True):
            with pytest.raises(GroupActiveError, match=r"ada at 127\.0\.0\.1") as caught:
                client.groups.reset(group, dry_run=dry_run)
            assert [one.client_id for one in caught.value.members] == ["ada"]
        assert set(client.groups.offsets(group).values()) == {3}
        changes = [OffsetChange(filled, partition, 3, 1) for partition in range(3)]
        assert client.groups.reset(group, to=1, force=True, dry_run=True) == changes
        assert set(client.groups.offsets(group).values()) == {3}
        assert client.groups.reset(group, to=1, force=True) == changes
        assert set(client.groups.offsets(group).values()) == {1}
        if instance_id is None:  # it comes back, and begins where the reset says; a static one was fenced
            ada.wait_for((0, 1), (1, 1), (2, 1))


def test_delete_of_groups(client: FlyMQClient, bootstrap_servers: str, filled: str, group: str) -> None:
    other = f"{group}-other"
    client.groups.reset(group, topics=[filled])
    client.groups.reset(other, topics=[filled])
    with live_member(bootstrap_servers, filled, group, "ada") as ada:
        ada.wait_for((0, 0))
        with pytest.raises(GroupActiveError, match=r"ada at 127\.0\.0\.1"):
            client.groups.delete(group)
    client.groups.delete(group, other)
    assert not {group, other} & {row.group_id for row in client.groups.list()}
    assert client.groups.offsets(group) == {}
    client.groups.delete(group, missing_ok=True)


@pytest.mark.parametrize("ask", ["describe", "lag", "members", "reset", "delete"])
def test_a_group_that_is_missing(client: FlyMQClient, filled: str, group: str, ask: str) -> None:
    client.groups.reset(group, topics=[filled])
    with pytest.raises(GroupNotFoundError, match=f"there is no group {group}x") as caught:
        getattr(client.groups, ask)(f"{group}x")
    assert caught.value.hint == f"did you mean {group}?"


def test_deleting_a_topic_takes_the_offsets_of_groups_with_it(client: FlyMQClient, filled: str, group: str) -> None:
    client.groups.reset(group, to="latest", topics=[filled])
    client.delete_topic(filled)
    deadline = time.monotonic() + TIMEOUT_S
    while client.groups.offsets(group):  # Kafka's coordinator hears of it a moment later
        assert time.monotonic() < deadline


# -- asyncio --------------------------------------------------------------------------------------


async def _produce_and_consume(bootstrap_servers: str, topic: str, group: str) -> list[str]:
    async with AsyncFlyMQClient(bootstrap_servers) as client:
        told = await client.produce(topic, "0", partition=0)
        assert (told.topic, told.partition, told.offset) == (topic, 0, 0)
        assert (await client.produce_many(topic, [{"value": "1", "partition": 0}])).ok
        async with client.consumer(topic, group, auto_offset_reset="earliest", idle_timeout=0.5) as consumer:
            found = [message.text() async for message in consumer]
        assert await client.groups.offsets(group) == {(topic, 0): 2}
        assert texts(await client.fetch(topic)) == found
        assert [message.text() async for message in client.read(topic)] == found
        with pytest.raises(TopicNotFoundError):
            await client.topics.describe(f"{topic}x")
        return found


def test_asyncio(bootstrap_servers: str, topic: str, group: str) -> None:
    assert asyncio.run(_produce_and_consume(bootstrap_servers, topic, group)) == ["0", "1"]
