"""Static members: KIP-345 and KIP-814."""

from __future__ import annotations

from flymq_protocol.errors import ErrorCode

from .harness import Script

LONG = {"session_timeout_ms": 60_000}


def stable(script: Script, count: int = 2, api_version: int = 9) -> list[str]:
    """Members box0.. in Stable."""
    tokens = [script.join(instance_id=f"box{n}", api_version=api_version) for n in range(count)]
    script.advance(6_000)
    boxes = [script.joined(token).member_id for token in tokens]
    for box in boxes[1:]:
        script.sync(box, 1)
    script.sync(boxes[0], 1, {box: b"%d" % n for n, box in enumerate(boxes)})
    assert script.state == "Stable"
    return boxes


def test_restart_in_stable_does_not_rebalance_and_keeps_the_assignment() -> None:
    script = Script()
    leader, old = stable(script)
    answer = script.joined(script.join(instance_id="box1"))
    assert answer.generation_id == 1
    assert answer.member_id != old
    assert (answer.leader, answer.members, answer.skip_assignment) == (leader, [], False)
    assert script.state == "Stable"
    assert script.answers[script.sync(answer.member_id, 1)].assignment == b"1"
    assert script.heartbeat(answer.member_id, 1, "box1") == ErrorCode.NONE


def test_the_old_id_is_fenced() -> None:
    script = Script()
    _, old = stable(script)
    script.join(instance_id="box1")
    assert script.heartbeat(old, 1, "box1") == ErrorCode.FENCED_INSTANCE_ID
    assert script.answers[script.sync(old, 1, instance_id="box1")].error == ErrorCode.FENCED_INSTANCE_ID
    assert script.answers[script.join(old, instance_id="box1")].error == ErrorCode.FENCED_INSTANCE_ID
    assert script.commit(5, old, 1, instance_id="box1") == ErrorCode.FENCED_INSTANCE_ID
    assert script.leave((old, "box1")) == [ErrorCode.FENCED_INSTANCE_ID]
    assert script.heartbeat(old, 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_unknown_instance_id() -> None:
    script = Script()
    box, _ = stable(script)
    assert script.heartbeat(box, 1, "box9") == ErrorCode.UNKNOWN_MEMBER_ID


def test_restart_is_stored_before_it_is_answered() -> None:
    script = Script()
    stable(script)
    token = script.join(instance_id="box1")
    assert len(script.written()) == 1
    assert script.answers[token].member_id in script.restarted().group().members


def test_a_restarted_leader_from_v9_is_told_to_skip_the_assignment() -> None:
    script = Script()
    old, other = stable(script)
    answer = script.joined(script.join(instance_id="box0", api_version=9))
    assert answer.leader == answer.member_id != old
    assert answer.skip_assignment
    assert [m.member_id for m in answer.members] == [other, answer.member_id]
    assert {m.instance_id for m in answer.members} == {"box0", "box1"}


def test_before_v9_it_is_not_told_that_it_leads() -> None:
    script = Script()
    old, _ = stable(script)
    answer = script.joined(script.join(instance_id="box0", api_version=8))
    assert answer.leader == old != answer.member_id
    assert (answer.members, answer.skip_assignment) == ([], False)


def test_restart_that_changes_the_protocol_rebalances() -> None:
    script = Script()
    both = (("range", b"r"), ("sticky", b"s"))
    tokens = [script.join(instance_id=f"box{n}", protocols=both) for n in (0, 1)]
    script.advance(6_000)
    boxes = [script.joined(token).member_id for token in tokens]
    script.sync(boxes[1], 1)
    script.sync(boxes[0], 1)
    token = script.join(instance_id="box1", protocols=both[1:])
    assert token in script.parked
    assert script.state == "PreparingRebalance"
    script.join(boxes[0], instance_id="box0", protocols=both)
    assert script.joined(token).protocol_name == "sticky"


def test_restart_in_completing_rebalances() -> None:
    script = Script()
    tokens = [script.join(instance_id=f"box{n}") for n in (0, 1)]
    script.advance(6_000)
    boxes = [script.joined(token).member_id for token in tokens]
    parked = script.sync(boxes[1], 1, instance_id="box1")
    token = script.join(instance_id="box1")
    assert script.answers[parked].error == ErrorCode.FENCED_INSTANCE_ID
    assert script.state == "PreparingRebalance"
    script.join(boxes[0], instance_id="box0")
    assert script.joined(token).generation_id == 2


def test_restart_in_preparing_takes_over_the_parked_join() -> None:
    script = Script()
    first = script.join(instance_id="box0")
    second = script.join(instance_id="box0")
    assert script.answers[first].error == ErrorCode.FENCED_INSTANCE_ID
    script.advance(6_000)
    assert script.joined(second).generation_id == 1
    assert len(script.group().members) == 1


def test_an_admin_removes_by_instance_id() -> None:
    script = Script()
    _, other = stable(script)
    assert script.leave(("", "box0"), ("", "box0")) == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]
    assert list(script.members()) == [other]
    assert script.group().static_members == {"box1": other}


def test_the_session_of_the_old_id_does_not_end_the_new_one() -> None:
    script = Script()
    leader, _ = stable(script)
    script.advance(9_000)
    script.heartbeat(leader, 1)
    new = script.joined(script.join(instance_id="box1")).member_id
    script.advance(9_000)
    script.heartbeat(leader, 1)
    assert new in script.group().members
    script.advance(1_000)
    assert new not in script.group().members


def test_restart_before_the_first_sync_still_has_to_sync() -> None:
    script = Script()
    tokens = [script.join(instance_id=f"box{n}", rebalance_timeout_ms=5_000, **LONG) for n in (0, 1)]
    script.advance(6_000)
    leader, _ = [script.joined(token).member_id for token in tokens]
    script.sync(leader, 1, {})
    new = script.joined(script.join(instance_id="box1", rebalance_timeout_ms=5_000, **LONG)).member_id
    assert list(script.group().pending_sync) == [new]
    script.sync(new, 1)
    script.advance(6_000)
    assert script.state == "Stable"
