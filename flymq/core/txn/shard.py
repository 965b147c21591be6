"""The machine: many transactional ids, one event at a time, effects out.

Rows go in through `apply`, then `loaded` arms the timers, and a `Settle` brings what logs and groups have open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flymq.core.effects import Effect, Reply, SetTimer, TimerFired, Write
from flymq.core.txn.ending import Ending
from flymq.core.txn.events import (
    AddTargets,
    DescribeTransaction,
    Description,
    EndTxn,
    InitProducerId,
    Listed,
    ListTransactions,
    Settle,
    TargetsEnded,
    TxnConfig,
    VerifyTargets,
)
from flymq.core.txn.rows import parse_txn, txn_key
from flymq.core.txn.starting import Starting
from flymq.core.txn.targets import Targets
from flymq.core.txn.transaction import IDLE, State, Transaction
from flymq_protocol.errors import ErrorCode

EXPIRE = ("expire",)


class TxnShard:
    def __init__(self, config: TxnConfig) -> None:
        self.config = config
        self.transactions: dict[str, Transaction] = {}
        self._ending = Ending(self.transactions)
        targets = Targets(self.transactions)
        starting = Starting(self.transactions, self._ending, config.transaction_max_timeout_ms)
        self._steps: dict[type, Callable[[int, Any], list[Effect]]] = {
            AddTargets: targets.add,
            VerifyTargets: targets.verify,
            EndTxn: self._ending.end,
            TargetsEnded: self._ending.targets_ended,
            InitProducerId: starting.init,
            TimerFired: self._timer_fired,
            Settle: self._ending.settle,
            DescribeTransaction: self._describe,
            ListTransactions: self._list,
        }

    def step(self, now_ms: int, event: Any) -> list[Effect]:
        """`now_ms`: wall clock. `event`: one of `events`, or `TimerFired`."""
        return self._steps[type(event)](now_ms, event)

    # -- load -------------------------------------------------------------------------------------

    def apply(self, key: str, value: str) -> None:
        """A stored row."""
        txn = parse_txn(key, value)
        self.transactions[txn.transactional_id] = txn

    def loaded(self, now_ms: int) -> list[Effect]:
        """All rows are in: transactions have what is left of their time."""
        out: list[Effect] = [self._expiry_timer()]
        for txn in self.transactions.values():
            if txn.state is State.ONGOING:
                out.append(SetTimer(txn.timer_key, max(0, txn.start_ms + txn.timeout_ms - now_ms)))
        return out

    # -- timers -----------------------------------------------------------------------------------

    def _timer_fired(self, now_ms: int, event: TimerFired) -> list[Effect]:
        key: Any = event.key
        return self._expire(now_ms) if key == EXPIRE else self._ending.time_is_up(now_ms, key[1])

    def _expiry_timer(self) -> SetTimer:
        return SetTimer(EXPIRE, self.config.transaction_remove_expired_transaction_cleanup_interval_ms)

    def _expire(self, now_ms: int) -> list[Effect]:
        """Forget ids that nobody has used for transactional.id.expiration.ms."""
        before_ms = now_ms - self.config.transactional_id_expiration_ms
        expired = [txn for txn in self.transactions.values() if txn.state in IDLE and txn.update_ms <= before_ms]
        for txn in expired:
            txn.become(State.DEAD, now_ms)
            del self.transactions[txn.transactional_id]
        timer = self._expiry_timer()
        return [Write([], [txn_key(txn.transactional_id) for txn in expired]), timer] if expired else [timer]

    # -- admin ------------------------------------------------------------------------------------

    def _describe(self, now_ms: int, event: DescribeTransaction) -> list[Effect]:
        txn = self.transactions.get(event.transactional_id)
        if txn is None:
            return [Reply(event.token, ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)]
        description = Description(
            txn.state, txn.timeout_ms, txn.start_ms, txn.producer, list(txn.partitions), list(txn.groups)
        )
        return [Reply(event.token, description)]

    def _list(self, now_ms: int, event: ListTransactions) -> list[Effect]:
        listed = [
            Listed(txn.transactional_id, txn.producer.id, txn.state)
            for txn in self.transactions.values()
            if (not event.states or txn.state in event.states)
            and (not event.producer_ids or txn.producer.id in event.producer_ids)
            and (event.duration_ms < 0 or now_ms - txn.start_ms > event.duration_ms)
            and (event.matches is None or event.matches(txn.transactional_id))
        ]
        return [Reply(event.token, listed)]
