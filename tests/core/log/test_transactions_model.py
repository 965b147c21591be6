"""Random producers, transactions, markers and failed writes: a log against a list of what was written.

The oracle decides nothing: it is told what the log has planned, forgets what is abandoned, and knows from the list
alone what must be open, how far committed reads go, and what a restart must bring back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flymq.core.log.markers import MarkerPlan
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.transactions import AbortedTransaction
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import stamp

from .logs import NOW, a_batch, a_log

PRODUCERS = st.integers(1, 3)


class Written(NamedTuple):
    """A batch in the log. `commit` is None for one that is no marker."""

    plan: AppendPlan
    producer_id: int
    epoch: int
    transactional: bool
    commit: bool | None


class TransactionModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = a_log()
        self.written: list[Written] = []
        self.durable = 0  # how many of them
        self.next: dict[int, tuple[int, int]] = {}  # producer id -> (epoch, next sequence) that it will use

    # -- what the list says -----------------------------------------------------------------------

    def open_after(self, count: int) -> dict[int, int]:
        """Producer id -> first offset of its open transaction, after so many batches."""
        found: dict[int, int] = {}
        for one in self.written[:count]:
            if one.commit is not None:
                found.pop(one.producer_id, None)
            elif one.transactional:
                found.setdefault(one.producer_id, one.plan.base_offset)
        return found

    def epoch_of(self, producer_id: int) -> int:
        return max((one.epoch for one in self.written if one.producer_id == producer_id), default=-1)

    # -- what happens -----------------------------------------------------------------------------

    @rule(producer_id=PRODUCERS, count=st.integers(1, 3), transactional=st.booleans())
    def produce(self, producer_id: int, count: int, transactional: bool) -> None:
        epoch, sequence = self.next.get(producer_id, (0, 0))
        batch = a_batch(
            count, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, transactional=transactional
        )
        answer = self.log.plan(batch, NOW)
        if not transactional and producer_id in self.open_after(len(self.written)):
            assert isinstance(answer, AppendError)
            assert answer.code == ErrorCode.INVALID_TXN_STATE
            return
        assert isinstance(answer, AppendPlan)
        self.next[producer_id] = (epoch, sequence + count)
        self.written.append(Written(answer, producer_id, epoch, transactional, None))

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Of any batch, told from new ones while it is one of its producer's last five at the epoch."""
        one = data.draw(st.sampled_from(list(self.written)))
        if one.commit is not None:
            return
        batch = memoryview(bytearray(one.plan.batch))
        stamp(batch, 0, -1)
        answer = self.log.plan(batch, NOW)
        if one.epoch < self.epoch_of(one.producer_id):
            assert isinstance(answer, AppendError)
            assert answer.code == ErrorCode.INVALID_PRODUCER_EPOCH
            return
        window = [w for w in self.written if w[1:3] == one[1:3] and w.commit is None][-5:]
        if one in window:
            assert isinstance(answer, Duplicate)
            assert (answer.base_offset, answer.last_offset) == (one.plan.base_offset, one.plan.last_offset)
        else:
            assert isinstance(answer, AppendError)
            assert answer.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    @rule(producer_id=PRODUCERS, commit=st.booleans(), bump=st.sampled_from([-1, 0, 0, 1, 1]))
    def mark(self, producer_id: int, commit: bool, bump: int) -> None:
        epoch = max(self.epoch_of(producer_id) + bump, 0)
        answer = self.log.plan_marker(producer_id, epoch, commit, 0, NOW)
        if epoch < self.epoch_of(producer_id):
            assert isinstance(answer, AppendError)
            assert answer.code == ErrorCode.INVALID_PRODUCER_EPOCH
            return
        assert isinstance(answer, MarkerPlan)
        before = self.open_after(len(self.written))
        first = before.pop(producer_id, None)
        stable = min(before.values(), default=answer.base_offset + 1)
        assert answer.aborted == (
            None if commit or first is None else AbortedTransaction(producer_id, first, answer.base_offset, stable)
        )
        # The first batch of a producer that is known by a marker only is at sequence 0, whatever the epoch.
        is_new = epoch > self.epoch_of(producer_id)
        self.next[producer_id] = (epoch, 0) if is_new else self.next.get(producer_id, (epoch, 0))
        self.written.append(Written(answer, producer_id, epoch, True, commit))

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """The store does not take the last few, which are not durable."""
        for _ in range(data.draw(st.integers(0, len(self.written) - self.durable))):
            self.log.abandon(self.written.pop().plan)
        for producer_id in list(self.next):
            of_it = [one for one in self.written if one.producer_id == producer_id]
            if not of_it:
                del self.next[producer_id]
                continue
            epoch = of_it[-1].epoch
            plans = [one.plan for one in of_it if one.epoch == epoch and one.commit is None]
            self.next[producer_id] = (epoch, sum(plan.last_offset - plan.base_offset + 1 for plan in plans))

    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        self.durable = data.draw(st.integers(self.durable, len(self.written)))
        if self.durable:
            self.log.high_watermark = self.written[self.durable - 1].plan.last_offset + 1

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        """From a snapshot taken anywhere, then the batches behind it: the same as live."""
        split = data.draw(st.integers(0, len(self.written)))
        again = a_log()
        for position, one in enumerate(self.written):
            if position == split:
                fresh = a_log()
                fresh.producers.load(again.producers.snapshot())
                again = fresh
            batch = memoryview(bytearray(one.plan.batch))
            stamp(batch, one.plan.base_offset, 0)
            expected = one.plan.aborted if isinstance(one.plan, MarkerPlan) else None
            assert again.apply(batch, NOW) == expected
        assert again.producers.entries == self.log.producers.entries
        assert list(again.producers.transactions.open.items()) == list(self.log.producers.transactions.open.items())
        assert again.producers.transactions.coordinator_epochs == self.log.producers.transactions.coordinator_epochs

    # -- what holds -------------------------------------------------------------------------------

    @invariant()
    def open_transactions_are_those_without_a_marker(self) -> None:
        found = self.log.producers.transactions.open
        assert list(found.items()) == sorted(self.open_after(len(self.written)).items(), key=lambda item: item[1])
        assert set(found) <= set(self.log.producers.entries)

    @invariant()
    def committed_reads_stop_before_what_is_undecided_below_the_high_watermark(self) -> None:
        undecided = self.open_after(self.durable).values()
        assert self.log.last_stable_offset == min([self.log.high_watermark, *undecided])

    @invariant()
    def offsets_have_no_gaps(self) -> None:
        assert self.log.end == (self.written[-1].plan.last_offset + 1 if self.written else 0)


TransactionModel.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTransactionModel: Any = TransactionModel.TestCase
