"""Produce: v3-13 (advertised from 0, as Kafka does).

Appends one record batch to each named partition.

Versions:
    v7: zstd batches allowed (KIP-110).
    v8: record_errors and error_message (KIP-467).
    v10: current_leader and node_endpoints (KIP-951): never filled, one node leads all.
    v11: TRANSACTION_ABORTABLE (KIP-890).
    v12: a transactional batch adds its partition to the transaction (KIP-890).
    v13: topics by id (KIP-516).
Behaviour:
    * acks -1 answers when the batch is durable, acks 1 when it is appended, acks 0 never.
    * A retry of a batch that is in the log gets the original's offset, once that is durable.
    * timeout_ms ends the wait with REQUEST_TIMED_OUT; the append stays.
    * acks 0 with an error in any partition closes the connection: the only way to tell.
    * Where the topic is compacted or has a codec of its own, batches are looked into, large ones on a thread.
    * A transactional batch is appended where the coordinator finds its partition in the open transaction.
Errors:
    INVALID_REQUIRED_ACKS: acks is not -1, 0 or 1.
    CORRUPT_MESSAGE in all partitions: what one is sent does not begin like a batch.
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED: a transactional batch, but no transactional_id; in all partitions.
    UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID: no such partition; Produce never creates.
    INVALID_TOPIC_EXCEPTION: an internal topic.
    UNSUPPORTED_COMPRESSION_TYPE: zstd before v7.
    INVALID_TXN_STATE, from v11 on TRANSACTION_ABORTABLE: the partition was not added to the transaction.
    NOT_ENOUGH_REPLICAS, from v12 on CONCURRENT_TRANSACTIONS: the last transaction is still being completed.
    INVALID_PRODUCER_EPOCH: a newer producer has fenced this one.
    INVALID_PRODUCER_ID_MAPPING: the transactional_id, or another producer id, is the coordinator's.
    KAFKA_STORAGE_ERROR: the batch could not be written.
    and those of `PartitionLog.plan` and `flymq.core.log.inspection`.
Source:
    KafkaApis.handleProduceRequest, ReplicaManager.handleProduceAppend in Apache Kafka 4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from flymq.broker.context import RequestContext, Services
from flymq.core.log.batch_rules import LEGACY_HEADER_BYTES, why_refused
from flymq.core.log.partition_log import NO_TRANSACTION, TRANSACTION_V1, TRANSACTION_V2
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.env import Token, completed, gather
from flymq.runtime.partitions import Partition
from flymq.runtime.waiting import Ended, Hangup, Pending
from flymq_protocol.api.k00_produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from flymq_protocol.errors import ErrorCode
from flymq_protocol.one_batch import IDS_FROM_VERSION, Head, OneBatch, as_request, decoder
from flymq_protocol.records.batch import (
    ATTRIBUTES_OFFSET,
    CODEC_MASK,
    HEADER_SIZE,
    MAGIC,
    MAGIC_OFFSET,
    PREFIX_SIZE,
    TRANSACTIONAL_BIT,
    parse_header,
)
from flymq_protocol.types import Buffer

__all__ = ["decoder", "handle", "refuse"]  # what dispatch looks for

_ZSTD_FROM_VERSION = 7
_ZSTD = 4
_ZSTD_REFUSED = AppendError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd needs Produce v7", before_log=True)
_ACKS_REFUSED = AppendError(ErrorCode.INVALID_REQUIRED_ACKS, "acks is not -1, 0 or 1", before_log=True)
_ATTRIBUTES_LOW_BYTE = ATTRIBUTES_OFFSET + 1

_NO_RECORDS = memoryview(b"")

_ABORTABLE_FROM_VERSION = 11
_ADDS_PARTITIONS_FROM_VERSION = 12
_ADDED_AT_ONCE_FROM = 16
_TRY_AGAIN = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
}
# As in ReplicaManager's answers, though it is the log that says so.
_WITHOUT_LOG_START = {
    ErrorCode.MESSAGE_TOO_LARGE,
    ErrorCode.RECORD_LIST_TOO_LARGE,
    ErrorCode.CORRUPT_MESSAGE,
    ErrorCode.KAFKA_STORAGE_ERROR,
}

Answer = AppendPlan | Duplicate | AppendError
Append = Callable[[memoryview, int], Answer]
Log = Callable[[memoryview, int, int], Answer]
Waiting = list[tuple[PartitionProduceResponse, Token]]


def handle(
    ctx: RequestContext, request: OneBatch | ProduceRequest, services: Services
) -> ProduceResponse | bytes | Pending | Hangup | None:
    if request.__class__ is not tuple:
        return _append_many(ctx, request, services)  # type: ignore[arg-type]
    head, records = request
    partition: Partition | None = head.found
    if partition is None or partition.is_closed:
        partition = head.found = _find(services, ctx.api_version, head)
    if partition is None or not partition.log.config.is_plain or partition.is_queueing:
        try:
            return _append_many(ctx, as_request(ctx.api_version, request), services)
        except UnicodeDecodeError:
            return Hangup("a topic name that is not UTF-8")
    answer = partition.append(records, services.env.now_ms(), NO_TRANSACTION)
    acks = head.acks
    if answer.__class__ is AppendPlan:
        log = partition.log
        if acks == 1 or (acks and answer.last_offset < log.high_watermark):
            append_time = answer.max_timestamp if log.config.log_append_time else -1
            return head.encode(answer.base_offset, append_time, log.log_start)
    waiting: Waiting = []
    results = [_result(partition, answer, acks, waiting)]
    ref = partition.ref
    topics = [TopicProduceResponse(ref.topic, ref.topic_id, results)]
    return _reply(ctx, services, acks, head.timeout_ms, topics, waiting)


def _find(services: Services, version: int, head: Head) -> Partition | None:
    if version >= IDS_FROM_VERSION:
        return services.partitions.find_by_id(head.topic, head.index)
    return services.partitions.find(head.topic.decode(errors="replace"), head.index)  # no topic is called so


def _append_many(
    ctx: RequestContext, request: ProduceRequest, services: Services
) -> ProduceResponse | Pending | Hangup | None:
    acks = request.acks
    transactional_id = request.transactional_id
    code = _why_all_refused(request)
    if code:
        return refuse(request, code) if acks else Hangup(f"produce with acks=0 failed: {code.name}")
    now_ms = services.env.now_ms()
    by_id = ctx.api_version >= IDS_FROM_VERSION
    refuses_zstd = ctx.api_version < _ZSTD_FROM_VERSION
    partitions = services.partitions
    topics: list[TopicProduceResponse] = []
    waiting: Waiting = []
    knows_acks = acks in (-1, 0, 1)
    if transactional_id is not None and knows_acks and ctx.api_version >= _ADDS_PARTITIONS_FROM_VERSION:
        _add_at_once(ctx.api_version, request, transactional_id, services)
    for topic in request.topic_data:
        results: list[PartitionProduceResponse] = []
        for data in topic.partition_data:
            index = data.index
            partition = (
                partitions.find_by_id(topic.topic_id, index) if by_id else partitions.find(topic.name, index)
            )
            if partition is None:
                results.append(PartitionProduceResponse(index, _why_missing(services, topic, by_id), -1))
                continue
            records = _NO_RECORDS if data.records is None else data.records
            if refuses_zstd and _is_zstd(records):
                answer: Answer | Token = _ZSTD_REFUSED
            else:
                log: Log = partition.append if knows_acks else partial(_refuse_acks, partition)
                if transactional_id is not None and _is_transactional(records):
                    append: Append = partial(_append_in_transaction, ctx, services, transactional_id, partition, log)
                else:
                    append = partial(_append_outside, log)
                batch: memoryview = records  # type: ignore[assignment]  # a view
                answer = _append(services, partition, batch, now_ms, append) if knows_acks else append(batch, now_ms)
            results.append(_result(partition, answer, acks, waiting))
        topics.append(TopicProduceResponse(topic.name, topic.topic_id, results))
    return _reply(ctx, services, acks, request.timeout_ms, topics, waiting)


def _append(
    services: Services, partition: Partition, batch: memoryview, now_ms: int, append: Append
) -> Answer | Token:
    if partition.log.config.is_plain and not partition.is_queueing:
        return append(batch, now_ms)
    return services.validation.append(partition, batch, now_ms, append)


def _add_at_once(version: int, request: ProduceRequest, transactional_id: str, services: Services) -> None:
    """Many partitions join the transaction together: its row is written anew, with all of them, each time.

    Whether they may is told when they are appended to. A partition without a batch in the end does no harm.
    """
    if sum(len(topic.partition_data) for topic in request.topic_data) < _ADDED_AT_ONCE_FROM:
        return
    partitions = services.partitions
    by_id = version >= IDS_FROM_VERSION
    found: dict[tuple[int, int], list[Partition]] = {}  # by producer id and epoch: one, of an honest client
    for topic in request.topic_data:
        for data in topic.partition_data:
            partition = partitions.find_by_id(topic.topic_id, data.index) if by_id else (
                partitions.find(topic.name, data.index)
            )
            if partition is None or partition.offline is not None or data.records is None:
                continue
            if _is_transactional(data.records):
                header = parse_header(data.records)
                found.setdefault((header.producer_id, header.producer_epoch), []).append(partition)
    for producer, joining in found.items():
        services.transactions.add(transactional_id, *producer, joining)


def _refuse_acks(partition: Partition, batch: memoryview, now_ms: int, transaction_version: int) -> AppendError:
    """After what can be said before the log is asked."""
    refused = why_refused(batch, partition.log.config, now_ms)
    return refused if refused is not None and refused.before_log else _ACKS_REFUSED


def _append_outside(log: Log, batch: memoryview, now_ms: int) -> Answer:
    return log(batch, now_ms, NO_TRANSACTION)


def _append_in_transaction(
    ctx: RequestContext, services: Services, transactional_id: str, partition: Partition, log: Log,
    batch: memoryview, now_ms: int,
) -> Answer:
    version = ctx.api_version
    header = parse_header(batch)
    if int.from_bytes(batch[8:PREFIX_SIZE]) + PREFIX_SIZE < len(batch):
        return log(batch, now_ms, TRANSACTION_V1)  # more than one: that is told before the transaction is asked
    if partition.offline is None:  # else the transaction could not end there either
        known = partition.log.producers.entries.get(header.producer_id)
        if known is not None and header.producer_epoch < known[0]:  # told before the transaction's state
            why = f"producer {header.producer_id} is at epoch {known[0]}, not {header.producer_epoch}"
            return AppendError(ErrorCode.INVALID_PRODUCER_EPOCH, why, before_log=True)
        code = services.transactions.verify(
            transactional_id, header.producer_id, header.producer_epoch, partition, version
        )
        if code:
            why = f"{transactional_id} may not append to {partition.ref.topic}-{partition.index}"
            return AppendError(_code_for_producers(code, version), f"{why}: {ErrorCode(code).name}", before_log=True)
    transaction_version = TRANSACTION_V2 if version >= _ADDS_PARTITIONS_FROM_VERSION else TRANSACTION_V1
    return log(batch, now_ms, transaction_version)


def _code_for_producers(code: int, version: int) -> int:
    """A coordinator's error as a producer of this version understands it, and does the right thing."""
    if code == ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if code == ErrorCode.INVALID_TXN_STATE and version >= _ABORTABLE_FROM_VERSION:
        return ErrorCode.TRANSACTION_ABORTABLE
    is_busy = code == ErrorCode.CONCURRENT_TRANSACTIONS and version < _ADDS_PARTITIONS_FROM_VERSION
    return ErrorCode.NOT_ENOUGH_REPLICAS if is_busy or code in _TRY_AGAIN else code


