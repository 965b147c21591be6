"""Every state x every event, with retries, time-outs and crashes: all of a transaction is committed, or all aborted."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flymq.core.txn.events import AddTargets, EndTargets, EndTxn, InitProducerId, Open
from flymq.core.txn.transaction import NOBODY, PREPARED, Producer, State
from flymq_protocol.errors import ErrorCode

from .harness import P0, P1, Script

TARGETS: list[Any] = [P0, P1, 7, 8]  # two partitions, two group shards
CLIENTS = st.integers(0, 1)
TARGET = st.sampled_from(TARGETS)
TIMEOUT_MS = 1000

INIT_ERRORS = {ErrorCode.PRODUCER_FENCED}
ADD_ERRORS = {
    ErrorCode.NONE, ErrorCode.PRODUCER_FENCED, ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
}
END_ERRORS = {*ADD_ERRORS, ErrorCode.INVALID_TXN_STATE} - {ErrorCode.NONE}


class TxnModel(RuleBasedStateMachine):
    """Two clients that fight for "t". From v5 on a producer id and epoch name one transaction for good."""

    def __init__(self) -> None:
        super().__init__()
        self.script = Script()
        self.producers = [NOBODY, NOBODY]  # as clients were told
        self.ends: list[EndTxn | None] = [None, None]  # each client's last, to repeat
        self.asked: dict[int, tuple[int, InitProducerId | EndTxn]] = {}
        self.open: dict[Any, Producer] = {}  # what targets hold
        self.outcomes: dict[Producer, set[bool]] = {}
        self.given: set[Producer] = set()

    # -- requests ---------------------------------------------------------------------------------

    def ask(self, client: int, event: InitProducerId | EndTxn) -> None:
        self.asked[self.script.send(event)] = (client, event)
        self.look()

    def look(self) -> None:
        """Judge every new answer."""
        for token in [token for token in self.asked if token in self.script.answers]:
            client, event = self.asked.pop(token)
            result = self.script.answers[token]
            if not isinstance(result, Producer):
                assert result in (INIT_ERRORS if isinstance(event, InitProducerId) else END_ERRORS)
                continue
            self.producers[client] = result
            if isinstance(event, EndTxn):
                assert self.outcomes.get(event.producer, {event.commit}) == {event.commit}
                assert event.producer not in self.open.values(), "answered before it has ended"

    @rule(client=CLIENTS, names_itself=st.booleans())
    def init(self, client: int, names_itself: bool) -> None:
        claimed = self.producers[client] if names_itself else NOBODY
        self.ask(client, InitProducerId("t", TIMEOUT_MS, claimed))

    @rule(client=CLIENTS, place=TARGET)
    def write(self, client: int, place: Any) -> None:
        """As Produce v12 and TxnOffsetCommit v5 do."""
        producer = self.producers[client]
        partitions, groups = ([], [place]) if isinstance(place, int) else ([place], [])
        answer = self.script.ask(AddTargets("t", producer, partitions, groups, written_behind=True))
        assert answer in ADD_ERRORS
        if answer == ErrorCode.NONE:
            assert producer not in self.outcomes, "written to after it has ended"
            assert self.open.get(place, producer) == producer, "two transactions of one producer id in one place"
            self.open[place] = producer

    @rule(client=CLIENTS, commit=st.booleans())
    def end(self, client: int, commit: bool) -> None:
        self.ends[client] = EndTxn("t", self.producers[client], commit, bumps=True)
        self.ask_again(client)

    @precondition(lambda self: any(self.ends))
    @rule(client=CLIENTS)
    def ask_again(self, client: int) -> None:
        end = self.ends[client]
        if end is not None:
            self.ask(client, EndTxn("t", end.producer, end.commit, bumps=True))

    # -- what goes on by itself -------------------------------------------------------------------

    def outcome(self, order: EndTargets, target: Any) -> None:
        self.script.told()
        held = self.open.get(target)
        if held is not None and held.id == order.producer.id:
            assert held.epoch <= order.producer.epoch, "a marker from the past"
            del self.open[target]
            self.outcomes.setdefault(held, set()).add(order.commit)
            assert len(self.outcomes[held]) == 1, f"{held} is committed here and aborted there"

    @precondition(lambda self: self.script.orders)
    @rule(place=TARGET)
    def one_marker(self, place: Any) -> None:
        order = self.script.orders[0]
        if place in (*order.partitions, *order.groups):
            self.outcome(order, place)

    @precondition(lambda self: self.script.orders)
    @rule()
    def all_markers(self) -> None:
        order = self.script.orders[0]
        for target in (*order.partitions, *order.groups):
            self.outcome(order, target)
        self.script.end_targets()
        self.look()

    @rule(delay_ms=st.sampled_from([1, TIMEOUT_MS // 2, TIMEOUT_MS]))
    def time_passes(self, delay_ms: int) -> None:
        self.script.advance(delay_ms)

    @precondition(lambda self: self.script.machine.transactions)
    @rule()
    def epochs_run_out(self) -> None:
        """As after 32,000 transactions."""
        txn = self.script.txn()
        if txn.state is State.EMPTY and txn.producer.epoch < 32000:
            txn.producer = Producer(txn.producer.id, 32765)

    @rule(choice=st.integers(0, 5))
    def crash(self, choice: int) -> None:
        survivors = self.script.survivors
        self.script.rows = survivors[-1 - choice % len(survivors)]
        found = [
            Open(producer, None, target) if isinstance(target, int) else Open(producer, target)
            for target, producer in self.open.items()
        ]
        self.script = self.script.restarted(found)
        self.asked.clear()

    # -- always -----------------------------------------------------------------------------------

    @invariant()
    def rows_and_memory_agree(self) -> None:
        for name, txn in self.script.machine.transactions.items():
            assert Script.parse(self.script.rows, name).state is txn.state or txn.state is State.EMPTY
            assert txn.producer.epoch <= 32767
            assert (txn.timer_key in self.script.timers) == (txn.state is State.ONGOING)
            if txn.state in PREPARED:
                assert any(order.transactional_id == name for order in self.script.orders), "nobody drives it on"

    def teardown(self) -> None:
        for _ in range(3):
            while self.script.orders:
                self.all_markers()
            self.script.advance(TIMEOUT_MS)
        assert not self.open, "left open"
        assert not self.script.parked, "left without an answer"


TestTransactions = TxnModel.TestCase
TestTransactions.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
