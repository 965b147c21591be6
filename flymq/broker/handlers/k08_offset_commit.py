"""OffsetCommit: v2-10.

Stores a group's position in partitions.

Versions:
    v2-4: retention_time_ms, these offsets' own expiry. v6: leader epoch (KIP-320).
    v7: group_instance_id, static membership (KIP-345). v9: GROUP_ID_NOT_FOUND (KIP-848). v10: topic ids.
Behaviour:
    * Generation -1 on an Empty or unknown group: a simple group, offsets without members.
    * Answered once the offsets are durable. Re-arms the member's session timer.
    * Partitions that don't exist are refused one by one, the others stored.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such topic or partition. UNKNOWN_TOPIC_ID: v10, no such id.
    OFFSET_METADATA_TOO_LARGE: above offset.metadata.max.bytes.
    UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION: not a member of the current generation.
    REBALANCE_IN_PROGRESS: the group waits for its assignment.
    STALE_MEMBER_EPOCH: in a consumer group, at another epoch than the member's, and older than the partition's
        assignment (KIP-1251). UNSUPPORTED_VERSION: before v9, by a member of KIP-848's protocol.
    GROUP_ID_NOT_FOUND: v9, no such group; before, ILLEGAL_GENERATION.
    COORDINATOR_NOT_AVAILABLE: not durable, or shutting down; try again.
Source:
    KafkaApis.handleOffsetCommitRequest, OffsetMetadataManager.commitOffset in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import CommitOffsets, OffsetEntry
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: OffsetCommitRequest, services: Services) -> OffsetCommitResponse | Pending:
    by_id = ctx.api_version >= 10
    topics = services.topics
    answers: list[OffsetCommitResponseTopic] = []
    entries: list[OffsetEntry] = []
    waiting: list[OffsetCommitResponsePartition] = []  # the answers to `entries`
    for asked in request.topics:
        topic = topics.by_id(asked.topic_id) if by_id else topics.get(asked.name)
        partitions = []
        for wanted in asked.partitions:
            index = wanted.partition_index
            answer = OffsetCommitResponsePartition(index, 0)
            partitions.append(answer)
            if topic is None:
                answer.error_code = (
                    ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                )
            elif not 0 <= index < topic.partition_count:
                answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                waiting.append(answer)
                entries.append(OffsetEntry(
                    topic.id, topic.name, index, wanted.committed_offset, wanted.committed_leader_epoch,
                    wanted.committed_metadata or "",
                ))
        answers.append(OffsetCommitResponseTopic(asked.name, asked.topic_id, partitions))
    response = OffsetCommitResponse(topics=answers)
    if not entries:
        return response

    def finish(result: Any) -> OffsetCommitResponse:
        if isinstance(result, list):
            for answer, error in zip(waiting, result, strict=True):
                answer.error_code = error
        else:
            error = failure(result)
            if error is not None:
                for answer in waiting:
                    answer.error_code = error
        return response

    event = CommitOffsets(
        request.group_id,
        request.generation_id_or_member_epoch,
        request.member_id,
        entries,
        instance_id=request.group_instance_id,
        retention_ms=request.retention_time_ms,
        api_version=ctx.api_version,
    )
    answered: OffsetCommitResponse | Pending = when_done(services.groups.request(event), finish)
    return answered


def refuse(request: OffsetCommitRequest, code: ErrorCode) -> OffsetCommitResponse:
    """The same error for every partition."""
    return OffsetCommitResponse(topics=[
        OffsetCommitResponseTopic(
            topic.name, topic.topic_id,
            [OffsetCommitResponsePartition(wanted.partition_index, code) for wanted in topic.partitions],
        )
        for topic in request.topics
    ])
