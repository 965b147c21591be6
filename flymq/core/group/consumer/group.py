"""One consumer group: members, epochs, who owns which partition. No effects: `coordinator` decides.

Source: ConsumerGroup, ConsumerGroupMember and ModernGroup in Apache Kafka 4; KIP-848, KIP-1251 (the epoch at
which each partition was assigned).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from flymq.core.effects import CancelTimer, Effect
from flymq.core.group.consumer.events import LEAVE_FOR_A_WHILE, Partition
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import OffsetEntry
from flymq.core.group.group import TopicOffsets
from flymq.core.patterns import compiled
from flymq_protocol.errors import ErrorCode


class MemberState(Enum):
    STABLE = "stable"
    UNREVOKED_PARTITIONS = "unrevoked_partitions"  # has to give up partitions first
    UNRELEASED_PARTITIONS = "unreleased_partitions"  # waits for partitions that others have to give up


class GroupState(Enum):
    """Kafka's names: clients see the values."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


class ClassicSide:
    """What a member that speaks the classic protocol (JoinGroup, SyncGroup, Heartbeat) brought along."""

    __slots__ = ("protocols", "session_timeout_ms")

    def __init__(self, session_timeout_ms: int, protocols: tuple[tuple[str, bytes], ...]) -> None:
        self.session_timeout_ms = session_timeout_ms
        self.protocols = protocols  # (name, metadata), the most preferred first


