"""Heartbeat on the wire."""

from __future__ import annotations

from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.api.k14_sync_group import SyncGroupRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_name, a_topic, join


def happy(client: Client, version: int) -> None:
    group = a_name("group")
    member_id, generation = join(client, group)
    assert client.call(HeartbeatRequest(group, generation, member_id), version).error_code == ErrorCode.NONE


def test_refusals(client: Client) -> None:
    group = a_name("group")
    member_id, generation = join(client, group)
    for request, code in (
        (HeartbeatRequest("", 1, "m"), ErrorCode.INVALID_GROUP_ID),
        (HeartbeatRequest(a_name("group"), 1, "m"), ErrorCode.UNKNOWN_MEMBER_ID),
        (HeartbeatRequest(group, generation, "m"), ErrorCode.UNKNOWN_MEMBER_ID),
        (HeartbeatRequest(group, generation + 1, member_id), ErrorCode.ILLEGAL_GENERATION),
    ):
        assert client.call(request, 4).error_code == code


def test_the_group_without_a_name_has_no_members_even_if_it_has_offsets(client: Client) -> None:
    topic = a_topic(client)
    partitions = [OffsetCommitRequestPartition(0, 5)]
    request = OffsetCommitRequest("", topics=[OffsetCommitRequestTopic(topic.name, partitions=partitions)])
    assert client.call(request, 9).topics[0].partitions[0].error_code == ErrorCode.NONE
    assert client.call(HeartbeatRequest("", 1, "m"), 4).error_code == ErrorCode.INVALID_GROUP_ID
    assert client.call(SyncGroupRequest("", 1, "m"), 3).error_code == ErrorCode.INVALID_GROUP_ID
