"""Offsets in transactions: who may commit, what is seen meanwhile, what counts at the end; OffsetDelete."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flymq.core.group.events import UNSTABLE, CommitTxnOffsets, FetchOffsets, GroupConfig, OffsetEntry
from flymq_protocol.errors import ErrorCode

from .harness import OTHER_TOPIC, START_MS, TOPIC, Script, subscription

OK = ErrorCode.NONE
CHECK_MS = 600_000
HOUR_MS = 3_600_000


# -- pending, committed, aborted ------------------------------------------------------------------


def test_pending_offsets_count_when_the_transaction_commits() -> None:
    script = Script()
    script.commit(5)
    assert script.commit_in_txn(7, 8) == OK
    assert script.offset() == 5
    script.end_txn(7, commit=True)
    assert script.offset() == 8
    assert len(script.restarted().rows) == 1


def test_aborted_ones_never_do() -> None:
    script = Script()
    script.commit(5)
    rows = dict(script.rows)
    script.commit_in_txn(7, 8)
    script.end_txn(7, commit=False)
    assert script.offset() == 5
    assert script.rows == rows


def test_all_groups_and_partitions_end_in_one_write() -> None:
    script = Script()
    for group_id in ("g", "h"):
        for partition in (0, 1):
            script.commit_in_txn(7, 8, group_id=group_id, partition=partition)
    script.commit_in_txn(9, 8)
    script.end_txn(7, commit=True)
    assert len(script.written()) == 1
    assert script.open_transactions() == {9: 0}
    (fetched,) = script.ask(FetchOffsets("h", [(TOPIC, [0, 1])]))
    assert [fetched.partitions[partition].offset for partition in (0, 1)] == [8, 8]


def test_ending_again_changes_nothing() -> None:
    script = Script()
    script.commit_in_txn(7, 8)
    script.end_txn(7, commit=True)
    script.commit(9)
    script.end_txn(7, commit=True)
    assert script.written() == []
    script.end_txn(7, commit=False)
    script.end_txn(1, commit=True)
    assert script.offset() == 9


def test_what_is_kept_of_an_offset() -> None:
    script = Script()
    script.advance(5)
    entry = OffsetEntry(TOPIC, "t", 0, 8, 3, "ünï\0")
    event = CommitTxnOffsets("g", -1, "", [entry], producer_id=7, producer_epoch=2)
    assert script.ask(event) == [OK]
    script.advance(5)
    again = script.restarted()
    again.end_txn(7, commit=True)
    (fetched,) = again.ask(FetchOffsets("g", [(TOPIC, [0])]))
    assert fetched.partitions == {0: (8, 3, "ünï\0", START_MS + 5, -1)}


def test_metadata_too_large_is_refused_alone() -> None:
    script = Script()
    entries = [OffsetEntry(TOPIC, "t", 0, 5, -1, "x" * 4097), OffsetEntry(TOPIC, "t", 1, 6, -1, "x" * 4096)]
    answer = script.ask(CommitTxnOffsets("g", -1, "", entries, producer_id=7, producer_epoch=0))
    assert answer == [ErrorCode.OFFSET_METADATA_TOO_LARGE, OK]
    script.end_txn(7, commit=True)
    assert (script.offset(0), script.offset(1)) == (-1, 6)


def test_nothing_pending_makes_no_group() -> None:
    script = Script()
    assert script.commit_in_txn(7, 5, metadata="x" * 4097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert script.listed() == []
    assert script.open_transactions() == {}


# -- which of several commits counts --------------------------------------------------------------


def test_a_normal_commit_made_later_stays() -> None:
    script = Script()
    script.commit_in_txn(7, 8)
    script.commit(5)
    assert script.is_unstable()
    again = script.restarted()
    assert again.is_unstable()
    again.end_txn(7, commit=True)
    assert (again.offset(), again.is_unstable()) == (5, False)


def test_the_same_transaction_may_commit_again_after_it() -> None:
    script = Script()
    script.commit_in_txn(7, 8)
    script.commit(5)
    script.commit_in_txn(7, 9)
    script.end_txn(7, commit=True)
    assert script.offset() == 9


@pytest.mark.parametrize("first", [7, 9])
def test_of_two_transactions_the_later_commit_counts_whichever_ends_first(first: int) -> None:
    script = Script()
    script.commit_in_txn(7, 70)
    script = script.restarted()
    script.commit_in_txn(9, 90)
    script = script.restarted()
    script.end_txn(first, commit=True)
    script = script.restarted()
    script.end_txn(7 if first == 9 else 9, commit=True)
    assert script.offset() == 90


def test_an_aborted_transaction_overtakes_nothing() -> None:
    script = Script()
    script.commit_in_txn(7, 70)
    script.commit_in_txn(9, 90)
    script.end_txn(9, commit=False)
    script.end_txn(7, commit=True)
    assert script.offset() == 70


# -- require_stable -------------------------------------------------------------------------------


def test_who_requires_stable_offsets_is_told_which_are_not() -> None:
    script = Script()
    script.commit(5, partition=0)
    script.commit(6, partition=1)
    script.commit_in_txn(7, 8, partition=1)
    script.commit_in_txn(7, 8, partition=2)
    (named,) = script.ask(FetchOffsets("g", [(TOPIC, [0, 1, 2, 3])], require_stable=True))
    assert named.partitions[0].offset == 5
    assert {p for p, row in named.partitions.items() if row is UNSTABLE} == {1, 2}
    assert 3 not in named.partitions
    (every,) = script.ask(FetchOffsets("g", None, require_stable=True))  # of all, those that have an offset
    assert {p: row is UNSTABLE for p, row in every.partitions.items()} == {0: False, 1: True}
    script.end_txn(7, commit=False)
    assert not script.is_unstable(1)
    assert script.offset(1) == 6, "the mark has been stored"


# -- who may --------------------------------------------------------------------------------------


def _empty(script: Script) -> str:
    (member,) = script.stable(1)
    script.leave((member, None))
    return member


def _preparing(script: Script) -> str:
    leader, follower = script.stable()
    script.join(leader)
    return follower


@pytest.mark.parametrize(("reach", "state"), [
    (_empty, "Empty"),
    (_preparing, "PreparingRebalance"),
    (lambda script: script.completing()[0], "CompletingRebalance"),
    (lambda script: script.stable()[0], "Stable"),
])
def test_commit_by_state(reach: Callable[[Script], str], state: str) -> None:
    script = Script()
    member = reach(script)
    assert script.state == state
    generation_id = script.group().generation_id
    error = ErrorCode.UNKNOWN_MEMBER_ID if state == "Empty" else OK
    assert script.commit_in_txn(7, 5, member, generation_id) == error
    assert script.open_transactions() == ({} if error else {7: 0})
    stale = ErrorCode.UNKNOWN_MEMBER_ID if state == "Empty" else ErrorCode.ILLEGAL_GENERATION
    assert script.commit_in_txn(7, 5, member, generation_id - 1) == stale
    assert script.commit_in_txn(7, 5, "ghost", generation_id) == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.commit_in_txn(7, 5) == OK, "not fenced: generation -1, no member"


def test_a_replaced_static_member_is_fenced() -> None:
    script = Script()
    old = _static(script)
    assert script.commit_in_txn(7, 5, old, 1, instance_id="box") == OK
    script.join(instance_id="box")
    assert script.commit_in_txn(7, 6, old, 1, instance_id="box") == ErrorCode.FENCED_INSTANCE_ID
    assert script.commit_in_txn(7, 6, instance_id="nobody") == ErrorCode.UNKNOWN_MEMBER_ID


def _static(script: Script) -> str:
    token = script.join(instance_id="box")
    script.advance(6_000)
    member = script.joined(token).member_id
    script.sync(member, 1, {member: b"mine"})
    return member


def test_a_generation_of_no_group() -> None:
    script = Script()
    assert script.commit_in_txn(7, 5, "m", 1) == ErrorCode.ILLEGAL_GENERATION
    assert script.listed() == []


def test_a_commit_does_not_keep_a_member_alive() -> None:
    script = Script()
    (member,) = script.stable(1)
    script.advance(9_000)
    script.commit_in_txn(7, 5, member, 1)
    script.advance(1_000)
    assert script.state == "Empty"


# -- what goes, and what does not -----------------------------------------------------------------


def test_open_transactions_keep_offsets_and_group_from_expiring() -> None:
    script = Script(GroupConfig(offsets_retention_ms=HOUR_MS))
    script.commit(5, partition=0)
    script.commit(6, partition=1)
    script.commit_in_txn(7, 8, partition=1)
    script.commit_in_txn(9, 8, group_id="only pending")
    script.advance(2 * HOUR_MS)
    assert (script.offset(0), script.offset(1)) == (-1, 6)
    assert {group_id for group_id, _, _ in script.listed()} == {"g", "only pending"}
    for producer_id in (7, 9):
        script.end_txn(producer_id, commit=False)
    script.advance(CHECK_MS)
    assert script.listed() == []
    assert script.rows == {}


def test_a_deleted_topic_takes_its_pending_offsets() -> None:
    script = Script()
    script.commit_in_txn(7, 5)
    script.commit_in_txn(7, 6, topic_id=OTHER_TOPIC)
    script.delete_topic(TOPIC)
    assert len(script.rows) == 1
    script.end_txn(7, commit=True)
    assert (script.offset(), script.offset(topic_id=OTHER_TOPIC)) == (-1, 6)


def test_a_deleted_group_takes_its_pending_offsets() -> None:
    script = Script()
    script.commit_in_txn(7, 5)
    script.commit_in_txn(7, 6, group_id="h")
    assert script.delete("g") == [OK]
    assert len(script.rows) == 1
    script.end_txn(7, commit=True)
    assert [group_id for group_id, _, _ in script.listed()] == ["h"]
    assert script.offset(group_id="h") == 6


def test_a_group_of_pending_offsets_only_is_there_after_a_restart() -> None:
    script = Script()
    script.commit_in_txn(7, 5, producer_epoch=3)
    again = script.restarted()
    assert again.listed() == [("g", "", "Empty")]
    assert again.open_transactions() == {7: 3}


# -- OffsetDelete ---------------------------------------------------------------------------------


def test_delete_offsets_of_a_simple_group() -> None:
    script = Script()
    for partition in (0, 1):
        script.commit(5, partition=partition)
    script.commit_in_txn(7, 8, partition=0)
    assert script.delete_offsets((TOPIC, "t", 0), (TOPIC, "t", 9), (OTHER_TOPIC, "u", 0)) == [OK, OK, OK]
    assert len(script.written()) == 1
    script.end_txn(7, commit=True)
    assert (script.offset(0), script.offset(1)) == (-1, 5)
    assert len(script.rows) == 1
    assert script.delete_offsets((TOPIC, "t", 0)) == [OK]
    assert script.written() == []


def test_delete_offsets_of_no_group() -> None:
    assert Script().delete_offsets((TOPIC, "t", 0)) == ErrorCode.GROUP_ID_NOT_FOUND


def test_delete_offsets_of_live_consumers_only_where_they_are_not_subscribed() -> None:
    script = Script()
    (member,) = script.stable(1, protocols=(("range", subscription("t")),))
    script.commit(5, member, 1)
    script.commit(6, member, 1, topic_id=OTHER_TOPIC, topic="u")
    answer = script.delete_offsets((TOPIC, "t", 0), (OTHER_TOPIC, "u", 0))
    assert answer == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, OK]
    assert (script.offset(), script.offset(topic_id=OTHER_TOPIC)) == (5, -1)


def test_delete_offsets_of_a_live_group_of_another_kind() -> None:
    script = Script()
    (member,) = script.stable(1, protocol_type="connect")
    script.commit(5, member, 1)
    assert script.delete_offsets((TOPIC, "t", 0)) == ErrorCode.NON_EMPTY_GROUP
    script.leave((member, None))
    assert script.delete_offsets((TOPIC, "t", 0)) == [OK]
    assert script.offset() == -1
