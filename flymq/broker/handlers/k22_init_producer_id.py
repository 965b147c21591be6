"""InitProducerId: v0-5.

Gives a producer an id that nobody had before, so that its retries can be told from new batches; or, with a
transactional id, the next epoch of the producer that it names, which fences whoever had the last one.

Versions:
    v3: producer_id and producer_epoch, to go on with them (KIP-360); without a transactional id they change
    nothing. v4: PRODUCER_FENCED (KIP-588).
Behaviour:
    * Without a transactional id: a fresh id and epoch 0, whatever was sent along, as in Kafka.
    * A transaction that is open is aborted first. Kafka answers CONCURRENT_TRANSACTIONS meanwhile; here the
      answer waits.
    * With the producer of the last answer but one, what is answered is the last answer again.
    * After epoch 32766 comes a new producer id.
Errors:
    INVALID_REQUEST: the transactional id is empty, or only one of producer_id and producer_epoch is given.
    INVALID_TRANSACTION_TIMEOUT: not above 0, or above transaction.max.timeout.ms.
    PRODUCER_FENCED, INVALID_PRODUCER_EPOCH before v4: somebody else has that transactional id now.
    COORDINATOR_LOAD_IN_PROGRESS: no id could be stored, or the broker is stopping; clients try again.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-98, KIP-360, KIP-588; TransactionCoordinator.handleInitProducerId in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.txn.events import InitProducerId
from flymq.core.txn.transaction import Producer
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from flymq_protocol.errors import ErrorCode

_KNOWS_FENCED_FROM = 4


def handle(ctx: RequestContext, request: InitProducerIdRequest, services: Services) -> InitProducerIdResponse | Pending:
    if request.transactional_id == "" or (request.producer_id == -1) != (request.producer_epoch == -1):
        return refuse(request, ErrorCode.INVALID_REQUEST)
    if request.transactional_id is not None:
        return _transactional(ctx, request, request.transactional_id, services)

    def finish(result: object) -> InitProducerIdResponse:
        if not isinstance(result, int):
            return refuse(request, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return InitProducerIdResponse(producer_id=result, producer_epoch=0)

    return Pending(services.producer_ids.next(), finish)


def _transactional(
    ctx: RequestContext, request: InitProducerIdRequest, transactional_id: str, services: Services
) -> InitProducerIdResponse | Pending:
    version = ctx.api_version
    claimed = Producer(request.producer_id, request.producer_epoch)
    event = InitProducerId(transactional_id, request.transaction_timeout_ms, claimed)

    def finish(result: object) -> InitProducerIdResponse:
        if isinstance(result, Producer):
            return InitProducerIdResponse(producer_id=result.id, producer_epoch=result.epoch)
        error = failure(result) or ErrorCode.UNKNOWN_SERVER_ERROR
        if error == ErrorCode.PRODUCER_FENCED and version < _KNOWS_FENCED_FROM:
            error = ErrorCode.INVALID_PRODUCER_EPOCH
        return refuse(request, error)

    answered: InitProducerIdResponse | Pending = when_done(services.transactions.request_producer(event), finish)
    return answered


def refuse(request: InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse:
    """The error, and no id."""
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
