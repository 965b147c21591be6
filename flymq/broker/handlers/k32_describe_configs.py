"""DescribeConfigs: v1-4.

Shows the settings of topics and of this broker: values, where they come from, and what they mean.

Versions:
    v1: source and synonyms (KIP-226). v3: type and documentation (KIP-569).
Behaviour:
    * Null or no keys: every setting. Keys that do not exist are left out, as in Kafka.
    * A broker's settings are those that FlyMQ acts on or shows; read_only says what Kafka lets one change.
    * Broker "" asks for defaults set at run time: there are none, so the list is empty.
    * Types 8 (logger), 16 (client metrics) and 32 (group) are not there yet.
Errors:
    INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION: the topic's name is malformed; there is none.
    INVALID_REQUEST: another broker than this one, or another type.
Source:
    KIP-226, KIP-569; ConfigHelper in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import TopicError, why_illegal
from flymq.core.settings import Described, describe_broker, describe_topic
from flymq_protocol.api.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from flymq_protocol.errors import ErrorCode

_TOPIC = 2
_BROKER = 4


def handle(ctx: RequestContext, request: DescribeConfigsRequest, services: Services) -> DescribeConfigsResponse:
    results = []
    # A resource named over and over is answered once: kilobytes must not ask for megabytes.
    distinct = {(resource.resource_type, resource.resource_name): resource for resource in request.resources}
    for resource in distinct.values():
        described = _describe(resource, services)
        if isinstance(described, TopicError):
            results.append(_failed(resource, described.code, described.message))
            continue
        keys = set(resource.configuration_keys or ())
        configs = [_row(one, request) for one in described if not keys or one.setting.name in keys]
        results.append(DescribeConfigsResult(0, None, resource.resource_type, resource.resource_name, configs))
    return DescribeConfigsResponse(results=results)


def _describe(resource: DescribeConfigsResource, services: Services) -> list[Described] | TopicError:
    if resource.resource_type == _TOPIC:
        return _describe_topic(resource.resource_name, services)
    if resource.resource_type == _BROKER:
        return _describe_broker(resource.resource_name, services)
    return TopicError(ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {resource.resource_type}")


def _describe_topic(name: str, services: Services) -> list[Described] | TopicError:
    topic = services.topics.get(name)
    if topic is not None:
        return describe_topic(services.config, topic.overrides)
    illegal = why_illegal(name)
    if illegal is not None:
        return TopicError(ErrorCode.INVALID_TOPIC_EXCEPTION, illegal)
    return TopicError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic '{name}'.")


def _describe_broker(name: str, services: Services) -> list[Described] | TopicError:
    if name == "":
        return []
    if name == str(services.placement.node_id):
        return describe_broker(services.config)
    return TopicError(
        ErrorCode.INVALID_REQUEST,
        f"Unexpected broker id, expected {services.placement.node_id} or empty string, but received {name}",
    )


def _row(described: Described, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    setting = described.setting
    synonyms = described.synonyms if request.include_synonyms else ()
    return DescribeConfigsResourceResult(
        name=setting.name,
        value=described.value,
        read_only=not setting.dynamic,
        config_source=described.source,
        is_sensitive=setting.sensitive,
        synonyms=[DescribeConfigsSynonym(one.name, one.value, one.source) for one in synonyms],
        config_type=setting.type,
        documentation=setting.doc if request.include_documentation else None,
    )


def _failed(resource: DescribeConfigsResource, code: ErrorCode, message: str | None) -> DescribeConfigsResult:
    return DescribeConfigsResult(code, message, resource.resource_type, resource.resource_name, [])


def refuse(request: DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse:
    """The same error for every resource."""
    return DescribeConfigsResponse(results=[_failed(resource, code, None) for resource in request.resources])
