"""Transactions in one log, rule by rule. Letters: the rules of `PartitionLog` in this order.

A. what opens a transaction; B. what a producer may not do while one is open; C. the last stable offset;
D. what ends one, and which markers are refused; E. what comes after a marker; F. what `abandon` undoes;
G. load; H. expiry.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from flymq.core.log.markers import MarkerPlan
from flymq.core.log.partition_log import NO_TRANSACTION, TRANSACTION_V2, PartitionLog
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.producers import Producers
from flymq.core.log.transactions import AbortedTransaction
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import parse_header, stamp
from flymq_protocol.records.record import build_batch, decode_batch

from .logs import NOW, a_batch, a_log, planned


def batch_of(producer_id: int, sequence: int, *, count: int = 1, epoch: int = 0, transactional: bool = True) -> Any:
    return a_batch(
        count, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, transactional=transactional
    )


def write(log: PartitionLog, producer_id: int, sequence: int, **fields: Any) -> AppendPlan:
    return planned(log, batch_of(producer_id, sequence, **fields))


def end(
    log: PartitionLog, producer_id: int, *, commit: bool = True, epoch: int = 0, coordinator: int = 0
) -> MarkerPlan:
    plan = log.plan_marker(producer_id, epoch, commit, coordinator, NOW)
    assert isinstance(plan, MarkerPlan), plan.message
    return plan


def code(log: PartitionLog, producer_id: int, sequence: int, version: int = 1, **fields: Any) -> int:
    answer = log.plan(batch_of(producer_id, sequence, **fields), NOW, version)
    assert isinstance(answer, AppendError)
    return answer.code


def state(log: PartitionLog) -> tuple[Any, ...]:
    """All that a refused or abandoned plan must leave as it was."""
    transactions = log.producers.transactions
    return (
        log.last_stable_offset, log.end, dict(log.producers.entries), list(transactions.open.items()),
        list(transactions.ended), dict(transactions.coordinator_epochs),
    )


def test_case_a_the_first_transactional_batch_opens() -> None:
    log = a_log()
    planned(log, a_batch(3))
    write(log, 7, 0, count=2)
    write(log, 7, 2)
    write(log, 8, 0)
    assert log.producers.transactions.open == {7: 3, 8: 6}


def test_case_a_not_without_a_transactional_id() -> None:
    log = a_log()
    assert code(log, 7, 0, NO_TRANSACTION) == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert log.producers.transactions.open == {}


def test_case_a_an_unknown_producer_begins_at_0_under_v2() -> None:
    log = a_log()
    assert code(log, 7, 3, TRANSACTION_V2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert isinstance(log.plan(batch_of(7, 0), NOW, TRANSACTION_V2), AppendPlan)
    assert isinstance(log.plan(batch_of(7, 1), NOW, TRANSACTION_V2), AppendPlan)
    write(log, 8, 3)  # before v2: any


def test_case_a_a_retry_opens_nothing() -> None:
    log = a_log()
    write(log, 7, 0)
    end(log, 7)
    assert isinstance(log.plan(batch_of(7, 0), NOW), Duplicate)
    assert log.producers.transactions.open == {}


def test_case_b_no_batch_outside_the_transaction() -> None:
    log = a_log()
    write(log, 7, 0)
    before = state(log)
    assert code(log, 7, 1, transactional=False) == ErrorCode.INVALID_TXN_STATE
    assert state(log) == before
    write(log, 8, 0, transactional=False)
    end(log, 7)
    write(log, 7, 1, transactional=False)


def test_case_c_the_first_open_transaction_holds_it() -> None:
    log = a_log()
    assert log.last_stable_offset == 0
    planned(log, a_batch(2))
    write(log, 7, 0)
    write(log, 8, 0)
    assert log.last_stable_offset == 0  # nothing is durable
    log.high_watermark = 1
    assert log.last_stable_offset == 1
    log.high_watermark = 4
    assert log.last_stable_offset == 2
    end(log, 7)
    log.high_watermark = 5
    assert log.last_stable_offset == 3
    end(log, 8)
    log.high_watermark = 6
    assert log.last_stable_offset == 6


def test_case_c_a_marker_that_is_not_durable_still_holds_it() -> None:
    log = a_log()
    write(log, 7, 0)
    write(log, 8, 0)
    log.high_watermark = 2
    end(log, 8)
    end(log, 7)
    for high_watermark, expected in ((2, 0), (3, 0), (4, 4)):
        log.high_watermark = high_watermark
        assert log.last_stable_offset == expected


def test_case_c_what_has_ended_is_forgotten_where_nobody_reads() -> None:
    log = a_log()
    for sequence in range(100):
        write(log, 7, sequence)
        end(log, 7)
        log.high_watermark = log.end
    assert len(log.producers.transactions.ended) == 1


def test_case_c_never_below_the_log_start() -> None:
    log = a_log()
    write(log, 7, 0, count=5)
    log.high_watermark, log.log_start = 5, 3
    assert log.last_stable_offset == 3


def test_case_d_a_marker_is_a_control_batch() -> None:
    log = a_log()
    write(log, 7, 0, epoch=3)
    plan = end(log, 7, commit=False, epoch=4, coordinator=9)
    header = parse_header(plan.batch)
    assert (header.control, header.transactional, header.producer_id, header.producer_epoch) == (True, True, 7, 4)
    assert (header.base_sequence, header.record_count, header.max_timestamp) == (-1, 1, NOW)
    record = decode_batch(plan.batch)[0]
    assert (record.key, record.value) == (struct.pack(">hh", 0, 0), struct.pack(">hi", 0, 9))
    assert (plan.base_offset, plan.last_offset, plan.size, log.end) == (1, 1, len(plan.batch), 2)


def test_case_d_an_abort_is_remembered_with_what_is_open_then() -> None:
    log = a_log()
    write(log, 7, 0)
    write(log, 8, 0)
    write(log, 9, 0)
    assert end(log, 9).aborted is None
    assert end(log, 8, commit=False).aborted == AbortedTransaction(8, 1, 4, 0)
    assert end(log, 7, commit=False).aborted == AbortedTransaction(7, 0, 5, 6)
    assert end(log, 7, commit=False).aborted is None  # nothing was open


def test_case_d_stale_markers_are_refused() -> None:
    log = a_log()
    write(log, 7, 0, epoch=3)
    end(log, 7, epoch=3, coordinator=5)
    before = state(log)
    for epoch, coordinator, version, expected in (
        (2, 5, 1, ErrorCode.INVALID_PRODUCER_EPOCH),
        (3, 4, 1, ErrorCode.TRANSACTION_COORDINATOR_FENCED),
        (2, 4, 2, ErrorCode.INVALID_PRODUCER_EPOCH),
    ):
        refused = log.plan_marker(7, epoch, True, coordinator, NOW, version)
        assert isinstance(refused, AppendError)
        assert refused.code == expected
    assert state(log) == before
    end(log, 7, epoch=3, coordinator=6)


def test_case_d_under_v2_the_epoch_of_the_batches_is_an_older_transactions() -> None:
    log = a_log()
    write(log, 7, 0, epoch=3)
    refused = log.plan_marker(7, 3, False, 0, NOW, TRANSACTION_V2)
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.INVALID_PRODUCER_EPOCH
    for _ in range(2):  # the second is the retry of the first
        assert isinstance(log.plan_marker(7, 4, False, 0, NOW, TRANSACTION_V2), MarkerPlan)


def test_case_e_at_the_same_epoch_sequences_go_on() -> None:
    log = a_log()
    write(log, 7, 0)
    end(log, 7)
    assert code(log, 7, 0, count=2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    write(log, 7, 1)


def test_case_e_at_a_higher_epoch_they_begin_anew() -> None:
    log = a_log()
    write(log, 7, 0)
    end(log, 7, epoch=1)
    assert code(log, 7, 1) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert code(log, 7, 1, epoch=1) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    for sequence in range(5):
        write(log, 7, sequence, epoch=1)
    for sequence in range(5):  # all of them can be retried
        assert isinstance(log.plan(batch_of(7, sequence, epoch=1), NOW), Duplicate)


def test_case_e_a_marker_for_an_unknown_producer() -> None:
    log = a_log()
    end(log, 7, epoch=2, coordinator=1)
    assert code(log, 7, 5, epoch=2) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    write(log, 7, 0, epoch=2)


@pytest.mark.parametrize("commit", [True, False])
def test_case_f_abandon_undoes_all_of_it(commit: bool) -> None:
    log = a_log(segment_bytes=1_048_576)
    write(log, 6, 0)
    write(log, 7, 0)
    write(log, 8, 0)
    end(log, 8, coordinator=1)
    log.high_watermark = log.end
    states = [state(log)]
    plans: list[AppendPlan] = []
    for step in (
        lambda: write(log, 7, 1),  # goes on
        lambda: end(log, 6, commit=commit, epoch=1, coordinator=2),
        lambda: write(log, 8, 1),  # opens
        lambda: end(log, 7, commit=commit, coordinator=3),
        lambda: end(log, 8, commit=commit, epoch=1, coordinator=4),
        lambda: end(log, 9, commit=commit),  # not known here
        lambda: write(log, 7, 2),
    ):
        plans.append(step())
        states.append(state(log))
    for plan in reversed(plans):
        assert state(log) == states.pop()
        log.abandon(plan)
    assert [state(log)] == states


def test_case_f_an_abandoned_marker_gives_its_place_back() -> None:
    log = a_log()
    write(log, 7, 0)
    log.abandon(end(log, 7))
    again = end(log, 7, commit=False)
    assert (again.base_offset, again.aborted) == (1, AbortedTransaction(7, 0, 1, 2))


def test_case_g_a_replay_does_the_same_as_live() -> None:
    log, again = a_log(), a_log()
    plans = [
        write(log, 7, 0, count=2), write(log, 8, 0), end(log, 7, commit=False), write(log, 7, 2),
        end(log, 8, epoch=1, coordinator=3), write(log, 9, 0, transactional=False), write(log, 8, 0, epoch=1),
        end(log, 7), end(log, 8, commit=False, epoch=2, coordinator=3),
    ]
    aborted = []
    for plan in plans:
        stamp(plan.batch, plan.base_offset, 0)
        aborted.append(again.apply(plan.batch, NOW))
    again.end = log.end
    log.high_watermark = again.high_watermark = log.end
    assert state(again) == state(log)
    assert aborted == [plan.aborted if isinstance(plan, MarkerPlan) else None for plan in plans]


def test_case_g_what_compaction_left_empty_opens_and_ends_nothing() -> None:
    log = a_log()
    emptied = {"producer_id": 7, "producer_epoch": 0, "transactional": True, "last_offset_delta": 2}
    assert log.apply(memoryview(build_batch([], base_sequence=0, **emptied)), NOW) is None
    assert log.producers.transactions.open == {}
    assert log.producers.entries[7][2][-1][:2] == (0, 2)  # its last sequence is known all the same
    assert log.apply(memoryview(build_batch([], base_sequence=-1, control=True, **emptied)), NOW) is None


def test_case_g_a_snapshot_keeps_transactions() -> None:
    log, again = a_log(), Producers()
    write(log, 7, 0)
    write(log, 8, 0)
    write(log, 6, 0)
    end(log, 8, coordinator=4)
    again.load(log.producers.snapshot())
    assert again.entries == log.producers.entries
    assert list(again.transactions.open.items()) == [(7, 0), (6, 2)]
    assert again.transactions.coordinator_epochs == {8: 4}


def test_case_g_a_snapshot_of_the_old_format() -> None:
    from zlib import crc32

    body = struct.pack(">HI", 1, 1) + struct.pack(">qhqB", 7, 3, NOW, 1) + struct.pack(">iiqqq", 4, 5, 10, 11, NOW)
    producers = Producers()
    producers.load(body + struct.pack(">I", crc32(body)))
    assert producers.entries == {7: (3, NOW, ((4, 5, 10, 11, NOW),))}
    assert (producers.transactions.open, producers.transactions.coordinator_epochs) == ({}, {})


def test_case_h_who_has_a_transaction_open_stays() -> None:
    log = a_log()
    write(log, 7, 0)
    write(log, 8, 0)
    end(log, 8, coordinator=2)
    log.producers.expire(NOW + 1)
    assert set(log.producers.entries) == {7}
    assert log.producers.transactions.coordinator_epochs == {}
    end(log, 7)
    log.producers.expire(NOW + 1)
    assert log.producers.entries == {}
