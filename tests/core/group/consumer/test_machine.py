"""Random lives of a consumer group: no partition is ever owned by two, and it always settles, balanced."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flymq.core.group.consumer.group import ConsumerGroup, GroupState
from flymq.core.group.consumer.settings import ConsumerConfig
from flymq.core.group.events import GroupConfig
from flymq_protocol.errors import ErrorCode

from .kit import IDS, Client, Consumers, settle

ERRORS = {
    ErrorCode.NONE, ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.UNRELEASED_INSTANCE_ID, ErrorCode.FENCED_INSTANCE_ID,
}
SUBSCRIPTIONS = st.sampled_from([("t",), ("t", "u"), ("u",), ("t", "u", "v"), ()])
REBALANCE_MS = 30_000  # shorter than the session: who was told to give something up is out after this


def picture(group: ConsumerGroup) -> Any:
    """All that a restart must bring back."""
    return (
        group.epoch, group.target_epoch, group.topics_seen, sorted(group.subscribed_topics), group.static_members,
        dict(sorted(group.owners.items())),
        {
            member.member_id: (
                member.instance_id, member.rack_id, member.client_id, member.client_host, member.rebalance_timeout_ms,
                member.topic_names, member.regex, member.assignor, member.epoch, member.previous_epoch, member.state,
                member.assigned, member.pending_revocation, member.target,
            )
            for member in group.members.values()
        },
    )


class ConsumerModel(RuleBasedStateMachine):
    """Up to six clients. One that crashed owns what it had for as long as it may not be replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.script = Consumers.of(ConsumerConfig(assignment_interval_ms=1_000), GroupConfig(), t=3)
        self.counts = {"t": 3}
        self.clients: list[Client] = []
        self.crashed: list[tuple[Client, int]] = []  # and when it is out for certain
        self.number = 0

    def pick(self, number: int) -> Client:
        return self.clients[number % len(self.clients)]

    # -- what clients do --------------------------------------------------------------------------

    @precondition(lambda self: len(self.clients) < 6)
    @rule(topics=SUBSCRIPTIONS, instance=st.sampled_from([None, None, "a", "b"]),
          regex=st.sampled_from([None, None, None, "[tu]"]), assignor=st.sampled_from([None, None, "range"]))
    def arrive(self, topics: Any, instance: str | None, regex: str | None, assignor: str | None) -> None:
        self.number += 1
        client = Client(
            self.script, f"m{self.number}", topics, instance_id=instance, regex=regex, assignor=assignor
        )
        result = client.beat()
        if result.error == ErrorCode.NONE:
            self.clients.append(client)
        else:
            assert result.error == ErrorCode.UNRELEASED_INSTANCE_ID

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(0, 5), lost=st.sampled_from([False, False, True]), slow=st.booleans())
    def heartbeat(self, number: int, lost: bool, slow: bool) -> None:
        assert self.pick(number).beat(lost=lost, slow=slow).error in ERRORS

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(0, 5), topics=SUBSCRIPTIONS)
    def resubscribe(self, number: int, topics: Any) -> None:
        client = self.pick(number)
        client.topics = frozenset(topics)
        client.told = None
        client.beat()

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(0, 5), for_a_while=st.booleans())
    def leave(self, number: int, for_a_while: bool) -> None:
        client = self.pick(number)
        self.clients.remove(client)
        client.leave(for_a_while=for_a_while and client.fields["instance_id"] is not None)

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(0, 5))
    def crash(self, number: int) -> None:
        client = self.pick(number)
        self.clients.remove(client)
        self.crashed.append((client, self.script.now_ms + REBALANCE_MS))

    @rule(delay_ms=st.sampled_from([100, 1_000, 5_000]))
    def time_passes(self, delay_ms: int) -> None:
        self.script.advance(delay_ms)
        for client in self.clients:
            client.beat()

    @precondition(lambda self: self.clients)
    @rule(number=st.integers(0, 5))
    def a_slow_one_is_fenced(self, number: int) -> None:
        """It beats, but does not give up what it should within the rebalance timeout."""
        for _ in range(8):
            self.script.advance(5_000)
            for other in self.clients:
                other.beat(slow=other is self.pick(number))

    @rule()
    def a_session_passes(self) -> None:
        """In steps, so that those who live stay in."""
        for _ in range(10):
            self.time_passes(5_000)

    # -- what happens around them -----------------------------------------------------------------

    @rule(name=st.sampled_from(["t", "u", "v"]), more=st.integers(1, 2))
    def topic_grows(self, name: str, more: int) -> None:
        if self.counts.get(name, 0) <= 6:
            self.counts[name] = self.counts.get(name, 0) + more
            self.script.topic(name, self.counts[name])

    @precondition(lambda self: self.counts)
    @rule(number=st.integers(0, 2))
    def topic_vanishes(self, number: int) -> None:
        name = sorted(self.counts)[number % len(self.counts)]
        del self.counts[name]
        self.script.delete_topic(IDS[name])

    @rule()
    def restart(self) -> None:
        before = {key: picture(group) for key, group in self.script.machine.consumer_groups.items()}
        again = self.script.restarted()
        for key, group in again.machine.consumer_groups.items():
            if group.members:
                assert picture(group) == before[key]
        self.script = again
        for client in self.clients:
            client.script = again

    # -- what must hold ---------------------------------------------------------------------------

    @invariant()
    def nothing_is_owned_twice(self) -> None:
        now_ms = self.script.now_ms
        owners: dict[Any, str] = {}
        alive = self.clients + [client for client, until_ms in self.crashed if now_ms < until_ms]
        for client in alive:
            for partition in client.owned:
                assert partition not in owners, f"{owners[partition]} and {client.member_id} own {partition}"
                owners[partition] = client.member_id

    @invariant()
    def owners_are_as_members_have_it(self) -> None:
        for group in self.script.machine.consumer_groups.values():
            owned = {
                partition: member.member_id
                for member in group.members.values() for partition in (*member.assigned, *member.pending_revocation)
            }
            assert owned == group.owners

    @rule()
    def all_settle(self) -> None:
        """Once everybody heartbeats and the silent are out, each partition has one owner, fairly."""
        self.a_session_passes()
        for _ in range(4):
            settle(self.clients)
            self.time_passes(1_000)  # what the interval held back
        settle(self.clients)
        if not self.clients:
            return
        group = self.script.consumer_group()
        assert group.state is GroupState.STABLE
        wanted: dict[str, list[Client]] = {}
        for client in self.clients:
            pattern = ("t", "u") if client.fields["regex"] else ()
            for name in {*client.topics, *pattern} & set(self.counts):
                wanted.setdefault(name, []).append(client)
        owned = {partition for client in self.clients for partition in client.owned}
        assert owned == {(IDS[name], n) for name in wanted for n in range(self.counts[name])}
        if all(client.fields["assignor"] is None for client in self.clients):
            for name, subscribers in wanted.items():
                least = min(len(client.owned) for client in subscribers)
                for client in subscribers:
                    if any(topic_id == IDS[name] for topic_id, _ in client.owned):
                        assert len(client.owned) <= least + 1


TestConsumerGroup = ConsumerModel.TestCase
TestConsumerGroup.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
