"""DescribeConfigs: v1-4.

Shows the settings of topics, of this broker, of its loggers, of groups and of subscriptions to metrics: values,
where they come from, and what they mean.

Versions:
    v1: source and synonyms (KIP-226). v3: type and documentation (KIP-569).
Behaviour:
    * Null or no keys: every setting. Keys that do not exist are left out, as in Kafka.
    * A broker's settings are those that FlyMQ acts on or shows; those that are not read_only can be altered.
    * Broker "" asks for what is set at run time for all brokers.
    * Loggers have a level each, by Kafka's names, and neither type nor synonyms.
    * A group need not exist; nor need a subscription.
Errors:
    INVALID_TOPIC_EXCEPTION, UNKNOWN_TOPIC_OR_PARTITION: the topic's name is malformed; there is none.
    INVALID_REQUEST: another broker than this one, a group or subscription without a name, or another type.
Source:
    KIP-226, KIP-412, KIP-569; ConfigHelper in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker import loggers
from flymq.broker.altering import check_node, find_topic
from flymq.broker.context import RequestContext, Services
from flymq.core.settings import (
    ConfigSource,
    Described,
    ResourceError,
    ResourceType,
    describe_broker,
    describe_client_metrics,
    describe_cluster,
    describe_group,
    describe_topic,
)
from flymq_protocol.api.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: DescribeConfigsRequest, services: Services) -> DescribeConfigsResponse:
    results = []
    # A resource named over and over is answered once: kilobytes must not ask for megabytes.
    distinct = {(resource.resource_type, resource.resource_name): resource for resource in request.resources}
    for resource in distinct.values():
        try:
            rows = _describe(resource, request, services)
        except ResourceError as error:
            results.append(_failed(resource, error.code, error.message))
            continue
        keys = set(resource.configuration_keys or ())
        configs = [row for row in rows if not keys or row.name in keys]
        results.append(DescribeConfigsResult(0, None, resource.resource_type, resource.resource_name, configs))
    return DescribeConfigsResponse(results=results)


def _describe(
    resource: DescribeConfigsResource, request: DescribeConfigsRequest, services: Services
) -> list[DescribeConfigsResourceResult]:
    """Raises `ResourceError`."""
    name = resource.resource_name
    config = services.config
    if resource.resource_type == ResourceType.TOPIC:
        described = describe_topic(config, find_topic(name, services).overrides)
    elif resource.resource_type == ResourceType.BROKER:
        if name:
            check_node(name, services)
        described = describe_broker(config) if name else describe_cluster(config)
    elif resource.resource_type == ResourceType.LOGGER:
        check_node(name, services)
        return [_logger_row(logger, level) for logger, level in loggers.levels().items()]
    elif resource.resource_type == ResourceType.GROUP:
        _check_named(name, "Group name must not be empty")
        described = describe_group(config, services.settings.own(ResourceType.GROUP, name))
    elif resource.resource_type == ResourceType.CLIENT_METRICS:
        _check_named(name, "Client metrics subscription name must not be empty")
        described = describe_client_metrics(services.settings.own(ResourceType.CLIENT_METRICS, name))
    else:
        raise ResourceError(ErrorCode.INVALID_REQUEST, f"Unsupported resource type: {resource.resource_type}")
    return [_row(one, request) for one in described]


def _check_named(name: str, message: str) -> None:
    if not name:
        raise ResourceError(ErrorCode.INVALID_REQUEST, message)


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


def _logger_row(name: str, level: str) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(name=name, value=level, config_source=ConfigSource.LOGGER)


def _failed(resource: DescribeConfigsResource, code: ErrorCode, message: str | None) -> DescribeConfigsResult:
    return DescribeConfigsResult(code, message, resource.resource_type, resource.resource_name, [])


def refuse(request: DescribeConfigsRequest, code: ErrorCode) -> DescribeConfigsResponse:
    """The same error for every resource."""
    return DescribeConfigsResponse(results=[_failed(resource, code, None) for resource in request.resources])
