"""One classic group: its members, its state, its offsets. No effects: `rebalance` and `join` decide."""

from __future__ import annotations

import struct
from enum import Enum

from flymq.core.group.events import CommittedOffset, JoinedMember
from flymq_protocol.errors import ErrorCode

CONSUMER = "consumer"


class State(Enum):
    """Kafka's names: clients see the values."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


# (from, to) -> why. Whatever is not here is a bug of ours. A group that is not in the shard is Dead.
TRANSITIONS = {
    (State.EMPTY, State.PREPARING): "the first member joins",
    (State.STABLE, State.PREPARING): "a member joins, changes, leaves or expires",
    (State.COMPLETING, State.PREPARING): "the same, or somebody did not sync in time",
    (State.PREPARING, State.COMPLETING): "all members have joined, or their time is up",
    (State.PREPARING, State.EMPTY): "nobody is left",
    (State.COMPLETING, State.STABLE): "the leader brought the assignment",
    (State.EMPTY, State.DEAD): "deleted, or its last offset expired",
}


class Member:
    """A member. `join_token` and `sync_token` name the request that it waits with; 0 for none."""

    __slots__ = ("assignment", "client_host", "client_id", "instance_id", "is_new", "join_token", "member_id",
                 "protocols", "rebalance_timeout_ms", "session_timeout_ms", "sync_token", "timer_key")

    def __init__(
        self,
        group_id: str,
        member_id: str,
        instance_id: str | None,
        client_id: str,
        client_host: str,
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        protocols: tuple[tuple[str, bytes], ...],
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.instance_id = instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.session_timeout_ms = session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.protocols = protocols
        self.assignment = assignment
        self.is_new = False
        self.join_token = 0
        self.sync_token = 0
        self.timer_key = ("session", group_id, member_id)

    def metadata(self, protocol_name: str | None) -> bytes:
        for name, metadata in self.protocols:
            if name == protocol_name:
                return metadata
        return b""


class TopicOffsets:
    """Committed offsets of one topic, by partition."""

    __slots__ = ("partitions", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.partitions: dict[int, CommittedOffset] = {}


class ClassicGroup:
    """Dicts serve as ordered sets: iteration must not depend on hashes, or a simulation would not repeat."""

    __slots__ = ("generation_id", "group_id", "has_newcomer", "initial_delay_ms", "initial_remaining_ms", "join_key",
                 "joining", "late", "leader_id", "members", "offsets", "pending_members", "pending_sync",
                 "previous_state", "protocol_counts", "protocol_name", "protocol_type", "state",
                 "state_timestamp_ms", "static_members", "subscribed_topics", "sync_key")

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = State.EMPTY
        self.previous_state = State.DEAD
        self.state_timestamp_ms = now_ms
        self.generation_id = 0
        self.protocol_type: str | None = None  # None: nobody ever joined ("simple": offsets only)
        self.protocol_name: str | None = None
        self.leader_id: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}  # instance id -> member id
        self.pending_members: dict[str, None] = {}  # told MEMBER_ID_REQUIRED, expected back
        self.pending_sync: dict[str, None] = {}
        self.joining = 0  # members whose join is parked
        self.protocol_counts: dict[str, int] = {}  # protocol -> members that support it
        self.subscribed_topics: frozenset[str] | None = None  # None: not known
        self.has_newcomer = False
        self.late: dict[str, int] = {}  # members of a consumer group that became this one -> the epoch they were at
        self.initial_delay_ms = 0
        self.initial_remaining_ms = 0
        self.offsets: dict[bytes, TopicOffsets] = {}  # by topic id
        self.join_key = ("join", group_id)
        self.sync_key = ("sync", group_id)

    # -- members ----------------------------------------------------------------------------------

    def add(self, member: Member, protocol_type: str, join_token: int) -> None:
        if not self.members:
            self.protocol_type = protocol_type
        if self.leader_id is None:
            self.leader_id = member.member_id
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        self.members[member.member_id] = member
        self._count(member.protocols, 1)
        self.set_join_token(member, join_token)
        self.pending_members.pop(member.member_id, None)

    def remove(self, member_id: str) -> Member | None:
        """Forget a member, or a pending one. Its parked requests are the caller's to answer first."""
        member = self.members.pop(member_id, None)
        if member is not None:
            self._count(member.protocols, -1)
            self.set_join_token(member, 0)
            if member.instance_id is not None:
                del self.static_members[member.instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)
        self.pending_members.pop(member_id, None)
        self.pending_sync.pop(member_id, None)
        return member

    def update(
        self, member: Member, protocols: tuple[tuple[str, bytes], ...], session_timeout_ms: int,
        rebalance_timeout_ms: int, join_token: int,
    ) -> None:
        self._count(member.protocols, -1)
        member.protocols = protocols
        self._count(protocols, 1)
        member.session_timeout_ms = session_timeout_ms
        member.rebalance_timeout_ms = rebalance_timeout_ms
        self.set_join_token(member, join_token)

    def replace_static(self, old: Member, new_member_id: str) -> Member:
        """The same instance under a new member id. Answer the old one's parked requests first."""
        new = Member(
            self.group_id, new_member_id, old.instance_id, old.client_id, old.client_host, old.session_timeout_ms,
            old.rebalance_timeout_ms, old.protocols, old.assignment,
        )
        del self.members[old.member_id]
        self.members[new_member_id] = new
        assert old.instance_id is not None
        self.static_members[old.instance_id] = new_member_id
        if self.leader_id == old.member_id:
            self.leader_id = new_member_id
        if old.member_id in self.pending_sync:
            del self.pending_sync[old.member_id]
            self.pending_sync[new_member_id] = None
        return new

    def set_join_token(self, member: Member, token: int) -> None:
        self.joining += (token != 0) - (member.join_token != 0)
        member.join_token = token

    def _count(self, protocols: tuple[tuple[str, bytes], ...], by: int) -> None:
        counts = self.protocol_counts
        for name, _ in protocols:
            count = counts.get(name, 0) + by
            if count:
                counts[name] = count
            else:
                del counts[name]

    @property
    def all_joined(self) -> bool:
        return self.joining == len(self.members) and not self.pending_members

    @property
    def rebalance_timeout_ms(self) -> int:
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def check_member(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """ClassicGroup.validateMember."""
        if instance_id is not None:
            current = self.static_members.get(instance_id)
            if current is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if current != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def is_late(self, member_id: str, generation_id: int) -> bool:
        """It had not caught up when its consumer group became this classic one: it is told so at its old epoch, and
        may commit before it joins."""
        return self.late.get(member_id) == generation_id

    def joined_members(self) -> list[JoinedMember]:
        name = self.protocol_name
        return [JoinedMember(m.member_id, m.instance_id, m.metadata(name)) for m in self.members.values()]

    # -- protocols --------------------------------------------------------------------------------

    def supports(self, protocol_type: str, protocols: tuple[tuple[str, bytes], ...]) -> bool:
        if self.state is State.EMPTY:
            return bool(protocol_type) and bool(protocols)
        size = len(self.members)
        return protocol_type == self.protocol_type and any(
            self.protocol_counts.get(name, 0) == size for name, _ in protocols
        )

    def select_protocol(self) -> str:
        """Each member votes for its first among those that all support; the most votes win, then the first voted."""
        size = len(self.members)
        counts = self.protocol_counts
        votes: dict[str, int] = {}
        for member in self.members.values():
            for name, _ in member.protocols:
                if counts[name] == size:
                    votes[name] = votes.get(name, 0) + 1
                    break
        return max(votes, key=votes.__getitem__)

    def elect_joined_leader(self) -> bool:
        """A leader that did not rejoin is replaced by the first member that did; False where nobody did."""
        if self.leader_id is None:
            return False
        if self.members[self.leader_id].join_token:
            return True
        for member in self.members.values():
            if member.join_token:
                self.leader_id = member.member_id
                return True
        return False

    # -- state ------------------------------------------------------------------------------------

    def become(self, state: State, now_ms: int) -> None:
        assert (self.state, state) in TRANSITIONS, f"{self.group_id!r}: {self.state} -> {state}"
        self.previous_state = self.state
        self.state = state
        self.state_timestamp_ms = now_ms

    def next_generation(self, now_ms: int) -> None:
        self.generation_id += 1
        self.protocol_name = self.select_protocol() if self.members else None
        self.learn_subscriptions()
        self.become(State.COMPLETING if self.members else State.EMPTY, now_ms)
        self.pending_sync.clear()
        self.late.clear()

    def learn_subscriptions(self) -> None:
        self.subscribed_topics = self._subscriptions()

    def _subscriptions(self) -> frozenset[str] | None:
        if self.protocol_type != CONSUMER:
            return None
        topics: set[str] = set()
        for member in self.members.values():
            subscribed = parse_subscription(member.metadata(self.protocol_name))
            if subscribed is None:
                return None
            topics.update(subscribed)
        return frozenset(topics)

    def is_subscribed(self, topic: str) -> bool:
        """Where the subscription can't be read, every topic counts as subscribed."""
        if self.subscribed_topics is None:
            return self.protocol_type == CONSUMER
        return topic in self.subscribed_topics


def parse_subscription(metadata: bytes) -> list[str] | None:
    """The topics of a ConsumerProtocolSubscription, of any version: all begin like version 0. None if malformed."""
    try:
        _, count = struct.unpack_from(">hi", metadata)
        position = 6
        topics = []
        for _ in range(count):
            (length,) = struct.unpack_from(">h", metadata, position)
            position += 2
            if length < 0 or position + length > len(metadata):
                return None
            topics.append(metadata[position : position + length].decode())
            position += length
    except (struct.error, UnicodeDecodeError):
        return None
    return topics
