"""DescribeGroups on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k15_describe_groups import DescribeGroupsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import METADATA, PROTOCOL, a_name, a_topic, enter, join
from .marks import deviates

NOT_ASKED = -(2**31)


def happy(client: Client, version: int) -> None:
    group = a_name("group")
    member_id, _ = join(client, group)
    (found,) = client.call(DescribeGroupsRequest([group]), version).groups
    assert (found.error_code, found.group_id, found.group_state) == (ErrorCode.NONE, group, "Stable")
    assert (found.protocol_type, found.protocol_data, found.authorized_operations) == ("consumer", PROTOCOL, NOT_ASKED)
    (member,) = found.members
    assert (member.member_id, member.client_id, member.client_host) == (member_id, "wire", "/127.0.0.1")
    assert (member.member_metadata, member.member_assignment) == (METADATA, b"mine")
    if version >= 3:
        (found,) = client.call(DescribeGroupsRequest([group], True), version).groups
        assert found.authorized_operations > 0


@pytest.mark.parametrize(("version", "code"), [(0, 0), (5, 0), (6, ErrorCode.GROUP_ID_NOT_FOUND)])
def test_an_unknown_group_is_dead(client: Client, version: int, code: int) -> None:
    (found,) = client.call(DescribeGroupsRequest([a_name("group")]), version).groups
    assert (found.error_code, found.group_state, found.members) == (code, "Dead", [])
    if version >= 6:
        assert found.error_message == f"Group {found.group_id} not found."


@pytest.mark.parametrize(("version", "code"), [(5, 0), (6, ErrorCode.GROUP_ID_NOT_FOUND)])
def test_a_consumer_group_is_as_unknown(client: Client, version: int, code: int) -> None:
    group = a_name("group")
    enter(client, group, a_topic(client))
    (found,) = client.call(DescribeGroupsRequest([group]), version).groups
    assert (found.error_code, found.group_state, found.members) == (code, "Dead", [])
    if version >= 6:
        assert found.error_message == f"Group {group} is not a classic group."


@deviates("Named twice is answered twice")
def test_named_twice_is_told_once(client: Client) -> None:
    answer = client.call(DescribeGroupsRequest(["a", "b", "a"]), 5)
    assert [group.group_id for group in answer.groups] == ["a", "b"]
