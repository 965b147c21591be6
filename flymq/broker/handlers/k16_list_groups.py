"""ListGroups: v0-5.

All groups, by state and type.

Versions:
    v4: states_filter, group_state (KIP-518). v5: types_filter, group_type (KIP-848).
Behaviour:
    * Filters are compared without regard to case; an empty one passes all.
    * Types are "classic" and "consumer" (KIP-848).
Errors:
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    GroupCoordinatorService.listGroups, GroupMetadataManager.listGroups in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k16_list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: ListGroupsRequest, services: Services) -> ListGroupsResponse | Pending:
    types = {name.strip().lower() for name in request.types_filter}
    states = frozenset(name.strip().lower() for name in request.states_filter)
    answered: ListGroupsResponse | Pending = when_done(
        services.groups.list_groups(states), lambda result: _response(types, result)
    )
    return answered


def _response(types: set[str], result: Any) -> ListGroupsResponse:
    error = failure(result)
    if error is not None:
        return ListGroupsResponse(error_code=error)
    return ListGroupsResponse(
        groups=[ListedGroup(*group) for group in result if not types or group.group_type in types]
    )


def refuse(request: ListGroupsRequest, code: ErrorCode) -> ListGroupsResponse:
    return ListGroupsResponse(error_code=code)
