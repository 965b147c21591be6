"""ConsumerGroupHeartbeat: join, stay in, or leave a group (KIP-848).

Versions:
    v1: subscribed_topic_regex; the member makes its own id (KIP-1082).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Nullable, String, Uuid


@struct
class TopicPartitions(Struct):
    """A topic and its partitions."""

    topic_id: bytes = field(Uuid)
    partitions: list[int] = field(Array(Int32))


@message(key=68, versions="0-1", flexible="0+")
class ConsumerGroupHeartbeatRequest(Message):
    group_id: str = field(String)
    member_id: str = field(String)
    member_epoch: int = field(Int32)
    instance_id: str | None = field(Nullable(String), default=None)
    rack_id: str | None = field(Nullable(String), default=None)
    rebalance_timeout_ms: int = field(Int32, default=-1)
    subscribed_topic_names: list[str] | None = field(Nullable(Array(String)), default=None)
    subscribed_topic_regex: str | None = field(Nullable(String), versions="1+", default=None)
    server_assignor: str | None = field(Nullable(String), default=None)
    topic_partitions: list[TopicPartitions] | None = field(Nullable(Array(TopicPartitions)), default=None)


@struct
class Assignment(Struct):
    """Partitions that the member is to own."""

    topic_partitions: list[TopicPartitions] = field(Array(TopicPartitions))


@message(key=68, versions="0-1", flexible="0+")
class ConsumerGroupHeartbeatResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), default=None)
    member_id: str | None = field(Nullable(String), default=None)
    member_epoch: int = field(Int32)
    heartbeat_interval_ms: int = field(Int32)
    assignment: Assignment | None = field(Nullable(Assignment), default=None)
