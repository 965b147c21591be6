"""Produce: append record batches.

Versions:
    v7: zstd batches (KIP-110). v8: record_errors and error_message in the response (KIP-467).
    v9: flexible. v10: current_leader and node_endpoints (KIP-951). v12: adds partitions to the
    transaction on its own (KIP-890). v13: topic ids instead of names (KIP-516).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Buffer, Int16, Int32, Int64, Nullable, Records, String, Uuid


@struct
class PartitionProduceData(Struct):
    """Batches for one partition."""

    index: int = field(Int32)
    records: Buffer | None = field(Nullable(Records))


@struct
class TopicProduceData(Struct):
    """Batches for one topic."""

    name: str = field(String, versions="0-12", ignorable=True)
    topic_id: bytes = field(Uuid, versions="13+", ignorable=True)
    partition_data: list[PartitionProduceData] = field(Array(PartitionProduceData))


@message(key=0, versions="3-13", flexible="9+")
class ProduceRequest(Message):
    transactional_id: str | None = field(Nullable(String), versions="3+", default=None)
    acks: int = field(Int16)
    timeout_ms: int = field(Int32)
    topic_data: list[TopicProduceData] = field(Array(TopicProduceData))


@struct
class BatchIndexAndErrorMessage(Struct):
    """A record that made its batch be refused, by its index in the batch."""

    batch_index: int = field(Int32, versions="8+")
    batch_index_error_message: str | None = field(Nullable(String), versions="8+", default=None)


@struct
class LeaderIdAndEpoch(Struct):
    """The leader as the broker knows it; -1, -1 when not told."""

    leader_id: int = field(Int32, versions="10+", default=-1)
    leader_epoch: int = field(Int32, versions="10+", default=-1)


@struct
class PartitionProduceResponse(Struct):
    """Result of one partition; base_offset is -1 on error."""

    index: int = field(Int32)
    error_code: int = field(Int16)
    base_offset: int = field(Int64)
    log_append_time_ms: int = field(Int64, versions="2+", default=-1, ignorable=True)
    log_start_offset: int = field(Int64, versions="5+", default=-1, ignorable=True)
    record_errors: list[BatchIndexAndErrorMessage] = field(
        Array(BatchIndexAndErrorMessage), versions="8+", ignorable=True
    )
    error_message: str | None = field(Nullable(String), versions="8+", default=None, ignorable=True)
    current_leader: LeaderIdAndEpoch = field(LeaderIdAndEpoch, versions="10+", tag=0)


@struct
class TopicProduceResponse(Struct):
    """Results of one topic."""

    name: str = field(String, versions="0-12", ignorable=True)
    topic_id: bytes = field(Uuid, versions="13+", ignorable=True)
    partition_responses: list[PartitionProduceResponse] = field(Array(PartitionProduceResponse))


@struct
class NodeEndpoint(Struct):
    """Where a broker of some current_leader listens."""

    node_id: int = field(Int32, versions="10+")
    host: str = field(String, versions="10+")
    port: int = field(Int32, versions="10+")
    rack: str | None = field(Nullable(String), versions="10+", default=None)


@message(key=0, versions="3-13", flexible="9+")
class ProduceResponse(Message):
    responses: list[TopicProduceResponse] = field(Array(TopicProduceResponse))
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    node_endpoints: list[NodeEndpoint] = field(Array(NodeEndpoint), versions="10+", tag=0)
