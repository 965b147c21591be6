"""DescribeTransactions: v0-0.

State, producer, time and partitions of transactions, by transactional id. (KIP-664)

Behaviour:
    * A group whose offsets are in the transaction shows as a partition of __consumer_offsets.
    * Partitions of topics that are deleted do not show.
Errors:
    INVALID_REQUEST: the transactional id is empty.
    TRANSACTIONAL_ID_NOT_FOUND: it is not known.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-664; TransactionCoordinator.handleDescribeTransactions in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog.names import CONSUMER_OFFSETS
from flymq.core.txn.events import DescribeTransaction, Description
from flymq.env import Token, completed, gather
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k65_describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: DescribeTransactionsRequest, services: Services
) -> DescribeTransactionsResponse | Pending:
    # Named over and over, it is told once: kilobytes must not ask for gigabytes.
    names = list(dict.fromkeys(request.transactional_ids))

    def describe(name: str) -> Token:
        if not name:
            return completed(ErrorCode.INVALID_REQUEST)
        return services.transactions.request(DescribeTransaction(name))

    def finish(results: object) -> DescribeTransactionsResponse:
        if not isinstance(results, list):
            return refuse(request, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        return DescribeTransactionsResponse(
            transaction_states=[_state(name, result, services) for name, result in zip(names, results, strict=True)]
        )

    answered: DescribeTransactionsResponse | Pending = when_done(gather([describe(name) for name in names]), finish)
    return answered


def _state(transactional_id: str, result: object, services: Services) -> TransactionState:
    if not isinstance(result, Description):
        return TransactionState(failure(result) or ErrorCode.UNKNOWN_SERVER_ERROR, transactional_id)
    topics: dict[str, list[int]] = {}
    for topic_id, index in result.partitions:
        topic = services.topics.by_id(topic_id)
        if topic is not None:
            topics.setdefault(topic.name, []).append(index)
    if result.groups:
        topics[CONSUMER_OFFSETS] = result.groups
    return TransactionState(
        ErrorCode.NONE,
        transactional_id,
        result.state.value,
        result.timeout_ms,
        result.start_ms,
        result.producer.id,
        result.producer.epoch,
        [TopicData(name, partitions) for name, partitions in topics.items()],
    )


def refuse(request: DescribeTransactionsRequest, code: ErrorCode) -> DescribeTransactionsResponse:
    """The same error for every transactional id."""
    return DescribeTransactionsResponse(transaction_states=[
        TransactionState(code, transactional_id) for transactional_id in request.transactional_ids
    ])
