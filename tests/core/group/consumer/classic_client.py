"""A consumer of the classic protocol as it is: joins, syncs, leads where it is told to, heartbeats, rejoins."""

from __future__ import annotations

from flymq.core.group.consumer.assignors import Subscriber, assign_uniform
from flymq.core.group.consumer.events import Partition
from flymq.core.group.events import Heartbeat, JoinedMember, JoinGroup, JoinResult, LeaveGroup, SyncGroup, SyncResult
from flymq_protocol.consumer_protocol import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartition,
    decode_payload,
    encode_payload,
)
from flymq_protocol.errors import ErrorCode

from .kit import IDS, Consumers

NAMES = {topic_id: name for name, topic_id in IDS.items()}
EAGER, COOPERATIVE = "range", "cooperative-sticky"
SESSION_MS = 10_000


def named(partitions: frozenset[Partition]) -> list[TopicPartition]:
    topics: dict[str, list[int]] = {}
    for topic_id, partition in sorted(partitions):
        topics.setdefault(NAMES[topic_id], []).append(partition)
    return [TopicPartition(name, numbers) for name, numbers in topics.items()]


def by_id(partitions: list[TopicPartition]) -> frozenset[Partition]:
    return frozenset((IDS[topic.topic], number) for topic in partitions for number in topic.partitions)


class ClassicClient:
    """`act` takes its next step, as far as the answer that it waits for has come."""

    def __init__(
        self, script: Consumers, topics: tuple[str, ...] = ("t",), protocol: str = EAGER, instance_id: str | None = None
    ) -> None:
        self.script = script
        self.topics = topics
        self.protocol = protocol
        self.instance_id = instance_id
        self.member_id = ""
        self.generation = -1
        self.owned: frozenset[Partition] = frozenset()
        self.token = 0  # of the request that it waits for; 0: of none
        self.step = self.join

    def act(self) -> None:
        if self.token and self.token not in self.script.answers:
            if self.token in self.script.parked:
                return
            self.token = 0  # the broker that it had asked is gone
            self.step = self.join
        self.step()

    def join(self) -> None:
        if self.protocol == EAGER:
            self.owned = frozenset()
        subscription = ConsumerProtocolSubscription(list(self.topics), None, named(self.owned), self.generation)
        self.token = self.script.send(JoinGroup(
            "g", self.member_id, "consumer", ((self.protocol, encode_payload(subscription, 3)),),
            session_timeout_ms=SESSION_MS, rebalance_timeout_ms=20_000, instance_id=self.instance_id,
            unique=f"u{self.script.next_token}",
        ))
        self.step = self.joined

    def joined(self) -> None:
        result = self._answer()
        assert isinstance(result, JoinResult)
        if result.error in (ErrorCode.MEMBER_ID_REQUIRED, ErrorCode.REBALANCE_IN_PROGRESS):
            self.member_id = result.member_id or self.member_id
            self.step = self.join
        elif self._goes_on(result.error):
            self.member_id, self.generation = result.member_id, result.generation_id
            assignments = self._lead(result.members) if result.members else {}
            self.token = self.script.send(
                SyncGroup("g", self.generation, self.member_id, assignments, instance_id=self.instance_id)
            )
            self.step = self.synced

    def _lead(self, members: list[JoinedMember]) -> dict[str, bytes]:
        """Uniform; what somebody still owns nobody else gets, as a cooperative assignor does."""
        counts: dict[bytes, int] = {}
        subscribers, owners = [], {}
        for member in members:
            subscription = decode_payload(ConsumerProtocolSubscription, member.metadata)
            mine = by_id(subscription.owned_partitions)
            owners.update(dict.fromkeys(mine, member.member_id))
            known = {name: found for name in subscription.topics if (found := self.script.machine.topics.get(name))}
            counts.update(known.values())
            topics = frozenset(topic_id for topic_id, _ in known.values())
            subscribers.append(Subscriber(member.member_id, None, topics, mine))
        return {
            member_id: encode_payload(
                ConsumerProtocolAssignment(
                    named(frozenset(p for p in mine if owners.get(p, member_id) == member_id))
                ), 3,
            )
            for member_id, mine in assign_uniform(subscribers, counts).items()
        }

    def synced(self) -> None:
        result = self._answer()
        assert isinstance(result, SyncResult)
        if result.error == ErrorCode.REBALANCE_IN_PROGRESS:
            self.step = self.join
        elif self._goes_on(result.error):
            before = self.owned
            payload = result.assignment
            assigned = decode_payload(ConsumerProtocolAssignment, payload).assigned_partitions if payload else []
            self.owned = by_id(assigned)
            self.step = self.join if before - self.owned else self.heartbeat

    def heartbeat(self) -> None:
        error = self.script.ask(Heartbeat("g", self.generation, self.member_id, self.instance_id))
        if error == ErrorCode.REBALANCE_IN_PROGRESS:
            self.step = self.join
        else:
            self._goes_on(error)

    def leave(self) -> None:
        self.owned = frozenset()
        if self.member_id:
            self.script.ask(LeaveGroup("g", [(self.member_id, self.instance_id)]))

    @property
    def is_settled(self) -> bool:
        return self.step == self.heartbeat

    def _answer(self) -> object:
        answer: object = self.script.answers[self.token]
        self.token = 0
        return answer

    def _goes_on(self, error: ErrorCode) -> bool:
        """False: it was thrown out, owns nothing any more, and joins anew."""
        if error == ErrorCode.NONE:
            return True
        assert error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION, ErrorCode.FENCED_INSTANCE_ID), error
        self.owned = frozenset()
        if error != ErrorCode.ILLEGAL_GENERATION:
            self.member_id = ""
        self.generation = -1
        self.step = self.join
        return False
