"""TxnOffsetCommit: v0-5.

Puts a group's positions into a transaction: they count once it commits.

Versions:
    v2: leader epochs. v3: member and generation, which fence a consumer that was replaced (KIP-447).
    v4: TRANSACTION_ABORTABLE (KIP-890). v5: adds the group to the transaction itself, without AddOffsetsToTxn.
Behaviour:
    * Answered once the pending offsets are durable. Does not re-arm the member's session timer, as in Kafka.
    * Generation -1 and no member, from producers of old: not fenced, whoever is in the group.
    * Partitions that don't exist are refused one by one, the others stored.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such topic or partition. INVALID_GROUP_ID: the group id is empty.
    OFFSET_METADATA_TOO_LARGE: above offset.metadata.max.bytes.
    INVALID_PRODUCER_EPOCH: there is a newer producer (elsewhere PRODUCER_FENCED: clients of old know only this).
    INVALID_PRODUCER_ID_MAPPING, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS, TRANSACTION_ABORTABLE: not in a
    transaction of that producer that is open, with this group in it.
    UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION: not a member of the current generation.
    COORDINATOR_NOT_AVAILABLE: not durable, or shutting down; try again.
Source:
    KafkaApis.handleTxnOffsetCommitRequest, GroupCoordinatorService.commitTransactionalOffsets in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.group.events import CommitTxnOffsets, OffsetEntry
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: TxnOffsetCommitRequest, services: Services
) -> TxnOffsetCommitResponse | Pending:
    answers: list[TxnOffsetCommitResponseTopic] = []
    entries: list[OffsetEntry] = []
    waiting: list[TxnOffsetCommitResponsePartition] = []  # the answers to `entries`
    for asked in request.topics:
        topic = services.topics.get(asked.name)
        partitions = []
        for wanted in asked.partitions:
            index = wanted.partition_index
            answer = TxnOffsetCommitResponsePartition(index, 0)
            partitions.append(answer)
            if topic is None or not 0 <= index < topic.partition_count:
                answer.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            else:
                waiting.append(answer)
                entries.append(OffsetEntry(
                    topic.id, topic.name, index, wanted.committed_offset, wanted.committed_leader_epoch,
                    wanted.committed_metadata or "",
                ))
        answers.append(TxnOffsetCommitResponseTopic(asked.name, partitions))
    response = TxnOffsetCommitResponse(topics=answers)
    if not entries:
        return response

    def finish(result: Any) -> TxnOffsetCommitResponse:
        errors = result if isinstance(result, list) else [failure(result) or ErrorCode.NONE] * len(waiting)
        for answer, error in zip(waiting, errors, strict=True):
            answer.error_code = ErrorCode.INVALID_PRODUCER_EPOCH if error == ErrorCode.PRODUCER_FENCED else error
        return response

    if not request.group_id:
        return finish(ErrorCode.INVALID_GROUP_ID)
    error = services.transactions.verify_offsets(
        request.transactional_id, request.producer_id, request.producer_epoch, request.group_id, ctx.api_version
    )
    if error:
        return finish(error)
    event = CommitTxnOffsets(
        request.group_id,
        request.generation_id,
        request.member_id,
        entries,
        producer_id=request.producer_id,
        producer_epoch=request.producer_epoch,
        instance_id=request.group_instance_id,
    )
    answered: TxnOffsetCommitResponse | Pending = when_done(services.groups.request(event), finish)
    return answered


def refuse(request: TxnOffsetCommitRequest, code: ErrorCode) -> TxnOffsetCommitResponse:
    """The same error for every partition."""
    return TxnOffsetCommitResponse(topics=[
        TxnOffsetCommitResponseTopic(
            topic.name, [TxnOffsetCommitResponsePartition(wanted.partition_index, code) for wanted in topic.partitions]
        )
        for topic in request.topics
    ])
