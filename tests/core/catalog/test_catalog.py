"""The catalog: what may be created and deleted, and the rows it is kept in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.core.catalog import Catalog, NewTopic, Topic, TopicError
from flymq.core.settings import BrokerConfig
from flymq_protocol.errors import ErrorCode

ID = bytes(range(16))
OTHER_ID = bytes(range(1, 17))


def catalog(**values: str) -> Catalog:
    return Catalog(BrokerConfig([{name.replace("_", "."): (text, "test") for name, text in values.items()}]))


def planned(topics: Catalog, new: NewTopic) -> Topic:
    topic = topics.plan(new, ID)
    assert isinstance(topic, Topic), topic
    return topic


def refused(topics: Catalog, new: NewTopic) -> TopicError:
    error = topics.plan(new, ID)
    assert isinstance(error, TopicError)
    return error


def test_a_planned_topic_takes_defaults_and_canonical_settings() -> None:
    topics = catalog(num_partitions="3")
    topic = planned(topics, NewTopic("t", overrides={"preallocate": "TRUE"}))
    assert topic == Topic("t", ID, 3, {"preallocate": "true"})
    assert topics.get("t") is None


def test_a_topic_is_found_by_name_and_id_until_removed() -> None:
    topics = catalog()
    topic = planned(topics, NewTopic("t", 2, 1))
    topics.add(topic)
    assert topics.get("t") is topics.by_id(ID) is topic
    assert topic in topics.all()
    topics.remove(topic)
    assert topics.get("t") is topics.by_id(ID) is None
    assert planned(topics, NewTopic("t"))


def test_internal_topics_are_there_from_the_start() -> None:
    topics = catalog(offsets_topic_num_partitions="7")
    assert {topic.name: topic.partition_count for topic in topics.all()} == {
        "__consumer_offsets": 7,
        "__transaction_state": 50,
    }
    for topic in topics.all():
        assert topic.is_internal
        assert topics.by_id(topic.id) is topic
        assert refused(topics, NewTopic(topic.name)).code == ErrorCode.TOPIC_ALREADY_EXISTS
        error = topics.plan_delete(topic)
        assert error is not None
        assert error.code == ErrorCode.INVALID_TOPIC_EXCEPTION


@pytest.mark.parametrize(
    ("new", "code", "message"),
    [
        (NewTopic("a b"), ErrorCode.INVALID_TOPIC_EXCEPTION, "ASCII alphanumerics"),
        (NewTopic("__cluster_metadata"), ErrorCode.INVALID_REQUEST, "prohibited"),
        (NewTopic("t", 0), ErrorCode.INVALID_PARTITIONS, "non-positive"),
        (NewTopic("t", -2), ErrorCode.INVALID_PARTITIONS, "non-positive"),
        (NewTopic("t", 10_001), ErrorCode.POLICY_VIOLATION, "10001 partitions are more than 10000"),
        (NewTopic("t", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR, "larger than 0"),
        (NewTopic("t", 1, 3), ErrorCode.INVALID_REPLICATION_FACTOR, "3 time(s): there is 1 broker"),
        (NewTopic("t", overrides={"x": "1"}), ErrorCode.INVALID_CONFIG, "Unknown topic config name: x"),
        (NewTopic("t", overrides={"retention.ms": None}), ErrorCode.INVALID_CONFIG, "retention.ms is null"),
        (NewTopic("t", overrides={"retention.ms": "-2"}), ErrorCode.INVALID_CONFIG, "at least -1"),
        (NewTopic("t", 1, -1, [(0, [1])]), ErrorCode.INVALID_REQUEST, "numPartitions was not set to -1"),
        (NewTopic("t", -1, 1, [(0, [1])]), ErrorCode.INVALID_REQUEST, "replication factor was not set to -1"),
        (NewTopic("t", assignments=[(1, [1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "consecutive 0-based"),
        (NewTopic("t", assignments=[(0, [1]), (0, [1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "multiple manual"),
        (NewTopic("t", assignments=[(0, [])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "empty replica list"),
        (NewTopic("t", assignments=[(0, [1, 1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "more than once"),
        (NewTopic("t", assignments=[(0, [2])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "broker 2"),
    ],
)
def test_refusals(new: NewTopic, code: ErrorCode, message: str) -> None:
    error = refused(catalog(), new)
    assert (error.code, message in error.message) == (code, True), error


def test_assigned_partitions() -> None:
    topic = planned(catalog(node_id="5"), NewTopic("t", assignments=[(1, [5]), (0, [5])]))
    assert topic.partition_count == 2


def test_a_name_is_taken_while_it_is_reserved_or_there() -> None:
    topics = catalog()
    first = planned(topics, NewTopic("a.b"))
    topics.reserve(first)
    assert refused(topics, NewTopic("a.b")).code == ErrorCode.TOPIC_ALREADY_EXISTS
    assert refused(topics, NewTopic("a_b")).message == "Topic 'a_b' collides with existing topic: a.b"
    topics.release(first)
    second = planned(topics, NewTopic("a_b"))
    topics.add(second)
    topics.release(second)  # a late release does not free what is there
    assert refused(topics, NewTopic("a.b")).code == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_deletion_can_be_disabled() -> None:
    topics = catalog(delete_topic_enable="false")
    error = topics.plan_delete(Topic("t", ID, 1))
    assert error is not None
    assert error.code == ErrorCode.TOPIC_DELETION_DISABLED
    assert catalog().plan_delete(Topic("t", ID, 1)) is None


@given(
    st.from_regex(r"[a-zA-Z0-9._-]{1,249}", fullmatch=True),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 10_000),
    st.dictionaries(st.sampled_from(["retention.ms", "cleanup.policy"]), st.text()),
)
def test_rows_come_back(name: str, topic_id: bytes, count: int, overrides: dict[str, str]) -> None:
    topic = Topic(name, topic_id, count, overrides)
    key, value = topic.row()
    assert json.loads(value)["partitions"] == count
    assert Topic.from_row(key, value) == topic


def test_other_rows_of_the_shard_are_no_topics() -> None:
    assert Topic.from_row("something/else", "{}") is None
    assert Topic("a", ID, 1) != Topic("a", OTHER_ID, 1)
