"""SyncGroup on the wire."""

from __future__ import annotations

from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import PROTOCOL, a_name, join, joining, until_rebalancing

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    group = a_name("group")
    member_id, generation = join(client, group)
    request = SyncGroupRequest(group, generation, member_id)
    if version >= 5:
        request.protocol_type, request.protocol_name = "consumer", PROTOCOL
    synced = client.call(request, version)
    assert (synced.error_code, synced.assignment) == (OK, b"mine")
    if version >= 5:
        assert (synced.protocol_type, synced.protocol_name) == ("consumer", PROTOCOL)


def test_a_follower_waits_for_the_leader(client: Client, other: Client) -> None:
    group = a_name("group")
    leader, _ = join(client, group)
    other.send(joining(group), 3)
    until_rebalancing(client, group)
    generation = client.call(joining(group, leader), 3).generation_id
    follower = other.receive().member_id
    other.send(SyncGroupRequest(group, generation, follower), 3)
    assignments = [SyncGroupRequestAssignment(leader, b"one"), SyncGroupRequestAssignment(follower, b"two")]
    assert client.call(SyncGroupRequest(group, generation, leader, assignments=assignments), 3).assignment == b"one"
    assert other.receive().assignment == b"two"


def test_refusals(client: Client) -> None:
    group = a_name("group")
    member_id, generation = join(client, group)
    for request, code in (
        (SyncGroupRequest("", 1, "m"), ErrorCode.INVALID_GROUP_ID),
        (SyncGroupRequest(a_name("group"), 1, "m"), ErrorCode.UNKNOWN_MEMBER_ID),
        (SyncGroupRequest(group, generation + 1, member_id), ErrorCode.ILLEGAL_GENERATION),
    ):
        refused = client.call(request, 4)
        assert (refused.error_code, refused.assignment) == (code, b"")
    for names in ((None, None), ("consumer", None), (None, PROTOCOL), ("connect", PROTOCOL), ("consumer", "sticky")):
        request = SyncGroupRequest(group, generation, member_id, None, *names)
        assert client.call(request, 5).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
