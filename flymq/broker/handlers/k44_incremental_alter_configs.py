"""IncrementalAlterConfigs: v0-1.

Changes single settings of topics, of this broker or of all, of loggers, groups and subscriptions to metrics.

Versions:
    v1: flexible.
Behaviour:
    * Operations: set, delete, append to and subtract from a list; a list that is not set begins as its default.
    * A resource is changed whole or not at all; one that fails does not hold back the others.
    * Answers once the change is durable and in force. Loggers' levels are not kept over a restart, as in Kafka.
    * validate_only: same checks and answer, nothing kept.
Errors:
    INVALID_REQUEST: a resource or setting twice, a null to be set, an unknown type or operation, another broker,
        a broker setting that is unknown, bad, or not to be changed at run time.
    INVALID_CONFIG: a setting of another resource that is unknown or bad; append or subtract on what is no list.
    UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION: there is no such topic; the name is malformed, or internal.
    KAFKA_STORAGE_ERROR: the store failed, nothing is changed. REQUEST_TIMED_OUT: the broker is stopping.
Source:
    KIP-339, KIP-412, KIP-714, KIP-1043; ConfigAdminManager, ConfigurationControlManager in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.altering import Asked, alter
from flymq.broker.context import RequestContext, Services
from flymq.core.settings import ResourceError
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k44_incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: IncrementalAlterConfigsRequest, services: Services) -> Pending:
    asked = [
        Asked(
            resource.resource_type,
            resource.resource_name,
            [(config.name, config.config_operation, config.value) for config in resource.configs],
            replaces=False,
        )
        for resource in request.resources
    ]

    def finish(results: list[ResourceError | None] | Ended) -> IncrementalAlterConfigsResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        return IncrementalAlterConfigsResponse(
            responses=[
                AlterConfigsResourceResponse(
                    0 if error is None else error.code, None if error is None else error.message, one.type, one.name
                )
                for one, error in zip(asked, results, strict=True)
            ]
        )

    return Pending(alter(asked, services, validate_only=request.validate_only), finish)


def refuse(request: IncrementalAlterConfigsRequest, code: ErrorCode) -> IncrementalAlterConfigsResponse:
    """The same error for every resource."""
    return IncrementalAlterConfigsResponse(
        responses=[
            AlterConfigsResourceResponse(code, None, one.resource_type, one.resource_name) for one in request.resources
        ]
    )
