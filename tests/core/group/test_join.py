"""JoinGroup, row by row."""

from __future__ import annotations

import pytest

from flymq.core.group.events import GroupConfig
from flymq.core.group.group import State
from flymq_protocol.errors import ErrorCode

from .harness import Script

BOTH = (("range", b"r"), ("sticky", b"s"))


# -- a new member ---------------------------------------------------------------------------------


def test_dynamic_join_without_id_is_told_its_id_first() -> None:
    script = Script()
    answer = script.answers[script.join(client_id="app")]
    assert answer.error == ErrorCode.MEMBER_ID_REQUIRED
    assert answer.member_id == "app-u1"
    assert script.state == "Empty"
    token = script.join(answer.member_id)
    assert token in script.parked
    assert script.state == "PreparingRebalance"


def test_before_v4_it_is_let_in_at_once() -> None:
    script = Script()
    token = script.join(api_version=3)
    assert token in script.parked
    assert list(script.members()) == ["client-u1"]


def test_a_static_member_is_never_asked_to_come_again() -> None:
    script = Script()
    token = script.join(instance_id="box")
    assert token in script.parked
    assert list(script.members()) == ["box-u1"]


def test_new_member_in_stable_starts_a_rebalance() -> None:
    script = Script()
    script.stable()
    script.new_member()
    assert script.state == "PreparingRebalance"


def test_new_member_in_completing_starts_a_rebalance_and_fails_parked_syncs() -> None:
    script = Script()
    _, follower = script.completing()
    parked = script.sync(follower, 1)
    assert parked in script.parked
    script.new_member()
    assert script.state == "PreparingRebalance"
    assert script.answers[parked].error == ErrorCode.REBALANCE_IN_PROGRESS


def test_new_member_in_preparing_is_added_and_waits() -> None:
    script = Script()
    script.stable()
    script.new_member()
    _, token = script.new_member()
    assert token in script.parked
    assert len(script.group().members) == 4


# -- the first generation -------------------------------------------------------------------------


def test_initial_delay_then_generation_one_with_the_first_member_as_leader() -> None:
    script = Script()
    first, first_token = script.new_member(protocols=(("range", b"one"),))
    second, second_token = script.new_member(protocols=(("range", b"two"),))
    script.advance(2_999)
    assert {first_token, second_token} <= script.parked
    script.advance(3_001)
    leader = script.joined(first_token)
    assert (leader.generation_id, leader.leader, leader.member_id) == (1, first, first)
    assert (leader.protocol_type, leader.protocol_name) == ("consumer", "range")
    assert [(m.member_id, m.metadata) for m in leader.members] == [(first, b"one"), (second, b"two")]
    follower = script.joined(second_token)
    assert (follower.leader, follower.members, follower.skip_assignment) == (first, [], False)
    assert script.state == "CompletingRebalance"


def test_the_delay_alone_is_enough_for_one_member() -> None:
    script = Script()
    _, token = script.new_member()
    script.advance(3_000)
    assert script.joined(token).generation_id == 1


def test_each_newcomer_prolongs_the_delay() -> None:
    script = Script()
    _, first = script.new_member()
    script.advance(2_000)
    script.new_member()
    script.advance(1_000)
    assert first in script.parked
    script.advance(2_000)
    script.new_member()
    script.advance(1_000)
    assert first in script.parked
    script.advance(3_000)
    assert len(script.joined(first).members) == 3


def test_but_not_beyond_the_rebalance_timeout() -> None:
    script = Script()
    _, first = script.new_member(rebalance_timeout_ms=7_000)
    waited_ms = 0
    while first in script.parked:
        script.new_member(rebalance_timeout_ms=7_000)
        script.advance(500)
        waited_ms += 500
        assert waited_ms <= 10_000
    # 3 s, twice prolonged: by 3 s, then by the 1 s that is left of 7 s.
    assert waited_ms == 7_000


