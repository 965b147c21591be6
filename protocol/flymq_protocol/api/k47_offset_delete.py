"""OffsetDelete: forget a group's offsets of some partitions (KIP-496)."""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, String


@struct
class OffsetDeleteRequestPartition(Struct):
    """One partition."""

    partition_index: int = field(Int32)


@struct
class OffsetDeleteRequestTopic(Struct):
    """A topic and its partitions."""

    name: str = field(String)
    partitions: list[OffsetDeleteRequestPartition] = field(Array(OffsetDeleteRequestPartition))


@message(key=47, versions="0", flexible=None)
class OffsetDeleteRequest(Message):
    group_id: str = field(String)
    topics: list[OffsetDeleteRequestTopic] = field(Array(OffsetDeleteRequestTopic))


@struct
class OffsetDeleteResponsePartition(Struct):
    """Whether one partition's offset is gone."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)


@struct
class OffsetDeleteResponseTopic(Struct):
    """Results of one topic."""

    name: str = field(String)
    partitions: list[OffsetDeleteResponsePartition] = field(Array(OffsetDeleteResponsePartition))


@message(key=47, versions="0", flexible=None)
class OffsetDeleteResponse(Message):
    error_code: int = field(Int16)
    throttle_time_ms: int = field(Int32, ignorable=True)
    topics: list[OffsetDeleteResponseTopic] = field(Array(OffsetDeleteResponseTopic))
