"""ListTransactions: transactions by state, producer, age, id (KIP-664).

Versions:
    v1: duration_filter (KIP-994). v2: transactional_id_pattern (KIP-1152).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Int64, Nullable, String


@message(key=66, versions="0-2", flexible="0+")
class ListTransactionsRequest(Message):
    state_filters: list[str] = field(Array(String))
    producer_id_filters: list[int] = field(Array(Int64))
    duration_filter: int = field(Int64, versions="1+", default=-1)
    transactional_id_pattern: str | None = field(Nullable(String), versions="2+", default=None)


@struct
class TransactionState(Struct):
    """One transactional id and its state."""

    transactional_id: str = field(String)
    producer_id: int = field(Int64)
    transaction_state: str = field(String)


@message(key=66, versions="0-2", flexible="0+")
class ListTransactionsResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16)
    unknown_state_filters: list[str] = field(Array(String))
    transaction_states: list[TransactionState] = field(Array(TransactionState))
