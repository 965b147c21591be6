"""SyncGroup, Heartbeat, LeaveGroup and the session timers, row by row."""

from __future__ import annotations

import pytest

from flymq.core.effects import Reply, SetTimer
from flymq.core.group.events import LeaveGroup
from flymq_protocol.errors import ErrorCode

from .harness import Script

# -- sync -----------------------------------------------------------------------------------------


def test_all_wait_for_the_leader_and_get_their_own_part() -> None:
    script = Script()
    leader, follower, forgotten = script.completing(3)
    tokens = [script.sync(member, 1) for member in (follower, forgotten)]
    assert set(tokens) <= script.parked
    mine = script.sync(leader, 1, {leader: b"L", follower: b"F", "stranger": b"S"})
    assert script.answers[mine].assignment == b"L"
    assert script.answers[tokens[0]].assignment == b"F"
    assert script.answers[tokens[1]].assignment == b""  # left out
    assert script.answers[tokens[1]].error == ErrorCode.NONE
    assert script.answers[mine].protocol_name == "range"
    assert script.answers[mine].protocol_type == "consumer"
    assert script.state == "Stable"


def test_answers_follow_the_write_of_the_assignment() -> None:
    script = Script()
    leader, follower = script.completing()
    script.sync(follower, 1)
    script.sync(leader, 1, {leader: b"L"})
    (write,) = script.written()
    replies = [effect for effect in script.effects if isinstance(effect, Reply)]
    assert len(replies) == 2
    assert all(reply.barrier for reply in replies)
    assert script.effects.index(write) < min(script.effects.index(reply) for reply in replies)


def test_sync_in_stable_gives_the_stored_assignment() -> None:
    script = Script()
    _, follower = script.stable()
    assert script.answers[script.sync(follower, 1)].assignment == b"1"


def test_sync_in_preparing_and_empty_and_without_a_group() -> None:
    script = Script()
    assert script.answers[script.sync("ghost", 1)].error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.answers[script.sync("ghost", 1, group_id="")].error == ErrorCode.INVALID_GROUP_ID
    leader, follower = script.stable()
    script.join(leader)
    assert script.answers[script.sync(follower, 1)].error == ErrorCode.REBALANCE_IN_PROGRESS
    script.leave((leader, None), (follower, None))
    assert script.state == "Empty"
    assert script.answers[script.sync(leader, 2)].error == ErrorCode.UNKNOWN_MEMBER_ID


def test_sync_of_another_generation() -> None:
    script = Script()
    leader, _ = script.completing()
    for generation_id in (0, 2):
        assert script.answers[script.sync(leader, generation_id)].error == ErrorCode.ILLEGAL_GENERATION


@pytest.mark.parametrize("names", [
    {"protocol_type": "connect", "protocol_name": "range"}, {"protocol_type": "consumer", "protocol_name": "sticky"},
])
def test_sync_v5_both_names_must_match(names: dict[str, str]) -> None:
    script = Script()
    leader, _ = script.completing()
    assert script.answers[script.sync(leader, 1, **names)].error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    good = script.sync(leader, 1, protocol_type="consumer", protocol_name="range")
    assert script.answers[good].error == ErrorCode.NONE


