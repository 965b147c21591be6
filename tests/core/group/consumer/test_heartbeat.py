"""ConsumerGroupHeartbeat, step by step."""

from __future__ import annotations

import pytest

from flymq.core.group.consumer.group import GroupState, MemberState
from flymq.core.group.consumer.settings import ConsumerConfig
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import GroupConfig
from flymq_protocol.errors import ErrorCode

from .kit import AT_ONCE, IDS, Client, Consumers, T, U, settle

NONE = ErrorCode.NONE


def of_t(*partitions: int) -> list[tuple[bytes, int]]:
    return [(T, partition) for partition in partitions]


def test_a_heartbeat_that_changes_nothing_writes_nothing() -> None:
    script = Consumers.of(t=2)
    script.enter("m")
    assert script.written()
    for fields in (
        {}, {"topic_names": frozenset("t")}, {"owned": frozenset(of_t(0, 1))}, {"rebalance_timeout_ms": 30_000},
        {"topic_names": frozenset("t"), "owned": frozenset(of_t(0, 1)), "rebalance_timeout_ms": 30_000},
    ):
        assert script.beat("m", 1, **fields).error == NONE
        assert not script.written()


def test_what_the_member_is_told() -> None:
    """The assignment on joining, when it changed, and to a full request; else null."""
    script = Consumers.of(ConsumerConfig(assignment_interval_ms=0, heartbeat_interval_ms=1234), t=2)
    joined = script.enter("m")
    assert joined == (NONE, None, "m", 1, 1234, of_t(0, 1))
    assert script.beat("m", 1).assignment is None
    full = {"topic_names": frozenset("t"), "owned": frozenset(of_t(0, 1)), "rebalance_timeout_ms": 30_000}
    assert script.beat("m", 1, **full).assignment == of_t(0, 1)
    script.topic("t", 3)
    assert script.beat("m", 1)[3:] == (2, 1234, of_t(0, 1, 2))
    assert script.beat("m", 2).assignment is None


def test_the_previous_epoch_will_do_once_for_a_lost_answer() -> None:
    script = Consumers.of(t=2)
    script.enter("m")
    script.topic("t", 3)
    assert script.beat("m", 1).member_epoch == 2  # lost
    again = script.beat("m", 1, owned=frozenset(of_t(0, 1)), topic_names=frozenset("t"), rebalance_timeout_ms=30_000)
    assert (again.error, again.member_epoch, again.assignment) == (NONE, 2, of_t(0, 1, 2))
    assert script.beat("m", 1).error == ErrorCode.FENCED_MEMBER_EPOCH  # it does not say what it owns
    assert script.beat("m", 1, owned=frozenset(of_t(9))).error == ErrorCode.FENCED_MEMBER_EPOCH
    refused = script.beat("m", 5)
    assert refused.error == ErrorCode.FENCED_MEMBER_EPOCH
    assert "greater member epoch (5)" in (refused.message or "")


def test_a_member_that_does_not_let_go_is_fenced() -> None:
    script = Consumers.of(t=2)
    script.enter("a", rebalance_timeout_ms=20_000)
    script.enter("b")
    assert script.beat("a", 1).assignment == of_t(0)
    assert script.member("a").state is MemberState.UNREVOKED_PARTITIONS
    for _ in range(3):
        script.advance(6_000)
        assert (script.beat("a", 1).error, script.beat("b", 2).assignment) == (NONE, None)
    script.advance(2_000)
    assert script.beat("a", 1).error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.beat("b", 2).assignment == of_t(0, 1)


def test_a_silent_member_is_out_after_its_session() -> None:
    script = Consumers.of(t=2)
    script.enter("a")
    script.advance(44_999)
    assert script.beat("a", 1).error == NONE
    script.advance(45_000)
    assert script.beat("a", 1).error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.consumer_group().state is GroupState.EMPTY


def test_a_static_member_comes_back_to_what_it_had() -> None:
    script = Consumers.of(t=4)
    clients = [Client(script, "a", instance_id="i"), Client(script, "b", instance_id="j")]
    settle(clients)
    epoch = script.consumer_group().epoch
    owned = clients[0].owned
    refused = script.enter("a2", instance_id="i")
    assert refused.error == ErrorCode.UNRELEASED_INSTANCE_ID
    assert refused.message == (
        "Static member a2 with instance id i cannot join the group because the instance id is owned by a member."
    )
    assert clients[0].leave(for_a_while=True)[:4] == (NONE, None, "a", -2)
    assert script.beat("a", epoch, instance_id="i").error == ErrorCode.FENCED_MEMBER_EPOCH
    assert clients[1].beat().assignment is None  # nobody takes its place
    back = script.enter("a2", instance_id="i")
    assert (back.error, back.member_epoch, back.assignment) == (NONE, epoch, sorted(owned))
    assert script.beat("a", epoch, instance_id="i").error == ErrorCode.FENCED_INSTANCE_ID