def test_no_delay_configured() -> None:
    script = Script(GroupConfig(group_initial_rebalance_delay_ms=0))
    _, token = script.new_member()
    script.advance(0)
    assert script.joined(token).generation_id == 1


def test_nobody_left_when_the_delay_ends_is_empty_again() -> None:
    script = Script()
    member, token = script.new_member()
    assert script.leave((member, None)) == [ErrorCode.NONE]
    assert script.answers[token].error == ErrorCode.UNKNOWN_MEMBER_ID
    script.advance(3_000)
    assert script.state == "Empty"
    assert script.group().generation_id == 1


# -- later generations ----------------------------------------------------------------------------


def rejoin_all(script: Script, members: list[str]) -> list[int]:
    return [script.join(member) for member in members]


def test_ends_as_soon_as_all_have_rejoined() -> None:
    script = Script()
    members = script.stable()
    new, new_token = script.new_member()
    first, second = rejoin_all(script, members)
    assert script.state == "CompletingRebalance"
    assert {script.joined(t).generation_id for t in (new_token, first, second)} == {2}
    assert [m.member_id for m in script.joined(first).members] == [*members, new]
    assert script.joined(second).members == []


def test_a_pending_member_keeps_the_join_phase_open() -> None:
    script = Script()
    members = script.stable()
    pending = script.answers[script.join()].member_id  # MEMBER_ID_REQUIRED
    first, second = rejoin_all(script, members)  # the leader's join begins a rebalance
    assert second in script.parked
    script.join(pending)
    assert script.joined(first).generation_id == 2
    assert len(script.joined(first).members) == 3


def test_a_pending_member_that_does_not_come_back_ends_with_its_session() -> None:
    script = Script()
    members = script.stable()
    script.join(session_timeout_ms=6_000)
    first, _ = rejoin_all(script, members)
    script.advance(5_999)
    assert first in script.parked
    script.advance(1)
    assert len(script.joined(first).members) == 2


def test_dynamic_absentees_are_dropped_at_the_rebalance_timeout() -> None:
    script = Script()
    leader, follower = script.stable(rebalance_timeout_ms=5_000)
    token = script.join(leader, rebalance_timeout_ms=5_000)
    script.advance(4_999)
    assert token in script.parked
    script.advance(1)
    assert [m.member_id for m in script.joined(token).members] == [leader]
    assert script.heartbeat(follower, 2) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_leader_that_did_not_rejoin_is_replaced() -> None:
    script = Script()
    leader, follower = script.stable(rebalance_timeout_ms=5_000)
    _, new = script.new_member(rebalance_timeout_ms=5_000)
    token = script.join(follower, rebalance_timeout_ms=5_000)
    script.advance(5_000)
    assert script.joined(token).leader == follower
    assert script.joined(new).leader == follower
    assert leader not in script.group().members


def test_static_absentees_are_kept() -> None:
    script = Script()
    static = script.join(instance_id="box", rebalance_timeout_ms=5_000, session_timeout_ms=30_000)
    dynamic, token = script.new_member(rebalance_timeout_ms=5_000)
    script.advance(6_000)
    box = script.joined(static).member_id
    assert script.joined(token).generation_id == 1
    script.sync(dynamic, 1)
    script.sync(box, 1, {box: b"x", dynamic: b"y"})
    token = script.join(dynamic, rebalance_timeout_ms=5_000, protocols=(("range", b"changed"),))
    script.advance(5_000)
    answer = script.joined(token)
    assert answer.leader == dynamic  # the leader, static, is in, but did not rejoin
    assert [m.member_id for m in answer.members] == [box, dynamic]


