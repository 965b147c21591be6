"""AddPartitionsToTxn: v0-5.

Puts partitions into a producer's transaction before it writes to them; the first one opens it.

Versions:
    v2: PRODUCER_FENCED (KIP-588). v4: many transactions, verify_only; sent by brokers, not by clients. v5:
    TRANSACTION_ABORTABLE (KIP-890).
Behaviour:
    * All of a transaction's partitions are added, durably, or none.
    * verify_only tells which are in it, and adds nothing.
    * Clients of the newer Produce versions need not ask: that adds the partition itself.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such partition; then OPERATION_NOT_ATTEMPTED for the transaction's others.
    INVALID_REQUEST: the transactional id is empty.
    INVALID_PRODUCER_ID_MAPPING: the transactional id is not known, or has another producer id.
    PRODUCER_FENCED, INVALID_PRODUCER_EPOCH before v2: the epoch is not the current one.
    CONCURRENT_TRANSACTIONS: the transaction before is being ended; try again.
    TRANSACTION_ABORTABLE: verify_only, and the partition is not in the transaction.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-98, KIP-890; KafkaApis.handleAddPartitionsToTxnRequest in Apache Kafka 4.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.core.txn.events import AddTargets, VerifyTargets
from flymq.core.txn.transaction import Partition, Producer
from flymq.env import Token, completed, gather
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k24_add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)
from flymq_protocol.errors import ErrorCode

_KNOWS_FENCED_FROM = 2
_MANY_FROM = 4


def handle(
    ctx: RequestContext, request: AddPartitionsToTxnRequest, services: Services
) -> AddPartitionsToTxnResponse | Pending:
    version = ctx.api_version
    transactions = _transactions(version, request)
    results = [_topics(transaction.topics, ErrorCode.NONE) for transaction in transactions]
    asked = [_ask(transaction, result, services) for transaction, result in zip(transactions, results, strict=True)]

    def finish(_: object) -> AddPartitionsToTxnResponse:
        if version < _MANY_FROM:
            return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=results[0])
        return AddPartitionsToTxnResponse(results_by_transaction=[
            AddPartitionsToTxnResult(transaction.transactional_id, result)
            for transaction, result in zip(transactions, results, strict=True)
        ])

    for token, result in zip(asked, results, strict=True):
        token.then(partial(_note, result, version))
    answered: AddPartitionsToTxnResponse | Pending = when_done(gather(asked), finish)
    return answered


def _transactions(version: int, request: AddPartitionsToTxnRequest) -> list[AddPartitionsToTxnTransaction]:
    if version >= _MANY_FROM:
        return request.transactions
    return [AddPartitionsToTxnTransaction(
        request.v3_and_below_transactional_id,
        request.v3_and_below_producer_id,
        request.v3_and_below_producer_epoch,
        False,
        request.v3_and_below_topics,
    )]


def _ask(
    transaction: AddPartitionsToTxnTransaction, results: list[AddPartitionsToTxnTopicResult], services: Services
) -> Token:
    """A token of an error code for each partition, or of one for all."""
    targets: list[Partition] = []
    errors = []
    for topic in results:
        for one in topic.results_by_partition:
            partition = services.partitions.find(topic.name, one.partition_index)
            if partition is None:
                errors.append(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            else:
                errors.append(ErrorCode.OPERATION_NOT_ATTEMPTED)
                targets.append((partition.ref.topic_id, partition.index))
    if len(targets) < len(errors):
        return completed(errors)
    producer = Producer(transaction.producer_id, transaction.producer_epoch)
    ask = services.transactions.request
    if not transaction.verify_only:
        return ask(AddTargets(transaction.transactional_id, producer, targets, []))
    return gather([ask(VerifyTargets(transaction.transactional_id, producer, [target], [])) for target in targets])


def _note(results: list[AddPartitionsToTxnTopicResult], version: int, outcome: Any) -> None:
    """Write into `results` what came of them."""
    partitions = [one for topic in results for one in topic.results_by_partition]
    outcomes = outcome if isinstance(outcome, list) else [outcome] * len(partitions)
    for one, result in zip(partitions, outcomes, strict=True):
        error = failure(result) or ErrorCode.NONE
        if error == ErrorCode.PRODUCER_FENCED and version < _KNOWS_FENCED_FROM:
            error = ErrorCode.INVALID_PRODUCER_EPOCH
        one.partition_error_code = error


def _topics(topics: list[AddPartitionsToTxnTopic], code: ErrorCode) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            topic.name, [AddPartitionsToTxnPartitionResult(index, code) for index in topic.partitions]
        )
        for topic in topics
    ]


def refuse(request: AddPartitionsToTxnRequest, code: ErrorCode) -> AddPartitionsToTxnResponse:
    """The same error for every partition. From v4 on there are transactions, or there was nothing to fail at."""
    if request.transactions:
        return AddPartitionsToTxnResponse(results_by_transaction=[
            AddPartitionsToTxnResult(transaction.transactional_id, _topics(transaction.topics, code))
            for transaction in request.transactions
        ])
    return AddPartitionsToTxnResponse(
        error_code=code, results_by_topic_v3_and_below=_topics(request.v3_and_below_topics, code)
    )
