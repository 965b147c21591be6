"""TxnOffsetCommit: stage a group's offsets in a transaction.

Versions:
    v2: leader epochs. v3: flexible, member and generation (KIP-447). v4: TRANSACTION_ABORTABLE (KIP-890).
    v5: adds the group to the transaction itself (KIP-890).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, Nullable, String


@struct
class TxnOffsetCommitRequestPartition(Struct):
    """One partition's offset."""

    partition_index: int = field(Int32)
    committed_offset: int = field(Int64)
    committed_leader_epoch: int = field(Int32, versions="2+", default=-1, ignorable=True)
    committed_metadata: str | None = field(Nullable(String))


@struct
class TxnOffsetCommitRequestTopic(Struct):
    """Offsets of one topic."""

    name: str = field(String)
    partitions: list[TxnOffsetCommitRequestPartition] = field(Array(TxnOffsetCommitRequestPartition))


@message(key=28, versions="0-5", flexible="3+")
class TxnOffsetCommitRequest(Message):
    transactional_id: str = field(String)
    group_id: str = field(String)
    producer_id: int = field(Int64)
    producer_epoch: int = field(Int16)
    generation_id: int = field(Int32, versions="3+", default=-1)
    member_id: str = field(String, versions="3+")
    group_instance_id: str | None = field(Nullable(String), versions="3+", default=None)
    topics: list[TxnOffsetCommitRequestTopic] = field(Array(TxnOffsetCommitRequestTopic))


@struct
class TxnOffsetCommitResponsePartition(Struct):
    """Whether one offset is staged."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)


@struct
class TxnOffsetCommitResponseTopic(Struct):
    """Results of one topic."""

    name: str = field(String)
    partitions: list[TxnOffsetCommitResponsePartition] = field(Array(TxnOffsetCommitResponsePartition))


@message(key=28, versions="0-5", flexible="3+")
class TxnOffsetCommitResponse(Message):
    throttle_time_ms: int = field(Int32)
    topics: list[TxnOffsetCommitResponseTopic] = field(Array(TxnOffsetCommitResponseTopic))
