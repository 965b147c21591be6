"""ConsumerGroupHeartbeat on the wire; and commits of the group's members."""

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
    OffsetFetchRequestTopics,
)
from flymq_protocol.api.k68_consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import Topic, a_name, a_topic, enter
from .marks import deviates

LEAVE, BACK_SOON = -1, -2


def beat(client: Client, group: str, member_id: str, epoch: int, version: int = 1, **fields: Any) -> Any:
    return client.call(ConsumerGroupHeartbeatRequest(group, member_id, epoch, **fields), version)


def owning(topic: Topic, *partitions: int) -> list[TopicPartitions]:
    return [TopicPartitions(topic.id, list(partitions))] if partitions else []


def happy(client: Client, version: int) -> None:
    topic, group = a_topic(client, partitions=2), a_name("group")
    joined = enter(client, group, topic, "m" if version else "", version)
    assert joined == ConsumerGroupHeartbeatResponse(
        member_id=joined.member_id, member_epoch=joined.member_epoch,
        heartbeat_interval_ms=joined.heartbeat_interval_ms,
        assignment=Assignment(owning(topic, 0, 1)),
    )
    assert joined.heartbeat_interval_ms > 0
    assert joined.member_id == "m" if version else len(joined.member_id) in (22, 36)  # a UUID in base64, on Kafka
    again = beat(client, group, joined.member_id, joined.member_epoch, version)
    assert (again.error_code, again.member_epoch, again.assignment) == (ErrorCode.NONE, joined.member_epoch, None)
    left = beat(client, group, joined.member_id, LEAVE, version)
    assert (left.error_code, left.member_epoch) == (ErrorCode.NONE, LEAVE)


def test_a_second_member_waits_until_the_first_has_let_go(client: Client) -> None:
    topic, group = a_topic(client, partitions=2), a_name("group")
    old = enter(client, group, topic, "a").member_epoch
    waiting = enter(client, group, topic, "b")
    new = waiting.member_epoch
    assert (new, waiting.assignment) == (old + 1, Assignment([]))
    told = beat(client, group, "a", old)
    assert told.assignment == Assignment(owning(topic, 0))
    assert told.member_epoch == old
    assert beat(client, group, "b", new).assignment is None
    assert beat(client, group, "a", old, topic_partitions=owning(topic, 0)).member_epoch == new
    assert beat(client, group, "b", new).assignment == Assignment(owning(topic, 1))


def test_patterns(client: Client) -> None:
    group, prefix = a_name("group"), a_name("pattern")
    request = {
        "rebalance_timeout_ms": 30_000, "topic_partitions": [], "subscribed_topic_regex": f"{prefix}-[ab].*",
    }
    assert beat(client, group, "m", 0, **request).assignment == Assignment([])
    for bad in ("(", "(?=x)", r"(a)\1"):
        refused = beat(client, group, "m", 0, **{**request, "subscribed_topic_regex": bad})
        assert refused.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
        assert refused.error_message.startswith(f"SubscribedTopicRegex `{bad}` is not a valid regular expression: ")


FIRST = {"rebalance_timeout_ms": 1, "subscribed_topic_names": ["t"], "topic_partitions": []}


@pytest.mark.parametrize(
    ("member_id", "epoch", "fields", "message"),
    [
        ("", 0, FIRST, "MemberId can't be empty."),
        (" ", 1, {}, "MemberId can't be empty."),
        ("m", 0, {**FIRST, "instance_id": ""}, "InstanceId can't be empty."),
        ("m", 0, {**FIRST, "rack_id": " "}, "RackId can't be empty."),
        ("m", 0, {**FIRST, "rebalance_timeout_ms": -1}, "RebalanceTimeoutMs must be provided in first request."),
        ("m", 0, {**FIRST, "topic_partitions": None}, "TopicPartitions must be empty when (re-)joining."),
        ("m", 0, {**FIRST, "topic_partitions": [TopicPartitions(bytes(16), [0])]},
         "TopicPartitions must be empty when (re-)joining."),
        ("m", 0, {**FIRST, "subscribed_topic_names": None},
         "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."),
        ("m", BACK_SOON, {}, "InstanceId can't be null."),
        ("m", -3, {}, "MemberEpoch is invalid."),
    ],
)
def test_invalid_requests(client: Client, member_id: str, epoch: int, fields: dict[str, Any], message: str) -> None:
    refused = beat(client, a_name("group"), member_id, epoch, **fields)
    assert (refused.error_code, refused.error_message) == (ErrorCode.INVALID_REQUEST, message)


