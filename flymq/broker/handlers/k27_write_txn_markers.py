"""WriteTxnMarkers: v1-2.

Ends transactions in partitions: for a coordinator elsewhere, and for `kafka-transactions abort` on one that hangs.

Versions:
    v2: transaction_version (KIP-1228): from 2 on the marker's epoch must be above that of the batches.
Behaviour:
    * Answers when all markers are durable; each partition has a result of its own.
    * One for no partition is not answered.
    * A marker is written where nothing is open, too: it brings the producer's new epoch.
    * The coordinator here is not told: what it has open it ends itself.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such partition, or it is deleted meanwhile.
    INVALID_PRODUCER_EPOCH: the partition knows the producer at a newer epoch; an epoch below 0.
    INVALID_PRODUCER_ID_MAPPING: a producer id below 0.
    TRANSACTION_COORDINATOR_FENCED: the producer had a marker of a newer coordinator.
    KAFKA_STORAGE_ERROR: the marker could not be written.
    NOT_LEADER_OR_FOLLOWER: the broker stops before the marker is durable; to be tried again.
Source:
    KafkaApis.handleWriteTxnMarkersRequest in Apache Kafka 4; KIP-98, KIP-664, KIP-1228.
"""

from __future__ import annotations

from functools import partial

from flymq.broker.context import RequestContext, Services
from flymq.core.log.plan import AppendError
from flymq.env import Token, completed, gather
from flymq.runtime.waiting import Ended, Pending
from flymq_protocol.api.k27_write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)
from flymq_protocol.errors import ErrorCode

_MISSING = AppendError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no such partition")


def handle(
    ctx: RequestContext, request: WriteTxnMarkersRequest, services: Services
) -> WriteTxnMarkersResponse | Pending:
    markers = [marker for marker in request.markers if any(topic.partition_indexes for topic in marker.topics)]
    response = refuse(WriteTxnMarkersRequest(markers), ErrorCode.NONE)
    waiting: list[tuple[WritableTxnMarkerPartitionResult, Token]] = []
    for marker, results in zip(markers, response.markers, strict=True):
        for topic in results.topics:
            for result in topic.partitions:
                waiting.append((result, _write(services, marker, topic.name, result.partition_index)))
    return Pending(gather([token for _, token in waiting]), partial(_finish, response, waiting))


def _write(services: Services, marker: WritableTxnMarker, topic: str, index: int) -> Token:
    partition = services.partitions.find(topic, index)
    if partition is None:
        return completed(_MISSING)
    return partition.write_marker(
        marker.producer_id,
        marker.producer_epoch,
        marker.transaction_result,
        marker.coordinator_epoch,
        services.env.now_ms(),
        marker.transaction_version,
    )


def _finish(
    response: WriteTxnMarkersResponse, waiting: list[tuple[WritableTxnMarkerPartitionResult, Token]], _: object
) -> WriteTxnMarkersResponse:
    for result, token in waiting:
        result.error_code = _code(token)
    return response


def _code(token: Token) -> int:
    if not token.done or token.result is Ended.SHUTDOWN:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if token.result is None:
        return ErrorCode.NONE
    if token.result is Ended.DELETED:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return token.result.code if isinstance(token.result, AppendError) else ErrorCode.KAFKA_STORAGE_ERROR


def refuse(request: WriteTxnMarkersRequest, code: ErrorCode) -> WriteTxnMarkersResponse:
    """The same error for every partition."""
    return WriteTxnMarkersResponse(
        [
            WritableTxnMarkerResult(
                marker.producer_id,
                [
                    WritableTxnMarkerTopicResult(
                        topic.name,
                        [WritableTxnMarkerPartitionResult(index, code) for index in topic.partition_indexes],
                    )
                    for topic in marker.topics
                ],
            )
            for marker in request.markers
        ]
    )
