"""AddOffsetsToTxn: v0-4.

Puts a group into a producer's transaction before it commits offsets of it with TxnOffsetCommit.

Versions:
    v2: PRODUCER_FENCED (KIP-588). v4: nothing for FlyMQ (KIP-890).
Behaviour:
    * Answered once it is durable.
    * Clients of the newest TxnOffsetCommit need not ask: that adds the group itself.
Errors:
    INVALID_REQUEST: the transactional id is empty.
    INVALID_PRODUCER_ID_MAPPING: the transactional id is not known, or has another producer id.
    PRODUCER_FENCED, INVALID_PRODUCER_EPOCH before v2: the epoch is not the current one.
    CONCURRENT_TRANSACTIONS: the transaction before is being ended; try again.
    COORDINATOR_NOT_AVAILABLE: try again.
Source:
    KIP-98; KafkaApis.handleAddOffsetsToTxnRequest in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.txn.events import AddTargets
from flymq.core.txn.transaction import Producer
from flymq.runtime.groups import failure, when_done
from flymq.runtime.waiting import Pending
from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse
from flymq_protocol.errors import ErrorCode

_KNOWS_FENCED_FROM = 2


def handle(
    ctx: RequestContext, request: AddOffsetsToTxnRequest, services: Services
) -> AddOffsetsToTxnResponse | Pending:
    version = ctx.api_version
    producer = Producer(request.producer_id, request.producer_epoch)
    group = services.groups.shard_of(request.group_id)

    def finish(result: object) -> AddOffsetsToTxnResponse:
        error = failure(result) or ErrorCode.NONE
        if error == ErrorCode.PRODUCER_FENCED and version < _KNOWS_FENCED_FROM:
            error = ErrorCode.INVALID_PRODUCER_EPOCH
        return refuse(request, error)

    token = services.transactions.request(AddTargets(request.transactional_id, producer, [], [group]))
    answered: AddOffsetsToTxnResponse | Pending = when_done(token, finish)
    return answered


def refuse(request: AddOffsetsToTxnRequest, code: ErrorCode) -> AddOffsetsToTxnResponse:
    return AddOffsetsToTxnResponse(error_code=code)
