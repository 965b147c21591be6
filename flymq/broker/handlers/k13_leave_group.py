"""LeaveGroup: v0-5.

Members leave a classic group, or an admin removes them.

Versions:
    v3: many members, each with an error; static ones by instance id (KIP-345). v5: reason.
Behaviour:
    * Member id "" with an instance id: an admin's removal of whoever has that instance id.
    * The rest of the group rebalances.
Errors:
    UNKNOWN_MEMBER_ID: the group, or the member in it, does not exist.
    FENCED_INSTANCE_ID: the instance id has another member id by now.
    INVALID_GROUP_ID: empty. COORDINATOR_NOT_AVAILABLE: try again.
    Up to v2 top-level, from v3 per member.
Source:
    KIP-345; GroupMetadataManager.classicGroupLeave in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import LeaveGroup
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberResponse
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: LeaveGroupRequest, services: Services) -> LeaveGroupResponse | Pending:
    members: list[tuple[str, str | None]]
    many = ctx.api_version >= 3
    if many:
        members = [(member.member_id, member.group_instance_id) for member in request.members]
    else:
        members = [(request.member_id, None)]

    def finish(result: Any) -> LeaveGroupResponse:
        error = failure(result)
        if error is not None:
            return LeaveGroupResponse(error_code=error)
        if not many:
            return LeaveGroupResponse(error_code=result[0])
        answers = [
            MemberResponse(member_id, instance_id, code)
            for (member_id, instance_id), code in zip(members, result, strict=True)
        ]
        return LeaveGroupResponse(members=answers)

    answered: LeaveGroupResponse | Pending = when_done(
        services.groups.request(LeaveGroup(request.group_id, members)), finish
    )
    return answered


def refuse(request: LeaveGroupRequest, code: ErrorCode) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=code)
