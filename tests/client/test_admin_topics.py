"""`client.topics` against a real broker."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.admin.types import PartitionInfo, TopicInfo
from flymq.client.errors import (
    InvalidArgumentError,
    InvalidTopicError,
    PartitionNotFoundError,
    TopicExistsError,
    TopicNotFoundError,
)


@pytest.fixture
def topic(fresh_name: Callable[..., str]) -> str:
    return fresh_name("topic")


# -- creating -------------------------------------------------------------------------------------


def test_create_then_list_then_delete(client: FlyMQClient, topic: str) -> None:
    assert client.topics.create(topic, partitions=3) is None
    assert TopicInfo(topic, 3, 1, False) in client.topics.list()
    assert topic in client.topics.names()
    client.topics.delete(topic)
    assert topic not in client.topics.names()


def test_the_broker_decides_what_is_left_out(client: FlyMQClient, topic: str) -> None:
    client.topics.create(topic, config={"retention.ms": None})
    assert TopicInfo(topic, 1, 1, False) in client.topics.list()
    assert client.topics.config(topic)["retention.ms"].is_default


def test_describe(client: FlyMQClient, topic: str) -> None:
    client.topics.create(topic, partitions=2, config={"retention.ms": 5000, "cleanup.policy": ["compact", "delete"]})
    client.produce_many(topic, [{"key": key, "value": "a", "partition": 1} for key in "ab"]).raise_for_errors()
    found = client.topics.describe(topic)
    assert (found.name, found.internal) == (topic, False)
    assert found.partitions == [PartitionInfo(0, 1, [1], [1], 0, 0), PartitionInfo(1, 1, [1], [1], 0, 2)]
    assert {name: value.value for name, value in found.config.items()} == {
        "retention.ms": "5000", "cleanup.policy": "compact,delete",
    }  # fmt: skip
    settings = client.topics.config(topic)
    assert not settings["retention.ms"].is_default
    assert settings["max.message.bytes"].is_default
    assert json.loads(json.dumps(dataclasses.asdict(found)))["partitions"][1]["end"] == 2


def test_one_that_exists_is_refused_unless_that_is_fine(client: FlyMQClient, topic: str) -> None:
    client.topics.create(topic, partitions=2)
    with pytest.raises(TopicExistsError, match=topic):
        client.topics.create(topic)
    client.topics.create(topic, partitions=5, exist_ok=True)
    assert TopicInfo(topic, 2, 1, False) in client.topics.list()


@pytest.mark.parametrize("name", [b"bytes", None, 7, "", ".", "a b", "ä", "x" * 250])
@pytest.mark.parametrize("ask", ["create", "describe", "config", "offsets", "delete"])
def test_a_name_that_is_none_is_refused(client: FlyMQClient, ask: str, name: Any) -> None:
    with pytest.raises(InvalidTopicError):
        getattr(client.topics, ask)(name)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"config": {"retention.msx": 1}}, "retention.msx", "did you mean retention.ms?"),
        ({"config": {"retention.ms": 1, "zzz": 1}}, "zzz", "zzz is not a setting of topics"),
        ({"config": {"retention.ms": "soon"}}, "soon", "flymq config explain"),
        ({"partitions": 0}, "partitions is 0", "1 or more"),
        ({"partitions": "3"}, "partitions is '3'", "1 or more"),
        ({"replication_factor": -1}, "replication_factor is -1", "1 or more"),
        ({"replication_factor": 3}, "INVALID_REPLICATION_FACTOR", ""),
    ],
)
def test_what_is_wrong_is_said(
    client: FlyMQClient, topic: str, arguments: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        client.topics.create(topic, **arguments)
    assert hint in caught.value.hint
    assert topic not in client.topics.names()


def test_a_setting_is_suggested_where_there_is_no_topic_yet() -> None:
    with EmbeddedBroker() as broker, FlyMQClient(broker.bootstrap_servers) as client:
        with pytest.raises(InvalidArgumentError) as caught:
            client.topics.create("first", config={"cleanup.polcy": "compact"})
        assert caught.value.hint == "did you mean cleanup.policy?"
        assert client.topics.list() == []


# -- deleting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["describe", "config", "offsets", "delete"])
def test_one_that_is_missing_is_not_found(client: FlyMQClient, topic: str, ask: str) -> None:
    client.topics.create(topic)
    with pytest.raises(TopicNotFoundError, match=f"no topic {topic}x") as caught:
        getattr(client.topics, ask)(f"{topic}x")
    assert caught.value.hint == f"did you mean {topic}?"
    assert client.topics.names().count(topic) == 1


def test_deleting_several_deletes_those_that_exist(client: FlyMQClient, topic: str) -> None:
    names = [f"{topic}-{part}" for part in ("one", "two", "three")]
    for name in names:
        client.topics.create(name)
    kept = names[2]
    with pytest.raises(TopicNotFoundError, match=f"{kept}s, {topic}-threee") as caught:
        client.topics.delete(names[0], f"{kept}s", names[1], f"{topic}-threee", names[0])
    assert caught.value.hint.count(f"did you mean {kept}?") == 2
    assert [name for name in client.topics.names() if name.startswith(f"{topic}-")] == [kept]
    client.topics.delete(kept, "never-there", missing_ok=True)
    client.topics.delete("never-there", missing_ok=True)
    client.topics.delete()
    assert [name for name in client.topics.names() if name.startswith(f"{topic}-")] == []


# -- offsets --------------------------------------------------------------------------------------


def test_offsets(client: FlyMQClient, topic: str) -> None:
    client.topics.create(topic, partitions=2, config={"retention.ms": -1})
    client.produce_many(
        topic, [{"value": "x", "partition": 0, "timestamp": n * 1000} for n in range(3)]
    ).raise_for_errors()
    at = client.topics.offsets
    assert at(topic) == at(topic, "latest") == {0: 3, 1: 0}
    assert at(topic, "earliest") == {0: 0, 1: 0}
    assert at(topic, 1000) == at(topic, datetime.fromtimestamp(1, UTC)) == {0: 1, 1: 0}
    assert at(topic, 1001) == {0: 2, 1: 0}
    assert at(topic, 2001) == {0: 3, 1: 0}  # the end, where nothing is as late
    assert at(topic, partitions=[1]) == {1: 0}
    assert at(topic, partitions=[]) == {}


@pytest.mark.parametrize("at", ["earlyest", -5, 1.5, None, True, datetime(2020, 1, 1)])
def test_a_place_that_is_none_is_refused(client: FlyMQClient, topic: str, at: Any) -> None:
    client.topics.create(topic)
    with pytest.raises(InvalidArgumentError):
        client.topics.offsets(topic, at)


def test_a_partition_that_is_not_there_is_said(client: FlyMQClient, topic: str) -> None:
    client.topics.create(topic, partitions=2)
    with pytest.raises(PartitionNotFoundError, match="no partition 2: it has 2") as caught:
        client.topics.offsets(topic, partitions=[0, 2])
    assert caught.value.hint == "give 0 to 1"