def _result(partition: Partition, answer: Answer | Token, acks: int, waiting: Waiting) -> PartitionProduceResponse:
    """What to tell about one partition; noted in `waiting` where that is not known or not true yet."""
    result = PartitionProduceResponse(partition.index, 0, -1)
    if isinstance(answer, Token):
        told = Token()
        answer.then(partial(_appended, partition, result, acks, told))
        waiting.append((result, told))
        return result
    durable = _fill(partition, result, answer, acks)
    if durable is not None:
        waiting.append((result, durable))
    return result


def _appended(
    partition: Partition, result: PartitionProduceResponse, acks: int, told: Token, answer: Answer | Ended
) -> None:
    """A thread has looked at the batch, and it is appended, or refused."""
    durable = completed(answer) if isinstance(answer, Ended) else _fill(partition, result, answer, acks)
    (durable or completed()).then(told.complete)


def _fill(partition: Partition, result: PartitionProduceResponse, answer: Answer, acks: int) -> Token | None:
    """Say in `result` what became of the batch; the token after which it is true."""
    log = partition.log
    if isinstance(answer, AppendError):
        result.error_code, result.error_message = answer.code, answer.message
        if not answer.before_log and answer.code not in _WITHOUT_LOG_START:
            result.log_start_offset = log.log_start
        records = answer.records
        if not records and answer.code == ErrorCode.INVALID_TIMESTAMP:
            records = ((0, answer.message),)
        result.record_errors = [BatchIndexAndErrorMessage(*record) for record in records]
        return None
    result.base_offset = answer.base_offset
    result.log_start_offset = log.log_start
    if isinstance(answer, Duplicate):
        result.log_append_time_ms = answer.timestamp  # as Kafka, whoever made it
    elif log.config.log_append_time:
        result.log_append_time_ms = answer.max_timestamp
    return partition.when_durable(answer.last_offset) if acks == -1 else None


