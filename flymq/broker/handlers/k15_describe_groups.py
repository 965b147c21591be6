"""DescribeGroups: v0-6.

State, protocol and members of classic groups.

Versions:
    v3: authorized_operations (KIP-430). v4: group_instance_id. v6: GROUP_ID_NOT_FOUND (KIP-1043).
Behaviour:
    * Up to v5 an unknown group is in state Dead, without an error. So is one of KIP-848's protocol.
    * Protocol and metadata are shown in Stable only; during a rebalance assignments are those before it.
Errors:
    GROUP_ID_NOT_FOUND: v6, no such group.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KafkaApis.handleDescribeGroupsRequest, GroupMetadataManager.describeGroups in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.broker.operations import GROUP_OPERATIONS, NOT_ASKED
from flymq.core.group.events import GroupDescription
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k15_describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from flymq_protocol.errors import ErrorCode

_DEAD = "Dead"


def handle(
    ctx: RequestContext, request: DescribeGroupsRequest, services: Services
) -> DescribeGroupsResponse | Pending:
    # Named over and over, it is told once: kilobytes must not ask for gigabytes.
    group_ids = list(dict.fromkeys(request.groups))
    operations = GROUP_OPERATIONS if request.include_authorized_operations else NOT_ASKED
    version = ctx.api_version

    def finish(results: Any) -> DescribeGroupsResponse:
        error = failure(results)
        if error is not None:
            return refuse(request, error)
        return DescribeGroupsResponse(groups=[
            _described(version, operations, group_id, result)
            for group_id, result in zip(group_ids, results, strict=True)
        ])

    answered: DescribeGroupsResponse | Pending = when_done(services.groups.describe(group_ids), finish)
    return answered


def _described(
    version: int, operations: int, group_id: str, result: GroupDescription | ErrorCode
) -> DescribedGroup:
    if isinstance(result, ErrorCode):
        return DescribedGroup(error_code=result, group_id=group_id)
    if version >= 6 and result.state == _DEAD:
        return DescribedGroup(
            error_code=ErrorCode.GROUP_ID_NOT_FOUND,
            error_message=result.why_dead,
            group_id=group_id,
            group_state=_DEAD,
        )
    return DescribedGroup(
        group_id=group_id,
        group_state=result.state,
        protocol_type=result.protocol_type,
        protocol_data=result.protocol_name,
        members=[DescribedGroupMember(*member) for member in result.members],
        authorized_operations=operations,
    )


def refuse(request: DescribeGroupsRequest, code: ErrorCode) -> DescribeGroupsResponse:
    """The same error for every group."""
    return DescribeGroupsResponse(
        groups=[DescribedGroup(error_code=code, group_id=group_id) for group_id in request.groups]
    )
