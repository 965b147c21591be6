"""Heartbeat on the wire."""

from __future__ import annotations

from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_name, join


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
