"""Transactions end: by EndTxn, by their time, by their producer's successor, or by what a crash left of them.

The outcome is durable in the row, with all targets, before the first target is told of it; and every target
has it durably before the row says Complete.

Source: TransactionCoordinator.endTransaction, endTransactionWithTV1; KIP-98, KIP-890.
"""

from __future__ import annotations

from collections.abc import Callable

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer, Write
from flymq.core.txn.events import (
    NEEDS_PRODUCER_ID,
    Completed,
    EndTargets,
    EndTxn,
    InitProducerId,
    Open,
    Settle,
    TargetsEnded,
)
from flymq.core.txn.rows import txn_key, txn_value
from flymq.core.txn.transaction import EPOCH_MAX, IDLE, NOBODY, PREPARED, Producer, State, Transaction
from flymq_protocol.errors import ErrorCode

_DONE = ErrorCode.NONE
_BUSY = ErrorCode.CONCURRENT_TRANSACTIONS
_WRONG = ErrorCode.INVALID_TXN_STATE
_END = None  # go on: end what is open, be it nothing

# Before v5, by (state, commit). The epoch is the current one.
_ENDS = {
    (State.EMPTY, True): _WRONG, (State.EMPTY, False): _WRONG,
    (State.ONGOING, True): _END, (State.ONGOING, False): _END,
    (State.PREPARE_COMMIT, True): _BUSY, (State.PREPARE_COMMIT, False): _WRONG,
    (State.PREPARE_ABORT, True): _WRONG, (State.PREPARE_ABORT, False): _BUSY,
    (State.COMPLETE_COMMIT, True): _DONE, (State.COMPLETE_COMMIT, False): _WRONG,
    (State.COMPLETE_ABORT, True): _WRONG, (State.COMPLETE_ABORT, False): _DONE,
}  # fmt: skip

# From v5 on, the current epoch, by (state, commit): a new end. Where one is under way, nobody has that epoch yet.
_ENDS_NOW = {
    **{(State.ONGOING, commit): _END for commit in (True, False)},
    **{(idle, True): _WRONG for idle in IDLE},
    **{(idle, False): _END for idle in IDLE},
    **{(prepared, commit): ErrorCode.PRODUCER_FENCED for prepared in PREPARED for commit in (True, False)},
}

# From v5 on, the epoch before, by (state, commit): the end that raised it is asked for again.
_ENDS_AGAIN = {
    **_ENDS,
    **{(State.EMPTY, commit): ErrorCode.PRODUCER_FENCED for commit in (True, False)},
    **{(State.ONGOING, commit): ErrorCode.PRODUCER_FENCED for commit in (True, False)},
}


