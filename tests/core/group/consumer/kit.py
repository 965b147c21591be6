"""A shard with topics, and clients of the new protocol as they are: they own what they were told, and say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flymq.core.group.consumer.events import (
    LEAVE,
    LEAVE_FOR_A_WHILE,
    ConsumerGroupDescription,
    ConsumerHeartbeat,
    DescribeConsumerGroups,
    HeartbeatResult,
    Partition,
    TopicChanged,
)
from flymq.core.group.consumer.group import ConsumerGroup, ConsumerMember
from flymq.core.group.consumer.settings import ConsumerConfig
from flymq.core.group.events import GroupConfig
from flymq_protocol.errors import ErrorCode

from ..harness import Script

T, U, V = (bytes([number]) * 16 for number in (1, 2, 3))
IDS = {"t": T, "u": U, "v": V}
AT_ONCE = ConsumerConfig(assignment_interval_ms=0)


class Consumers(Script):
    """A shard; `topics` of the constructor's keyword are those that it knows from the start."""

    @staticmethod
    def of(consumers: ConsumerConfig = AT_ONCE, config: GroupConfig | None = None, **topics: int) -> Consumers:
        script = Consumers(config, consumers=consumers)
        for name, count in topics.items():
            script.topic(name, count)
        return script

    def topic(self, name: str, count: int, topic_id: bytes | None = None) -> None:
        self.tell(TopicChanged(name, topic_id or IDS[name], count))

    def consumer_group(self) -> ConsumerGroup:
        return self.machine.consumer_groups["g"]

    def member(self, member_id: str) -> ConsumerMember:
        return self.consumer_group().members[member_id]

    def beat(self, member_id: str, epoch: int, **fields: Any) -> HeartbeatResult:
        result: HeartbeatResult = self.ask(ConsumerHeartbeat("g", member_id, epoch, **fields))
        return result

    def enter(self, member_id: str, topics: Iterable[str] = ("t",), **fields: Any) -> HeartbeatResult:
        wanted = {
            "topic_names": frozenset(topics), "owned": frozenset(), "rebalance_timeout_ms": 30_000, **fields,
        }
        return self.beat(member_id, 0, **wanted)

    def describe_consumers(self) -> ConsumerGroupDescription:
        (found,) = self.ask(DescribeConsumerGroups(["g"]))
        assert isinstance(found, ConsumerGroupDescription)
        return found


class Client:
    """A member: takes over what it is told at once, or, where it is slow, before some later heartbeat that is not.
    An answer may get lost on its way to it."""

    def __init__(self, script: Consumers, member_id: str, topics: Iterable[str] = ("t",), **fields: Any) -> None:
        self.script = script
        self.member_id = member_id
        self.topics = frozenset(topics)
        self.fields = fields  # instance_id, regex, assignor
        self.epoch = 0
        self.owned: frozenset[Partition] = frozenset()
        self.told: frozenset[Partition] | None = None  # what the coordinator heard of last; None: must tell all
        self.wanted: frozenset[Partition] | None = None  # told, but not taken over yet

    def beat(self, *, lost: bool = False, slow: bool = False) -> HeartbeatResult:
        """One heartbeat; after a lost answer, or to (re)join, a full one."""
        if not slow:
            self._take_over()
        full = self.told is None
        event = ConsumerHeartbeat(
            "g", self.member_id, self.epoch,
            instance_id=self.fields.get("instance_id"),
            regex=self.fields.get("regex") if full else None,
            assignor=self.fields.get("assignor") if full else None,
            topic_names=self.topics if full else None,
            owned=self.owned if full or self.owned != self.told else None,
            rebalance_timeout_ms=30_000 if full else -1,
        )
        result: HeartbeatResult = self.script.ask(event)
        if lost:
            self.told = self.wanted = None
        elif result.error in (ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.GROUP_ID_NOT_FOUND):
            self.epoch, self.owned, self.told, self.wanted = 0, frozenset(), None, None
        elif result.error == ErrorCode.NONE:
            self.epoch = result.member_epoch
            self.told = self.owned
            if result.assignment is not None:
                self.wanted = frozenset(result.assignment)
                if not slow:
                    self._take_over()
        return result

    def _take_over(self) -> None:
        if self.wanted is not None:
            self.owned, self.wanted = self.wanted, None

    def leave(self, *, for_a_while: bool = False) -> HeartbeatResult:
        self.owned = frozenset()
        epoch = LEAVE_FOR_A_WHILE if for_a_while else LEAVE
        return self.script.beat(self.member_id, epoch, instance_id=self.fields.get("instance_id"))


def settle(clients: Iterable[Client], rounds: int = 30) -> None:
    """Everybody heartbeats until nobody is told anything new."""
    clients = list(clients)
    for _ in range(rounds):
        before = [(client.epoch, client.owned, client.told) for client in clients]
        for client in clients:
            client.beat()
        if before == [(client.epoch, client.owned, client.told) for client in clients]:
            return
    raise AssertionError(f"not settled after {rounds} rounds: {[(c.member_id, c.epoch, c.owned) for c in clients]}")
