"""EndTxn: commit or abort a transaction.

Versions:
    v2: PRODUCER_FENCED (KIP-588). v3: flexible. v4: TRANSACTION_ABORTABLE (KIP-890).
    v5: the epoch rises with every transaction (KIP-890).
"""

from ..message import Message, field, message
from ..types import Bool, Int16, Int32, Int64, String


@message(key=26, versions="0-5", flexible="3+")
class EndTxnRequest(Message):
    transactional_id: str = field(String)
    producer_id: int = field(Int64)
    producer_epoch: int = field(Int16)
    committed: bool = field(Bool)


@message(key=26, versions="0-5", flexible="3+")
class EndTxnResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16)
    producer_id: int = field(Int64, versions="5+", default=-1, ignorable=True)
    producer_epoch: int = field(Int16, versions="5+", default=-1, ignorable=True)
