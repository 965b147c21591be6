"""JoinGroup: v0-9.

Enters a classic group, or its next generation, and waits until that has formed.

Versions:
    v1: rebalance_timeout_ms; before, it is the session timeout. v4: MEMBER_ID_REQUIRED (KIP-394).
    v5: group_instance_id, static membership (KIP-345). v7: protocol_type answered, protocol_name may be null.
    v8: reason. v9: skip_assignment (KIP-814).
Behaviour:
    * The first members of an Empty group wait group.initial.rebalance.delay.ms, longer while others come.
    * Members are told to the leader only.
    * A static member that restarts gets its place and assignment back without a rebalance.
Errors:
    INVALID_GROUP_ID: empty. INVALID_SESSION_TIMEOUT: out of the broker's bounds.
    MEMBER_ID_REQUIRED: v4+, join again with the id in the answer.
    UNKNOWN_MEMBER_ID: an id that isn't known (any more). FENCED_INSTANCE_ID: another has this instance id.
    INCONSISTENT_GROUP_PROTOCOL: another type, or no protocol that all members support.
    GROUP_MAX_SIZE_REACHED: group.max.size.
    REBALANCE_IN_PROGRESS: the same member joined again on another connection.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    GroupMetadataManager.classicGroupJoin in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import JoinGroup
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k11_join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: JoinGroupRequest, services: Services) -> JoinGroupResponse | Pending:
    protocols: dict[str, bytes] = {}
    for protocol in request.protocols:
        protocols.setdefault(protocol.name, bytes(protocol.metadata))
    version = ctx.api_version
    event = JoinGroup(
        request.group_id,
        request.member_id,
        request.protocol_type,
        tuple(protocols.items()),
        session_timeout_ms=request.session_timeout_ms,
        rebalance_timeout_ms=request.rebalance_timeout_ms if version >= 1 else request.session_timeout_ms,
        instance_id=request.group_instance_id,
        api_version=version,
        client_id=ctx.client_id or "",
        client_host="/" + ctx.client_host,
        unique="" if request.member_id else services.groups.unique(),
    )
    member_id = request.member_id
    answered: JoinGroupResponse | Pending = when_done(
        services.groups.request(event), lambda result: _response(version, member_id, result)
    )
    return answered


def _response(version: int, member_id: str, result: Any) -> JoinGroupResponse:
    error = failure(result)
    no_name = None if version >= 7 else ""
    if error is not None:
        return JoinGroupResponse(error_code=error, protocol_name=no_name, member_id=member_id)
    return JoinGroupResponse(
        error_code=result.error,
        generation_id=result.generation_id,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name or no_name,
        leader=result.leader,
        skip_assignment=result.skip_assignment,
        member_id=result.member_id,
        members=[JoinGroupResponseMember(*member) for member in result.members],
    )


def refuse(request: JoinGroupRequest, code: ErrorCode) -> JoinGroupResponse:
    return JoinGroupResponse(error_code=code, protocol_name="", member_id=request.member_id)
