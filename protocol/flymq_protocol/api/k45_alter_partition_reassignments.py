"""AlterPartitionReassignments: move partitions to other brokers (KIP-455).

Versions:
    v1: allow_replication_factor_change (KIP-860).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Nullable, String


@struct
class ReassignablePartition(Struct):
    """Where one partition should be; null stops a move."""

    partition_index: int = field(Int32)
    replicas: list[int] | None = field(Nullable(Array(Int32)), default=None)


@struct
class ReassignableTopic(Struct):
    """Partitions of one topic."""

    name: str = field(String)
    partitions: list[ReassignablePartition] = field(Array(ReassignablePartition))


@message(key=45, versions="0-1", flexible="0+")
class AlterPartitionReassignmentsRequest(Message):
    timeout_ms: int = field(Int32, default=60000)
    allow_replication_factor_change: bool = field(Bool, versions="1+", default=True)
    topics: list[ReassignableTopic] = field(Array(ReassignableTopic))


@struct
class ReassignablePartitionResponse(Struct):
    """Whether one partition is on its way."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))


@struct
class ReassignableTopicResponse(Struct):
    """Results of one topic."""

    name: str = field(String)
    partitions: list[ReassignablePartitionResponse] = field(Array(ReassignablePartitionResponse))


@message(key=45, versions="0-1", flexible="0+")
class AlterPartitionReassignmentsResponse(Message):
    throttle_time_ms: int = field(Int32)
    allow_replication_factor_change: bool = field(Bool, versions="1+", default=True, ignorable=True)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))
    responses: list[ReassignableTopicResponse] = field(Array(ReassignableTopicResponse))
