"""OffsetForLeaderEpoch: where a leader epoch ends.

Versions:
    v2: current_leader_epoch (KIP-320). v3: replica_id (KIP-392). v4: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, String


@struct
class OffsetForLeaderPartition(Struct):
    """The epoch whose end is asked for."""

    partition: int = field(Int32)
    current_leader_epoch: int = field(Int32, versions="2+", default=-1, ignorable=True)
    leader_epoch: int = field(Int32)


@struct
class OffsetForLeaderTopic(Struct):
    """Questions about one topic."""

    topic: str = field(String)
    partitions: list[OffsetForLeaderPartition] = field(Array(OffsetForLeaderPartition))


@message(key=23, versions="2-4", flexible="4+")
class OffsetForLeaderEpochRequest(Message):
    replica_id: int = field(Int32, versions="3+", default=-2, ignorable=True)
    topics: list[OffsetForLeaderTopic] = field(Array(OffsetForLeaderTopic))


@struct
class EpochEndOffset(Struct):
    """The epoch found, and the offset after its last record."""

    error_code: int = field(Int16)
    partition: int = field(Int32)
    leader_epoch: int = field(Int32, versions="1+", default=-1, ignorable=True)
    end_offset: int = field(Int64, default=-1)


@struct
class OffsetForLeaderTopicResult(Struct):
    """Answers about one topic."""

    topic: str = field(String)
    partitions: list[EpochEndOffset] = field(Array(EpochEndOffset))


@message(key=23, versions="2-4", flexible="4+")
class OffsetForLeaderEpochResponse(Message):
    throttle_time_ms: int = field(Int32, versions="2+", ignorable=True)
    topics: list[OffsetForLeaderTopicResult] = field(Array(OffsetForLeaderTopicResult))