def test_nobody_rejoined_waits_again() -> None:
    script = Script()
    tokens = [script.join(instance_id=f"box{n}", rebalance_timeout_ms=5_000, session_timeout_ms=60_000) for n in (0, 1)]
    script.advance(6_000)
    boxes = [script.joined(token).member_id for token in tokens]
    script.sync(boxes[1], 1)
    script.sync(boxes[0], 1, dict.fromkeys(boxes, b"x"))
    script.leave((boxes[0], "box0"))
    assert script.state == "PreparingRebalance"
    script.advance(20_000)
    assert (script.state, script.group().generation_id) == ("PreparingRebalance", 1)
    token = script.join(boxes[1], instance_id="box1", rebalance_timeout_ms=5_000)
    assert script.joined(token).generation_id == 2


# -- a known member -------------------------------------------------------------------------------


def test_unknown_id_without_a_group_and_in_an_empty_one() -> None:
    script = Script()
    assert script.answers[script.join("ghost")].error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.machine.groups == {}
    (member,) = script.stable(1)
    script.leave((member, None))
    assert script.state == "Empty"
    assert script.answers[script.join(member)].error == ErrorCode.UNKNOWN_MEMBER_ID


def test_unknown_id_in_a_live_group() -> None:
    script = Script()
    script.stable()
    assert script.answers[script.join("ghost")].error == ErrorCode.UNKNOWN_MEMBER_ID


def test_stable_follower_with_the_same_metadata_gets_the_current_generation() -> None:
    script = Script()
    leader, follower = script.stable()
    answer = script.joined(script.join(follower))
    assert (answer.generation_id, answer.leader, answer.members) == (1, leader, [])
    assert script.state == "Stable"


def test_stable_follower_with_other_metadata_rebalances() -> None:
    script = Script()
    _, follower = script.stable()
    token = script.join(follower, protocols=(("range", b"new topics"),))
    assert token in script.parked
    assert script.state == "PreparingRebalance"


def test_stable_leader_rebalances_even_with_the_same_metadata() -> None:
    script = Script()
    leader, _ = script.stable()
    token = script.join(leader)
    assert token in script.parked
    assert script.state == "PreparingRebalance"


def test_completing_with_the_same_metadata_repeats_the_answer() -> None:
    script = Script()
    leader, follower = script.completing()
    again = script.joined(script.join(leader))
    assert [m.member_id for m in again.members] == [leader, follower]
    assert script.joined(script.join(follower)).members == []
    assert script.state == "CompletingRebalance"


def test_completing_with_other_metadata_rebalances() -> None:
    script = Script()
    _, follower = script.completing()
    token = script.join(follower, protocols=(("range", b"other"),))
    assert token in script.parked
    assert script.state == "PreparingRebalance"


def test_a_second_join_supersedes_the_parked_one() -> None:
    script = Script()
    leader, follower = script.stable()
    first = script.join(leader)
    second = script.join(leader)
    assert script.answers[first].error == ErrorCode.REBALANCE_IN_PROGRESS
    script.join(follower)
    assert script.joined(second).generation_id == 2


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_timeout_ms", [5_999, 1_800_001])
def test_session_timeout_out_of_bounds(session_timeout_ms: int) -> None:
    script = Script()
    answer = script.answers[script.join(session_timeout_ms=session_timeout_ms)]
    assert answer.error == ErrorCode.INVALID_SESSION_TIMEOUT


@pytest.mark.parametrize("session_timeout_ms", [6_000, 1_800_000])
def test_session_timeout_at_its_bounds(session_timeout_ms: int) -> None:
    script = Script()
    answer = script.answers[script.join(session_timeout_ms=session_timeout_ms)]
    assert answer.error == ErrorCode.MEMBER_ID_REQUIRED


def test_empty_group_id() -> None:
    script = Script()
    assert script.answers[script.join(group_id="")].error == ErrorCode.INVALID_GROUP_ID


@pytest.mark.parametrize("options", [{"protocol_type": ""}, {"protocols": ()}])
def test_nothing_to_agree_on_in_a_new_group(options: dict[str, object]) -> None:
    script = Script()
    answer = script.answers[script.join(**options)]  # type: ignore[arg-type]
    assert answer.error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert script.machine.groups == {}


