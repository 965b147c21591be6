"""InitProducerId: a producer id for a transactional id, or the next epoch of the one it has.

Source: TransactionCoordinator.handleInitProducerId; KIP-98, KIP-360.
"""

from __future__ import annotations

from flymq.core.effects import Effect, Reply, Write
from flymq.core.txn.ending import Ending
from flymq.core.txn.events import NEEDS_PRODUCER_ID, InitProducerId
from flymq.core.txn.rows import txn_key, txn_value
from flymq.core.txn.transaction import EPOCH_MAX, NOBODY, PREPARED, Producer, State, Transaction
from flymq_protocol.errors import ErrorCode


class Starting:
    def __init__(self, transactions: dict[str, Transaction], ending: Ending, timeout_ms_max: int) -> None:
        self._transactions = transactions
        self._ending = ending
        self._timeout_ms_max = timeout_ms_max
        ending.resume = self.init

    def init(self, now_ms: int, event: InitProducerId) -> list[Effect]:
        """An open transaction of that id is aborted first: the answer waits for it."""
        if not event.transactional_id:
            return [Reply(event.token, ErrorCode.INVALID_REQUEST)]
        if not 0 < event.timeout_ms <= self._timeout_ms_max:
            return [Reply(event.token, ErrorCode.INVALID_TRANSACTION_TIMEOUT)]
        txn = self._transactions.get(event.transactional_id)
        if txn is None:
            return self._first(now_ms, event)
        if txn.state in PREPARED:
            self._ending.hold(event)
            return []
        out: list[Effect] = []
        if txn.state is State.ONGOING:
            if event.claimed not in (NOBODY, txn.producer):
                return [Reply(event.token, ErrorCode.PRODUCER_FENCED)]
            self._ending.hold(event)
            self._ending.fence(now_ms, txn, out, event.claimed)
            return out
        if event.claimed not in (NOBODY, txn.producer, txn.last):
            return [Reply(event.token, ErrorCode.PRODUCER_FENCED)]
        # Its own end, or an answer that was lost, has raised the epoch already.
        has_next = event.claimed == txn.last != NOBODY and txn.producer.epoch < EPOCH_MAX
        if txn.is_exhausted and not has_next and event.new_producer_id < 0:
            return [Reply(event.token, NEEDS_PRODUCER_ID)]
        if not has_next:
            _give_next(txn, event)
        txn.become(State.EMPTY, now_ms)
        txn.start_ms = -1
        txn.timeout_ms = event.timeout_ms
        return [Write([(txn_key(txn.transactional_id), txn_value(txn))]), Reply(event.token, txn.producer)]

    def _first(self, now_ms: int, event: InitProducerId) -> list[Effect]:
        if event.new_producer_id < 0:
            return [Reply(event.token, NEEDS_PRODUCER_ID)]
        producer = Producer(event.new_producer_id, 0)
        txn = Transaction(event.transactional_id, producer, event.timeout_ms, now_ms)
        self._transactions[event.transactional_id] = txn
        return [Write([(txn_key(txn.transactional_id), txn_value(txn))]), Reply(event.token, producer)]


def _give_next(txn: Transaction, event: InitProducerId) -> None:
    """The next epoch, or, where those are used up, the new id. Whoever did not say who it is may be somebody new: then
    the old one's retry is fenced."""
    if txn.is_exhausted:
        txn.last = event.claimed
        txn.producer = Producer(event.new_producer_id, 0)
    else:
        txn.bump(event.claimed)
