"""InitProducerId: who gets which producer."""

from __future__ import annotations

import pytest

from flymq.core.txn.events import InitProducerId
from flymq.core.txn.transaction import Producer
from flymq_protocol.errors import ErrorCode

from .harness import P0, Script

FENCED = ErrorCode.PRODUCER_FENCED


def exhausted(script: Script, epoch: int = 32766) -> Producer:
    """"t" at its last epoch."""
    script.init()
    script.txn().producer = Producer(100, epoch)
    return script.txn().producer


def test_a_new_id_begins_at_epoch_0_and_each_start_raises_it() -> None:
    script = Script()
    assert [script.init() for _ in range(3)] == [Producer(100, 0), Producer(100, 1), Producer(100, 2)]
    assert script.init(name="other") == Producer(101, 0)
    assert script.restarted().init() == Producer(100, 3)


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
def test_time_outs_are_checked(timeout_ms: int) -> None:
    script = Script()
    assert script.init(timeout_ms=timeout_ms) == ErrorCode.INVALID_TRANSACTION_TIMEOUT
    assert not script.rows
    assert script.init(name="") == ErrorCode.INVALID_REQUEST


def test_the_time_out_is_the_newest_ones() -> None:
    script = Script()
    script.init(timeout_ms=5)
    script.init(timeout_ms=900_000)
    assert script.restarted().txn().timeout_ms == 900_000


@pytest.mark.parametrize("state", ["Empty", "CompleteCommit", "CompleteAbort"])
def test_a_producer_that_names_itself_goes_on_and_its_retry_is_answered_the_same(state: str) -> None:
    script = Script()
    script.in_state(state)
    current = script.txn().producer
    bumped = Producer(current.id, current.epoch + 1)
    assert script.init(current) == bumped
    assert script.init(current) == bumped
    script = script.restarted()
    assert script.init(current) == bumped
    assert script.state() == "Empty"


def test_whoever_names_another_is_fenced() -> None:
    script = Script()
    script.init()
    current = script.init()
    for claimed in (Producer(100, 0), Producer(100, 2), Producer(99, 1), Producer(101, 0)):
        assert script.init(claimed) == FENCED
    assert script.txn().producer == current


def test_a_start_without_a_name_fences_the_retry_of_one_with() -> None:
    script = Script()
    first = script.init()
    script.init(first)
    script.init()
    assert script.init(first) == FENCED


def test_an_id_that_is_not_known_takes_whatever_is_named() -> None:
    assert Script().init(Producer(5, 7)) == Producer(100, 0)


def test_after_the_last_epoch_comes_a_new_id() -> None:
    script = Script()
    last = exhausted(script)
    assert script.init() == Producer(101, 0)
    assert script.init(last) == FENCED


def test_a_retry_of_the_start_that_gave_a_new_id_is_answered_the_same() -> None:
    script = Script()
    last = exhausted(script)
    assert script.init(last) == script.init(last) == script.restarted().init(last) == Producer(101, 0)


def test_the_last_epoch_but_one_is_used() -> None:
    script = Script()
    assert script.init(exhausted(script, 32765)) == Producer(100, 32766)


# -- a transaction is open ------------------------------------------------------------------------


def test_an_open_transaction_is_aborted_first_and_the_answer_waits() -> None:
    script = Script()
    old = script.in_state("Ongoing")
    token = script.send(InitProducerId("t", 60_000))
    assert (script.state(), script.parked) == ("PrepareAbort", {token})
    assert not script.timers.keys() & {script.txn().timer_key}
    order = script.end_targets()
    assert (order.commit, order.partitions, order.producer) == (False, [P0], Producer(100, 1))
    assert script.answers[token] == Producer(100, 2)
    assert script.state() == "Empty"
    assert script.add(old, P0) == FENCED
    assert script.end(old) == FENCED


def test_its_own_producer_may_do_so_and_repeat_it() -> None:
    script = Script()
    old = script.in_state("Ongoing")
    first, again = (script.send(InitProducerId("t", 60_000, old)) for _ in range(2))
    script.end_targets()
    assert script.answers[first] == script.answers[again] == script.init(old) == Producer(100, 1)
    assert script.state() == "Empty"  # not the CompleteAbort that it was: no end can be asked for again


def test_a_stranger_does_not_abort_it() -> None:
    script = Script()
    script.init()
    current = script.init()
    script.add(current, P0)
    for claimed in (Producer(100, 0), Producer(7, 1)):
        assert script.init(claimed) == FENCED
    assert script.state() == "Ongoing"


@pytest.mark.parametrize("commit", [True, False])
def test_whoever_comes_while_it_ends_waits_too_and_the_last_one_wins(commit: bool) -> None:
    script = Script()
    producer = script.in_state("Ongoing")
    ended = script.send_end(producer, commit)
    tokens = [script.send(InitProducerId("t", 60_000)) for _ in range(2)]
    assert script.end_targets().commit is commit
    assert script.answers[ended] == Producer(100, 1)
    assert [script.answers[token] for token in tokens] == [Producer(100, 2), Producer(100, 3)]


def test_fencing_at_the_last_epoch_leaves_room_for_it() -> None:
    script = Script()
    last = exhausted(script)
    script.add(last, P0)
    token = script.send(InitProducerId("t", 60_000))
    assert script.end_targets().producer == Producer(100, 32767)
    assert script.answers[token] == Producer(101, 0)
