"""LeaveGroup on the wire."""

from __future__ import annotations

from flymq_protocol.api.k13_leave_group import LeaveGroupRequest, MemberIdentity
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_name, join, joining

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    group = a_name("group")
    member_id, _ = join(client, group)
    if version < 3:
        assert client.call(LeaveGroupRequest(group, member_id), version).error_code == OK
        assert client.call(LeaveGroupRequest(group, member_id), version).error_code == ErrorCode.UNKNOWN_MEMBER_ID
        return
    left = client.call(LeaveGroupRequest(group, members=[MemberIdentity(member_id), MemberIdentity("m")]), version)
    assert left.error_code == OK
    assert [(one.member_id, one.error_code) for one in left.members] == [
        (member_id, OK), ("m", ErrorCode.UNKNOWN_MEMBER_ID)
    ]


def test_an_admin_removes_a_static_member(client: Client) -> None:
    group = a_name("group")
    assert client.call(joining(group, instance_id="i"), 5).error_code == OK
    (removed,) = client.call(LeaveGroupRequest(group, members=[MemberIdentity("", "i")]), 5).members
    assert (removed.member_id, removed.group_instance_id, removed.error_code) == ("", "i", OK)
