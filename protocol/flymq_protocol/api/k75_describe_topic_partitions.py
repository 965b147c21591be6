"""DescribeTopicPartitions: topics and their partitions, page by page (KIP-966)."""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Nullable, String, Uuid


@struct
class TopicRequest(Struct):
    """A topic's name."""

    name: str = field(String)


@struct
class Cursor(Struct):
    """Where the next page begins."""

    topic_name: str = field(String)
    partition_index: int = field(Int32)


@message(key=75, versions="0", flexible="0+")
class DescribeTopicPartitionsRequest(Message):
    topics: list[TopicRequest] = field(Array(TopicRequest))
    response_partition_limit: int = field(Int32, default=2000)
    cursor: Cursor | None = field(Nullable(Cursor), default=None)


@struct
class DescribeTopicPartitionsResponsePartition(Struct):
    """A partition's leader and replicas."""

    error_code: int = field(Int16)
    partition_index: int = field(Int32)
    leader_id: int = field(Int32)
    leader_epoch: int = field(Int32, default=-1, ignorable=True)
    replica_nodes: list[int] = field(Array(Int32))
    isr_nodes: list[int] = field(Array(Int32))
    eligible_leader_replicas: list[int] | None = field(Nullable(Array(Int32)), default=None)
    last_known_elr: list[int] | None = field(Nullable(Array(Int32)), default=None)
    offline_replicas: list[int] = field(Array(Int32), ignorable=True)


@struct
class DescribeTopicPartitionsResponseTopic(Struct):
    """A topic and its partitions of this page."""

    error_code: int = field(Int16)
    name: str | None = field(Nullable(String))
    topic_id: bytes = field(Uuid, ignorable=True)
    is_internal: bool = field(Bool, ignorable=True)
    partitions: list[DescribeTopicPartitionsResponsePartition] = field(Array(DescribeTopicPartitionsResponsePartition))
    topic_authorized_operations: int = field(Int32, default=-2147483648)


@message(key=75, versions="0", flexible="0+")
class DescribeTopicPartitionsResponse(Message):
    throttle_time_ms: int = field(Int32, ignorable=True)
    topics: list[DescribeTopicPartitionsResponseTopic] = field(Array(DescribeTopicPartitionsResponseTopic))
    next_cursor: Cursor | None = field(Nullable(Cursor), default=None)
