"""Partitions and group shards join a transaction; the first one opens it.

Source: TransactionCoordinator.handleAddPartitionsToTransaction, handleVerifyPartitionsInTransaction; KIP-890.
"""

from __future__ import annotations

from flymq.core.effects import Effect, Reply, SetTimer, Write
from flymq.core.txn.events import AddTargets, VerifyTargets
from flymq.core.txn.rows import txn_key, txn_value
from flymq.core.txn.transaction import EPOCH_MAX, PREPARED, State, Transaction
from flymq_protocol.errors import ErrorCode


class Targets:
    def __init__(self, transactions: dict[str, Transaction]) -> None:
        self._transactions = transactions

    def add(self, now_ms: int, event: AddTargets) -> list[Effect]:
        txn = self._transactions.get(event.transactional_id)
        error = self._check(txn, event)
        if error or txn is None:
            return [Reply(event.token, error, barrier=False)]
        if txn.state is State.ONGOING and txn.has(event.partitions, event.groups):
            return [Reply(event.token, ErrorCode.NONE, barrier=not event.written_behind)]
        out: list[Effect] = []
        if txn.state is not State.ONGOING:
            txn.begin(now_ms)
            out.append(SetTimer(txn.timer_key, txn.timeout_ms))
        txn.add(event.partitions, event.groups)
        out.append(Write([(txn_key(txn.transactional_id), txn_value(txn))]))
        out.append(Reply(event.token, ErrorCode.NONE, barrier=not event.written_behind))
        return out

    def verify(self, now_ms: int, event: VerifyTargets) -> list[Effect]:
        txn = self._transactions.get(event.transactional_id)
        error = self._check(txn, event)
        if not error and (txn is None or txn.state is not State.ONGOING or not txn.has(event.partitions, event.groups)):
            error = ErrorCode.TRANSACTION_ABORTABLE
        return [Reply(event.token, error, barrier=False)]

    def _check(self, txn: Transaction | None, event: AddTargets | VerifyTargets) -> ErrorCode:
        if not event.transactional_id:
            return ErrorCode.INVALID_REQUEST
        if txn is None or txn.producer.id != event.producer.id:
            return ErrorCode.INVALID_PRODUCER_ID_MAPPING
        if txn.producer.epoch != event.producer.epoch or txn.producer.epoch == EPOCH_MAX:
            return ErrorCode.PRODUCER_FENCED
        return ErrorCode.CONCURRENT_TRANSACTIONS if txn.state in PREPARED else ErrorCode.NONE
