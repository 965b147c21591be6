"""OffsetCommit on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import NO_ID, Topic, a_name, a_topic, drop_topic, join

OK = ErrorCode.NONE


def commit(
    client: Client, group: str, topic: Topic, offset: int, *, version: int = 10, index: int = 0, metadata: str = "",
    member: tuple[str, int] = ("", -1),
) -> int:
    """The partition's error code."""
    partition = OffsetCommitRequestPartition(index, offset, committed_metadata=metadata)
    request = OffsetCommitRequest(
        group, member[1], member[0], topics=[OffsetCommitRequestTopic(topic.name, topic.id, [partition])]
    )
    return int(client.call(request, version).topics[0].partitions[0].error_code)


def committed(client: Client, group: str, topic: Topic) -> int:
    wanted = OffsetFetchRequestGroup(group, topics=[OffsetFetchRequestTopics(topic.name, topic.id, [0])])
    return int(client.call(OffsetFetchRequest(groups=[wanted]), 10).groups[0].topics[0].partitions[0].committed_offset)


def happy(client: Client, version: int) -> None:
    topic, group = a_topic(client), a_name("group")
    assert commit(client, group, topic, 7, version=version) == OK  # a simple group
    assert committed(client, group, topic) == 7
    member = join(client, owned := a_name("group"))
    assert commit(client, owned, topic, 8, version=version, member=member) == OK
    assert committed(client, owned, topic) == 8


@pytest.mark.parametrize("version", [2, 9])
@pytest.mark.parametrize(("name", "index"), [("wire-none", 0), ("a/b", 0), (None, 1), (None, -1)])
def test_missing_partitions_are_refused(client: Client, version: int, name: str | None, index: int) -> None:
    topic = a_topic(client) if name is None else Topic(name, NO_ID)
    assert commit(client, a_name("group"), topic, 1, version=version, index=index) == (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    )


def test_an_unknown_id(client: Client) -> None:
    assert commit(client, a_name("group"), Topic("", b"n" * 16), 1) == ErrorCode.UNKNOWN_TOPIC_ID


def test_metadata_too_large(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    assert commit(client, group, topic, 1, metadata="x" * 4097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert committed(client, group, topic) == -1
    assert commit(client, group, topic, 1, metadata="x" * 4096) == OK


def test_who_may_commit(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    member_id, generation = join(client, group)
    assert commit(client, group, topic, 1) == ErrorCode.UNKNOWN_MEMBER_ID  # from outside
    assert commit(client, group, topic, 1, member=("nobody", generation)) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(client, group, topic, 1, member=(member_id, generation + 1)) == ErrorCode.ILLEGAL_GENERATION
    assert committed(client, group, topic) == -1


@pytest.mark.parametrize(("version", "code"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)])
def test_a_generation_of_no_group(client: Client, version: int, code: ErrorCode) -> None:
    topic = a_topic(client)
    assert commit(client, a_name("group"), topic, 1, version=version, member=("m", 1)) == code


def test_a_topic_made_anew_has_no_offsets(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    commit(client, group, topic, 7)
    drop_topic(client, topic)
    again = a_topic(client)
    assert committed(client, group, again) == -1
    assert commit(client, group, topic, 8) == ErrorCode.UNKNOWN_TOPIC_ID
