"""A transaction shard with a clock of its own: scripts feed requests and time, read the answers, and end targets."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer, TimerFired, Write
from flymq.core.txn.events import (
    NEEDS_PRODUCER_ID,
    AddTargets,
    Completed,
    DescribeTransaction,
    EndTargets,
    EndTxn,
    InitProducerId,
    Listed,
    ListTransactions,
    Open,
    Settle,
    TargetsEnded,
    TxnConfig,
    VerifyTargets,
)
from flymq.core.txn.shard import TxnShard
from flymq.core.txn.transaction import NOBODY, Partition, Producer, Transaction

START_MS = 1_700_000_000_000
TOPIC = bytes(range(16))
P0: Partition = (TOPIC, 0)
P1: Partition = (TOPIC, 1)


class Script:
    """Runs one shard as the runtime would: timers fire in order, rows are kept, tokens are answered once.

    `orders` are those to be done; `end_targets` does them. Producer ids come from `next_id`.
    """

    def __init__(
        self,
        config: TxnConfig | None = None,
        rows: dict[str, str] | None = None,
        now_ms: int = START_MS,
        found: list[Open] | None = None,
        next_id: int = 100,
    ) -> None:
        self.config = config or TxnConfig()
        self.now_ms = now_ms
        self.rows = dict(rows or {})
        self.next_id = next_id
        self.machine = TxnShard(self.config)
        for key in sorted(self.rows):
            self.machine.apply(key, self.rows[key])
        self.answers: dict[int, Any] = {}
        self.timers: dict[Hashable, int] = {}
        self.orders: list[EndTargets] = []
        self.effects: list[Effect] = []  # of the last step
        self.survivors: list[dict[str, str]] = [self.rows]
        """What a crash may leave of the rows: later ones than the last that somebody was told of may be lost."""
        self._token = 0
        self._open: dict[int, Any] = {}
        self._carry_out(self.machine.loaded(now_ms))
        self._carry_out(self.machine.step(now_ms, Settle(found or [])))

    def restarted(self, found: list[Open] | None = None) -> Script:
        """A new broker over the same rows."""
        return Script(self.config, self.rows, self.now_ms, found, self.next_id)

    def txn(self, name: str = "t") -> Transaction:
        return self.machine.transactions[name]

    def state(self, name: str = "t") -> str:
        return self.txn(name).state.value

    @property
    def parked(self) -> set[int]:
        """Tokens not answered yet."""
        return set(self._open)

    def send(self, event: Any) -> int:
        """Feed a request; its token."""
        self._token += 1
        event.token = self._token
        self._open[self._token] = event
        self._carry_out(self.machine.step(self.now_ms, event))
        return self._token

    def ask(self, event: Any) -> Any:
        """Feed a request that is answered at once; the answer."""
        return self.answers[self.send(event)]

    def advance(self, delay_ms: int) -> None:
        """Let time pass; timers fire when due."""
        end_ms = self.now_ms + delay_ms
        while self.timers:
            key, deadline_ms = min(self.timers.items(), key=lambda item: item[1])
            if deadline_ms > end_ms:
                break
            del self.timers[key]
            self.now_ms = max(self.now_ms, deadline_ms)
            self._carry_out(self.machine.step(self.now_ms, TimerFired(key)))
        self.now_ms = end_ms

    def end_targets(self) -> EndTargets:
        """The oldest order is done."""
        order = self.orders.pop(0)
        self.told()
        if order.transactional_id is not None:
            self._carry_out(self.machine.step(self.now_ms, TargetsEnded(order.transactional_id, order.producer)))
        return order

    def told(self) -> None:
        """Somebody acts on what is written: it is durable."""
        self.survivors = [self.rows]

    def _carry_out(self, effects: list[Effect]) -> None:
        self.effects = effects
        for effect in effects:
            if isinstance(effect, Reply):
                self._answer(effect)
            elif isinstance(effect, Write):
                self.rows = {**self.rows, **dict(effect.puts)}
                for key in effect.deletes:
                    del self.rows[key]
                self.survivors.append(self.rows)
            elif isinstance(effect, SetTimer):
                self.timers[effect.key] = self.now_ms + effect.delay_ms
            elif isinstance(effect, CancelTimer):
                self.timers.pop(effect.key, None)
            elif isinstance(effect, EndTargets):
                self._check_is_durable(effect)
                self.orders.append(effect)
            else:
                assert isinstance(effect, Completed)

    def _answer(self, effect: Reply) -> None:
        event = self._open.pop(effect.token)
        if effect.barrier:
            self.told()
        if effect.result is NEEDS_PRODUCER_ID:
            event.new_producer_id = self.next_id
            self.next_id += 1
            self._open[effect.token] = event
            self._carry_out(self.machine.step(self.now_ms, event))
        else:
            self.answers[effect.token] = effect.result

    def _check_is_durable(self, order: EndTargets) -> None:
        """No target is told of an outcome that the row does not hold, with that target."""
        if order.transactional_id is not None:
            stored = Script.parse(self.rows, order.transactional_id)
            assert stored.state.value == ("PrepareCommit" if order.commit else "PrepareAbort")
            assert (list(stored.partitions), list(stored.groups)) == (order.partitions, order.groups)
            assert stored.producer == order.producer

    @staticmethod
    def parse(rows: dict[str, str], name: str) -> Transaction:
        again = TxnShard(TxnConfig())
        for key, value in rows.items():
            again.apply(key, value)
        return again.transactions[name]

    # -- requests ---------------------------------------------------------------------------------

    def init(self, claimed: Producer = NOBODY, *, timeout_ms: int = 60_000, name: str = "t") -> Any:
        """The answer, which must come at once."""
        return self.ask(InitProducerId(name, timeout_ms, claimed))

    def add(self, producer: Producer, *partitions: Partition, groups: tuple[int, ...] = (), name: str = "t") -> Any:
        return self.ask(AddTargets(name, producer, list(partitions), list(groups)))

    def verify(self, producer: Producer, *partitions: Partition, groups: tuple[int, ...] = ()) -> Any:
        return self.ask(VerifyTargets("t", producer, list(partitions), list(groups)))

    def send_end(self, producer: Producer, commit: bool = True, *, bumps: bool = True) -> int:
        return self.send(EndTxn("t", producer, commit, bumps))

    def end(self, producer: Producer, commit: bool = True, *, bumps: bool = True) -> Any:
        """The answer, once all that was ordered is done; None while there is none."""
        token = self.send_end(producer, commit, bumps=bumps)
        while self.orders:
            self.end_targets()
        return self.answers.get(token)

    def describe(self, name: str = "t") -> Any:
        return self.ask(DescribeTransaction(name))

    def listed(self, **filters: Any) -> list[Listed]:
        answer: list[Listed] = self.ask(ListTransactions(**filters))
        return answer

    # -- states -----------------------------------------------------------------------------------

    def in_state(self, name: str) -> Producer:
        """Bring "t" into a state; its producer before that."""
        producer: Producer = self.init()
        if name == "Empty":
            return producer
        assert not self.add(producer, P0)
        if name != "Ongoing":
            self.send_end(producer, name.endswith("Commit"))
            if name.startswith("Complete"):
                self.end_targets()
        assert self.state() == name
        return producer
