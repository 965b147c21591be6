"""ConsumerGroupDescribe on the wire."""

from __future__ import annotations

from flymq_protocol.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from flymq_protocol.api.k69_consumer_group_describe import (
    Assignment,
    ConsumerGroupDescribeRequest,
    TopicPartitions,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_name, a_topic, enter, join
from .marks import deviates
from .test_k15_describe_groups import NOT_ASKED


def happy(client: Client, version: int) -> None:
    topic, group = a_topic(client, partitions=2), a_name("group")
    enter(client, group, topic, "a", instance_id="i", rack_id="r", server_assignor="range")
    (found,) = client.call(ConsumerGroupDescribeRequest([group]), version).groups
    assert (found.error_code, found.group_id, found.group_state) == (ErrorCode.NONE, group, "Stable")
    assert (found.assignment_epoch, found.assignor_name) == (found.group_epoch, "range")
    assert found.authorized_operations == NOT_ASKED
    (member,) = found.members
    assert (member.member_id, member.instance_id, member.rack_id) == ("a", "i", "r")
    assert member.member_epoch == found.group_epoch
    assert (member.client_id, member.client_host) == ("wire", "/127.0.0.1")
    assert (member.subscribed_topic_names, member.subscribed_topic_regex) == ([topic.name], "")
    both = Assignment([TopicPartitions(topic.id, topic.name, [0, 1])])
    assert (member.assignment, member.target_assignment) == (both, both)
    assert member.member_type == (1 if version >= 1 else -1)
    (found,) = client.call(ConsumerGroupDescribeRequest([group], True), version).groups
    assert found.authorized_operations > 0


def test_states(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    enter(client, group, topic, "a")
    epoch = enter(client, group, topic, "b").member_epoch
    (found,) = client.call(ConsumerGroupDescribeRequest([group]), 1).groups
    assert (found.group_state, found.group_epoch, len(found.members)) == ("Reconciling", epoch, 2)
    for member_id in ("a", "b"):
        client.call(ConsumerGroupHeartbeatRequest(group, member_id, -1), 1)
    (found,) = client.call(ConsumerGroupDescribeRequest([group]), 1).groups
    assert (found.group_state, found.members) == ("Empty", [])


def test_what_is_no_consumer_group(client: Client) -> None:
    classic, unknown = a_name("group"), a_name("group")
    join(client, classic)
    found = client.call(ConsumerGroupDescribeRequest([classic, "", unknown]), 1).groups
    assert {one.group_id: one.error_code for one in found} == {
        classic: ErrorCode.GROUP_ID_NOT_FOUND, "": ErrorCode.INVALID_GROUP_ID, unknown: ErrorCode.GROUP_ID_NOT_FOUND,
    }
    messages = {one.group_id: one.error_message for one in found}
    assert messages[classic] == f"Group {classic} is not a consumer group."
    assert messages[unknown] == f"Group {unknown} not found."


@deviates("Named twice is answered twice")
def test_named_twice_is_told_once(client: Client) -> None:
    answer = client.call(ConsumerGroupDescribeRequest(["a", "b", "a"]), 1)
    assert [group.group_id for group in answer.groups] == ["a", "b"]
