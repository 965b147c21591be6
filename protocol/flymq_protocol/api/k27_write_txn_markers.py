"""WriteTxnMarkers: end transactions in partitions; from a coordinator.

Versions:
    v1: flexible. v2: transaction_version (KIP-1228).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Int64, String


@struct
class WritableTxnMarkerTopic(Struct):
    """Partitions of one topic that get the marker."""

    name: str = field(String)
    partition_indexes: list[int] = field(Array(Int32))


@struct
class WritableTxnMarker(Struct):
    """One producer's transaction and its outcome."""

    producer_id: int = field(Int64)
    producer_epoch: int = field(Int16)
    transaction_result: bool = field(Bool)
    topics: list[WritableTxnMarkerTopic] = field(Array(WritableTxnMarkerTopic))
    coordinator_epoch: int = field(Int32)
    transaction_version: int = field(Int8, versions="2+", ignorable=True)


@message(key=27, versions="1-2", flexible="1+")
class WriteTxnMarkersRequest(Message):
    markers: list[WritableTxnMarker] = field(Array(WritableTxnMarker))


@struct
class WritableTxnMarkerPartitionResult(Struct):
    """Whether one partition has the marker."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)


@struct
class WritableTxnMarkerTopicResult(Struct):
    """Results of one topic."""

    name: str = field(String)
    partitions: list[WritableTxnMarkerPartitionResult] = field(Array(WritableTxnMarkerPartitionResult))


@struct
class WritableTxnMarkerResult(Struct):
    """Results of one producer."""

    producer_id: int = field(Int64)
    topics: list[WritableTxnMarkerTopicResult] = field(Array(WritableTxnMarkerTopicResult))


@message(key=27, versions="1-2", flexible="1+")
class WriteTxnMarkersResponse(Message):
    markers: list[WritableTxnMarkerResult] = field(Array(WritableTxnMarkerResult))
