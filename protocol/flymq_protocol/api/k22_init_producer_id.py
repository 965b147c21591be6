"""InitProducerId: get a producer id, or the next epoch of one.

Versions:
    v2: flexible. v3: producer id and epoch, to go on with them (KIP-360). v4: PRODUCER_FENCED (KIP-588).
    v5: TRANSACTION_ABORTABLE (KIP-890). Kafka's v6 (KIP-939) is unstable and left out.
"""

from ..message import Message, field, message
from ..types import Int16, Int32, Int64, Nullable, String


@message(key=22, versions="0-5", flexible="2+")
class InitProducerIdRequest(Message):
    transactional_id: str | None = field(Nullable(String))
    transaction_timeout_ms: int = field(Int32)
    producer_id: int = field(Int64, versions="3+", default=-1)
    producer_epoch: int = field(Int16, versions="3+", default=-1)


@message(key=22, versions="0-5", flexible="2+")
class InitProducerIdResponse(Message):
    throttle_time_ms: int = field(Int32, ignorable=True)
    error_code: int = field(Int16)
    producer_id: int = field(Int64, default=-1)
    producer_epoch: int = field(Int16)
