"""Targets, rows, expiry, what describes and lists say, and what a load makes of what logs have open."""

from __future__ import annotations

import re

import pytest

from flymq.core.txn.events import Listed, Open, TxnConfig
from flymq.core.txn.rows import parse_txn, txn_key, txn_value
from flymq.core.txn.transaction import Producer, State
from flymq_protocol.errors import ErrorCode

from .harness import P0, P1, START_MS, Script

NONE, FENCED, BUSY = ErrorCode.NONE, ErrorCode.PRODUCER_FENCED, ErrorCode.CONCURRENT_TRANSACTIONS
ABORTABLE, MAPPING = ErrorCode.TRANSACTION_ABORTABLE, ErrorCode.INVALID_PRODUCER_ID_MAPPING


# -- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["Empty", "Ongoing", "CompleteCommit", "CompleteAbort"])
def test_targets_open_a_transaction_and_are_durable(state: str) -> None:
    script = Script()
    script.in_state(state)
    producer = script.txn().producer
    assert script.verify(producer, P1) == ABORTABLE
    assert script.add(producer, P1, groups=(4,)) == NONE
    assert script.verify(producer, P1, groups=(4,)) == NONE
    stored = Script.parse(script.rows, "t")
    assert (stored.state, P1 in stored.partitions, list(stored.groups)) == (State.ONGOING, True, [4])
    rows = dict(script.rows)
    assert script.add(producer, P1) == NONE
    assert script.rows == rows, "what is in is not written again"


