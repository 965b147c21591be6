"""OffsetFetch: read a group's stored offsets.

Versions:
    v2: null for all topics. v5: committed_leader_epoch (KIP-320). v6: flexible. v7: require_stable (KIP-447).
    v8: many groups at once (KIP-709). v9: member id and epoch (KIP-848). v10: topic ids.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Int64, Nullable, String, Uuid


@struct
class OffsetFetchRequestTopic(Struct):
    """Partitions of one topic, up to v7."""

    name: str = field(String, versions="0-7")
    partition_indexes: list[int] = field(Array(Int32), versions="0-7")


@struct
class OffsetFetchRequestTopics(Struct):
    """Partitions of one topic, from v8."""

    name: str = field(String, versions="8-9", ignorable=True)
    topic_id: bytes = field(Uuid, versions="10+", ignorable=True)
    partition_indexes: list[int] = field(Array(Int32), versions="8+")


@struct
class OffsetFetchRequestGroup(Struct):
    """A group to ask about, from v8."""

    group_id: str = field(String, versions="8+")
    member_id: str | None = field(Nullable(String), versions="9+", default=None, ignorable=True)
    member_epoch: int = field(Int32, versions="9+", default=-1, ignorable=True)
    topics: list[OffsetFetchRequestTopics] | None = field(Nullable(Array(OffsetFetchRequestTopics)), versions="8+")


@message(key=9, versions="1-10", flexible="6+")
class OffsetFetchRequest(Message):
    group_id: str = field(String, versions="0-7")
    topics: list[OffsetFetchRequestTopic] | None = field(
        Nullable(Array(OffsetFetchRequestTopic), "2-7"), versions="0-7"
    )
    groups: list[OffsetFetchRequestGroup] = field(Array(OffsetFetchRequestGroup), versions="8+")
    require_stable: bool = field(Bool, versions="7+")


@struct
class OffsetFetchResponsePartition(Struct):
    """A stored offset, -1 if there is none, up to v7."""

    partition_index: int = field(Int32, versions="0-7")
    committed_offset: int = field(Int64, versions="0-7")
    committed_leader_epoch: int = field(Int32, versions="5-7", default=-1, ignorable=True)
    metadata: str | None = field(Nullable(String), versions="0-7")
    error_code: int = field(Int16, versions="0-7")


@struct
class OffsetFetchResponseTopic(Struct):
    """Offsets of one topic, up to v7."""

    name: str = field(String, versions="0-7")
    partitions: list[OffsetFetchResponsePartition] = field(Array(OffsetFetchResponsePartition), versions="0-7")


@struct
class OffsetFetchResponsePartitions(Struct):
    """A stored offset, -1 if there is none, from v8."""

    partition_index: int = field(Int32, versions="8+")
    committed_offset: int = field(Int64, versions="8+")
    committed_leader_epoch: int = field(Int32, versions="8+", default=-1, ignorable=True)
    metadata: str | None = field(Nullable(String), versions="8+")
    error_code: int = field(Int16, versions="8+")


@struct
class OffsetFetchResponseTopics(Struct):
    """Offsets of one topic, from v8."""

    name: str = field(String, versions="8-9", ignorable=True)
    topic_id: bytes = field(Uuid, versions="10+", ignorable=True)
    partitions: list[OffsetFetchResponsePartitions] = field(Array(OffsetFetchResponsePartitions), versions="8+")


@struct
class OffsetFetchResponseGroup(Struct):
    """Offsets of one group, from v8."""

    group_id: str = field(String, versions="8+")
    topics: list[OffsetFetchResponseTopics] = field(Array(OffsetFetchResponseTopics), versions="8+")
    error_code: int = field(Int16, versions="8+")


@message(key=9, versions="1-10", flexible="6+")
class OffsetFetchResponse(Message):
    throttle_time_ms: int = field(Int32, versions="3+", ignorable=True)
    topics: list[OffsetFetchResponseTopic] = field(Array(OffsetFetchResponseTopic), versions="0-7")
    error_code: int = field(Int16, versions="2-7", ignorable=True)
    groups: list[OffsetFetchResponseGroup] = field(Array(OffsetFetchResponseGroup), versions="8+")
