"""OffsetDelete: v0-0.

Deletes a group's offsets in some partitions (KIP-496).

Behaviour:
    * A live group too, where its members are consumers and none of them is subscribed to the topic.
    * An offset in an open transaction goes as well. Where there is no offset there is no error.
    * Answered once it is durable.
Errors:
    INVALID_GROUP_ID: the group id is empty. GROUP_ID_NOT_FOUND: no such group.
    NON_EMPTY_GROUP: it has members, and they are no consumers.
    GROUP_SUBSCRIBED_TO_TOPIC: of a partition: a member reads it, or may do so.
    UNKNOWN_TOPIC_OR_PARTITION: of a partition: it does not exist.
    COORDINATOR_NOT_AVAILABLE: not durable, or shutting down; try again.
Source:
    KafkaApis.handleOffsetDeleteRequest, OffsetMetadataManager.deleteOffsets in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import DeleteOffsets
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: OffsetDeleteRequest, services: Services) -> OffsetDeleteResponse | Pending:
    if not request.group_id:
        return refuse(request, ErrorCode.INVALID_GROUP_ID)
    answers: list[OffsetDeleteResponseTopic] = []
    entries: list[tuple[bytes, str, int]] = []
    waiting: list[OffsetDeleteResponsePartition] = []  # the answers to `entries`
    for asked in request.topics:
        topic = services.topics.get(asked.name)
        partitions = []
        for wanted in asked.partitions:
            index = wanted.partition_index
            answer = OffsetDeleteResponsePartition(index, 0)
            partitions.append(answer)
            if topic is None or not 0 <= index < topic.partition_count:
                answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                waiting.append(answer)
                entries.append((topic.id, topic.name, index))
        answers.append(OffsetDeleteResponseTopic(asked.name, partitions))

    def finish(result: Any) -> OffsetDeleteResponse:
        error = failure(result)
        if error is not None:
            return refuse(request, error)
        for answer, code in zip(waiting, result, strict=True):
            answer.error_code = code
        return OffsetDeleteResponse(topics=answers)

    # Also where no partition is left: the group may not exist.
    answered: OffsetDeleteResponse | Pending = when_done(
        services.groups.request(DeleteOffsets(request.group_id, entries)), finish
    )
    return answered


def refuse(request: OffsetDeleteRequest, code: ErrorCode) -> OffsetDeleteResponse:
    """The error for the group; no partition is named."""
    return OffsetDeleteResponse(code)