@pytest.mark.parametrize("state", ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteAbort"])
def test_strangers_add_nothing(state: str) -> None:
    script = Script()
    script.in_state(state)
    current = script.txn().producer
    rows = dict(script.rows)
    for ask in (script.add, script.verify):
        assert ask(Producer(7, current.epoch), P1) == MAPPING
        assert ask(Producer(current.id, current.epoch + 1), P1) == FENCED
        if state.startswith("Prepare"):
            assert ask(current, P0) == BUSY
    assert script.add(current, P1, name="unknown") == MAPPING
    assert script.add(current, P1, name="") == ErrorCode.INVALID_REQUEST
    assert script.rows == rows


# -- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t", "a/b", "%25\0%", "ä\U0001f600", "x" * 500])
def test_a_row_is_read_back(name: str) -> None:
    script = Script()
    producer = script.init(name=name)
    script.add(producer, P0, groups=(3,), name=name)
    txn = script.txn(name)
    txn.last, txn.next_producer_id, txn.transaction_version = Producer(5, 6), 77, 2
    again = parse_txn(txn_key(name), txn_value(txn))
    assert {field: getattr(again, field) for field in txn.__slots__} == {
        field: getattr(txn, field) for field in txn.__slots__
    }
    assert "\0" not in txn_key(name)


# -- expiry ---------------------------------------------------------------------------------------

CONFIG = TxnConfig(
    transactional_id_expiration_ms=10_000, transaction_remove_expired_transaction_cleanup_interval_ms=1000
)


@pytest.mark.parametrize("state", [state.value for state in State if state is not State.DEAD])
def test_only_idle_ids_expire(state: str) -> None:
    script = Script(CONFIG)
    script.in_state(state)
    script.advance(9_999)
    assert script.rows
    script.advance(2_000)
    stays = state in ("Ongoing", "PrepareCommit", "PrepareAbort")
    assert bool(script.rows) == bool(script.machine.transactions) == stays
    if not script.rows:
        assert script.init() == Producer(101, 0)


def test_use_keeps_an_id() -> None:
    script = Script(CONFIG)
    producer = script.init()
    for _ in range(5):
        script.advance(9_000)
        producer = script.init(producer)
    assert producer == Producer(100, 5)


# -- describe and list ----------------------------------------------------------------------------


def test_what_a_description_says() -> None:
    script = Script()
    assert script.describe("unknown") == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
    producer = script.init(timeout_ms=5000)
    assert script.describe() == (State.EMPTY, 5000, -1, producer, [], [])
    script.add(producer, P0, P1, groups=(2,))
    assert script.describe() == (State.ONGOING, 5000, START_MS, producer, [P0, P1], [2])


def test_filters() -> None:
    script = Script()
    script.in_state("Ongoing")
    script.advance(100)
    other = script.init(name="other")
    ongoing, empty = Listed("t", 100, State.ONGOING), Listed("other", other.id, State.EMPTY)
    assert script.listed() == [ongoing, empty]
    assert script.listed(states=frozenset({State.ONGOING, State.PREPARE_ABORT})) == [ongoing]
    assert script.listed(producer_ids=frozenset({other.id, 5})) == [empty]
    assert script.listed(duration_ms=99) == [ongoing, empty]
    assert script.listed(duration_ms=100) == [empty], "what never began is as old as can be, as in Kafka"
    assert script.listed(matches=re.compile("o.*").fullmatch) == [empty]


# -- load -----------------------------------------------------------------------------------------


def row_of(state: str) -> tuple[Script, Producer, Producer]:
    """A shard with "t" in that state, after an end from v5 on where there was one; the producer it has, and had."""
    script = Script()
    had = script.in_state(state)
    return script, script.txn().producer, had


@pytest.mark.parametrize("state", ["Empty", "Ongoing", "CompleteCommit", "CompleteAbort"])
def test_what_is_open_at_the_rows_epoch_belongs_to_it(state: str) -> None:
    script, current, _ = row_of(state)
    script = script.restarted([Open(current, P1), Open(current, None, 7)])
    assert script.state() == "Ongoing"
    assert P1 in script.txn().partitions
    assert list(script.txn().groups) == [7]
    assert Script.parse(script.rows, "t").has([P1], [7])
    script.advance(60_000)
    assert script.state() == "PrepareAbort", "and its time counts"


@pytest.mark.parametrize("state", ["PrepareCommit", "PrepareAbort"])
def test_an_end_that_was_decided_is_driven_on(state: str) -> None:
    script, current, had = row_of(state)
    script = script.restarted([Open(had, P1)])
    order = script.end_targets()
    assert (order.commit, order.producer, order.partitions) == (state == "PrepareCommit", current, [P0, P1])
    assert script.state() == state.replace("Prepare", "Complete")
    assert not script.orders


@pytest.mark.parametrize("state", ["CompleteCommit", "CompleteAbort"])
def test_a_marker_that_is_missing_is_written_again(state: str) -> None:
    script, _, had = row_of(state)
    script = script.restarted([Open(had, P1)])
    order = script.end_targets()
    assert (order.transactional_id, order.commit, order.partitions) == (None, state == "CompleteCommit", [P1])
    assert script.state() == state


@pytest.mark.parametrize("state", ["Empty", "Ongoing", "PrepareCommit", "CompleteCommit"])
def test_what_is_older_than_that_is_aborted(state: str) -> None:
    script = Script()
    oldest = script.init()
    for _ in range(3):
        script.init()
    if state != "Empty":
        script.add(script.txn().producer, P0)
    if state in ("PrepareCommit", "CompleteCommit"):
        script.send_end(script.txn().producer)
    if state == "CompleteCommit":
        script.end_targets()
    script = script.restarted([Open(oldest, P1)])
    order = script.end_targets()
    assert (order.transactional_id, order.commit, order.producer) == (None, False, oldest)
    assert script.state() == state


def test_a_missing_marker_of_a_producer_id_that_is_used_up() -> None:
    script = Script()
    script.init()
    last = script.txn().producer = Producer(100, 32766)
    script.add(last, P0)
    assert script.end(last) == Producer(101, 0)
    script = script.restarted([Open(last, P1)])
    assert script.end_targets().commit is True


def test_a_log_that_is_ahead_of_the_row_is_aborted_and_its_epoch_not_given_again() -> None:
    script = Script()
    current = script.init()
    ahead = Producer(current.id, 5)
    script = script.restarted([Open(ahead, P0)])
    order = script.end_targets()
    assert (order.commit, order.producer) == (False, ahead)
    assert script.restarted().init() == Producer(100, 6)


def test_what_belongs_to_other_shards_is_passed_over() -> None:
    script = Script()
    script.init()
    assert not script.restarted([Open(Producer(5000, 0), P0)]).orders
