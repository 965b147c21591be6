"""A group that changes its protocol, step by step."""

from __future__ import annotations

import pytest

from flymq.core.group.events import GroupConfig, JoinResult, SyncResult
from flymq_protocol.errors import ErrorCode

from ..harness import subscription
from .classic_client import COOPERATIVE, EAGER, ClassicClient
from .kit import AT_ONCE, Client, Consumers, T, settle

NONE = ErrorCode.NONE


def run(script: Consumers, members: list[Client | ClassicClient], rounds: int = 30) -> None:
    for _ in range(rounds):
        script.advance(1_000)
        for member in members:
            member.act() if isinstance(member, ClassicClient) else member.beat()


def classic_group(protocol: str, count: int = 2, **topics: int) -> tuple[Consumers, list[ClassicClient]]:
    """A stable one."""
    script = Consumers.of(**(topics or {"t": 4}))
    members = [ClassicClient(script, protocol=protocol) for _ in range(count)]
    run(script, list(members))
    assert script.state == "Stable"
    return script, members


def test_an_empty_classic_group_becomes_a_consumer_group_and_back() -> None:
    script = Consumers.of(t=1)
    assert script.commit(5, topic_id=T) == NONE
    assert script.enter("a").assignment == [(T, 0)]
    assert (script.offset(topic_id=T), script.listed()) == (5, [("g", "consumer", "Stable")])
    script.beat("a", -1)
    member_id, _ = script.new_member(protocols=(("range", subscription("t")),))
    script.advance(3_000)
    assert list(script.members()) == [member_id]
    assert script.offset(topic_id=T) == 5
    assert {key.split("/")[0] for key in script.rows} == {"offset"}  # the group is stored once it is stable


def test_an_empty_consumer_group_stays_one_when_a_classic_member_is_refused() -> None:
    script = Consumers.of(t=1)
    script.enter("a")
    script.beat("a", -1)
    assert script.answers[script.join("somebody")].error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.listed() == [("g", "consumer", "Empty")]


@pytest.mark.parametrize("protocol", [EAGER, COOPERATIVE])
def test_the_first_new_member_upgrades_and_the_last_downgrades(protocol: str) -> None:
    script, members = classic_group(protocol)
    generation = script.group().generation_id
    client = Client(script, "new")
    assert client.beat().assignment == []
    assert (script.consumer_group().epoch, client.epoch) == (generation + 1, generation + 1)
    epochs = [member.epoch for member in script.consumer_group().members.values()]
    assert epochs == [generation, generation, client.epoch]
    everybody = [*members, client]
    run(script, everybody)
    assert sorted(len(member.owned) for member in everybody) == [1, 1, 2]
    assert {member.generation for member in members} == {client.epoch}
    assert [m.is_classic for m in script.describe_consumers().members] == [True, True, False]
    client.leave()
    assert (script.state, script.group().generation_id) == ("PreparingRebalance", client.epoch)
    run(script, list(members))
    assert script.state == "Stable"
    assert sorted(len(member.owned) for member in members) == [2, 2]


def test_a_cooperative_member_keeps_what_it_has_until_it_let_go() -> None:
    script, (member,) = classic_group(COOPERATIVE, 1)
    client = Client(script, "new")
    client.beat()
    member.act()  # hears of it
    member.act()  # joins, with what it owns
    assert len(member.owned) == 4
    assert client.beat().assignment is None
    member.act()  # syncs
    member.act()  # has what it may keep, and will join again
    assert len(member.owned) == 2
    assert client.beat().assignment is None
    member.act()
    assert len(client.beat().assignment or []) == 2