def test_refusals(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    current = enter(client, group, topic, instance_id="i").member_epoch
    first = {**FIRST, "instance_id": "i"}
    for member_id, epoch, fields, code in (
        ("m", 0, {**FIRST, "server_assignor": "best"}, ErrorCode.UNSUPPORTED_ASSIGNOR),
        ("other", 1, {}, ErrorCode.UNKNOWN_MEMBER_ID),
        ("other", 1, {"instance_id": "j"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ("other", 1, {"instance_id": "i"}, ErrorCode.FENCED_INSTANCE_ID),
        ("other", 0, first, ErrorCode.UNRELEASED_INSTANCE_ID),
        ("m", current + 1, {"instance_id": "i"}, ErrorCode.FENCED_MEMBER_EPOCH),
        ("other", LEAVE, {}, ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        refused = beat(client, group, member_id, epoch, **fields)
        assert refused.error_code == code
        assert refused.error_message
    unknown = a_name("group")
    for epoch, message in ((1, f"Consumer group {unknown} not found."), (LEAVE, f"Group {unknown} not found.")):
        refused = beat(client, unknown, "m", epoch)
        assert (refused.error_code, refused.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, message)
    assert beat(client, "", "m", 1).error_message == "GroupId can't be empty."
    away = beat(client, unknown, "", BACK_SOON, version=0, instance_id="i")  # a member that the broker was to name
    assert away.error_code == ErrorCode.GROUP_ID_NOT_FOUND


@deviates("a static member may join again under its member id")
def test_a_static_member_joins_again(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    enter(client, group, topic, instance_id="i")
    again = beat(client, group, "m", 0, **{**FIRST, "instance_id": "i"})
    assert again.error_code == ErrorCode.NONE


def commit(client: Client, group: str, topic: Topic, member_id: str, epoch: int, version: int = 9) -> ErrorCode:
    wanted = OffsetCommitRequestTopic(topic.name, topic.id, [OffsetCommitRequestPartition(0, 7)])
    request = OffsetCommitRequest(group, epoch, member_id, topics=[wanted])
    return ErrorCode(client.call(request, version).topics[0].partitions[0].error_code)


def test_commits_are_by_member_epoch(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    old = enter(client, group, topic).member_epoch
    new = enter(client, group, topic, "n").member_epoch  # nothing for it
    assert beat(client, group, "m", old).member_epoch == new
    for member_id, epoch, version, code in (
        ("m", new, 9, ErrorCode.NONE),
        ("m", old, 9, ErrorCode.NONE),  # it has had the partition since then
        ("m", old - 1, 9, ErrorCode.STALE_MEMBER_EPOCH),
        ("m", new + 1, 9, ErrorCode.STALE_MEMBER_EPOCH),
        ("n", old, 9, ErrorCode.STALE_MEMBER_EPOCH),
        ("m", new, 8, ErrorCode.UNSUPPORTED_VERSION),
        ("x", new, 9, ErrorCode.UNKNOWN_MEMBER_ID),
        ("", -1, 9, ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        assert commit(client, group, topic, member_id, epoch, version) == code, (member_id, epoch, version)
    for member_id in ("m", "n"):
        beat(client, group, member_id, LEAVE)
    assert commit(client, group, topic, "", -1) == ErrorCode.NONE  # nobody is there


def test_offsets_are_told_to_members_at_their_epoch(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    epoch = enter(client, group, topic).member_epoch
    assert commit(client, group, topic, "m", epoch) == ErrorCode.NONE
    for member_id, told, code in (
        (None, -1, ErrorCode.NONE), ("m", epoch, ErrorCode.NONE), ("m", epoch + 1, ErrorCode.STALE_MEMBER_EPOCH),
        ("x", epoch, ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        asked = OffsetFetchRequestGroup(group, member_id, told, [OffsetFetchRequestTopics(topic.name, topic.id, [0])])
        (answer,) = client.call(OffsetFetchRequest(groups=[asked]), 9).groups
        assert answer.error_code == code
        if code == ErrorCode.NONE:
            assert answer.topics[0].partitions[0].committed_offset == 7
