"""DeleteRecords: v0-2.

Moves the beginning of partitions to an offset: what lies before it is no longer there.

Versions:
    v1: no change. v2: flexible.
Behaviour:
    * offset -1 is the high watermark: everything that is readable goes.
    * An offset at or below the log start changes nothing and is no error.
    * Of a partition that is named twice the last offset counts.
    * An offset inside a batch: the batch stays, reads begin at the offset (consumers skip its head).
    * Answers the new log start, once it is durable. The files go after that, whole segments at a time.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such partition.
    INVALID_TOPIC_EXCEPTION: an internal topic.
    POLICY_VIOLATION: cleanup.policy is compact, without delete.
    OFFSET_OUT_OF_RANGE: above the high watermark, or below -1.
    KAFKA_STORAGE_ERROR: the partition is offline, or the store failed.
    REQUEST_TIMED_OUT: not durable after timeout_ms, or the broker stops; it may still become so.
Source:
    KIP-107; KafkaApis.handleDeleteRecordsRequest, ReplicaManager.deleteRecordsOnLocalLog in Apache Kafka 4.
"""

from __future__ import annotations

from functools import partial

from flymq.broker.context import RequestContext, Services
from flymq.env import Token, gather
from flymq.runtime.partitions import Partition
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k21_delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from flymq_protocol.errors import ErrorCode

_HIGH_WATERMARK = -1

Waiting = list[tuple[DeleteRecordsPartitionResult, Token]]


def handle(
    ctx: RequestContext, request: DeleteRecordsRequest, services: Services
) -> DeleteRecordsResponse | Pending:
    waiting: Waiting = []
    topics = []
    for topic in request.topics:
        results = []
        for index, offset in {wanted.partition_index: wanted.offset for wanted in topic.partitions}.items():
            result = DeleteRecordsPartitionResult(index, -1, 0)
            results.append(result)
            _delete(services, topic.name, offset, result, waiting)
        topics.append(DeleteRecordsTopicResult(topic.name, results))
    response = DeleteRecordsResponse(topics=topics)
    if not waiting:
        return response
    token = gather([token for _, token in waiting])
    timer = services.env.call_in(max(0, request.timeout_ms), token.complete, Ended.DEADLINE)
    token.then(lambda _: timer.cancel())
    return Pending(token, partial(_finish, response, waiting))


def _delete(
    services: Services, topic: str, offset: int, result: DeleteRecordsPartitionResult, waiting: Waiting
) -> None:
    """Fill `result`; what has yet to become durable is noted in `waiting`."""
    partition = services.partitions.find(topic, result.partition_index)
    if partition is None:
        found = services.topics.get(topic)
        is_internal = found is not None and found.is_internal
        result.error_code = (
            ErrorCode.INVALID_TOPIC_EXCEPTION if is_internal else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        )
        return
    result.error_code = _check(partition, offset)
    if result.error_code:
        return
    log = partition.log
    if offset == _HIGH_WATERMARK:
        offset = log.high_watermark
    if offset > log.log_start:
        waiting.append((result, partition.trim(offset)))
    result.low_watermark = log.log_start


def _check(partition: Partition, offset: int) -> int:
    if partition.offline is not None:
        return ErrorCode.KAFKA_STORAGE_ERROR
    config = partition.log.config
    if config.compact and not config.delete:
        return ErrorCode.POLICY_VIOLATION
    if not _HIGH_WATERMARK <= offset <= partition.log.high_watermark:
        return ErrorCode.OFFSET_OUT_OF_RANGE
    return 0


def _finish(response: DeleteRecordsResponse, waiting: Waiting, _: object) -> DeleteRecordsResponse:
    for result, token in waiting:
        if not token.done:
            result.error_code, result.low_watermark = ErrorCode.REQUEST_TIMED_OUT, -1
        elif token.result is not None:
            result.error_code, result.low_watermark = ErrorCode.KAFKA_STORAGE_ERROR, -1
    return response


def refuse(request: DeleteRecordsRequest, code: ErrorCode) -> DeleteRecordsResponse:
    """The same error for every partition."""
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                topic.name,
                [DeleteRecordsPartitionResult(wanted.partition_index, -1, code) for wanted in topic.partitions],
            )
            for topic in request.topics
        ]
    )