def test_parked_requests_are_told_to_come_again() -> None:
    script = Consumers.of(t=2)
    protocols = (("range", subscription("t")),)
    first, joining = script.new_member(protocols=protocols)
    script.advance(3_000)
    generation = script.joined(joining).generation_id
    script.sync(first, generation, {})
    _, parked = script.new_member(protocols=protocols)
    assert parked in script.parked
    client = Client(script, "new")
    client.beat()
    answer = script.answers[parked]
    assert isinstance(answer, JoinResult)
    assert answer.error == ErrorCode.REBALANCE_IN_PROGRESS
    assert script.heartbeat(first, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    synced = script.answers[script.sync(first, generation)]
    assert isinstance(synced, SyncResult)
    assert synced.error == ErrorCode.REBALANCE_IN_PROGRESS


def test_classic_members_that_do_not_rejoin_are_out() -> None:
    script, (member,) = classic_group(EAGER, 1)
    client = Client(script, "new")
    client.beat()
    for _ in range(7):  # its heartbeats go on, but it never joins
        script.heartbeat(member.member_id, member.generation)
        script.advance(3_000)
    settle([client])
    assert len(client.owned) == 4
    assert script.heartbeat(member.member_id, member.generation) == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize(
    ("policy", "upgrades", "downgrades"),
    [("bidirectional", True, True), ("upgrade", True, False), ("downgrade", False, True), ("disabled", False, False)],
)
def test_the_policy(policy: str, upgrades: bool, downgrades: bool) -> None:
    script = Consumers.of(AT_ONCE._replace(migration_policy=policy), t=2)
    member = ClassicClient(script)
    run(script, [member])
    refused = script.enter("new")
    assert (refused.error == NONE) is upgrades
    if not upgrades:
        assert (refused.error, refused.message) == (
            ErrorCode.GROUP_ID_NOT_FOUND, "Group g is not a consumer group."
        )
        member.leave()
        assert script.enter("new").error == NONE  # an empty one may always
        member = ClassicClient(script)
    run(script, [member], 5)
    script.beat("new", -1)
    assert ("g" in script.machine.groups) is downgrades


@pytest.mark.parametrize(
    ("protocol_type", "metadata"), [("connect", subscription("t")), ("consumer", b"\0\0\0\0\0\x09nonsense")]
)
def test_groups_that_can_not_be_upgraded(protocol_type: str, metadata: bytes) -> None:
    script = Consumers.of(t=1)
    _, token = script.new_member(protocol_type=protocol_type, protocols=(("range", metadata),))
    script.advance(3_000)
    before = script.joined(token).generation_id
    assert script.enter("new").error == ErrorCode.GROUP_ID_NOT_FOUND
    assert script.group().generation_id == before
    assert script.listed() == [("g", protocol_type, "CompletingRebalance")]


def test_after_a_crash_in_a_downgrade_members_begin_the_rebalance() -> None:
    script, (member,) = classic_group(EAGER, 1)
    client = Client(script, "new")
    run(script, [member, client], 8)
    assert len(member.owned) == len(client.owned) == 2
    client.leave()
    member.script = again = script.restarted()
    assert again.state == "Stable"
    run(again, [member], 8)
    assert len(member.owned) == 4


def test_members_that_had_not_caught_up_keep_what_they_have_until_they_rejoin() -> None:
    script, members = classic_group(EAGER)
    late, prompt = members
    client = Client(script, "new")
    client.beat()
    run(script, [prompt, client], 3)
    generation = late.generation
    client.leave()
    assert script.group().generation_id > generation
    assert script.commit(5, late.member_id, generation, topic_id=T) == NONE
    assert script.heartbeat(late.member_id, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    assert script.heartbeat(prompt.member_id, generation) == ErrorCode.ILLEGAL_GENERATION
    run(script, list(members))
    assert script.heartbeat(late.member_id, generation) == ErrorCode.ILLEGAL_GENERATION
    assert sorted(len(member.owned) for member in members) == [2, 2]


@pytest.mark.parametrize("protocol", [EAGER, COOPERATIVE])
def test_up_down_and_up_again_before_a_member_has_heard_of_it(protocol: str) -> None:
    script, (member,) = classic_group(protocol, 1)
    first, second = Client(script, "first"), Client(script, "second")
    first.beat()
    first.leave()
    assert script.state == "PreparingRebalance"
    assert second.beat().assignment == []  # the member owns everything still
    run(script, [member, second])
    assert len(member.owned) == len(second.owned) == 2


def test_a_cooperative_member_amid_a_rebalance_owns_what_it_joined_with() -> None:
    script, members = classic_group(COOPERATIVE)
    members[0].join()
    members[1].act()  # hears of the rebalance
    members[1].act()  # and joins: the group waits for the leader's assignment
    assert script.state == "CompletingRebalance"
    script.join(protocols=((COOPERATIVE, subscription("t")),), api_version=3)  # one more: back to preparing
    client = Client(script, "new")
    assert client.beat().assignment == []
    run(script, [*members, client])
    assert sorted(len(one.owned) for one in (*members, client)) == [1, 1, 2]


def test_a_static_member_may_change_its_protocol() -> None:
    script = Consumers.of(t=4)
    other = Client(script, "other")
    member = ClassicClient(script, instance_id="i")
    other.beat()
    run(script, [member, other], 8)
    owned = member.owned
    assert len(owned) == 2
    epoch = script.consumer_group().epoch
    moved = Client(script, "moved", instance_id="i")  # it need not leave first
    moved.beat()
    assert (moved.owned, moved.epoch) == (owned, epoch)
    assert script.heartbeat(member.member_id, member.generation, "i") == ErrorCode.FENCED_INSTANCE_ID
    back = ClassicClient(script, instance_id="i")
    run(script, [back, other], 8)
    assert back.owned == owned
    assert moved.beat().error in (ErrorCode.FENCED_INSTANCE_ID, ErrorCode.UNKNOWN_MEMBER_ID)


def test_too_big_for_a_classic_group() -> None:
    script = Consumers.of(AT_ONCE, GroupConfig(group_max_size=1), t=4)
    client = Client(script, "new")
    client.beat()
    members = [ClassicClient(script), ClassicClient(script)]
    run(script, [*members, client], 8)
    client.leave()
    run(script, list(members), 8)
    assert script.listed() == [("g", "consumer", "Stable")]
    assert sorted(len(member.owned) for member in members) == [2, 2]


def test_what_classic_members_may_not() -> None:
    script = Consumers.of(t=1)
    Client(script, "new").beat()
    member = ClassicClient(script)
    run(script, [member], 6)
    for fields, code in (
        ({"protocols": (("sticky", subscription("t")),)}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocol_type": "connect"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"session_timeout_ms": 1}, ErrorCode.INVALID_SESSION_TIMEOUT),
        ({"protocols": ((EAGER, b"\0"),), "member_id": "x"}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL),
        ({"protocols": ((EAGER, subscription("t")),)}, ErrorCode.MEMBER_ID_REQUIRED),
        ({"protocols": ((EAGER, subscription("t")),), "instance_id": "i", "member_id": "x"},
         ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        assert script.answers[script.join(**fields)].error == code  # type: ignore[arg-type]
    member_id, generation = member.member_id, member.generation
    assert script.heartbeat("new", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.heartbeat(member_id, generation + 1) == ErrorCode.ILLEGAL_GENERATION
    wrong = script.sync(member_id, generation, protocol_type="consumer", protocol_name="sticky")
    assert script.answers[wrong].error == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert script.leave(("x", None), (member_id, "i"), (member_id, None)) == [
        ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.UNKNOWN_MEMBER_ID, NONE
    ]