def test_another_protocol_type_or_no_common_protocol() -> None:
    script = Script()
    script.stable()
    for options in ({"protocol_type": "connect"}, {"protocols": (("sticky", b""),)}):
        answer = script.answers[script.join(**options)]  # type: ignore[arg-type]
        assert answer.error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert script.state == "Stable"


def test_an_empty_group_takes_another_protocol_type() -> None:
    script = Script()
    (member,) = script.stable(1)
    script.leave((member, None))
    _, token = script.new_member(protocol_type="connect", protocols=(("eager", b""),))
    script.advance(3_000)
    assert script.joined(token).protocol_type == "connect"
    assert script.joined(token).generation_id == 3


def test_group_max_size() -> None:
    script = Script(GroupConfig(group_max_size=2))
    members = script.stable(2)
    answer = script.answers[script.join()]
    assert (answer.error, answer.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")
    tokens = rejoin_all(script, members)
    assert script.joined(tokens[0]).generation_id == 2


def test_group_max_size_while_members_join() -> None:
    script = Script(GroupConfig(group_max_size=1))
    script.new_member()
    assert script.answers[script.join()].error == ErrorCode.GROUP_MAX_SIZE_REACHED


def test_a_group_grown_too_big_drops_the_last_to_rejoin() -> None:
    rows = Script()
    members = rows.stable(3)
    script = Script(GroupConfig(group_max_size=2), rows.rows)
    assert script.state == "PreparingRebalance"
    tokens = rejoin_all(script, members)
    assert script.answers[tokens[2]].error == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert [m.member_id for m in script.joined(tokens[0]).members] == members[:2]


# -- protocol choice ------------------------------------------------------------------------------


def test_each_votes_for_its_first_that_all_support() -> None:
    script = Script()
    tokens = [
        script.new_member(protocols=protocols)[1]
        for protocols in (BOTH, BOTH[::-1], (("mine", b""), *BOTH[::-1]))
    ]
    script.advance(6_000)
    leader = script.joined(tokens[0])
    assert leader.protocol_name == "sticky"
    assert [m.metadata for m in leader.members] == [b"s", b"s", b"s"]


def test_a_protocol_that_one_does_not_support_is_out_however_many_want_it() -> None:
    script = Script()
    tokens = [script.new_member(protocols=protocols)[1] for protocols in (BOTH, BOTH, BOTH[1:])]
    script.advance(6_000)
    assert script.joined(tokens[0]).protocol_name == "sticky"


# -- new members that vanish ----------------------------------------------------------------------


def test_new_member_that_waits_longer_than_five_minutes_is_dropped() -> None:
    script = Script()
    leader, _ = script.stable(rebalance_timeout_ms=600_000, session_timeout_ms=1_800_000)
    _, token = script.new_member(rebalance_timeout_ms=600_000)
    script.advance(299_999)
    assert token in script.parked
    script.advance(1)
    assert script.answers[token].error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.group().state is State.PREPARING
    assert leader in script.group().members


def test_a_known_member_does_not_expire_while_it_waits() -> None:
    script = Script()
    leader, follower = script.stable(session_timeout_ms=6_000, rebalance_timeout_ms=20_000)
    token = script.join(leader, session_timeout_ms=6_000, rebalance_timeout_ms=20_000)
    for _ in range(4):
        script.advance(4_000)
        assert script.heartbeat(follower, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    assert token in script.parked
    script.join(follower, session_timeout_ms=6_000, rebalance_timeout_ms=20_000)
    assert script.joined(token).generation_id == 2


def test_v0_rebalance_timeout_is_what_the_handler_gives() -> None:
    script = Script()
    script.new_member(rebalance_timeout_ms=8_000, session_timeout_ms=8_000)
    assert script.group().rebalance_timeout_ms == 8_000
