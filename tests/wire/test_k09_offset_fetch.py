"""OffsetFetch on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import Topic, a_name, a_topic
from .marks import deviates

OK = ErrorCode.NONE


def ask(client: Client, group: str, topic: Topic | None, index: int, version: int) -> list[Any]:
    """The partitions answered; `topic` None asks for all."""
    if version < 8:
        topics = None if topic is None else [OffsetFetchRequestTopic(topic.name, [index])]
        response = client.call(OffsetFetchRequest(group, topics), version)
        assert response.error_code == OK
        return [one for answered in response.topics for one in answered.partitions]
    wanted = None if topic is None else [OffsetFetchRequestTopics(topic.name, topic.id, [index])]
    (answer,) = client.call(OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group, topics=wanted)]), version).groups
    assert (answer.group_id, answer.error_code) == (group, OK)
    return [one for answered in answer.topics for one in answered.partitions]


def happy(client: Client, version: int) -> None:
    topic, group = a_topic(client, 2), a_name("group")
    partition = OffsetCommitRequestPartition(1, 7, 3, "text")
    client.call(OffsetCommitRequest(group, topics=[OffsetCommitRequestTopic(topic.name, partitions=[partition])]), 8)
    (found,) = ask(client, group, topic, 1, version)
    assert (found.partition_index, found.committed_offset, found.metadata, found.error_code) == (1, 7, "text", OK)
    assert found.committed_leader_epoch == (3 if version >= 5 else -1)
    if version >= 2:
        (found,) = ask(client, group, None, 0, version)
        assert (found.partition_index, found.committed_offset) == (1, 7)
    nothing_is_no_error(client, version)


def nothing_is_no_error(client: Client, version: int) -> None:
    """Metadata is empty, not null: clients that compare have crashed."""
    topic = a_topic(client)
    for index in (0, 7):
        (found,) = ask(client, a_name("group"), topic, index, version)
        assert (found.committed_offset, found.committed_leader_epoch, found.metadata) == (-1, -1, "")
        assert found.error_code == OK
    if version >= 2:
        assert ask(client, a_name("group"), None, 0, version) == []


@pytest.mark.parametrize(("version", "code"), [(1, OK), (7, OK), (9, OK), (10, ErrorCode.UNKNOWN_TOPIC_ID)])
def test_an_unknown_topic(client: Client, version: int, code: ErrorCode) -> None:
    (found,) = ask(client, a_name("group"), Topic("wire-none", b"n" * 16), 0, version)
    assert (found.committed_offset, found.metadata, found.error_code) == (-1, "", code)


def test_many_groups_at_once(client: Client) -> None:
    names = [a_name("group") for _ in range(50)]
    topic = a_topic(client)
    topics = [OffsetFetchRequestTopics(topic.name, topic.id, [0])]
    asked = [OffsetFetchRequestGroup(name, topics=topics) for name in names]
    response = client.call(OffsetFetchRequest(groups=asked), 8)
    assert [group.group_id for group in response.groups] == names


@deviates("Named twice is answered twice")
@pytest.mark.parametrize("version", [8, 9, 10])
def test_all_offsets_of_a_group_twice_are_told_once(client: Client, version: int) -> None:
    groups = [OffsetFetchRequestGroup("a", None, -1, topics) for topics in (None, [], None)]
    answer = client.call(OffsetFetchRequest(groups=groups), version)
    assert [group.group_id for group in answer.groups] == ["a", "a"]
