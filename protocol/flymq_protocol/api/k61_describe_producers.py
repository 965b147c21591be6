"""DescribeProducers: producers with state in partitions (KIP-664)."""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, Nullable, String


@struct
class TopicRequest(Struct):
    """A topic and its partitions."""

    name: str = field(String)
    partition_indexes: list[int] = field(Array(Int32))


@message(key=61, versions="0", flexible="0+")
class DescribeProducersRequest(Message):
    topics: list[TopicRequest] = field(Array(TopicRequest))


@struct
class ProducerState(Struct):
    """A producer's last batch, and where its open transaction begins; -1 for none."""

    producer_id: int = field(Int64)
    producer_epoch: int = field(Int32)
    last_sequence: int = field(Int32, default=-1)
    last_timestamp: int = field(Int64, default=-1)
    coordinator_epoch: int = field(Int32)
    current_txn_start_offset: int = field(Int64, default=-1)


@struct
class PartitionResponse(Struct):
    """Producers of one partition."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), default=None)
    active_producers: list[ProducerState] = field(Array(ProducerState))


@struct
class TopicResponse(Struct):
    """Partitions of one topic."""

    name: str = field(String)
    partitions: list[PartitionResponse] = field(Array(PartitionResponse))


@message(key=61, versions="0", flexible="0+")
class DescribeProducersResponse(Message):
    throttle_time_ms: int = field(Int32)
    topics: list[TopicResponse] = field(Array(TopicResponse))