def test_a_member_that_changes_its_instance_id() -> None:
    script = Consumers.of(t=2)
    script.enter("m", instance_id="i")
    script.enter("m", instance_id="j")
    assert script.consumer_group().static_members == {"j": "m"}
    assert script.beat("m", -1, instance_id="j").error == NONE
    assert script.beat("m", 1, instance_id="i").error == ErrorCode.UNKNOWN_MEMBER_ID
    assert script.enter("n", instance_id="i").assignment == of_t(0, 1)


def test_a_member_that_takes_the_place_of_another_leaves_its_own() -> None:
    script = Consumers.of(t=4)
    clients = [Client(script, "a", instance_id="i"), Client(script, "b", instance_id="j")]
    settle(clients)
    clients[1].leave(for_a_while=True)
    script.enter("a", instance_id="j")
    group = script.consumer_group()
    assert group.static_members == {"j": "a"}
    assert set(group.owners) == set(script.member("a").assigned)
    newcomer = Client(script, "c")
    taker = Client(script, "a", instance_id="j")
    settle([taker, newcomer])
    assert sorted(taker.owned | newcomer.owned) == of_t(0, 1, 2, 3)


def test_a_static_member_that_does_not_come_back() -> None:
    script = Consumers.of(t=4)
    clients = [Client(script, "a", instance_id="i"), Client(script, "b")]
    settle(clients)
    clients[0].leave(for_a_while=True)
    for _ in range(10):
        script.advance(5_000)
        clients[1].beat()
    assert clients[1].owned == frozenset(of_t(0, 1, 2, 3))


def test_targets_are_not_computed_more_often_than_the_interval_says() -> None:
    script = Consumers.of(ConsumerConfig(assignment_interval_ms=1_000), t=2)
    script.enter("a")
    script.enter("b")
    script.enter("c")
    group = script.consumer_group()
    assert (group.epoch, group.target_epoch, group.state) == (3, 1, GroupState.ASSIGNING)
    script.advance(999)
    assert group.target_epoch == 1
    script.advance(1)
    assert (group.epoch, group.target_epoch, group.state) == (3, 3, GroupState.RECONCILING)


def test_a_clock_that_is_set_back_does_not_hold_up_the_target() -> None:
    script = Consumers.of(ConsumerConfig(assignment_interval_ms=1_000), t=2)
    script.enter("a")
    script.now_ms -= 3_600_000
    script.enter("b")
    group = script.consumer_group()
    assert (group.epoch, group.target_epoch) == (2, 2)


def test_what_a_member_unsubscribes_from_it_gives_up_before_the_next_target() -> None:
    script = Consumers.of(ConsumerConfig(assignment_interval_ms=60_000), t=1, u=1)
    client = Client(script, "a", ("t", "u"))
    client.beat()
    assert client.owned == {(T, 0), (U, 0)}
    client.topics = frozenset("t")
    client.told = None
    client.beat()
    assert client.owned == {(T, 0)}


def test_what_a_member_unsubscribes_from_while_it_has_to_give_up_other_things() -> None:
    script = Consumers.of(t=2, u=1)
    script.enter("a", ("t", "u"))
    script.enter("b")
    assert script.beat("a", 1).assignment == [(T, 1), (U, 0)]
    told = script.beat("a", 1, topic_names=frozenset("t"))
    assert (told.member_epoch, told.assignment) == (1, of_t(1))
    member = script.member("a")
    assert (member.state, [*member.pending_revocation]) == (MemberState.UNREVOKED_PARTITIONS, [(T, 0), (U, 0)])
    settled = script.beat("a", 1, owned=frozenset(of_t(1)))
    assert (settled.member_epoch, script.member("a").state) == (3, MemberState.STABLE)


def test_a_member_that_has_to_give_up_more_stays_at_its_epoch() -> None:
    script = Consumers.of(t=3)
    script.enter("a")
    script.enter("b")
    assert script.beat("a", 1).assignment == of_t(0, 1)
    script.enter("c")
    told = script.beat("a", 1, owned=frozenset(of_t(0, 1)))
    assert (told.member_epoch, told.assignment) == (1, of_t(0))
    assert script.beat("a", 1, owned=frozenset(of_t(0))).member_epoch == 3


