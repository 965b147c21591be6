"""JoinGroup on the wire; every state and event is tested in tests/core/group."""

from __future__ import annotations

import pytest

from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import METADATA, PROTOCOL, a_name, join, joining, until_rebalancing

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    group = a_name("group")
    joined = client.call(joining(group), version)
    if version >= 4:
        assert joined.error_code == ErrorCode.MEMBER_ID_REQUIRED
        assert joined.member_id.startswith("wire-")
        joined = client.call(joining(group, joined.member_id), version)
    assert (joined.error_code, joined.generation_id, joined.protocol_name) == (OK, 1, PROTOCOL)
    assert joined.leader == joined.member_id
    assert [(member.member_id, member.metadata) for member in joined.members] == [(joined.member_id, METADATA)]
    if version >= 7:
        assert joined.protocol_type == "consumer"


def test_members_that_join_together_are_told_to_the_leader_only(client: Client, other: Client) -> None:
    group = a_name("group")
    member_id, _ = join(client, group)
    other.send(joining(group), 3)
    until_rebalancing(client, group)
    rejoined = client.call(joining(group, member_id), 3)
    joined = other.receive()
    assert (joined.error_code, joined.generation_id, joined.leader) == (OK, rejoined.generation_id, member_id)
    assert {member.member_id for member in rejoined.members} == {member_id, joined.member_id}
    assert joined.members == []


@pytest.mark.parametrize("version", [0, 6, 9])
def test_refusals(client: Client, version: int) -> None:
    no_name = None if version >= 7 else ""
    wrong = joining(a_name("group"))
    wrong.session_timeout_ms = 5999
    empty = joining(a_name("group"))
    empty.protocols = []
    for request, code in (
        (joining(""), ErrorCode.INVALID_GROUP_ID),
        (joining(a_name("group"), "nobody"), ErrorCode.UNKNOWN_MEMBER_ID),
        (wrong, ErrorCode.INVALID_SESSION_TIMEOUT),
        (empty, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
    ):
        refused = client.call(request, version)
        assert (refused.error_code, refused.generation_id, refused.protocol_name) == (code, -1, no_name)


@pytest.mark.parametrize("version", [5, 9])
def test_a_static_member_needs_no_id_first_and_keeps_its_place(client: Client, other: Client, version: int) -> None:
    group = a_name("group")
    first = client.call(joining(group, instance_id="i"), version)
    assert (first.error_code, first.member_id[:2]) == (OK, "i-")


def test_a_lost_connection_leaves_the_group_to_the_others(client: Client, other: Client) -> None:
    """A parked join of somebody who is gone holds up nobody's connection."""
    group = a_name("group")
    join(other, group)
    client.send(joining(group), 3)
    client.close()
    join(other, a_name("group"))
