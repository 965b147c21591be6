"""AlterConfigs: v0-2.

Replaces all settings of topics, of this broker or of all, of groups and subscriptions to metrics.

Versions:
    v2: flexible.
Behaviour:
    * What a resource has set and the request does not name goes back to its default.
    * Else as IncrementalAlterConfigs; clients should use that one (KIP-339).
Errors:
    As IncrementalAlterConfigs. INVALID_REQUEST, too, for loggers.
Source:
    KIP-133, KIP-226, KIP-339; ConfigAdminManager, ConfigurationControlManager in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.altering import Asked, alter
from flymq.broker.context import RequestContext, Services
from flymq.core.settings import Operation, ResourceError
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k33_alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: AlterConfigsRequest, services: Services) -> Pending:
    asked = [
        Asked(
            resource.resource_type,
            resource.resource_name,
            [(config.name, Operation.SET, config.value) for config in resource.configs],
            replaces=True,
        )
        for resource in request.resources
    ]

    def finish(results: list[ResourceError | None] | Ended) -> AlterConfigsResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        return AlterConfigsResponse(
            responses=[
                AlterConfigsResourceResponse(
                    0 if error is None else error.code, None if error is None else error.message, one.type, one.name
                )
                for one, error in zip(asked, results, strict=True)
            ]
        )

    return Pending(alter(asked, services, validate_only=request.validate_only), finish)


def refuse(request: AlterConfigsRequest, code: ErrorCode) -> AlterConfigsResponse:
    """The same error for every resource."""
    return AlterConfigsResponse(
        responses=[
            AlterConfigsResourceResponse(code, None, one.resource_type, one.resource_name) for one in request.resources
        ]
    )