def test_too_many_members() -> None:
    script = Consumers.of(AT_ONCE._replace(max_size=1), t=2)
    script.enter("a")
    refused = script.enter("b")
    assert refused.error == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert refused.message == "The consumer group has reached its maximum capacity of 1 members."
    assert script.enter("a").error == NONE


def test_the_assignor_that_most_ask_for() -> None:
    script = Consumers.of(t=4, u=4)
    script.enter("a", ("t", "u"), assignor="range")
    script.enter("b", ("t", "u"))
    assert script.describe_consumers().assignor == "range"
    assert script.member("a").target == {(T, 0), (T, 1), (U, 0), (U, 1)}
    script.enter("c", ("t", "u"), assignor="uniform")
    assert script.describe_consumers().assignor == "uniform"  # of equals, the first of the settings
    script.enter("d", ("t", "u"), assignor="uniform")
    assert script.describe_consumers().assignor == "uniform"


def test_patterns_find_topics_that_come_later() -> None:
    script = Consumers.of(t=1, u=1)
    client = Client(script, "a", (), regex="[tuv]")
    settle([client])
    assert client.owned == {(T, 0), (U, 0)}
    script.topic("v", 1)
    script.topic("t2", 1, b"2" * 16)
    settle([client])
    assert client.owned == {(T, 0), (U, 0), (IDS["v"], 0)}
    script.delete_topic(U)
    settle([client])
    assert client.owned == {(T, 0), (IDS["v"], 0)}


def test_among_many_topics_a_pattern_is_looked_up_after_the_request() -> None:
    topics = KnownTopics()
    for number in range(1_001):
        topics.put(f"topic-{number}", number.to_bytes(16, "big"), 1)
    script = Consumers(consumers=AT_ONCE, topics=topics)
    client = Client(script, "a", (), regex="topic-1.*7")
    assert client.beat().assignment == []
    script.advance(0)
    settle([client])
    assert len(client.owned) == sum(str(n).startswith("1") and str(n).endswith("7") for n in range(1_001))


@pytest.mark.parametrize("grows", [True, False])
def test_a_topic_that_changed_while_the_broker_was_away(grows: bool) -> None:
    script = Consumers.of(t=2)
    client = Client(script, "a")
    settle([client])
    if grows:
        script.machine.topics.put("t", T, 3)
    else:
        script.machine.topics.drop(T)
    client.script = script.restarted()
    settle([client])
    assert client.owned == (frozenset(of_t(0, 1, 2)) if grows else frozenset())


def test_settings_of_a_group_of_its_own() -> None:
    script = Consumers.of(t=1)
    settings = script.machine._consumers._settings
    settings.configure("g", {
        "consumer.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "7000",
        "consumer.assignment.interval.ms": "10", "share.session.timeout.ms": "1",
    })
    assert script.enter("a").heartbeat_interval_ms == 7_000
    script.advance(49_999)
    assert script.beat("a", 1).error == NONE
    settings.configure("g", {})
    assert script.beat("a", 1).heartbeat_interval_ms == AT_ONCE.heartbeat_interval_ms


def test_an_empty_group_goes_with_its_last_offset() -> None:
    script = Consumers.of(t=1)
    script.enter("a")
    assert script.commit(5, "a", 1, topic_id=T) == NONE
    script.beat("a", -1)
    assert script.rows.keys() == {"consumer/g", f"offset/g/{T.hex()}/0"}
    script.advance(script.config.offsets_retention_ms + 600_000)
    assert script.rows == {}
    assert script.listed() == []


def test_offsets_of_subscribed_topics_stay() -> None:
    config = GroupConfig(offsets_retention_ms=100_000, offsets_retention_check_interval_ms=50_000)
    script = Consumers.of(config=config, t=1)
    client = Client(script, "a")
    client.beat()
    assert script.commit(5, "a", 1, topic_id=T) == script.commit(6, "a", 1, topic_id=U, topic="u") == NONE
    for _ in range(5):
        script.advance(40_000)
        client.beat()
    assert (script.offset(topic_id=T), script.offset(topic_id=U)) == (5, -1)


def test_slashes_in_names_are_kept_apart() -> None:
    script = Consumers.of(t=1)
    script.enter("x/y%2F\0%")
    group = script.restarted().consumer_group()
    assert list(group.members) == ["x/y%2F\0%"]


def test_what_a_member_has_not_given_back_is_described_as_its_own() -> None:
    script = Consumers.of(t=2)
    epoch = script.enter("a").member_epoch
    script.enter("b")
    assert len(script.beat("a", epoch).assignment) == 1
    (first, _) = script.describe_consumers().members
    assert (first.member_id, len(first.assigned), len(first.target)) == ("a", 2, 1)