def _reply(
    ctx: RequestContext,
    services: Services,
    acks: int,
    timeout_ms: int,
    topics: list[TopicProduceResponse],
    waiting: Waiting,
) -> ProduceResponse | Pending | Hangup | None:
    if acks == 0:
        if waiting:
            return Pending(gather([token for _, token in waiting]), partial(_hang_up, topics))
        return _hang_up(topics, None)
    response = ProduceResponse(topics)
    if not waiting:
        return response
    token = gather([token for _, token in waiting])
    timer = services.env.call_in(max(0, timeout_ms), token.complete, Ended.DEADLINE)
    token.then(lambda _: timer.cancel())
    return Pending(token, partial(_finish, response, waiting, ctx.api_version >= IDS_FROM_VERSION))


def _hang_up(topics: list[TopicProduceResponse], _: object) -> Hangup | None:
    """Of acks=0: nothing to say, or no other way to say it."""
    failed = [result.error_code for topic in topics for result in topic.partition_responses if result.error_code]
    return Hangup(f"produce with acks=0 failed: {ErrorCode(failed[0]).name}") if failed else None


def _finish(
    response: ProduceResponse, waiting: list[tuple[PartitionProduceResponse, Token]], by_id: bool, _: object
) -> ProduceResponse:
    for result, token in waiting:
        if not token.done or token.result is Ended.SHUTDOWN:
            _fail(result, ErrorCode.REQUEST_TIMED_OUT, "the batch is not durable yet")
        elif token.result is Ended.DELETED:
            gone = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            _fail(result, gone, "the topic was deleted")
        elif token.result is not None:
            _fail(result, ErrorCode.KAFKA_STORAGE_ERROR, str(token.result))
    return response


