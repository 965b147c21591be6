"""DescribeTransactions: the state of transactions (KIP-664)."""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, String


@message(key=65, versions="0", flexible="0+")
class DescribeTransactionsRequest(Message):
    transactional_ids: list[str] = field(Array(String))


@struct
class TopicData(Struct):
    """Partitions of one topic in the transaction."""

    topic: str = field(String)
    partitions: list[int] = field(Array(Int32))


@struct
class TransactionState(Struct):
    """One transactional id's transaction."""

    error_code: int = field(Int16)
    transactional_id: str = field(String)
    transaction_state: str = field(String)
    transaction_timeout_ms: int = field(Int32)
    transaction_start_time_ms: int = field(Int64)
    producer_id: int = field(Int64)
    producer_epoch: int = field(Int16)
    topics: list[TopicData] = field(Array(TopicData))


@message(key=65, versions="0", flexible="0+")
class DescribeTransactionsResponse(Message):
    throttle_time_ms: int = field(Int32)
    transaction_states: list[TransactionState] = field(Array(TransactionState))
