"""ListTransactions: v0-2.

All transactional ids, by state, producer, age and name. (KIP-664)

Versions:
    v1: duration_filter (KIP-994). v2: transactional_id_pattern (KIP-1152).
Behaviour:
    * An empty filter passes all. State names that nobody knows come back; the others are filtered by.
    * duration_filter passes what began longer ago, in ms; also, as in Kafka, what never began.
    * The pattern (RE2) must match the whole id.
Errors:
    INVALID_REGULAR_EXPRESSION: the pattern is none.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-664, KIP-994, KIP-1152; TransactionStateManager.listTransactionStates in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.patterns import compiled
from flymq.core.txn.events import ListTransactions
from flymq.core.txn.transaction import State
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k66_list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    TransactionState,
)
from flymq_protocol.errors import ErrorCode

_STATES = {state.value: state for state in State}


def handle(
    ctx: RequestContext, request: ListTransactionsRequest, services: Services
) -> ListTransactionsResponse | Pending:
    matches = None
    if request.transactional_id_pattern:
        try:
            matches = compiled(request.transactional_id_pattern).fullmatch
        except ValueError:
            return refuse(request, ErrorCode.INVALID_REGULAR_EXPRESSION)
    states = frozenset(_STATES[name] for name in request.state_filters if name in _STATES)
    unknown = [name for name in request.state_filters if name not in _STATES]
    producer_ids = frozenset(request.producer_id_filters)
    duration_ms = request.duration_filter
    if unknown and not states:  # no state at all is asked for: an empty filter would be all of them
        return ListTransactionsResponse(unknown_state_filters=unknown)

    def finish(result: object) -> ListTransactionsResponse:
        if not isinstance(result, list):
            return refuse(request, failure(result) or ErrorCode.UNKNOWN_SERVER_ERROR)
        return ListTransactionsResponse(
            unknown_state_filters=unknown,
            transaction_states=[
                TransactionState(name, producer_id, state.value) for name, producer_id, state in result
            ],
        )

    token = services.transactions.list_transactions(
        lambda: ListTransactions(states, producer_ids, duration_ms, matches)
    )
    answered: ListTransactionsResponse | Pending = when_done(token, finish)
    return answered


def refuse(request: ListTransactionsRequest, code: ErrorCode) -> ListTransactionsResponse:
    return ListTransactionsResponse(error_code=code)
