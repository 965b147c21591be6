"""OffsetCommit, OffsetFetch, expiry, and deletion of topics and groups."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flymq.core.group.events import CommitOffsets, FetchOffsets, GroupConfig, OffsetEntry
from flymq_protocol.errors import ErrorCode

from .harness import OTHER_TOPIC, START_MS, TOPIC, Script, subscription

DAY_MS = 24 * 3600 * 1000
CHECK_MS = 600_000


# -- commit and fetch -----------------------------------------------------------------------------


def test_a_simple_group() -> None:
    script = Script()
    assert script.commit(5, metadata="m", leader_epoch=3) == ErrorCode.NONE
    (fetched,) = script.ask(FetchOffsets("g", [(TOPIC, [0, 1])]))
    assert fetched.partitions == {0: (5, 3, "m", START_MS, -1)}
    assert script.listed() == [("g", "", "Empty")]


def test_unknown_group_topic_or_partition_has_no_offset_and_no_error() -> None:
    script = Script()
    assert script.ask(FetchOffsets("nobody", [(TOPIC, [0])])) == [(TOPIC, {})]
    assert script.ask(FetchOffsets("nobody", None)) == []
    script.commit(5)
    assert script.ask(FetchOffsets("g", [(OTHER_TOPIC, [0]), (TOPIC, [7])])) == [(OTHER_TOPIC, {}), (TOPIC, {})]


def test_an_answer_is_a_copy() -> None:
    script = Script()
    script.commit(5)
    (fetched,) = script.ask(FetchOffsets("g", None))
    script.commit(6)
    assert fetched.partitions[0].offset == 5


@pytest.mark.parametrize(("api_version", "error"), [
    (8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND),
])
def test_a_generation_of_no_group(api_version: int, error: ErrorCode) -> None:
    script = Script()
    assert script.commit(5, "m", 1, api_version=api_version) == error
    assert script.offset() == -1


def _empty(script: Script) -> str:
    (member,) = script.stable(1)
    script.leave((member, None))
    return member


def _preparing(script: Script) -> str:
    leader, follower = script.stable()
    script.join(leader)
    return follower


@pytest.mark.parametrize(("reach", "state", "error"), [
    (_empty, "Empty", ErrorCode.UNKNOWN_MEMBER_ID),
    (_preparing, "PreparingRebalance", ErrorCode.NONE),
    (lambda script: script.completing()[0], "CompletingRebalance", ErrorCode.REBALANCE_IN_PROGRESS),
    (lambda script: script.stable()[0], "Stable", ErrorCode.NONE),
])
def test_commit_of_a_member_by_state(reach: Callable[[Script], str], state: str, error: ErrorCode) -> None:
    script = Script()
    member = reach(script)
    assert script.state == state
    generation_id = script.group().generation_id
    assert script.commit(5, member, generation_id) == error
    assert script.offset() == (5 if error == ErrorCode.NONE else -1)
    if state != "Empty":
        assert script.commit(5, member, generation_id - 1) == ErrorCode.ILLEGAL_GENERATION
        assert script.commit(5, "ghost", generation_id) == ErrorCode.UNKNOWN_MEMBER_ID
        assert script.commit(5) == ErrorCode.UNKNOWN_MEMBER_ID  # from outside
    else:
        assert script.commit(7) == ErrorCode.NONE


def test_metadata_too_large_is_refused_alone() -> None:
    script = Script()
    entries = [OffsetEntry(TOPIC, "t", 0, 5, -1, "x" * 4097), OffsetEntry(TOPIC, "t", 1, 6, -1, "x" * 4096)]
    answer = script.ask(CommitOffsets("g", -1, "", entries))
    assert answer == [ErrorCode.OFFSET_METADATA_TOO_LARGE, ErrorCode.NONE]
    assert (script.offset(0), script.offset(1)) == (-1, 6)


def test_nothing_stored_makes_no_group() -> None:
    script = Script()
    assert script.commit(5, metadata="x" * 4097) == [ErrorCode.OFFSET_METADATA_TOO_LARGE]
    assert script.listed() == []


def test_a_new_topic_of_the_same_name_has_no_offsets() -> None:
    script = Script()
    script.commit(5, topic_id=TOPIC, topic="t")
    script.commit(9, topic_id=OTHER_TOPIC, topic="t")
    assert script.offset(topic_id=OTHER_TOPIC) == 9
    script.delete_topic(TOPIC)
    assert (script.offset(topic_id=TOPIC), script.offset(topic_id=OTHER_TOPIC)) == (-1, 9)


def test_a_deleted_topic_takes_the_offsets_of_all_groups() -> None:
    script = Script()
    for group_id in ("g", "h"):
        for partition in (0, 1):
            script.commit(5, group_id=group_id, partition=partition)
            script.commit(6, group_id=group_id, partition=partition, topic_id=OTHER_TOPIC, topic="u")
    script.delete_topic(TOPIC)
    assert len(script.written()) == 1
    again = script.restarted()
    for group_id in ("g", "h"):
        for partition in (0, 1):
            assert again.offset(partition, TOPIC, group_id) == -1
            assert again.offset(partition, OTHER_TOPIC, group_id) == 6
    script.delete_topic(TOPIC)
    assert script.effects == []


# -- expiry ---------------------------------------------------------------------------------------


def test_a_simple_group_expires_with_its_last_offset() -> None:
    script = Script()
    script.commit(5, partition=0)
    script.advance(DAY_MS)
    script.commit(6, partition=1)
    script.advance(6 * DAY_MS)
    assert (script.offset(0), script.offset(1)) == (-1, 6)
    script.advance(DAY_MS)
    assert script.listed() == []
    assert script.rows == {}


def test_members_offsets_expire_after_the_group_became_empty() -> None:
    script = Script()
    (member,) = script.stable(1, session_timeout_ms=1_800_000)
    script.commit(5, member, 1)
    for _ in range(8 * 48 * 2):
        script.advance(DAY_MS // 96)
        assert script.heartbeat(member, 1) == ErrorCode.NONE
    assert script.offset() == 5  # the subscription can't be read: nothing expires
    script.leave((member, None))
    script.advance(7 * DAY_MS - CHECK_MS)
    assert script.offset() == 5
    script.advance(2 * CHECK_MS)
    assert script.offset() == -1
    assert script.listed() == []


def test_a_live_consumer_group_loses_only_what_it_does_not_read() -> None:
    script = Script(GroupConfig(offsets_retention_ms=3_600_000))
    (member,) = script.stable(1, session_timeout_ms=1_800_000, protocols=(("range", subscription("t")),))
    script.commit(5, member, 1)
    script.commit(6, member, 1, topic_id=OTHER_TOPIC, topic="u")
    for _ in range(8):
        script.advance(CHECK_MS)
        script.heartbeat(member, 1)
    assert (script.offset(), script.offset(topic_id=OTHER_TOPIC)) == (5, -1)


def test_a_live_group_of_another_kind_loses_nothing() -> None:
    script = Script(GroupConfig(offsets_retention_ms=3_600_000))
    (member,) = script.stable(1, session_timeout_ms=1_800_000, protocol_type="connect")
    script.commit(5, member, 1)
    for _ in range(8):
        script.advance(CHECK_MS)
        script.heartbeat(member, 1)
    assert script.offset() == 5


def test_explicit_expiry_of_v2_to_4() -> None:
    script = Script()
    script.commit(5, retention_ms=1_000, partition=0, api_version=2)
    script.commit(6, retention_ms=-1, partition=1, api_version=2)
    script.advance(CHECK_MS)
    assert (script.offset(0), script.offset(1)) == (-1, 6)


def test_nothing_expires_during_a_rebalance() -> None:
    script = Script(GroupConfig(offsets_retention_ms=1))
    leader, _ = script.stable(2, session_timeout_ms=1_800_000, rebalance_timeout_ms=1_800_000,
                              protocols=(("range", subscription("other")),))
    script.commit(5, leader, 1)
    script.join(leader, session_timeout_ms=1_800_000, rebalance_timeout_ms=1_800_000,
                protocols=(("range", subscription("other")),))
    script.advance(CHECK_MS)
    assert script.state == "PreparingRebalance"
    assert script.offset() == 5


def test_an_empty_group_without_offsets_goes_but_not_under_a_pending_member() -> None:
    script = Script()
    _empty(script)
    pending = script.answers[script.join(session_timeout_ms=1_200_000)].member_id
    script.advance(CHECK_MS)
    assert script.listed() == [("g", "consumer", "Empty")]
    assert script.leave((pending, None)) == [ErrorCode.NONE]
    script.advance(CHECK_MS)
    assert script.listed() == []
    assert script.rows == {}


# -- groups ---------------------------------------------------------------------------------------


def test_delete_groups() -> None:
    script = Script()
    script.commit(5, group_id="simple")
    script.stable()
    assert script.delete("simple", "g", "nobody") == [
        ErrorCode.NONE, ErrorCode.NON_EMPTY_GROUP, ErrorCode.GROUP_ID_NOT_FOUND,
    ]
    assert script.offset(group_id="simple") == -1
    assert [row[0] for row in script.restarted().listed()] == ["g"]


def test_a_deleted_group_starts_anew() -> None:
    script = Script()
    _empty(script)
    pending = script.answers[script.join()].member_id
    assert script.delete("g") == [ErrorCode.NONE]
    assert script.rows == {}
    assert script.answers[script.join(pending)].error == ErrorCode.UNKNOWN_MEMBER_ID
    script.completing(1)
    assert script.group().generation_id == 1


def test_describe() -> None:
    script = Script()
    assert script.describe() == ("g", "Dead", "", "", [], "Group g not found.")
    leader, follower = script.completing()
    found = script.describe()
    assert (found.state, found.protocol_type, found.protocol_name) == ("CompletingRebalance", "consumer", "")
    shown = [(m.member_id, m.metadata, m.assignment) for m in found.members]
    assert shown == [(leader, b"", b""), (follower, b"", b"")]
    script.sync(leader, 1, {follower: b"F"})
    found = script.describe()
    assert (found.state, found.protocol_name) == ("Stable", "range")
    assert found.members[1] == (follower, None, "client", "/127.0.0.1", b"m", b"F")
    script.join(leader)
    found = script.describe()
    assert (found.state, found.protocol_name) == ("PreparingRebalance", "")
    assert [(m.metadata, m.assignment) for m in found.members] == [(b"", b""), (b"", b"F")]  # the one before


def test_list_by_state() -> None:
    script = Script()
    script.stable()
    script.commit(5, group_id="simple")
    assert sorted(script.listed()) == [("g", "consumer", "Stable"), ("simple", "", "Empty")]
    assert script.listed("stable") == [("g", "consumer", "Stable")]
    assert script.listed("dead") == []
    script.join()
    assert script.listed("preparingrebalance", "empty") == [("simple", "", "Empty")]
