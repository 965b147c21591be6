"""ListOffsets: find an offset by timestamp, or a log's ends.

Versions:
    v2: isolation_level (KIP-98). v4: leader epochs (KIP-320). v6: flexible. v7: the record with the largest
    timestamp (KIP-734). v8: earliest local offset (KIP-405). v9: last tiered offset (KIP-1005).
    v10: timeout_ms (KIP-1075). v11: earliest offset yet to be tiered (KIP-1023).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int8, Int16, Int32, Int64, String


@struct
class ListOffsetsPartition(Struct):
    """The timestamp to look for, or a negative one with a special meaning."""

    partition_index: int = field(Int32)
    current_leader_epoch: int = field(Int32, versions="4+", default=-1, ignorable=True)
    timestamp: int = field(Int64)


@struct
class ListOffsetsTopic(Struct):
    """Questions about one topic."""

    name: str = field(String)
    partitions: list[ListOffsetsPartition] = field(Array(ListOffsetsPartition))


@message(key=2, versions="1-11", flexible="6+")
class ListOffsetsRequest(Message):
    replica_id: int = field(Int32)
    isolation_level: int = field(Int8, versions="2+")
    topics: list[ListOffsetsTopic] = field(Array(ListOffsetsTopic))
    timeout_ms: int = field(Int32, versions="10+", ignorable=True)


@struct
class ListOffsetsPartitionResponse(Struct):
    """The offset that was found, or -1."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)
    timestamp: int = field(Int64, versions="1+", default=-1)
    offset: int = field(Int64, versions="1+", default=-1)
    leader_epoch: int = field(Int32, versions="4+", default=-1)


@struct
class ListOffsetsTopicResponse(Struct):
    """Answers about one topic."""

    name: str = field(String)
    partitions: list[ListOffsetsPartitionResponse] = field(Array(ListOffsetsPartitionResponse))


@message(key=2, versions="1-11", flexible="6+")
class ListOffsetsResponse(Message):
    throttle_time_ms: int = field(Int32, versions="2+", ignorable=True)
    topics: list[ListOffsetsTopicResponse] = field(Array(ListOffsetsTopicResponse))