class Ending:
    """`resume(now_ms, event)` is called with each held InitProducerId once it may go on."""

    resume: Callable[[int, InitProducerId], list[Effect]]

    def __init__(self, transactions: dict[str, Transaction]) -> None:
        self._transactions = transactions
        self._asking: dict[str, int] = {}  # transactional id -> token of the EndTxn that is answered when it is over
        self._held: dict[str, list[InitProducerId]] = {}

    def hold(self, event: InitProducerId) -> None:
        """Until the end that is under way is over."""
        self._held.setdefault(event.transactional_id, []).append(event)

    # -- asked for --------------------------------------------------------------------------------

    def end(self, now_ms: int, event: EndTxn) -> list[Effect]:
        if not event.transactional_id:
            return [Reply(event.token, ErrorCode.INVALID_REQUEST)]
        txn = self._transactions.get(event.transactional_id)
        is_again = txn is not None and event.bumps and event.producer == txn.last != NOBODY
        if txn is None or (txn.producer.id != event.producer.id and not is_again):
            return [Reply(event.token, ErrorCode.INVALID_PRODUCER_ID_MAPPING)]
        if (txn.producer.epoch != event.producer.epoch or txn.producer.epoch == EPOCH_MAX) and not is_again:
            return [Reply(event.token, ErrorCode.PRODUCER_FENCED)]
        table = _ENDS if not event.bumps else _ENDS_AGAIN if is_again else _ENDS_NOW
        answer = table[txn.state, event.commit]
        if answer is not _END:
            return [Reply(event.token, txn.producer if answer is _DONE else answer)]
        if event.bumps and txn.is_exhausted:
            if event.new_producer_id < 0:
                return [Reply(event.token, NEEDS_PRODUCER_ID)]
            txn.next_producer_id = event.new_producer_id
        if event.bumps:
            txn.bump(txn.producer)
        txn.transaction_version = 2 if event.bumps else 0
        self._asking[txn.transactional_id] = event.token
        out: list[Effect] = []
        self._prepare(now_ms, txn, event.commit, out)
        return out

    # -- not asked for ----------------------------------------------------------------------------

    def time_is_up(self, now_ms: int, transactional_id: str) -> list[Effect]:
        out: list[Effect] = []
        txn = self._transactions.get(transactional_id)
        if txn is not None and txn.state is State.ONGOING:
            self.fence(now_ms, txn, out)
        return out

    def fence(self, now_ms: int, txn: Transaction, out: list[Effect], last: Producer = NOBODY) -> None:
        """Abort, and leave its producer behind. `last`: who may ask for the new epoch; nobody where it is not known
        that it is the producer itself who asks."""
        txn.bump(last)
        self._prepare(now_ms, txn, False, out)

    # -- both -------------------------------------------------------------------------------------

    def _prepare(self, now_ms: int, txn: Transaction, commit: bool, out: list[Effect]) -> None:
        if txn.state in IDLE:
            txn.start_ms = now_ms
        txn.become(State.PREPARE_COMMIT if commit else State.PREPARE_ABORT, now_ms)
        out.append(CancelTimer(txn.timer_key))
        if txn.partitions or txn.groups:
            out.append(_row(txn))
            out.append(_end_targets(txn))
        else:
            self._complete(now_ms, txn, out)

    def targets_ended(self, now_ms: int, event: TargetsEnded) -> list[Effect]:
        out: list[Effect] = []
        txn = self._transactions.get(event.transactional_id)
        if txn is not None and txn.state in PREPARED and txn.producer == event.producer:
            self._complete(now_ms, txn, out)
        return out

    def _complete(self, now_ms: int, txn: Transaction, out: list[Effect]) -> None:
        committed = txn.state is State.PREPARE_COMMIT
        txn.become(State.COMPLETE_COMMIT if committed else State.COMPLETE_ABORT, now_ms)
        txn.partitions = {}
        txn.groups = {}
        if txn.next_producer_id >= 0:
            txn.producer = Producer(txn.next_producer_id, 0)
            txn.next_producer_id = -1
        out.append(_row(txn))
        out.append(Completed())
        token = self._asking.pop(txn.transactional_id, 0)
        if token:
            out.append(Reply(token, txn.producer))
        for event in self._held.pop(txn.transactional_id, ()):
            out.extend(self.resume(now_ms, event))

    # -- after a load -----------------------------------------------------------------------------

    def settle(self, now_ms: int, event: Settle) -> list[Effect]:
        """What is open joins its row, or ends; what was about to end goes on to."""
        out: list[Effect] = []
        owners = {txn.last.id: txn for txn in self._transactions.values()}
        owners.update({txn.producer.id: txn for txn in self._transactions.values()})
        joined: dict[str, Transaction] = {}
        for found in event.found:
            txn = owners.get(found.producer.id)
            if txn is None:
                continue
            if self._belongs(txn, found):
                self._join(now_ms, txn, found, joined, out)
            else:
                out.append(leftover(found, commit=txn.state is State.COMPLETE_COMMIT and found.producer == txn.last))
                if found.producer == txn.producer:
                    joined[txn.transactional_id] = txn
        out.extend(_row(txn) for txn in joined.values())
        out.extend(_end_targets(txn) for txn in self._transactions.values() if txn.state in PREPARED)
        return out

    def _belongs(self, txn: Transaction, found: Open) -> bool:
        """Whether it is part of what the row says, or begins it: a partition may be written before the row has it."""
        if found.producer == txn.producer:
            return True
        if found.producer.id == txn.producer.id and found.producer.epoch > txn.producer.epoch:
            # Rows were lost, which takes a power cut. That epoch is used: nobody may have it again.
            txn.producer = found.producer
            return False
        return txn.state is State.PREPARE_ABORT or (txn.state is State.PREPARE_COMMIT and found.producer == txn.last)

    def _join(
        self, now_ms: int, txn: Transaction, found: Open, joined: dict[str, Transaction], out: list[Effect]
    ) -> None:
        partitions, groups = ([], [found.group]) if found.partition is None else ([found.partition], [])
        if txn.state in IDLE:
            txn.begin(now_ms)
            out.append(SetTimer(txn.timer_key, txn.timeout_ms))
        elif txn.has(partitions, groups):
            return
        txn.add(partitions, groups)
        joined[txn.transactional_id] = txn


def leftover(found: Open, commit: bool) -> EndTargets:
    """The end of a transaction that nobody waits for."""
    if found.partition is None:
        return EndTargets(None, found.producer, commit, [], [found.group])
    return EndTargets(None, found.producer, commit, [found.partition], [])


def _row(txn: Transaction) -> Write:
    return Write([(txn_key(txn.transactional_id), txn_value(txn))])


def _end_targets(txn: Transaction) -> EndTargets:
    return EndTargets(
        txn.transactional_id,
        txn.producer,
        txn.state is State.PREPARE_COMMIT,
        list(txn.partitions),
        list(txn.groups),
    )
