"""AlterPartitionReassignments: v0-1.

Moves partitions to other brokers. There are none, so a partition can only stay where it is.

Versions:
    v1: allow_replication_factor_change (KIP-860); no other factor than 1 is possible here.
Behaviour:
    * To this broker: done at once.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: there is no such partition.
    NO_REASSIGNMENT_IN_PROGRESS: null replicas, which stop a move.
    INVALID_REPLICA_ASSIGNMENT: no replica, one twice, or another broker.
Source:
    KIP-455, KIP-860; ReplicationControlManager.alterPartitionReassignments in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import TopicError
from flymq_protocol.api.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: AlterPartitionReassignmentsRequest, services: Services
) -> AlterPartitionReassignmentsResponse:
    return AlterPartitionReassignmentsResponse(
        # Of no topics Kafka answers before it looks at the flag.
        allow_replication_factor_change=request.allow_replication_factor_change or not request.topics,
        error_message=None,
        responses=[
            ReassignableTopicResponse(topic.name, [_move(topic.name, one, services) for one in topic.partitions])
            for topic in request.topics
        ],
    )


def _move(name: str, asked: ReassignablePartition, services: Services) -> ReassignablePartitionResponse:
    refused = _why_refused(name, asked, services)
    if refused is None:
        return ReassignablePartitionResponse(asked.partition_index, 0, None)
    return ReassignablePartitionResponse(asked.partition_index, refused.code, refused.message)


def _why_refused(name: str, asked: ReassignablePartition, services: Services) -> TopicError | None:
    topic = services.topics.get(name)
    if topic is None:
        return TopicError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {name}.")
    if not 0 <= asked.partition_index < topic.partition_count:
        return TopicError(
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {name}:{asked.partition_index}."
        )
    if asked.replicas is None:
        return TopicError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, "No partition reassignment is in progress.")
    return services.topics.why_assignment_refused(asked.replicas)


def refuse(request: AlterPartitionReassignmentsRequest, code: ErrorCode) -> AlterPartitionReassignmentsResponse:
    """The error, for all of it."""
    return AlterPartitionReassignmentsResponse(error_code=code, error_message=None)
