"""What administration tells: plain, frozen data. `dataclasses.asdict` makes it JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flymq.client.messages import Partition


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic in a list. `replication_factor`: of its first partition."""

    name: str
    partitions: int
    replication_factor: int
    internal: bool


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """A partition: node ids, and its offsets: `start` the log start offset, `end` after the last message.

    Without a leader (`leader` is -1) nobody knows its offsets: they are None.
    """

    partition: int
    leader: int
    replicas: list[int]
    isr: list[int]
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """A setting in force. `value` is None where it is unset or secret; `source` is Kafka's ConfigSource."""

    value: str | None
    source: str
    is_default: bool
    sensitive: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic, whole; `config` holds what was set for it, not the defaults."""

    name: str
    topic_id: str
    internal: bool
    partitions: list[PartitionInfo]
    config: Mapping[str, ConfigValue]


@dataclass(frozen=True, slots=True)
class TrimmedPartition:
    """A partition's log start offset, before and after records were deleted; `end`: after its last message."""

    partition: int
    before: int
    after: int
    end: int


@dataclass(frozen=True, slots=True)
class GroupListing:
    """A group in a list. `group_type`: "consumer" where it is of the protocol of KIP-848, "classic" of the one before.

    `state`: Stable, Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Dead; "" from old brokers.
    """

    group_id: str
    group_type: str
    state: str
    protocol_type: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group, and the partitions it has, sorted. `instance_id`: of a static member.

    `protocol`: what it speaks, "classic" or "consumer" (that of KIP-848); a consumer group may have members of both.
    "" where the broker does not tell. `epoch` and `target`, the partitions that it is to have: in consumer groups.
    """

    member_id: str
    client_id: str
    host: str
    instance_id: str | None
    assignment: list[Partition]
    protocol: str = "classic"
    epoch: int | None = None
    target: list[Partition] | None = None

    def __str__(self) -> str:
        return f"{self.client_id} at {self.host.lstrip('/')}"


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far a group is in a partition. `end`: after the last message, None where the partition is gone or has no
    leader. `lag`: never negative; None where `committed` or `end` is. The owner's fields: None where nobody has it.
    """

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    member_id: str | None = None
    client_id: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group, whole. `group_type`: as in `GroupListing`. `protocol`: its assignor; `coordinator`: "host:port (id N)".

    `group_epoch` counts what changed in a consumer group, `assignment_epoch` says up to which of that it is assigned.
    None of a classic group: Kafka tells its generation to members only.
    """

    group_id: str
    group_type: str
    state: str
    protocol_type: str
    protocol: str
    coordinator: str
    members: list[Member]
    partitions: list[PartitionLag]
    group_epoch: int | None = None
    assignment_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class OffsetChange:
    """A group's offset in a partition, before and after a reset. `before`: None without a commit."""

    topic: str
    partition: int
    before: int | None
    after: int


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """A broker, as clients reach it."""

    node_id: int
    host: str
    port: int
    rack: str | None


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """The cluster. `controller_id`: the node that decides about topics; -1 where unknown."""

    cluster_id: str | None
    controller_id: int
    brokers: list[BrokerInfo]


@dataclass(frozen=True, slots=True)
class ApiRange:
    """An API that the broker speaks, in which versions."""

    key: int
    name: str
    min_version: int
    max_version: int


@dataclass(frozen=True, slots=True)
class TransactionListing:
    """A transactional id in a list. `state`: of its last transaction: Ongoing, CompleteCommit, CompleteAbort ..."""

    transactional_id: str
    producer_id: int
    state: str


@dataclass(frozen=True, slots=True)
class TransactionDescription:
    """A transactional id, whole. `timeout`, `duration`: in seconds; `started`: ms since the epoch.

    Where no transaction is open, `started` and `duration` are None, and it has no partitions.
    """

    transactional_id: str
    state: str
    producer_id: int
    producer_epoch: int
    coordinator_id: int
    timeout: float
    started: int | None
    duration: float | None
    partitions: list[Partition]


@dataclass(frozen=True, slots=True)
class ProducerInfo:
    """A producer that a partition remembers. `coordinator_epoch`: -1 before its first transaction has ended.

    `last_timestamp`: of its last record, ms since the epoch. `open_since`: the offset where its transaction began; None
    without one.
    """

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    last_sequence: int
    last_timestamp: int
    open_since: int | None


@dataclass(frozen=True, slots=True, order=True)
class HangingTransaction:
    """A transaction that nobody will end. `idle`: seconds since its last record."""

    topic: str
    partition: int
    producer_id: int
    producer_epoch: int
    open_since: int
    last_timestamp: int
    idle: float
