"""DeleteRecords: drop records below an offset.

Versions:
    v2: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, String


@struct
class DeleteRecordsPartition(Struct):
    """Up to where one partition is emptied; -1 for the high watermark."""

    partition_index: int = field(Int32)
    offset: int = field(Int64)


@struct
class DeleteRecordsTopic(Struct):
    """Partitions of one topic."""

    name: str = field(String)
    partitions: list[DeleteRecordsPartition] = field(Array(DeleteRecordsPartition))


@message(key=21, versions="0-2", flexible="2+")
class DeleteRecordsRequest(Message):
    topics: list[DeleteRecordsTopic] = field(Array(DeleteRecordsTopic))
    timeout_ms: int = field(Int32)


@struct
class DeleteRecordsPartitionResult(Struct):
    """One partition's new log start offset, or why not."""

    partition_index: int = field(Int32)
    low_watermark: int = field(Int64)
    error_code: int = field(Int16)


@struct
class DeleteRecordsTopicResult(Struct):
    """Results of one topic."""

    name: str = field(String)
    partitions: list[DeleteRecordsPartitionResult] = field(Array(DeleteRecordsPartitionResult))


@message(key=21, versions="0-2", flexible="2+")
class DeleteRecordsResponse(Message):
    throttle_time_ms: int = field(Int32)
    topics: list[DeleteRecordsTopicResult] = field(Array(DeleteRecordsTopicResult))
