"""What can happen to a group, and what a request gets back.

Every request event carries `token`, a number that the runtime fills in; its `Reply` names it. A
result is the class named in the event's docstring, or an `ErrorCode` where the whole request failed.
"""

from __future__ import annotations

from typing import NamedTuple

from flymq_protocol.errors import ErrorCode


class GroupConfig(NamedTuple):
    """The broker's settings that groups obey; names are Kafka's."""

    group_initial_rebalance_delay_ms: int = 3000
    group_min_session_timeout_ms: int = 6000
    group_max_session_timeout_ms: int = 1_800_000
    group_max_size: int = 2147483647
    offset_metadata_max_bytes: int = 4096
    offsets_retention_ms: int = 7 * 24 * 3600 * 1000
    offsets_retention_check_interval_ms: int = 600_000
    new_member_join_timeout_ms: int = 300_000  # a constant in Kafka


class CommittedOffset(NamedTuple):
    """One partition's committed position."""

    offset: int
    leader_epoch: int  # -1 where the client gave none
    metadata: str
    commit_timestamp_ms: int
    expire_timestamp_ms: int  # -1: by the broker's retention; else its own (OffsetCommit v2-4)


# Stands for an offset that an open transaction may change.
UNSTABLE = CommittedOffset(-1, -1, "", -1, -1)


class OffsetEntry(NamedTuple):
    """One partition of an OffsetCommit, its topic known to exist."""

    topic_id: bytes
    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str


class JoinedMember(NamedTuple):
    """What the leader is told of a member."""

    member_id: str
    instance_id: str | None
    metadata: bytes


class JoinGroup:
    """Reply: `JoinResult`. `unique` becomes the tail of a new member id (`<client id>-<unique>`)."""

    __slots__ = ("api_version", "client_host", "client_id", "group_id", "instance_id", "member_id", "protocol_type",
                 "protocols", "rebalance_timeout_ms", "session_timeout_ms", "token", "unique")

    def __init__(
        self,
        group_id: str,
        member_id: str,
        protocol_type: str,
        protocols: tuple[tuple[str, bytes], ...],
        *,
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        instance_id: str | None = None,
        api_version: int = 9,
        client_id: str = "",
        client_host: str = "",
        unique: str = "",
    ) -> None:
        self.token = 0
        self.group_id = group_id
        self.member_id = member_id
        self.protocol_type = protocol_type
        self.protocols = protocols  # (name, metadata), the most preferred first
        self.session_timeout_ms = session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.instance_id = instance_id
        self.api_version = api_version
        self.client_id = client_id
        self.client_host = client_host
        self.unique = unique


class JoinResult:
    __slots__ = ("error", "generation_id", "leader", "member_id", "members", "protocol_name", "protocol_type",
                 "skip_assignment")

    def __init__(
        self,
        error: ErrorCode,
        member_id: str,
        *,
        generation_id: int = -1,
        protocol_type: str | None = None,
        protocol_name: str | None = None,
        leader: str = "",
        members: list[JoinedMember] | None = None,
        skip_assignment: bool = False,
    ) -> None:
        self.error = error
        self.member_id = member_id
        self.generation_id = generation_id
        self.protocol_type = protocol_type
        self.protocol_name = protocol_name
        self.leader = leader
        self.members = members or []
        self.skip_assignment = skip_assignment

    def __repr__(self) -> str:
        return f"JoinResult({self.error.name}, {self.member_id!r}, generation {self.generation_id})"


class SyncGroup:
    """Reply: `SyncResult`."""

    __slots__ = ("assignments", "generation_id", "group_id", "instance_id", "member_id", "protocol_name",
                 "protocol_type", "token")

    def __init__(
        self,
        group_id: str,
        generation_id: int,
        member_id: str,
        assignments: dict[str, bytes],
        *,
        instance_id: str | None = None,
        protocol_type: str | None = None,
        protocol_name: str | None = None,
    ) -> None:
        self.token = 0
        self.group_id = group_id
        self.generation_id = generation_id
        self.member_id = member_id
        self.assignments = assignments
        self.instance_id = instance_id
        self.protocol_type = protocol_type
        self.protocol_name = protocol_name


class SyncResult:
    __slots__ = ("assignment", "error", "protocol_name", "protocol_type")

    def __init__(
        self,
        error: ErrorCode,
        assignment: bytes = b"",
        protocol_type: str | None = None,
        protocol_name: str | None = None,
    ) -> None:
        self.error = error
        self.assignment = assignment
        self.protocol_type = protocol_type
        self.protocol_name = protocol_name

    def __repr__(self) -> str:
        return f"SyncResult({self.error.name}, {self.assignment!r})"


class Heartbeat:
    """Reply: `ErrorCode`."""

    __slots__ = ("generation_id", "group_id", "instance_id", "member_id", "token")

    def __init__(self, group_id: str, generation_id: int, member_id: str, instance_id: str | None = None) -> None:
        self.token = 0
        self.group_id = group_id
        self.generation_id = generation_id
        self.member_id = member_id
        self.instance_id = instance_id


