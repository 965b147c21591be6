"""ListConfigResources: v0-1.

Names the resources that have settings.

Versions:
    v0: subscriptions to metrics only (KIP-714). v1: by type, no type stands for all (KIP-1142).
Behaviour:
    * Every topic, and this broker as broker and as the one whose loggers these are; of groups and subscriptions to
      metrics those that have settings of their own.
Errors:
    UNSUPPORTED_VERSION: an unknown type.
Source:
    KIP-714, KIP-1142; KafkaApis.handleListConfigResources in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.settings import ResourceType
from flymq_protocol.api.k74_list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: ListConfigResourcesRequest, services: Services
) -> ListConfigResourcesResponse:
    if ctx.api_version == 0:
        types = [ResourceType.CLIENT_METRICS]
    elif not all(asked in list(ResourceType) for asked in request.resource_types):
        return refuse(request, ErrorCode.UNSUPPORTED_VERSION)
    else:
        types = [type_ for type_ in ResourceType if not request.resource_types or type_ in request.resource_types]
    return ListConfigResourcesResponse(
        config_resources=[ConfigResource(name, type_) for type_ in types for name in _named(type_, services)]
    )


def _named(type_: ResourceType, services: Services) -> list[str]:
    if type_ == ResourceType.TOPIC:
        return [topic.name for topic in services.topics.all()]
    if type_ in (ResourceType.BROKER, ResourceType.LOGGER):
        return [str(services.placement.node_id)]
    return services.settings.named(type_)


def refuse(request: ListConfigResourcesRequest, code: ErrorCode) -> ListConfigResourcesResponse:
    """The error, and nothing."""
    return ListConfigResourcesResponse(error_code=code)
