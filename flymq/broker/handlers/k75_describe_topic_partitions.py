"""DescribeTopicPartitions: v0-0.

Topics and their partitions, page by page.

Versions:
    v0 (KIP-966).
Behaviour:
    * Topics in the order of their names; no topic stands for all. A page holds at most as many partitions as the
      request and max.request.partition.size.limit say, but one; `next_cursor` says where the next page begins.
    * A cursor leaves out what is before it; one beyond the end of its topic begins with the next topic.
    * No replica but this broker, so none that is eligible beside those in sync.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION: there is no such topic; the name is malformed.
    INVALID_REQUEST: the cursor's partition is below 0, or its topic is not one of those named; for every topic named.
Source:
    KIP-966; DescribeTopicPartitionsRequestHandler in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.broker.operations import TOPIC_OPERATIONS
from flymq.core.catalog import why_illegal
from flymq_protocol.api.k75_describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: DescribeTopicPartitionsRequest, services: Services
) -> DescribeTopicPartitionsResponse:
    start_name, start_index = "", 0
    if request.cursor is not None:
        start_name, start_index = request.cursor.topic_name, request.cursor.partition_index
    if start_index < 0:
        return refuse(request, ErrorCode.INVALID_REQUEST)
    names = {topic.name for topic in request.topics or services.topics.all()}
    if request.cursor is not None and request.topics and start_name not in names:
        return refuse(request, ErrorCode.INVALID_REQUEST)
    limit = services.config.int("max.request.partition.size.limit")
    room = max(1, min(limit, request.response_partition_limit))
    response = DescribeTopicPartitionsResponse()
    for name in sorted(name for name in names if name >= start_name):
        first = start_index if name == start_name else 0
        topic = services.topics.get(name)
        if topic is None:
            response.topics.append(_missing(name))
            continue
        last = min(topic.partition_count, first + room)
        if room == 0:
            response.next_cursor = Cursor(name, first)
            break
        response.topics.append(
            DescribeTopicPartitionsResponseTopic(
                0,
                name,
                topic.id,
                topic.is_internal,
                [_partition(topic.id, topic.is_internal, index, services) for index in range(first, last)],
                TOPIC_OPERATIONS,
            )
        )
        room -= max(0, last - first)
        if last < topic.partition_count:
            response.next_cursor = Cursor(name, last)
            break
    return response


def _partition(
    topic_id: bytes, is_internal: bool, index: int, services: Services
) -> DescribeTopicPartitionsResponsePartition:
    node_id = services.placement.node_id
    epoch = 0 if is_internal else services.partitions.leader_epoch(topic_id, index)
    return DescribeTopicPartitionsResponsePartition(0, index, node_id, epoch, [node_id], [node_id], [], [], [])


def _missing(name: str) -> DescribeTopicPartitionsResponseTopic:
    code = ErrorCode.INVALID_TOPIC_EXCEPTION if why_illegal(name) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return DescribeTopicPartitionsResponseTopic(code, name, topic_authorized_operations=TOPIC_OPERATIONS)


def refuse(request: DescribeTopicPartitionsRequest, code: ErrorCode) -> DescribeTopicPartitionsResponse:
    """The same error for every topic."""
    return DescribeTopicPartitionsResponse(
        topics=[DescribeTopicPartitionsResponseTopic(code, topic.name) for topic in request.topics]
    )