def test_who_has_not_synced_by_a_rebalance_timeout_is_removed() -> None:
    script = Script()
    leader, follower = script.completing(rebalance_timeout_ms=5_000, session_timeout_ms=30_000)
    parked = script.sync(follower, 1)
    script.advance(4_999)
    assert script.state == "CompletingRebalance"
    script.advance(1)
    assert script.answers[parked].error == ErrorCode.REBALANCE_IN_PROGRESS
    assert script.state == "PreparingRebalance"
    assert list(script.members()) == [follower]
    assert script.heartbeat(leader, 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_follower_that_never_syncs_is_removed_from_stable_too() -> None:
    script = Script()
    leader, follower = script.completing(rebalance_timeout_ms=5_000, session_timeout_ms=30_000)
    script.sync(leader, 1, {follower: b"F"})
    assert script.state == "Stable"
    script.advance(5_000)
    assert script.state == "PreparingRebalance"
    assert list(script.members()) == [leader]


def test_once_all_have_synced_nobody_is_removed() -> None:
    script = Script()
    script.stable(rebalance_timeout_ms=5_000, session_timeout_ms=30_000)
    script.advance(6_000)
    assert script.state == "Stable"


def test_a_second_sync_supersedes_the_parked_one() -> None:
    script = Script()
    leader, follower = script.completing()
    first, second = script.sync(follower, 1), script.sync(follower, 1)
    assert script.answers[first].error == ErrorCode.REBALANCE_IN_PROGRESS
    script.sync(leader, 1, {follower: b"F"})
    assert script.answers[second].assignment == b"F"


# -- heartbeat and sessions -----------------------------------------------------------------------


def test_heartbeat_by_state() -> None:
    script = Script()
    assert script.heartbeat("ghost", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    leader, follower = script.completing()
    assert script.heartbeat(leader, 1) == ErrorCode.NONE
    assert script.heartbeat(leader, 2) == ErrorCode.ILLEGAL_GENERATION
    script.sync(leader, 1, {})
    script.sync(follower, 1)
    assert script.heartbeat(leader, 1) == ErrorCode.NONE
    script.join(leader)
    assert script.heartbeat(follower, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    script.leave((leader, None), (follower, None))
    assert script.heartbeat(leader, 2) == ErrorCode.UNKNOWN_MEMBER_ID


def test_heartbeat_writes_nothing_and_waits_for_nothing() -> None:
    script = Script()
    leader, _ = script.stable()
    script.heartbeat(leader, 1)
    timer, reply = script.effects
    assert isinstance(timer, SetTimer)
    assert timer.delay_ms == 10_000
    assert isinstance(reply, Reply)
    assert not reply.barrier


def test_a_session_ends_without_a_sign_of_life() -> None:
    script = Script()
    leader, follower = script.stable()
    script.advance(9_999)
    assert script.heartbeat(leader, 1) == ErrorCode.NONE
    script.advance(1)
    assert script.state == "PreparingRebalance"
    assert list(script.members()) == [leader]
    assert script.heartbeat(follower, 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_new_members_session_begins_when_its_join_is_answered() -> None:
    script = Script()
    script.new_member()
    script.advance(3_000)
    assert script.state == "CompletingRebalance"
    script.advance(9_999)
    assert len(script.group().members) == 1
    script.advance(1)
    assert script.state == "Empty"


@pytest.mark.parametrize("sign", ["heartbeat", "commit", "sync", "join"])
def test_signs_of_life(sign: str) -> None:
    script = Script()
    leader, follower = script.stable()
    for _ in range(3):
        script.advance(9_000)
        script.heartbeat(leader, 1)
        if sign == "heartbeat":
            script.heartbeat(follower, 1)
        elif sign == "commit":
            script.commit(1, follower, 1)
        elif sign == "sync":
            script.sync(follower, 1)
        else:
            script.join(follower)
    assert script.state == "Stable"
    assert len(script.group().members) == 2


def test_the_last_session_ends_the_group_is_empty() -> None:
    script = Script()
    script.stable(1)
    script.advance(10_000)
    assert (script.state, script.group().generation_id) == ("Empty", 2)
    assert script.group().leader_id is None


def test_a_parked_sync_holds_the_session() -> None:
    script = Script()
    leader, follower = script.completing(session_timeout_ms=6_000, rebalance_timeout_ms=30_000)
    parked = script.sync(follower, 1)
    for _ in range(4):
        script.advance(5_000)
        script.heartbeat(leader, 1)
    assert parked in script.parked
    script.sync(leader, 1, {follower: b"F"})
    assert script.answers[parked].assignment == b"F"
    script.advance(5_999)
    assert follower in script.group().members  # re-armed by the answer
    script.advance(1)
    assert follower not in script.group().members


# -- leave ----------------------------------------------------------------------------------------


def test_leave_by_state() -> None:
    script = Script()
    assert script.leave(("ghost", None)) == [ErrorCode.UNKNOWN_MEMBER_ID]
    first, second, third = script.completing(3)
    parked = script.sync(second, 1)
    assert script.leave((second, None)) == [ErrorCode.NONE]
    assert script.answers[parked].error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.state == "PreparingRebalance"
    token = script.join(first)
    assert token in script.parked
    assert script.leave((third, None)) == [ErrorCode.NONE]  # the last one that was missing
    assert script.joined(token).generation_id == 2
    script.sync(first, 2)
    assert script.leave((first, None)) == [ErrorCode.NONE]
    assert script.state == "Empty"
    assert script.leave((first, None)) == [ErrorCode.UNKNOWN_MEMBER_ID]


def test_leave_of_an_empty_group_id() -> None:
    assert Script().ask(LeaveGroup("", [("m", None)])) == ErrorCode.INVALID_GROUP_ID


def test_a_parked_join_is_answered_when_its_member_leaves() -> None:
    script = Script()
    leader, _ = script.stable()
    token = script.join(leader)
    script.leave((leader, None))
    assert script.answers[token].error == ErrorCode.UNKNOWN_MEMBER_ID


def test_many_leave_at_once_each_with_its_error() -> None:
    script = Script()
    leader, follower, third = script.stable(3)
    assert script.leave((follower, None), ("ghost", None), (third, None)) == [
        ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.NONE,
    ]
    assert list(script.members()) == [leader]
    assert script.state == "PreparingRebalance"


def test_only_strangers_leave_nothing_happens() -> None:
    script = Script()
    script.stable()
    assert script.leave(("ghost", None), ("", "no such box"), ("", None)) == [ErrorCode.UNKNOWN_MEMBER_ID] * 3
    assert script.state == "Stable"


def test_a_pending_member_leaves() -> None:
    script = Script()
    members = script.stable()
    pending = script.answers[script.join()].member_id
    tokens = [script.join(member) for member in members]
    assert set(tokens) <= script.parked
    assert script.leave((pending, None)) == [ErrorCode.NONE]
    assert script.joined(tokens[0]).generation_id == 2


def test_the_leader_leaves_and_the_next_one_leads() -> None:
    script = Script()
    leader, second, third = script.stable(3)
    script.leave((leader, None))
    tokens = [script.join(member) for member in (third, second)]
    assert script.joined(tokens[0]).leader == second
