"""EndTxn in every state, time-outs, and in which order an end is told."""

from __future__ import annotations

import pytest

from flymq.core.effects import Reply, Write
from flymq.core.txn.events import Completed, EndTargets, TargetsEnded
from flymq.core.txn.transaction import EPOCH_MAX, Producer
from flymq_protocol.errors import ErrorCode

from .harness import P0, P1, Script

NONE, FENCED, WRONG = ErrorCode.NONE, ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_TXN_STATE
BUSY, MAPPING = ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_PRODUCER_ID_MAPPING
COMMIT, ABORT = True, False
BUMPED = "bumped"
STATES = ("Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort")


def test_the_order_of_an_end() -> None:
    script = Script()
    producer = script.init()
    script.add(producer, P0, P1, groups=(3,))
    token = script.send_end(producer)
    prepared, ordered = (effect for effect in script.effects if isinstance(effect, Write | EndTargets))
    assert isinstance(prepared, Write)
    assert isinstance(ordered, EndTargets)
    assert (ordered.commit, ordered.partitions, ordered.groups) == (True, [P0, P1], [3])
    assert script.parked == {token}
    script.end_targets()
    assert [type(effect) for effect in script.effects] == [Write, Completed, Reply]
    assert (script.state(), script.txn().partitions, script.txn().groups) == ("CompleteCommit", {}, {})


def test_targets_of_another_end_end_nothing() -> None:
    script = Script()
    producer = script.in_state("PrepareCommit")
    script.machine.step(script.now_ms, TargetsEnded("t", producer))
    script.machine.step(script.now_ms, TargetsEnded("unknown", producer))
    assert script.state() == "PrepareCommit"
    script.end_targets()
    script.machine.step(script.now_ms, TargetsEnded("t", script.txn().producer))
    assert script.state() == "CompleteCommit"


# -- before v5 ------------------------------------------------------------------------------------

BEFORE_V5 = {
    "Empty": (WRONG, WRONG),
    "Ongoing": (NONE, NONE),
    "PrepareCommit": (BUSY, WRONG),
    "PrepareAbort": (WRONG, BUSY),
    "CompleteCommit": (NONE, WRONG),
    "CompleteAbort": (WRONG, NONE),
}  # fmt: skip


@pytest.mark.parametrize("commit", [COMMIT, ABORT])
@pytest.mark.parametrize("state", STATES)
def test_before_v5(state: str, commit: bool) -> None:
    script = Script()
    producer = script.init()
    if state != "Empty":
        script.add(producer, P0)
    if state.startswith(("Prepare", "Complete")):
        script.send_end(producer, state.endswith("Commit"), bumps=False)
    if state.startswith("Complete"):
        script.end_targets()
    rows = dict(script.rows)
    expected = BEFORE_V5[state][0 if commit else 1]
    token = script.send_end(producer, commit, bumps=False)
    if state == "Ongoing":
        script.end_targets()
        assert script.state() == ("CompleteCommit" if commit else "CompleteAbort")
    else:
        assert script.rows == rows
    assert script.answers[token] == (expected or producer)
    for stranger, error in ((Producer(100, 1), FENCED), (Producer(7, 0), MAPPING)):
        assert script.end(stranger, commit, bumps=False) == error


# -- from v5 on -----------------------------------------------------------------------------------

# State -> commit now, abort now, commit again, abort again (KIP-890, the table in TransactionCoordinator)
FROM_V5 = {
    "Empty": (WRONG, BUMPED, FENCED, FENCED),
    "Ongoing": (BUMPED, BUMPED, FENCED, FENCED),
    "PrepareCommit": (FENCED, FENCED, BUSY, WRONG),
    "PrepareAbort": (FENCED, FENCED, WRONG, BUSY),
    "CompleteCommit": (WRONG, BUMPED, NONE, WRONG),
    "CompleteAbort": (WRONG, BUMPED, WRONG, NONE),
}  # fmt: skip


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("reload", [False, True])
def test_from_v5(state: str, case: int, reload: bool) -> None:
    """`again` is what a client sends that did not hear the answer: its epoch is the one before."""
    script = Script()
    script.init(script.init())  # so that there is an epoch before, whose bump its own producer asked for
    producer = script.txn().producer
    if state != "Empty":
        script.add(producer, P0)
    if state.startswith(("Prepare", "Complete")):
        script.send_end(producer, state.endswith("Commit"))
    if state.startswith("Complete"):
        script.end_targets()
    if reload:
        script = script.restarted()
    current = script.txn().producer
    before = Producer(current.id, current.epoch - 1)
    rows = dict(script.rows)
    expected = FROM_V5[state][case]
    token = script.send_end(before if case >= 2 else current, case % 2 == 0)
    if expected is BUMPED:
        while script.orders:
            script.end_targets()
        assert script.answers[token] == script.txn().producer == Producer(current.id, current.epoch + 1)
        assert script.state() == ("CompleteCommit" if case == 0 else "CompleteAbort")
    else:
        assert script.answers[token] == (expected or current)
        assert script.rows == rows
    assert script.end(Producer(7, 0)) == MAPPING
    assert script.end(Producer(100, script.txn().producer.epoch + 1)) == FENCED


