"""Offsets in transactions, and OffsetDelete, in groups of the new protocol."""

from __future__ import annotations

from flymq.core.group.events import GroupConfig
from flymq_protocol.errors import ErrorCode

from .kit import AT_ONCE, Consumers, T, U

OK = ErrorCode.NONE
HOUR_MS = 3_600_000


def test_members_are_fenced_by_their_epoch_and_old_producers_are_not() -> None:
    script = Consumers.of(t=1)
    script.enter("a")
    assert script.commit_in_txn(7, 5, "a", 1, topic_id=T) == OK
    assert script.commit_in_txn(7, 6, "a", 2, topic_id=T) == ErrorCode.ILLEGAL_GENERATION
    assert script.commit_in_txn(7, 6, "ghost", 1, topic_id=T) == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.commit_in_txn(7, 6, "", -2, topic_id=T) == ErrorCode.UNKNOWN_MEMBER_ID
    script = script.restarted()  # type: ignore[assignment]
    script.end_txn(7, commit=True)
    assert script.offset(topic_id=T) == 5
    assert script.commit_in_txn(9, 8, topic_id=T) == OK
    script.end_txn(9, commit=True)
    assert script.offset(topic_id=T) == 8


def test_a_group_with_an_open_transaction_stays_until_it_is_over() -> None:
    script = Consumers.of(AT_ONCE, GroupConfig(offsets_retention_ms=HOUR_MS), t=1)
    script.enter("a")
    script.commit_in_txn(7, 5, "a", 1, topic_id=T)
    script.beat("a", -1)
    script.advance(2 * HOUR_MS)
    assert [group_id for group_id, _, _ in script.listed()] == ["g"]
    script.end_txn(7, commit=False)
    script.advance(HOUR_MS)
    assert script.listed() == []
    assert script.rows == {}


def test_a_deleted_group_takes_its_pending_offsets() -> None:
    script = Consumers.of(t=1)
    script.enter("a")
    script.commit_in_txn(7, 5, "a", 1, topic_id=T)
    script.beat("a", -1)
    assert script.delete("g") == [OK]
    assert script.rows == {}
    script.end_txn(7, commit=True)
    assert script.offset(topic_id=T) == -1


def test_a_group_that_goes_over_to_the_new_protocol_keeps_them() -> None:
    script = Consumers.of(t=1)
    script.commit_in_txn(7, 5, topic_id=T)
    script.enter("a")
    assert "g" in script.machine.consumer_groups
    assert script.is_unstable(topic_id=T)
    script = script.restarted()  # type: ignore[assignment]
    script.end_txn(7, commit=True)
    assert script.offset(topic_id=T) == 5
    assert "g" in script.machine.consumer_groups
    assert script.machine.groups == {}


def test_offsets_are_deleted_where_nobody_is_subscribed() -> None:
    script = Consumers.of(t=1, u=1)
    script.enter("a")
    for topic_id, topic in ((T, "t"), (U, "u")):
        assert script.commit(5, "a", 1, topic_id=topic_id, topic=topic) == OK
    assert script.delete_offsets((T, "t", 0), (U, "u", 0)) == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, OK]
    assert (script.offset(topic_id=T), script.offset(topic_id=U)) == (5, -1)
