"""ListOffsets: v1-11.

Finds the ends of a log, or the first record at or after a time.

Versions:
    v2: isolation_level. v4: leader epochs (KIP-320).
    v7: timestamp -3, the record with the largest timestamp (KIP-734).
    v8: -4, earliest local (KIP-405): the log start here. v9: -5, v11: -6, tiered: always -1 here.
    v10: timeout_ms, not needed: nothing here waits for another broker.
Behaviour:
    * A timestamp finds a record, not a batch, and answers that record's own time and epoch.
    * The latest offset is the high watermark, with isolation_level 1 (read_committed) the last stable offset;
      nothing from there on is found.
    * Nothing found is offset -1, timestamp -1, without an error.
    * A topic or partition named twice is answered once.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such partition.
    UNSUPPORTED_VERSION: a negative timestamp that this version does not know.
    INVALID_REQUEST: a partition named twice.
    FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH: as in Fetch.
    KAFKA_STORAGE_ERROR: the partition is offline, or its records cannot be read.
Source:
    KafkaApis.handleListOffsetRequest, UnifiedLog.fetchOffsetByTimestamp in Apache Kafka 4.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

from flymq.broker.context import RequestContext, Services
from flymq.env import Token, gather
from flymq.runtime.partitions import Partition
from flymq.runtime.timestamps import find_latest, find_timestamp
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from flymq_protocol.errors import ErrorCode

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5
EARLIEST_PENDING_UPLOAD = -6

_LEADER_EPOCH_FROM = 4
_READ_COMMITTED = 1

_FROM_VERSION = {
    LATEST: 1,
    EARLIEST: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}


def handle(ctx: RequestContext, request: ListOffsetsRequest, services: Services) -> ListOffsetsResponse | Pending:
    asked: dict[str, list[ListOffsetsPartition]] = {}
    for topic in request.topics:
        asked.setdefault(topic.name, []).extend(topic.partitions)
    read_committed = request.isolation_level == _READ_COMMITTED
    looking: list[Token] = []
    topics = []
    for name, all_wanted in asked.items():
        times = Counter(wanted.partition_index for wanted in all_wanted)
        answers = []
        for index, wanted in {wanted.partition_index: wanted for wanted in all_wanted}.items():
            partition = services.partitions.find(name, index)
            answer = ListOffsetsPartitionResponse(index, 0)
            answer.error_code = _check(ctx, wanted, partition, times[index])
            if partition is not None and not answer.error_code:
                token = _look_up(services, partition, wanted.timestamp, read_committed, answer)
                if token is not None:
                    looking.append(token)
            answers.append(answer)
        topics.append(ListOffsetsTopicResponse(name, answers))
    response = ListOffsetsResponse(topics=topics)

    def finish(_: object) -> ListOffsetsResponse:
        if ctx.api_version < _LEADER_EPOCH_FROM:
            for topic in topics:
                for answer in topic.partitions:
                    answer.leader_epoch = -1
        return response

    return Pending(gather(looking), finish) if looking else finish(None)


def _check(ctx: RequestContext, wanted: ListOffsetsPartition, partition: Partition | None, times: int) -> int:
    if times > 1:
        return ErrorCode.INVALID_REQUEST
    if wanted.timestamp < 0 and ctx.api_version < _FROM_VERSION.get(wanted.timestamp, ctx.api_version + 1):
        return ErrorCode.UNSUPPORTED_VERSION
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return partition.check_epoch(wanted.current_leader_epoch)


def _look_up(
    services: Services,
    partition: Partition,
    timestamp: int,
    read_committed: bool,
    answer: ListOffsetsPartitionResponse,
) -> Token | None:
    """Fill `answer`, or return the token after which it is filled."""
    log = partition.log
    end_offset = log.last_stable_offset if read_committed else log.high_watermark
    if timestamp == LATEST:
        answer.offset, answer.leader_epoch = end_offset, log.leader_epoch
        return None
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        answer.offset, answer.leader_epoch = log.log_start, log.epoch_at(log.log_start)
        return None
    if timestamp in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
        return None
    inflated_max = services.config.int("flymq.inflate.bytes.max")
    if timestamp == MAX_TIMESTAMP:
        token = find_latest(services.env, partition, end_offset, inflated_max)
    else:
        token = find_timestamp(services.env, partition, timestamp, end_offset, inflated_max)
    token.then(partial(_found, partition, answer))
    return token


def _found(partition: Partition, answer: ListOffsetsPartitionResponse, result: object) -> None:
    if isinstance(result, Exception):
        answer.error_code = ErrorCode.KAFKA_STORAGE_ERROR
    elif isinstance(result, tuple):
        answer.offset, answer.timestamp = result
        answer.leader_epoch = partition.log.epoch_at(answer.offset)


def refuse(request: ListOffsetsRequest, code: ErrorCode) -> ListOffsetsResponse:
    """The same error for every partition."""
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                topic.name, [ListOffsetsPartitionResponse(wanted.partition_index, code) for wanted in topic.partitions]
            )
            for topic in request.topics
        ]
    )