def test_a_stale_end_does_not_end_the_next_transaction() -> None:
    script = Script()
    first = script.init()
    script.add(first, P0)
    second = script.end(first)
    script.add(second, P0)
    assert script.end(first) == FENCED
    assert script.state() == "Ongoing"


def test_after_the_last_epoch_an_end_brings_a_new_id_and_its_retry_too() -> None:
    script = Script()
    script.init()
    last = script.txn().producer = Producer(100, 32766)
    script.add(last, P0)
    token = script.send_end(last)
    assert script.state() == "PrepareCommit"
    again = script.restarted()  # the new id is in the row
    for one in (script, again):
        order = one.end_targets()
        assert order.producer == Producer(100, 32767)
        assert one.txn().producer == Producer(101, 0)
        assert one.end(last) == Producer(101, 0)
        assert one.end(last, ABORT) == WRONG
    assert script.answers[token] == Producer(101, 0)


def test_nobody_is_no_producer() -> None:
    script = Script()
    script.init()
    assert script.end(Producer(-1, -1), ABORT) == MAPPING


# -- time -----------------------------------------------------------------------------------------


def test_the_time_counts_from_the_first_target_and_fences() -> None:
    script = Script()
    producer = script.init(timeout_ms=1000)
    script.advance(5000)
    script.add(producer, P0)
    script.advance(600)
    script.add(producer, P1)
    script.advance(399)
    assert script.state() == "Ongoing"
    script.advance(1)
    assert script.state() == "PrepareAbort"
    order = script.end_targets()
    assert (order.commit, order.partitions, order.producer) == (False, [P0, P1], Producer(100, 1))
    for bumps in (True, False):
        for commit in (COMMIT, ABORT):
            assert script.end(producer, commit, bumps=bumps) == FENCED
    assert script.add(producer, P0) == FENCED
    assert script.init(producer) == FENCED
    assert script.init() == Producer(100, 2)


def test_it_goes_on_counting_over_a_restart() -> None:
    script = Script()
    producer = script.init(timeout_ms=1000)
    script.add(producer, P0)
    script.advance(700)
    late = Script(rows=script.rows, now_ms=script.now_ms + 10_000)
    script = script.restarted()
    script.advance(299)
    assert script.state() == "Ongoing"
    script.advance(1)
    late.advance(0)
    assert script.state() == late.state() == "PrepareAbort"


def test_an_end_stops_the_clock() -> None:
    script = Script()
    producer = script.init(timeout_ms=1000)
    script.add(producer, P0)
    script.send_end(producer)
    script.advance(100_000)
    assert script.state() == "PrepareCommit"
    script.end_targets()
    script.advance(100_000)
    assert script.state() == "CompleteCommit"


def test_the_epoch_that_only_fences_is_nobodys() -> None:
    """Nobody was told of it; who guesses it can't begin what there would be no epoch left to abort with."""
    script = Script()
    script.init()
    last = script.txn().producer = Producer(script.txn().producer.id, EPOCH_MAX - 1)
    assert script.add(last, P0) == NONE
    script.advance(60_000)
    script.end_targets()
    guessed = script.txn().producer
    assert (guessed.epoch, script.state()) == (EPOCH_MAX, "CompleteAbort")
    assert (script.add(guessed, P0), script.verify(guessed, P0)) == (FENCED, FENCED)
    for commit in (COMMIT, ABORT):
        for bumps in (True, False):
            assert script.end(guessed, commit, bumps=bumps) == FENCED
    assert script.init().epoch == 0
