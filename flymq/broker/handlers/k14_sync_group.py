"""SyncGroup: v0-5.

The leader of a generation brings the assignment, each member fetches its own.

Versions:
    v3: group_instance_id, static membership (KIP-345). v5: protocol type and name must match (KIP-559).
Behaviour:
    * Waits for the leader; answered once the assignment is durable.
    * A member that the leader left out gets an empty assignment.
Errors:
    UNKNOWN_MEMBER_ID: the group, or the member in it, does not exist.
    FENCED_INSTANCE_ID: the instance id has another member id by now.
    ILLEGAL_GENERATION: generation_id is not the current one.
    INCONSISTENT_GROUP_PROTOCOL: v5, a protocol type or name that is null or not the group's.
    REBALANCE_IN_PROGRESS: join again.
    INVALID_GROUP_ID: empty. COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KafkaApis.handleSyncGroupRequest, GroupMetadataManager.classicGroupSync in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import SyncGroup
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: SyncGroupRequest, services: Services) -> SyncGroupResponse | Pending:
    if ctx.api_version >= 5 and (request.protocol_type is None or request.protocol_name is None):
        return SyncGroupResponse(error_code=ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    event = SyncGroup(
        request.group_id,
        request.generation_id,
        request.member_id,
        {assigned.member_id: bytes(assigned.assignment) for assigned in request.assignments},
        instance_id=request.group_instance_id,
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
    )
    answered: SyncGroupResponse | Pending = when_done(services.groups.request(event), _response)
    return answered


def _response(result: Any) -> SyncGroupResponse:
    error = failure(result)
    if error is not None:
        return SyncGroupResponse(error_code=error)
    return SyncGroupResponse(
        error_code=result.error,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name,
        assignment=result.assignment,
    )


def refuse(request: SyncGroupRequest, code: ErrorCode) -> SyncGroupResponse:
    return SyncGroupResponse(error_code=code)
