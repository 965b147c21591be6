"""Changing topics and forgetting offsets with `FlyMQClient` is the same on FlyMQ and on Apache Kafka."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flymq import FlyMQClient
from flymq.client.admin.types import TrimmedPartition
from flymq.client.errors import (
    GroupActiveError,
    GroupNotFoundError,
    InvalidArgumentError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    TopicNotFoundError,
)
from flymq.client.messages import Partition

pytestmark = [pytest.mark.compat, pytest.mark.scenario("admin", client="FlyMQClient")]

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Two partitions of "0" to "9", each message a second after the one before, from `NOON` on."""
    name = fresh_name("topic")
    client.create_topic(name, partitions=2, config={"retention.ms": -1})
    items = [
        {"value": str(n), "partition": partition, "timestamp": NOON + timedelta(seconds=n)}
        for partition in range(2)
        for n in range(10)
    ]
    client.produce_many(name, items).raise_for_errors()
    return name


def given(client: FlyMQClient, topic: str) -> dict[str, str | None]:
    """The settings that the topic was given."""
    return {key: value.value for key, value in client.topics.describe(topic).config.items()}


# -- settings -------------------------------------------------------------------------------------


def test_settings_change_one_by_one(client: FlyMQClient, topic: str) -> None:
    client.topics.set_config(topic, {"retention.bytes": 1 << 30, "cleanup.policy": ["compact", "delete"]})
    assert given(client, topic) == {
        "retention.ms": "-1", "retention.bytes": "1073741824", "cleanup.policy": "compact,delete",
    }  # fmt: skip
    client.topics.set_config(topic, {"retention.ms": 5000, "retention.bytes": None})
    assert given(client, topic) == {"retention.ms": "5000", "cleanup.policy": "compact,delete"}
    client.topics.unset_config(topic, "retention.ms", "cleanup.policy", "segment.ms")
    assert given(client, topic) == {}
    assert client.topics.config(topic)["retention.ms"].value == "604800000"


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"retention.mss": 1}, "did you mean retention.ms?"),
        ({"retention.ms": "soon"}, "`flymq config explain NAME`"),
        ({"cleanup.policy": "burn"}, "`flymq config explain NAME`"),
        ({"segment.bytes": 1 << 20, "retention.mss": 1}, "did you mean retention.ms?"),
    ],
)  # fmt: skip
def test_settings_that_can_not_be_change_nothing(
    client: FlyMQClient, topic: str, config: dict[str, Any], hint: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.topics.set_config(topic, config)
    assert caught.value.code == "INVALID_CONFIG"
    assert caught.value.hint.startswith(hint)
    assert given(client, topic) == {"retention.ms": "-1"}


@pytest.mark.parametrize(
    "change",
    [
        lambda topics, name: topics.set_config(name, {"retention.ms": 1}),
        lambda topics, name: topics.unset_config(name, "retention.ms"),
        lambda topics, name: topics.add_partitions(name, 7),
        lambda topics, name: topics.trim(name, before="latest"),
    ],
)
def test_a_topic_that_is_missing(client: FlyMQClient, topic: str, change: Callable[[Any, str], object]) -> None:
    with pytest.raises(TopicNotFoundError) as caught:
        change(client.topics, f"{topic}x")
    assert caught.value.hint == f"did you mean {topic}?"
    assert f"{topic}x" not in client.list_topics()


# -- partitions and messages ----------------------------------------------------------------------


def test_more_partitions(client: FlyMQClient, topic: str) -> None:
    client.topics.add_partitions(topic, 5)
    assert client.produce(topic, "x", partition=4).offset == 0
    assert client.topics.offsets(topic) == {0: 10, 1: 10, 2: 0, 3: 0, 4: 1}
    for total in (5, 3):
        with pytest.raises(InvalidArgumentError) as caught:
            client.topics.add_partitions(topic, total)
        assert caught.value.code == "INVALID_PARTITIONS"


def test_the_oldest_messages_are_deleted(client: FlyMQClient, topic: str) -> None:
    for dry_run in (True, False):
        found = client.topics.trim(topic, before=3, partitions=[1], dry_run=dry_run)
        assert found == [TrimmedPartition(1, 0, 3, 10)]
        assert client.topics.offsets(topic, "earliest") == {0: 0, 1: 0 if dry_run else 3}
    assert client.topics.trim(topic, before=NOON + timedelta(seconds=2)) == [
        TrimmedPartition(0, 0, 2, 10), TrimmedPartition(1, 3, 3, 10),
    ]  # fmt: skip
    assert client.topics.trim(topic, before={0: 4}) == [TrimmedPartition(0, 2, 4, 10)]
    assert client.fetch(topic, partition=0, offset="earliest").log_start == 4
    assert [message.text() for message in client.read(topic, partitions=[0])] == ["4", "5", "6", "7", "8", "9"]
    client.topics.trim(topic, before="latest")
    assert list(client.read(topic)) == []
    assert client.produce(topic, "x", partition=0).offset == 10


def test_nothing_is_deleted_where_a_partition_has_no_such_offset(client: FlyMQClient, topic: str) -> None:
    client.produce(topic, "x", partition=0)
    with pytest.raises(OffsetOutOfRangeError) as caught:
        client.topics.trim(topic, before=11)
    assert caught.value.hint == "it has 0 to 10, the end"
    with pytest.raises(PartitionNotFoundError):
        client.topics.trim(topic, before=1, partitions=[0, 2])
    with pytest.raises(InvalidArgumentError):
        client.topics.trim(topic, before={0: 1}, partitions=[0, 1])
    assert client.topics.offsets(topic, "earliest") == {0: 0, 1: 0}


# -- offsets of groups ----------------------------------------------------------------------------


def test_a_group_forgets(client: FlyMQClient, topic: str, group: str) -> None:
    with pytest.raises(GroupNotFoundError):
        client.groups.delete_offsets(group, topic)
    client.groups.reset(group, to=4, topics=[topic])
    client.groups.delete_offsets(group, topic, partitions=[0])
    assert client.groups.offsets(group) == {Partition(topic, 1): 4}
    with client.consumer(topic, group), pytest.raises(GroupActiveError, match=f"they read {topic}"):
        client.groups.delete_offsets(group, topic)
    client.groups.delete_offsets(group, topic)
    assert client.groups.offsets(group) == {}
