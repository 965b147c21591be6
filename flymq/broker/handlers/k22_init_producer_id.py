"""InitProducerId: v0-5.

Gives a producer an id that nobody had before, so that its retries can be told from new batches.

Versions:
    v3: producer_id and producer_epoch (KIP-360); without a transactional id they change nothing.
Behaviour:
    * Without a transactional id: a fresh id and epoch 0, whatever was sent along, as in Kafka.
    * Transactions are not there yet; FindCoordinator has refused them, for who asked it.
Errors:
    INVALID_REQUEST: the transactional id is empty, or only one of producer_id and producer_epoch is given.
    CLUSTER_AUTHORIZATION_FAILED: there is a transactional id (see FindCoordinator for why this code).
    COORDINATOR_LOAD_IN_PROGRESS: no id could be stored, or the broker is stopping; clients try again.
Source:
    KIP-98, KIP-360; TransactionCoordinator.handleInitProducerId in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: InitProducerIdRequest, services: Services) -> InitProducerIdResponse | Pending:
    if request.transactional_id == "" or (request.producer_id == -1) != (request.producer_epoch == -1):
        return refuse(request, ErrorCode.INVALID_REQUEST)
    if request.transactional_id is not None:
        return refuse(request, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)

    def finish(result: object) -> InitProducerIdResponse:
        if not isinstance(result, int):
            return refuse(request, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return InitProducerIdResponse(producer_id=result, producer_epoch=0)

    return Pending(services.producer_ids.next(), finish)


def refuse(request: InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse:
    """The error, and no id."""
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
