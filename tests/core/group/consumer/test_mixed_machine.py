"""Random lives of a group whose members speak either protocol: it is upgraded and downgraded while they consume, and
no partition is ever owned by two."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flymq.core.group.consumer.group import GroupState
from flymq_protocol.errors import ErrorCode

from .classic_client import COOPERATIVE, EAGER, ClassicClient
from .kit import AT_ONCE, IDS, Client, Consumers

SUBSCRIPTIONS = st.sampled_from([("t",), ("t", "u"), ("u",)])


class MixedModel(RuleBasedStateMachine):
    """Up to five members. All classic ones are eager, or all are cooperative."""

    def __init__(self) -> None:
        super().__init__()
        self.script = Consumers.of(AT_ONCE, t=3, u=2)
        self.counts = {"t": 3, "u": 2}
        self.members: list[Client | ClassicClient] = []
        self.number = 0
        self.protocol = EAGER
        self.has_grown = False  # and perhaps no leader has looked since

    @initialize(protocol=st.sampled_from([EAGER, COOPERATIVE]))
    def choose(self, protocol: str) -> None:
        self.protocol = protocol

    def pick(self, number: int) -> Client | ClassicClient:
        return self.members[number % len(self.members)]

    def act(self, member: Client | ClassicClient) -> None:
        if isinstance(member, ClassicClient):
            member.act()
        else:
            assert member.beat().error in (
                ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH,
                ErrorCode.GROUP_ID_NOT_FOUND,
            )

    @precondition(lambda self: len(self.members) < 5)
    @rule(topics=SUBSCRIPTIONS, instance=st.sampled_from([None, None, "a", "b"]))
    def a_classic_one_arrives(self, topics: Any, instance: str | None) -> None:
        if instance not in {self.instance_of(member) for member in self.members} - {None}:
            self.members.append(ClassicClient(self.script, topics, self.protocol, instance))

    @precondition(lambda self: len(self.members) < 5)
    @rule(topics=SUBSCRIPTIONS)
    def a_new_one_arrives(self, topics: Any) -> None:
        self.number += 1
        client = Client(self.script, f"new{self.number}", topics)
        self.members.append(client)
        self.act(client)

    @staticmethod
    def instance_of(member: Client | ClassicClient) -> str | None:
        return member.instance_id if isinstance(member, ClassicClient) else None

    @precondition(lambda self: self.members)
    @rule(numbers=st.lists(st.integers(0, 4), min_size=1, max_size=6))
    def some_act(self, numbers: list[int]) -> None:
        for number in numbers:
            self.act(self.pick(number))

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 4))
    def one_leaves(self, number: int) -> None:
        member = self.pick(number)
        self.members.remove(member)
        member.leave()

    @precondition(lambda self: self.members)
    @rule(number=st.integers(0, 4))
    def one_restarts_as_the_other_kind(self, number: int) -> None:
        """As in a rolling upgrade, or back."""
        member = self.pick(number)
        self.one_leaves(number)
        if isinstance(member, ClassicClient):
            self.a_new_one_arrives(member.topics)
        else:
            self.members.append(ClassicClient(self.script, tuple(sorted(member.topics)), self.protocol))

    @rule(delay_ms=st.sampled_from([100, 2_000]))
    def time_passes(self, delay_ms: int) -> None:
        self.script.advance(delay_ms)
        for member in list(self.members):
            self.act(member)

    @rule(more=st.integers(1, 2))
    def a_topic_grows(self, more: int) -> None:
        if self.counts["t"] < 8:
            self.counts["t"] += more
            self.has_grown = True
            self.script.topic("t", self.counts["t"])

    @rule()
    def restart(self) -> None:
        self.script = self.script.restarted()
        for member in self.members:
            member.script = self.script

    @invariant()
    def nothing_is_owned_twice(self) -> None:
        owned = [partition for member in self.members for partition in member.owned]
        assert len(owned) == len(set(owned)), [(type(m).__name__, m.member_id, sorted(m.owned)) for m in self.members]

    @invariant()
    def it_is_one_group(self) -> None:
        machine = self.script.machine
        assert not machine.groups.keys() & machine.consumer_groups.keys()
        kinds = {key.split("/")[0] for key in self.script.rows}
        assert not {"group", "consumer"} <= kinds
        assert "member" not in kinds or "consumer" in kinds

    @rule()
    def all_settle(self) -> None:
        for _ in range(60):
            self.time_passes(1_000)
        if not self.members:
            return
        classic = [member for member in self.members if isinstance(member, ClassicClient)]
        assert all(member.is_settled for member in classic)
        if len(classic) == len(self.members):
            assert self.script.group().state.value == "Stable"
            if self.has_grown:
                return  # new partitions wait for the next rebalance: these leaders don't look for them
        else:
            assert self.script.consumer_group().state is GroupState.STABLE
            self.has_grown = False
        wanted = {name for member in self.members for name in member.topics}
        owned = {partition for member in self.members for partition in member.owned}
        assert owned == {(IDS[name], n) for name in wanted for n in range(self.counts[name])}


TestMixedGroup = MixedModel.TestCase
TestMixedGroup.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
