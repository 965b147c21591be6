"""DeleteGroups: v0-2.

Deletes groups without members, and their offsets.

Behaviour:
    * Answered once it is durable.
Errors:
    GROUP_ID_NOT_FOUND: no such group. NON_EMPTY_GROUP: it has members.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    GroupCoordinatorShard.deleteGroups in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k42_delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: DeleteGroupsRequest, services: Services) -> DeleteGroupsResponse | Pending:
    group_ids = list(dict.fromkeys(request.groups_names))

    def finish(results: Any) -> DeleteGroupsResponse:
        error = failure(results)
        if error is not None:
            return refuse(request, error)
        return DeleteGroupsResponse(
            results=[DeletableGroupResult(group_id, code) for group_id, code in zip(group_ids, results, strict=True)]
        )

    answered: DeleteGroupsResponse | Pending = when_done(services.groups.delete(group_ids), finish)
    return answered


def refuse(request: DeleteGroupsRequest, code: ErrorCode) -> DeleteGroupsResponse:
    """The same error for every group."""
    return DeleteGroupsResponse(results=[
        DeletableGroupResult(group_id, code) for group_id in dict.fromkeys(request.groups_names)
    ])
