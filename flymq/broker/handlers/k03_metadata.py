"""Metadata: v0-13.

Names the brokers, the controller, and for topics their partitions and leaders; creates missing topics.

Versions:
    v1: null asks for all topics (v0: an empty list does), rack, controller_id, is_internal.
    v2: cluster_id. v4: allow_auto_topic_creation; before, creation is allowed. v5: offline_replicas.
    v7: leader_epoch. v8: authorized operations. v10: topic ids in answers. v12: topics asked for by id.
    v13: top-level error_code.
Behaviour:
    * One broker, at its listener's advertised address or the one this client dialled.
    * A missing topic is created first and answered as existing, if the request allows it and
      auto.create.topics.enable is true; Kafka answers an error, and success when asked again.
    * Where a topic is asked for by its id, those that have none are left out.
    * Asking for all creates nothing. Internal topics are always listed.
    * Answers are kept, encoded, until a topic changes.
Errors:
    INVALID_TOPIC_EXCEPTION: the name is malformed, or collides with a topic when it would be created.
    UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID: no such topic.
    INVALID_REQUEST: a topic id, or a null name, before v12.
    KAFKA_STORAGE_ERROR: the topic could not be created. LEADER_NOT_AVAILABLE: the broker is stopping.
Source:
    KIP-430, KIP-516, KIP-526; KafkaApis.handleTopicMetadataRequest in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.broker.operations import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from flymq.core.catalog import Topic, TopicError, why_illegal
from flymq.env import gather
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from flymq_protocol.errors import ErrorCode
from flymq_protocol.types import ZERO_UUID

_KEPT_ANSWERS_MAX = 256
_BY_ID_FROM = 12


def handle(ctx: RequestContext, request: MetadataRequest, services: Services) -> MetadataResponse | bytes | Pending:
    wanted = _wanted(ctx.api_version, request)
    if wanted is None:
        return _kept_answer(ctx, request, services)
    if ctx.api_version < _BY_ID_FROM and any(topic.name is None or topic.topic_id != ZERO_UUID for topic in wanted):
        return refuse(request, ErrorCode.INVALID_REQUEST)
    names = dict.fromkeys(topic.name for topic in wanted if topic.name is not None and topic.topic_id == ZERO_UUID)
    missing = [name for name in names if services.topics.get(name) is None and why_illegal(name) is None]
    if not missing or not (request.allow_auto_topic_creation and services.config.bool("auto.create.topics.enable")):
        return _kept_answer(ctx, request, services)

    def finish(results: list[Topic | TopicError] | Ended) -> MetadataResponse:
        if isinstance(results, Ended):
            return refuse(request, ErrorCode.LEADER_NOT_AVAILABLE)
        failed = {
            name: result.code for name, result in zip(missing, results, strict=True) if isinstance(result, TopicError)
        }
        return _answer(ctx, request, services, failed)

    return Pending(gather([services.topics.auto_create(name) for name in missing]), finish)


def _wanted(version: int, request: MetadataRequest) -> list[MetadataRequestTopic] | None:
    """None for all topics. Where one is asked for by its id, only ids count."""
    if not request.topics:
        return request.topics if version > 0 else None
    return [topic for topic in request.topics if topic.topic_id != ZERO_UUID] or request.topics


# The bytes of the body do for every client: the correlation id is not among them.
def _kept_answer(ctx: RequestContext, request: MetadataRequest, services: Services) -> bytes:
    wanted = _wanted(ctx.api_version, request)
    key = (
        "metadata",
        ctx.api_version,
        None if wanted is None else tuple((topic.name, topic.topic_id) for topic in wanted),
        request.include_cluster_authorized_operations,
        request.include_topic_authorized_operations,
        ctx.local_address,
    )
    kept = services.topics.answers
    answer: bytes | None = kept.get(key)
    if answer is None:
        if len(kept) >= _KEPT_ANSWERS_MAX:
            kept.clear()
        answer = kept[key] = _answer(ctx, request, services, {}).encode(ctx.api_version)
    return answer


def _answer(
    ctx: RequestContext, request: MetadataRequest, services: Services, failed: dict[str, ErrorCode]
) -> MetadataResponse:
    """`failed`: why topics could not be created."""
    wanted = _wanted(ctx.api_version, request)
    operations = TOPIC_OPERATIONS if request.include_topic_authorized_operations else NOT_ASKED
    topics: list[MetadataResponseTopic] = []
    if wanted is None:
        topics = [_topic(topic, operations, services) for topic in services.topics.all()]
    else:
        for name, topic_id in dict.fromkeys((one.name, one.topic_id) for one in wanted):
            if name is None or topic_id != ZERO_UUID:
                found = services.topics.by_id(topic_id)
                error = ErrorCode.UNKNOWN_TOPIC_ID
                name = None
            else:
                found = services.topics.get(name)
                error = failed.get(name) or _why_missing(name)
            if found is not None:
                topics.append(_topic(found, operations, services))
            else:
                # What may be done with a topic does not depend on its being there.
                allowed = NOT_ASKED if name is None else operations
                topics.append(MetadataResponseTopic(error, name, topic_id, topic_authorized_operations=allowed))
    host, port = services.placement.advertised(ctx.local_address)
    node_id = services.placement.node_id
    return MetadataResponse(
        brokers=[MetadataResponseBroker(node_id, host, port, services.config.get("broker.rack"))],
        cluster_id=services.cluster_id,
        controller_id=node_id,
        topics=topics,
        cluster_authorized_operations=(
            CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
        ),
    )


def _why_missing(name: str) -> ErrorCode:
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if why_illegal(name) is None else ErrorCode.INVALID_TOPIC_EXCEPTION


def _topic(topic: Topic, operations: int, services: Services) -> MetadataResponseTopic:
    node_id = services.placement.node_id
    replicas = [node_id]
    partitions = []
    for index in range(topic.partition_count):
        epoch = 0 if topic.is_internal else services.partitions.leader_epoch(topic.id, index)
        partitions.append(MetadataResponsePartition(0, index, node_id, epoch, replicas, replicas))
    return MetadataResponseTopic(0, topic.name, topic.id, topic.is_internal, partitions, operations)


def refuse(request: MetadataRequest, code: ErrorCode) -> MetadataResponse:
    """The same error for every topic."""
    return MetadataResponse(
        error_code=code,
        topics=[
            MetadataResponseTopic(error_code=code, name=topic.name or "", topic_id=topic.topic_id)
            for topic in request.topics or ()
        ],
    )