class LeaveGroup:
    """`members`: (member id, instance id). Reply: an `ErrorCode` for each, in order, or one for all."""

    __slots__ = ("group_id", "members", "token")

    def __init__(self, group_id: str, members: list[tuple[str, str | None]]) -> None:
        self.token = 0
        self.group_id = group_id
        self.members = members


class CommitOffsets:
    """Reply: `ErrorCode` for all entries, or a list of one for each, in order."""

    __slots__ = ("api_version", "entries", "generation_id", "group_id", "instance_id", "member_id", "retention_ms",
                 "token")

    def __init__(
        self,
        group_id: str,
        generation_id: int,
        member_id: str,
        entries: list[OffsetEntry],
        *,
        instance_id: str | None = None,
        retention_ms: int = -1,
        api_version: int = 9,
    ) -> None:
        self.token = 0
        self.group_id = group_id
        self.generation_id = generation_id
        self.member_id = member_id
        self.entries = entries
        self.instance_id = instance_id
        self.retention_ms = retention_ms
        self.api_version = api_version


class CommitTxnOffsets(CommitOffsets):
    """Pending until `EndTransaction`. Reply: `ErrorCode` for all entries, or a list of one for each, in order."""

    __slots__ = ("producer_epoch", "producer_id")

    def __init__(
        self,
        group_id: str,
        generation_id: int,
        member_id: str,
        entries: list[OffsetEntry],
        *,
        producer_id: int,
        producer_epoch: int,
        instance_id: str | None = None,
    ) -> None:
        super().__init__(group_id, generation_id, member_id, entries, instance_id=instance_id)
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch


class EndTransaction:
    """All pending offsets of that producer in this shard are committed, or dropped. Reply: None, also where there
    are none."""

    __slots__ = ("commit", "producer_id", "token")

    def __init__(self, producer_id: int, commit: bool) -> None:
        self.token = 0
        self.producer_id = producer_id
        self.commit = commit


class OpenTransactions:
    """Reply: producer id -> epoch of all that have pending offsets in this shard."""

    __slots__ = ("token",)

    def __init__(self) -> None:
        self.token = 0


class DeleteOffsets:
    """`entries`: (topic id, topic, partition). Reply: `ErrorCode` for all, or a list of one for each, in order."""

    __slots__ = ("entries", "group_id", "token")

    def __init__(self, group_id: str, entries: list[tuple[bytes, str, int]]) -> None:
        self.token = 0
        self.group_id = group_id
        self.entries = entries


class FetchOffsets:
    """`wanted`: (topic id, partitions), None for all. Reply: `FetchedTopic`s; where topics were named, aligned with
    `wanted`, and a partition without an offset is missing. `require_stable`: a partition with an offset in an open
    transaction is `UNSTABLE`. `ErrorCode` where a consumer group doesn't know the member that it says it comes from
    (v9)."""

    __slots__ = ("group_id", "member_epoch", "member_id", "require_stable", "token", "wanted")

    def __init__(
        self, group_id: str, wanted: list[tuple[bytes, list[int]]] | None, member_id: str | None = None,
        member_epoch: int = -1, *, require_stable: bool = False,
    ) -> None:
        self.token = 0
        self.group_id = group_id
        self.wanted = wanted
        self.member_id = member_id
        self.member_epoch = member_epoch
        self.require_stable = require_stable


class FetchedTopic(NamedTuple):
    topic_id: bytes
    partitions: dict[int, CommittedOffset]


class DescribeGroups:
    """Reply: a `GroupDescription` for each, in order."""

    __slots__ = ("group_ids", "token")

    def __init__(self, group_ids: list[str]) -> None:
        self.token = 0
        self.group_ids = group_ids


class MemberDescription(NamedTuple):
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


class GroupDescription(NamedTuple):
    group_id: str
    state: str  # "Dead" where there is no such group
    protocol_type: str
    protocol_name: str
    members: list[MemberDescription]
    why_dead: str | None = None


class ListGroups:
    """Lower-case state names, empty for any. Reply: a list of `ListedGroup`."""

    __slots__ = ("states", "token")

    def __init__(self, states: frozenset[str] = frozenset()) -> None:
        self.token = 0
        self.states = states


class ListedGroup(NamedTuple):
    group_id: str
    protocol_type: str
    state: str
    group_type: str  # "classic" or "consumer"


class DeleteGroups:
    """Reply: an `ErrorCode` for each, in order."""

    __slots__ = ("group_ids", "token")

    def __init__(self, group_ids: list[str]) -> None:
        self.token = 0
        self.group_ids = group_ids


class TopicDeleted:
    """The topic is gone: so are its offsets. No reply."""

    __slots__ = ("topic_id",)

    def __init__(self, topic_id: bytes) -> None:
        self.topic_id = topic_id


Request = (
    JoinGroup | SyncGroup | Heartbeat | LeaveGroup | CommitOffsets | FetchOffsets | DescribeGroups | ListGroups
    | DeleteGroups | CommitTxnOffsets | EndTransaction | OpenTransactions | DeleteOffsets
)
