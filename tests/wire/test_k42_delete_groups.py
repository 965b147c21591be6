"""DeleteGroups on the wire."""

from __future__ import annotations

from flymq_protocol.api.k13_leave_group import LeaveGroupRequest
from flymq_protocol.api.k42_delete_groups import DeleteGroupsRequest
from flymq_protocol.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_name, a_topic, enter, join


def happy(client: Client, version: int) -> None:
    live, empty, unknown = (a_name("group") for _ in range(3))
    join(client, live)
    member_id, _ = join(client, empty)
    client.call(LeaveGroupRequest(empty, member_id), 0)
    response = client.call(DeleteGroupsRequest([live, empty, unknown]), version)
    assert {one.group_id: one.error_code for one in response.results} == {
        live: ErrorCode.NON_EMPTY_GROUP, empty: ErrorCode.NONE, unknown: ErrorCode.GROUP_ID_NOT_FOUND
    }
    (again,) = client.call(DeleteGroupsRequest([empty]), version).results
    assert again.error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_consumer_groups(client: Client) -> None:
    group = a_name("group")
    member = enter(client, group, a_topic(client))
    (refused,) = client.call(DeleteGroupsRequest([group]), 2).results
    assert refused.error_code == ErrorCode.NON_EMPTY_GROUP
    client.call(ConsumerGroupHeartbeatRequest(group, member.member_id, -1), 1)
    for code in (ErrorCode.NONE, ErrorCode.GROUP_ID_NOT_FOUND):
        (deleted,) = client.call(DeleteGroupsRequest([group]), 2).results
        assert deleted.error_code == code
