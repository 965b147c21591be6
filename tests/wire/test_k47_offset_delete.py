"""OffsetDelete on the wire."""

from __future__ import annotations

from typing import Any

from flymq_protocol.api.k13_leave_group import LeaveGroupRequest
from flymq_protocol.api.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import NO_ID, Topic, a_name, a_topic, join, subscription
from .test_k08_offset_commit import commit, committed

OK = ErrorCode.NONE


def delete(client: Client, group: str, *topics: Topic, indexes: tuple[int, ...] = (0,), version: int = 0) -> Any:
    partitions = [OffsetDeleteRequestPartition(index) for index in indexes]
    return client.call(
        OffsetDeleteRequest(group, [OffsetDeleteRequestTopic(topic.name, partitions) for topic in topics]), version
    )


def codes(answer: Any) -> dict[str, dict[int, int]]:
    """By topic, then partition; Kafka tells those that it refuses first."""
    return {topic.name: {one.partition_index: one.error_code for one in topic.partitions} for topic in answer.topics}


def happy(client: Client, version: int) -> None:
    topic, group = a_topic(client, 2), a_name("group")
    for index in (0, 1):
        assert commit(client, group, topic, 7, index=index) == OK
    answer = delete(client, group, topic, version=version)
    assert (answer.error_code, codes(answer)) == (OK, {topic.name: {0: OK}})
    assert committed(client, group, topic) == -1
    again = delete(client, group, topic, indexes=(0, 1))  # the first has none any more
    assert codes(again) == {topic.name: {0: OK, 1: OK}}


def test_missing_partitions_are_refused_alone(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    commit(client, group, topic, 7)
    answer = delete(client, group, Topic("wire-none", NO_ID), topic, indexes=(0, 1, -1))
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert answer.error_code == OK
    assert codes(answer) == {
        "wire-none": {0: unknown, 1: unknown, -1: unknown}, topic.name: {0: OK, 1: unknown, -1: unknown}
    }
    assert committed(client, group, topic) == -1


def test_a_group_that_cannot_be(client: Client) -> None:
    topic = a_topic(client)
    for group, code in (("", ErrorCode.INVALID_GROUP_ID), (a_name("group"), ErrorCode.GROUP_ID_NOT_FOUND)):
        for topics in ((topic,), (), (Topic("wire-none", NO_ID),)):
            answer = delete(client, group, *topics)
            assert (answer.error_code, answer.topics) == (code, [])


def test_a_topic_that_a_member_may_read(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    member = join(client, group, subscription(topic))
    commit(client, group, topic, 7, member=member)
    answer = delete(client, group, topic)
    assert (answer.error_code, codes(answer)) == (OK, {topic.name: {0: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC}})
    assert committed(client, group, topic) == 7
    client.call(LeaveGroupRequest(group, member[0]), 0)
    assert codes(delete(client, group, topic)) == {topic.name: {0: OK}}
    assert committed(client, group, topic) == -1
