"""AddPartitionsToTxn: put partitions into a transaction.

Versions:
    v2: PRODUCER_FENCED (KIP-588). v3: flexible. v4: many transactions, verify_only; for brokers (KIP-890).
    v5: TRANSACTION_ABORTABLE (KIP-890).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Int64, String


@struct
class AddPartitionsToTxnTopic(Struct):
    """A topic and its partitions."""

    name: str = field(String)
    partitions: list[int] = field(Array(Int32))


@struct
class AddPartitionsToTxnTransaction(Struct):
    """One transaction, and what to add to it."""

    transactional_id: str = field(String, versions="4+")
    producer_id: int = field(Int64, versions="4+")
    producer_epoch: int = field(Int16, versions="4+")
    verify_only: bool = field(Bool, versions="4+")
    topics: list[AddPartitionsToTxnTopic] = field(Array(AddPartitionsToTxnTopic), versions="4+")


@message(key=24, versions="0-5", flexible="3+")
class AddPartitionsToTxnRequest(Message):
    transactions: list[AddPartitionsToTxnTransaction] = field(Array(AddPartitionsToTxnTransaction), versions="4+")
    v3_and_below_transactional_id: str = field(String, versions="0-3")
    v3_and_below_producer_id: int = field(Int64, versions="0-3")
    v3_and_below_producer_epoch: int = field(Int16, versions="0-3")
    v3_and_below_topics: list[AddPartitionsToTxnTopic] = field(Array(AddPartitionsToTxnTopic), versions="0-3")


@struct
class AddPartitionsToTxnPartitionResult(Struct):
    """Whether one partition was added."""

    partition_index: int = field(Int32)
    partition_error_code: int = field(Int16)


@struct
class AddPartitionsToTxnTopicResult(Struct):
    """Results of one topic."""

    name: str = field(String)
    results_by_partition: list[AddPartitionsToTxnPartitionResult] = field(Array(AddPartitionsToTxnPartitionResult))


@struct
class AddPartitionsToTxnResult(Struct):
    """Results of one transaction."""

    transactional_id: str = field(String, versions="4+")
    topic_results: list[AddPartitionsToTxnTopicResult] = field(Array(AddPartitionsToTxnTopicResult), versions="4+")


@message(key=24, versions="0-5", flexible="3+")
class AddPartitionsToTxnResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16, versions="4+", ignorable=True)
    results_by_transaction: list[AddPartitionsToTxnResult] = field(Array(AddPartitionsToTxnResult), versions="4+")
    results_by_topic_v3_and_below: list[AddPartitionsToTxnTopicResult] = field(
        Array(AddPartitionsToTxnTopicResult), versions="0-3"
    )
