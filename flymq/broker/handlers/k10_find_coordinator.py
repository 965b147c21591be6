"""FindCoordinator: v0-6.

Tells which broker coordinates a group or a transactional id: this one.

Versions:
    v1: key_type, error_message. v4: many keys, an error for each (KIP-699). v6: key_type 2, share groups.
Behaviour:
    * The address is the one that Metadata gives.
    * Share groups are not there yet.
Errors:
    INVALID_REQUEST: the key type is not known, or is 2 (share groups).
Source:
    KIP-699; KafkaApis.getCoordinator in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.runtime.placement import CoordinatorKind
from flymq_protocol.api.k10_find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from flymq_protocol.errors import ErrorCode

_BATCH_FROM = 4


def handle(ctx: RequestContext, request: FindCoordinatorRequest, services: Services) -> FindCoordinatorResponse:
    keys = request.coordinator_keys if ctx.api_version >= _BATCH_FROM else [request.key]
    found = [_find(ctx, request.key_type, key, services) for key in keys]
    if ctx.api_version >= _BATCH_FROM:
        return FindCoordinatorResponse(coordinators=found)
    only = found[0]
    return FindCoordinatorResponse(
        error_code=only.error_code,
        error_message=only.error_message,
        node_id=only.node_id,
        host=only.host,
        port=only.port,
    )


def _find(ctx: RequestContext, key_type: int, key: str, services: Services) -> Coordinator:
    if key_type == CoordinatorKind.SHARE:
        return _nobody(key, ErrorCode.INVALID_REQUEST, "FlyMQ has no share groups yet")
    if key_type not in (CoordinatorKind.GROUP, CoordinatorKind.TRANSACTION):
        return _nobody(key, ErrorCode.INVALID_REQUEST, f"there is no coordinator type {key_type}")
    host, port = services.placement.advertised(ctx.local_address)
    return Coordinator(key, services.placement.coordinator(CoordinatorKind(key_type), key), host, port)


def _nobody(key: str, code: ErrorCode, message: str | None) -> Coordinator:
    return Coordinator(key, -1, "", -1, code, message)


def refuse(request: FindCoordinatorRequest, code: ErrorCode) -> FindCoordinatorResponse:
    """The same error for every key. From v4 on there are keys, or there was nothing to fail at."""
    if request.coordinator_keys:
        return FindCoordinatorResponse(coordinators=[_nobody(key, code, None) for key in request.coordinator_keys])
    return FindCoordinatorResponse(error_code=code, node_id=-1, port=-1)
