"""EndTxn: v0-5.

Commits or aborts a producer's transaction: all its partitions and group offsets, or none.

Versions:
    v2: PRODUCER_FENCED (KIP-588). v4: nothing for FlyMQ. v5: each end raises the producer's epoch, and the
    answer says to what (KIP-890).
Behaviour:
    * Answered once the outcome is durable in every partition and group. Kafka answers as soon as it is
      decided, and refuses the next transaction with CONCURRENT_TRANSACTIONS meanwhile.
    * Before v5, the same once more is answered NONE.
    * From v5 on, the epoch tells what is meant: the one before is a repetition, which changes nothing; the current
      one is the next end. With nothing open, that may be an abort, which raises the epoch once more.
    * From v5 on, after epoch 32766 comes a new producer id.
Errors:
    INVALID_REQUEST: the transactional id is empty.
    INVALID_PRODUCER_ID_MAPPING: the transactional id is not known, or has another producer id.
    PRODUCER_FENCED, INVALID_PRODUCER_EPOCH before v2: the epoch is another one.
    INVALID_TXN_STATE: there is nothing to end, or it is ended, or being ended, the other way.
    CONCURRENT_TRANSACTIONS: it is being ended this way; try again.
    COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS: try again.
Source:
    KIP-98, KIP-890; TransactionCoordinator.endTransaction in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.txn.events import EndTxn
from flymq.core.txn.transaction import Producer
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k26_end_txn import EndTxnRequest, EndTxnResponse
from flymq_protocol.errors import ErrorCode

_KNOWS_FENCED_FROM = 2
_BUMPS_FROM = 5


def handle(ctx: RequestContext, request: EndTxnRequest, services: Services) -> EndTxnResponse | Pending:
    version = ctx.api_version
    event = EndTxn(
        request.transactional_id,
        Producer(request.producer_id, request.producer_epoch),
        request.committed,
        bumps=version >= _BUMPS_FROM,
    )

    def finish(result: object) -> EndTxnResponse:
        if isinstance(result, Producer):
            return EndTxnResponse(producer_id=result.id, producer_epoch=result.epoch)
        error = failure(result) or ErrorCode.UNKNOWN_SERVER_ERROR
        if error == ErrorCode.PRODUCER_FENCED and version < _KNOWS_FENCED_FROM:
            error = ErrorCode.INVALID_PRODUCER_EPOCH
        return refuse(request, error)

    answered: EndTxnResponse | Pending = when_done(services.transactions.request_producer(event), finish)
    return answered


def refuse(request: EndTxnRequest, code: ErrorCode) -> EndTxnResponse:
    return EndTxnResponse(error_code=code)
