"""OffsetCommit: store a group's offsets.

Versions:
    v5: no retention_time_ms. v6: committed_leader_epoch (KIP-320). v7: group_instance_id (KIP-345).
    v8: flexible. v9: member epochs of the new consumer protocol (KIP-848). v10: topic ids.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, Nullable, String, Uuid


@struct
class OffsetCommitRequestPartition(Struct):
    """The offset to store for one partition."""

    partition_index: int = field(Int32)
    committed_offset: int = field(Int64)
    committed_leader_epoch: int = field(Int32, versions="6+", default=-1, ignorable=True)
    committed_metadata: str | None = field(Nullable(String))


@struct
class OffsetCommitRequestTopic(Struct):
    """Offsets of one topic."""

    name: str = field(String, versions="0-9", ignorable=True)
    topic_id: bytes = field(Uuid, versions="10+", ignorable=True)
    partitions: list[OffsetCommitRequestPartition] = field(Array(OffsetCommitRequestPartition))


@message(key=8, versions="2-10", flexible="8+")
class OffsetCommitRequest(Message):
    group_id: str = field(String)
    generation_id_or_member_epoch: int = field(Int32, versions="1+", default=-1, ignorable=True)
    member_id: str = field(String, versions="1+", ignorable=True)
    group_instance_id: str | None = field(Nullable(String), versions="7+", default=None)
    retention_time_ms: int = field(Int64, versions="2-4", default=-1, ignorable=True)
    topics: list[OffsetCommitRequestTopic] = field(Array(OffsetCommitRequestTopic))


@struct
class OffsetCommitResponsePartition(Struct):
    """Result of one partition."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)


@struct
class OffsetCommitResponseTopic(Struct):
    """Results of one topic."""

    name: str = field(String, versions="0-9", ignorable=True)
    topic_id: bytes = field(Uuid, versions="10+", ignorable=True)
    partitions: list[OffsetCommitResponsePartition] = field(Array(OffsetCommitResponsePartition))


@message(key=8, versions="2-10", flexible="8+")
class OffsetCommitResponse(Message):
    throttle_time_ms: int = field(Int32, versions="3+", ignorable=True)
    topics: list[OffsetCommitResponseTopic] = field(Array(OffsetCommitResponseTopic))
