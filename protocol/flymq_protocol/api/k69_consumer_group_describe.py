"""ConsumerGroupDescribe: groups of the new protocol (KIP-848).

Versions:
    v1: member_type (KIP-1099).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Nullable, String, Uuid


@message(key=69, versions="0-1", flexible="0+")
class ConsumerGroupDescribeRequest(Message):
    group_ids: list[str] = field(Array(String))
    include_authorized_operations: bool = field(Bool)


@struct
class TopicPartitions(Struct):
    """A topic and its partitions."""

    topic_id: bytes = field(Uuid)
    topic_name: str = field(String)
    partitions: list[int] = field(Array(Int32))


@struct
class Assignment(Struct):
    """Partitions of a member."""

    topic_partitions: list[TopicPartitions] = field(Array(TopicPartitions))


@struct
class Member(Struct):
    """A member, what it owns and what it is to own."""

    member_id: str = field(String)
    instance_id: str | None = field(Nullable(String), default=None)
    rack_id: str | None = field(Nullable(String), default=None)
    member_epoch: int = field(Int32)
    client_id: str = field(String)
    client_host: str = field(String)
    subscribed_topic_names: list[str] = field(Array(String))
    subscribed_topic_regex: str | None = field(Nullable(String), default=None)
    assignment: Assignment = field(Assignment)
    target_assignment: Assignment = field(Assignment)
    member_type: int = field(Int8, versions="1+", default=-1, ignorable=True)


@struct
class DescribedGroup(Struct):
    """A group, its epochs and members."""

    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), default=None)
    group_id: str = field(String)
    group_state: str = field(String)
    group_epoch: int = field(Int32)
    assignment_epoch: int = field(Int32)
    assignor_name: str = field(String)
    members: list[Member] = field(Array(Member))
    authorized_operations: int = field(Int32, default=-2147483648)


@message(key=69, versions="0-1", flexible="0+")
class ConsumerGroupDescribeResponse(Message):
    throttle_time_ms: int = field(Int32)
    groups: list[DescribedGroup] = field(Array(DescribedGroup))
