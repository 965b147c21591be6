"""DescribeQuorum: the quorum that keeps the metadata (KIP-595).

Versions:
    v1: times of the replicas (KIP-836). v2: nodes, messages, directory ids (KIP-853).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, Nullable, String, Uint16, Uuid


@struct
class PartitionData(Struct):
    """A partition to describe."""

    partition_index: int = field(Int32)


@struct
class TopicData(Struct):
    """A topic to describe."""

    topic_name: str = field(String)
    partitions: list[PartitionData] = field(Array(PartitionData))


@message(key=55, versions="0-2", flexible="0+")
class DescribeQuorumRequest(Message):
    topics: list[TopicData] = field(Array(TopicData))


@struct
class ReplicaState(Struct):
    """How far one replica is."""

    replica_id: int = field(Int32)
    replica_directory_id: bytes = field(Uuid, versions="2+")
    log_end_offset: int = field(Int64)
    last_fetch_timestamp: int = field(Int64, versions="1+", default=-1, ignorable=True)
    last_caught_up_timestamp: int = field(Int64, versions="1+", default=-1, ignorable=True)


@struct
class PartitionDataResult(Struct):
    """One partition's leader and replicas. Kafka's name: PartitionData, as in the request."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), versions="2+", ignorable=True)
    leader_id: int = field(Int32)
    leader_epoch: int = field(Int32)
    high_watermark: int = field(Int64)
    current_voters: list[ReplicaState] = field(Array(ReplicaState))
    observers: list[ReplicaState] = field(Array(ReplicaState))


@struct
class TopicDataResult(Struct):
    """Partitions of one topic. Kafka's name: TopicData, as in the request."""

    topic_name: str = field(String)
    partitions: list[PartitionDataResult] = field(Array(PartitionDataResult))


@struct
class Listener(Struct):
    """An address of a node."""

    name: str = field(String, versions="2+")
    host: str = field(String, versions="2+")
    port: int = field(Uint16, versions="2+")


@struct
class Node(Struct):
    """A node of the quorum."""

    node_id: int = field(Int32, versions="2+")
    listeners: list[Listener] = field(Array(Listener), versions="2+")


@message(key=55, versions="0-2", flexible="0+")
class DescribeQuorumResponse(Message):
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), versions="2+", ignorable=True)
    topics: list[TopicDataResult] = field(Array(TopicDataResult))
    nodes: list[Node] = field(Array(Node), versions="2+")