def _fail(result: PartitionProduceResponse, code: ErrorCode, message: str) -> None:
    result.error_code = code
    result.base_offset = result.log_append_time_ms = result.log_start_offset = -1
    result.error_message = message


def _why_missing(services: Services, wanted: TopicProduceData, by_id: bool) -> ErrorCode:
    topic = services.topics.by_id(wanted.topic_id) if by_id else services.topics.get(wanted.name)
    if topic is None and by_id:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if topic is not None and topic.is_internal:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def _why_all_refused(request: ProduceRequest) -> ErrorCode:
    """Kafka looks for a transactional batch before anything else, and cannot go on behind one that is none."""
    for topic in request.topic_data:
        for data in topic.partition_data:
            records = data.records
            if records is None:
                continue
            if _is_unreadable(records):
                return ErrorCode.CORRUPT_MESSAGE
            if _is_transactional(records):
                is_known = request.transactional_id is not None
                return ErrorCode.NONE if is_known else ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    return ErrorCode.NONE


def _is_unreadable(records: Buffer) -> bool:
    """Not the start of a batch of any magic: ByteBufferLogInputStream.nextBatchSize."""
    size = len(records)
    return size >= PREFIX_SIZE and (
        not LEGACY_HEADER_BYTES <= int.from_bytes(records[8:PREFIX_SIZE]) < 1 << 31
        or (size > MAGIC_OFFSET and records[MAGIC_OFFSET] > MAGIC)
    )


def _is_transactional(records: Buffer) -> bool:
    return (
        HEADER_SIZE <= int.from_bytes(records[8:PREFIX_SIZE]) + PREFIX_SIZE <= len(records)
        and records[MAGIC_OFFSET] == MAGIC
        and records[_ATTRIBUTES_LOW_BYTE] & TRANSACTIONAL_BIT != 0
    )


def _is_zstd(records: Buffer) -> bool:
    return len(records) > _ATTRIBUTES_LOW_BYTE and records[_ATTRIBUTES_LOW_BYTE] & CODEC_MASK == _ZSTD


def refuse(request: OneBatch | ProduceRequest, code: ErrorCode) -> ProduceResponse:
    """The same error for every partition."""
    if isinstance(request, tuple):
        head, _ = request
        rows = [PartitionProduceResponse(head.index, code, -1)]
        return ProduceResponse([TopicProduceResponse(head.topic.decode(errors="replace"), head.topic, rows)])
    return ProduceResponse(
        [
            TopicProduceResponse(
                topic.name,
                topic.topic_id,
                [PartitionProduceResponse(data.index, code, -1) for data in topic.partition_data],
            )
            for topic in request.topic_data
        ]
    )
