"""ElectLeaders: elect partition leaders.

Versions:
    v1: election types, error_code (KIP-460). v2: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int8, Int16, Int32, Nullable, String


@struct
class TopicPartitions(Struct):
    """A topic and its partitions."""

    topic: str = field(String)
    partitions: list[int] = field(Array(Int32))


@message(key=43, versions="0-2", flexible="2+")
class ElectLeadersRequest(Message):
    election_type: int = field(Int8, versions="1+")
    topic_partitions: list[TopicPartitions] | None = field(Nullable(Array(TopicPartitions)))
    timeout_ms: int = field(Int32, default=60000)


@struct
class PartitionResult(Struct):
    """The election of one partition's leader."""

    partition_id: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))


@struct
class ReplicaElectionResult(Struct):
    """Elections of one topic."""

    topic: str = field(String)
    partition_result: list[PartitionResult] = field(Array(PartitionResult))


@message(key=43, versions="0-2", flexible="2+")
class ElectLeadersResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16, versions="1+")
    replica_election_results: list[ReplicaElectionResult] = field(Array(ReplicaElectionResult))
