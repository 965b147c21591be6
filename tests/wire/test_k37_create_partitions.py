"""CreatePartitions on the wire; with clients at work see `tests/clients/test_more_partitions.py`."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k03_metadata import MetadataRequest, MetadataRequestTopic
from flymq_protocol.api.k37_create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import a_topic, drop_topic, produce, until, until_there
from .marks import deviates

OK = ErrorCode.NONE
TOO_MANY = deviates("More than 10,000 partitions")


def grow(
    client: Client,
    *topics: tuple[str, int, list[list[int]] | None],
    version: int = 3,
    validate_only: bool = False,
) -> dict[str, int]:
    """Topic -> error code."""
    asked = [
        CreatePartitionsTopic(
            name, count, None if brokers is None else [CreatePartitionsAssignment(one) for one in brokers]
        )
        for name, count, brokers in topics
    ]
    results = client.call(CreatePartitionsRequest(asked, 1000, validate_only), version).results
    assert all(one.error_message is None for one in results if one.error_code == OK)
    return {one.name: one.error_code for one in results}


def count(client: Client, name: str) -> int:
    (topic,) = client.call(MetadataRequest([MetadataRequestTopic(name=name)]), 12).topics
    assert [one.partition_index for one in topic.partitions] == list(range(len(topic.partitions)))
    return len(topic.partitions)


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    assert grow(client, (topic.name, 3, None), version=version) == {topic.name: OK}
    until_there(client, topic.name, 3)
    assert count(client, topic.name) == 3
    for index in range(3):
        assert produce(client, topic, a_batch([b"v"] * 2), index).base_offset == 0
    assert produce(client, topic, a_batch(), 3).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize(
    ("total", "brokers", "code"),
    [
        (2, None, ErrorCode.INVALID_PARTITIONS),
        (1, None, ErrorCode.INVALID_PARTITIONS),
        (0, None, ErrorCode.INVALID_PARTITIONS),
        (-1, None, ErrorCode.INVALID_PARTITIONS),
        pytest.param(10_001, None, ErrorCode.POLICY_VIOLATION, marks=TOO_MANY),
        pytest.param(2**31 - 1, None, ErrorCode.POLICY_VIOLATION, marks=TOO_MANY),
        (3, [], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (4, [[1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[1], [1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[2]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[1, 1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (4, [[1], [1]], OK),
    ],
)
def test_counts_and_assignments(client: Client, total: int, brokers: list[list[int]] | None, code: ErrorCode) -> None:
    topic = a_topic(client, 2).name
    for validate_only in (True, False):
        assert grow(client, (topic, total, brokers), validate_only=validate_only) == {topic: code}
        until(lambda: count(client, topic), 4 if code == OK and not validate_only else 2)


def test_topics_that_are_not_there_or_twice(client: Client) -> None:
    one, two = a_topic(client).name, a_topic(client).name
    asked = [("none", 3, None), (one, 3, None), (one, 3, None), (two, 2, None)]
    assert grow(client, *asked) == {
        "none": ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        one: ErrorCode.INVALID_REQUEST,
        two: OK,
    }
    until(lambda: count(client, two), 2)
    assert count(client, one) == 1


@deviates("Settings or partitions of an internal topic")
def test_an_internal_topic(client: Client) -> None:
    internal = "__consumer_offsets"
    assert grow(client, (internal, 60, None), validate_only=True) == {internal: ErrorCode.INVALID_TOPIC_EXCEPTION}


def test_the_first_of_two_at_once_wins_or_both_do(client: Client) -> None:
    """In one packet: the second is judged by what the first has asked for."""
    topic = a_topic(client).name
    requests = [CreatePartitionsRequest([CreatePartitionsTopic(topic, total, None)], 1000, False)
                for total in (3, 2, 3, 5)]  # fmt: skip
    answers = client.pipeline(*((request, 3) for request in requests))
    assert [answer.results[0].error_code for answer in answers] == [
        OK, ErrorCode.INVALID_PARTITIONS, ErrorCode.INVALID_PARTITIONS, OK,
    ]  # fmt: skip
    until(lambda: count(client, topic), 5)


def test_a_topic_that_is_being_deleted(client: Client) -> None:
    topic = a_topic(client)
    drop_topic(client, topic)
    assert grow(client, (topic.name, 3, None)) == {topic.name: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