class ConsumerMember:
    """A member. `assigned` and `pending_revocation` map partitions to the epoch at which it was given them."""

    __slots__ = ("assigned", "assignor", "classic", "client_host", "client_id", "epoch", "instance_id", "member_id",
                 "pending_revocation", "previous_epoch", "rack_id", "rebalance_timeout_ms", "regex", "state",
                 "target", "timer_key", "told_to_rejoin", "topic_names")

    def __init__(self, group_id: str, member_id: str, instance_id: str | None = None) -> None:
        self.member_id = member_id
        self.instance_id = instance_id
        self.rack_id: str | None = None
        self.client_id = ""
        self.client_host = ""
        self.rebalance_timeout_ms = -1
        self.topic_names: frozenset[str] = frozenset()
        self.regex: str | None = None
        self.assignor: str | None = None
        self.classic: ClassicSide | None = None  # None: it speaks the new protocol
        self.told_to_rejoin = False  # classic only: its time to do so runs
        self.epoch = 0
        self.previous_epoch = 0
        self.state = MemberState.STABLE
        self.assigned: dict[Partition, int] = {}
        self.pending_revocation: dict[Partition, int] = {}
        self.target: frozenset[Partition] = frozenset()
        self.timer_key = ("consumer session", group_id, member_id)

    def is_settled(self, target_epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.epoch == target_epoch

    def advance_to(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.previous_epoch = self.epoch
            self.epoch = epoch


class ConsumerGroup:
    """Dicts serve as ordered sets: iteration must not depend on hashes, or a simulation would not repeat."""

    __slots__ = ("assigned_ms", "epoch", "group_id", "members", "offsets", "owners", "regexes", "static_members",
                 "subscribed_topics", "target_epoch", "topics_seen")

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = 0
        self.target_epoch = 0
        self.assigned_ms: int | None = None  # when the target was computed last; None: not since it was loaded
        self.members: dict[str, ConsumerMember] = {}
        self.static_members: dict[str, str] = {}  # instance id -> member id
        self.owners: dict[Partition, str] = {}  # member ids: of partitions assigned, or not yet given up
        self.regexes: dict[str, set[str]] = {}  # pattern -> the topics that match it
        self.subscribed_topics: frozenset[str] = frozenset()  # by name or pattern; they need not exist
        self.topics_seen: dict[str, tuple[bytes, int]] = {}  # of those that exist: what the epoch stands for
        self.offsets: dict[bytes, TopicOffsets] = {}  # by topic id

    @property
    def state(self) -> GroupState:
        if not self.members:
            return GroupState.EMPTY
        if self.epoch > self.target_epoch:
            return GroupState.ASSIGNING
        if all(member.is_settled(self.target_epoch) for member in self.members.values()):
            return GroupState.STABLE
        return GroupState.RECONCILING

    # -- members ----------------------------------------------------------------------------------

    def add(self, member: ConsumerMember) -> None:
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        for partition in (*member.assigned, *member.pending_revocation):
            self.owners[partition] = member.member_id

    def rename(self, member: ConsumerMember, instance_id: str) -> None:
        """It is that static member now; its old instance id, if any, is nobody's."""
        if member.instance_id is not None and self.static_members.get(member.instance_id) == member.member_id:
            del self.static_members[member.instance_id]
        member.instance_id = instance_id
        self.static_members[instance_id] = member.member_id

    def remove(self, member: ConsumerMember) -> None:
        """Forget a member; what it owned is free."""
        del self.members[member.member_id]
        if member.instance_id is not None and self.static_members.get(member.instance_id) == member.member_id:
            del self.static_members[member.instance_id]
        self.release(member, (*member.assigned, *member.pending_revocation))

    def release(self, member: ConsumerMember, partitions: Iterable[Partition]) -> None:
        """The member does not own these any more."""
        for partition in partitions:
            if self.owners.get(partition) == member.member_id:
                del self.owners[partition]

    def is_free(self, partition: Partition, member: ConsumerMember) -> bool:
        """Nobody but `member` owns it."""
        return self.owners.get(partition, member.member_id) == member.member_id

    def waits_for_others(self, member: ConsumerMember) -> bool:
        """Some of its target belongs to others still."""
        return any(
            partition not in member.assigned and not self.is_free(partition, member) for partition in member.target
        )

    def only_classic_but(self, member_id: str | None) -> bool:
        """Every member but this one speaks the classic protocol, and there are others."""
        others = [member for member in self.members.values() if member.member_id != member_id]
        return bool(others) and all(member.classic is not None for member in others)

    def supports(self, protocol_type: str, protocols: tuple[tuple[str, bytes], ...]) -> bool:
        """A classic member must share a protocol with all other classic members."""
        names = [
            {name for name, _ in member.classic.protocols}
            for member in self.members.values() if member.classic is not None
        ]
        return protocol_type == "consumer" and any(all(name in known for known in names) for name, _ in protocols)

    # -- subscriptions ----------------------------------------------------------------------------

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        if not member.regex:
            return member.topic_names
        return member.topic_names | self.regexes.get(member.regex, set())

    def learn_subscriptions(self, topics: KnownTopics) -> bool:
        """Gather what all members subscribe to; True where the topics are not those of the last epoch."""
        patterns = {member.regex: None for member in self.members.values() if member.regex}
        for gone in [pattern for pattern in self.regexes if pattern not in patterns]:
            del self.regexes[gone]
        names: set[str] = set()
        for member in self.members.values():
            names |= member.topic_names
        for matching in self.regexes.values():
            names |= matching
        self.subscribed_topics = frozenset(names)
        seen = topics.picture(names)
        changed = seen != self.topics_seen
        self.topics_seen = seen
        return changed

    def is_subscribed(self, topic: str) -> bool:
        return topic in self.subscribed_topics

    def matches(self, topic: str) -> bool:
        """Whether a new topic is somebody's, by a pattern; it is, from now on."""
        found = False
        for pattern, names in self.regexes.items():
            if topic not in names and compiled(pattern).fullmatch(topic) is not None:
                names.add(topic)
                found = True
        return found

    # -- offsets ----------------------------------------------------------------------------------

    def check_commit(
        self, member_id: str, member_epoch: int, entries: Iterable[OffsetEntry], *, api_version: int = 9,
        transactional: bool = False,
    ) -> ErrorCode:
        """Whether a member (or, where the group is empty, anybody) may commit these.

        An epoch that is not the current one will do where each partition was assigned no later (KIP-1251).
        """
        if member_epoch < 0 and not self.members:
            return ErrorCode.NONE
        member = self.members.get(member_id)
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if not transactional and member.classic is None and api_version < 9:
            return ErrorCode.UNSUPPORTED_VERSION
        if member_epoch == member.epoch:
            return ErrorCode.NONE
        if member.classic is not None:
            return ErrorCode.ILLEGAL_GENERATION
        stale = ErrorCode.ILLEGAL_GENERATION if transactional else ErrorCode.STALE_MEMBER_EPOCH
        if not 0 <= member_epoch < member.epoch:
            return stale
        for entry in entries:
            partition = (entry.topic_id, entry.partition)
            since = member.assigned.get(partition, member.pending_revocation.get(partition))
            if since is None or member_epoch < since:
                return stale
        return ErrorCode.NONE

    def check_fetch(self, member_id: str | None, member_epoch: int) -> ErrorCode:
        """OffsetFetch v9: who says who it is must be it."""
        if member_id is None and member_epoch < 0:
            return ErrorCode.NONE
        member = self.members.get(member_id or "")
        if member is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if member_epoch != member.epoch:
            return ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION
        return ErrorCode.NONE


def cancel_timers(group: ConsumerGroup, member: ConsumerMember, out: list[Effect]) -> None:
    """All that a member may have."""
    for what in ("session", "rebalance", "join", "sync"):
        out.append(CancelTimer((f"consumer {what}", group.group_id, member.member_id)))


def is_away(member: ConsumerMember) -> bool:
    """A static member that said it would be back."""
    return member.epoch == LEAVE_FOR_A_WHILE
