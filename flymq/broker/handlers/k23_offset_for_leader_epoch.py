"""OffsetForLeaderEpoch: v2-4.

Tells where a leader epoch ended in this log, so that a consumer notices records that were lost.

Versions:
    v3: replica_id, not used here.
    v4: flexible.
Behaviour:
    * The current epoch ends at the log end; an older one where the next known epoch starts.
    * A newer epoch: -1, -1, without an error.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such partition.
    FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH: current_leader_epoch is older, newer than ours.
    KAFKA_STORAGE_ERROR: the partition is offline.
Source:
    KIP-101, KIP-279, KIP-320; UnifiedLog.endOffsetForEpoch in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq_protocol.api.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: OffsetForLeaderEpochRequest, services: Services
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic.topic, [_epoch_end(topic.topic, wanted, services) for wanted in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _epoch_end(topic: str, wanted: OffsetForLeaderPartition, services: Services) -> EpochEndOffset:
    partition = services.partitions.find(topic, wanted.partition)
    if partition is None:
        return EpochEndOffset(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, wanted.partition)
    error = partition.check_epoch(wanted.current_leader_epoch)
    if error:
        return EpochEndOffset(error, wanted.partition)
    epoch, end = partition.log.epoch_end(wanted.leader_epoch)
    return EpochEndOffset(0, wanted.partition, epoch, end)


def refuse(request: OffsetForLeaderEpochRequest, code: ErrorCode) -> OffsetForLeaderEpochResponse:
    """The same error for every partition."""
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic.topic, [EpochEndOffset(code, wanted.partition) for wanted in topic.partitions]
            )
            for topic in request.topics
        ]
    )
