"""Heartbeat: v0-4.

Keeps a classic-protocol member alive and tells it when to rejoin.

Versions:
    v3: group_instance_id, static membership (KIP-345).
Behaviour:
    * Re-arms the member's session timer; writes nothing, waits for nothing.
Errors:
    UNKNOWN_MEMBER_ID: the group, or the member in it, does not exist.
    ILLEGAL_GENERATION: generation_id is not the current one.
    FENCED_INSTANCE_ID: the instance id has another member id by now.
    REBALANCE_IN_PROGRESS: join again.
    INVALID_GROUP_ID: empty.
    COORDINATOR_NOT_AVAILABLE: the group is being loaded again, or shutting down; try again.
Source:
    KIP-345; GroupMetadataManager.classicGroupHeartbeat in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import Heartbeat
from flymq.runtime.groups import failure
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: HeartbeatRequest, services: Services) -> HeartbeatResponse:
    token = services.groups.request(
        Heartbeat(request.group_id, request.generation_id, request.member_id, request.group_instance_id)
    )
    return HeartbeatResponse(error_code=failure(token.result) or 0)


def refuse(request: HeartbeatRequest, code: ErrorCode) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=code)
