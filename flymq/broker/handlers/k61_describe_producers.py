"""DescribeProducers: v0-0.

Lists the producers that partitions remember: their last batch, and where their open transaction begins.

Behaviour:
    * Idempotent and transactional producers alike, until `producer.id.expiration.ms` after their last batch.
    * None in partitions of internal topics, which hold no records.
    * -1 for what a producer does not have: a last sequence, a coordinator's epoch, an open transaction.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: no such partition.
    INVALID_TOPIC_EXCEPTION: no topic can have that name.
    KAFKA_STORAGE_ERROR: the partition is offline.
Source:
    KIP-664; KafkaApis.handleDescribeProducersRequest, ProducerStateManager in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import why_illegal
from flymq.core.log.producers import Producers
from flymq.core.log.transactions import NO_COORDINATOR
from flymq_protocol.api.k61_describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: DescribeProducersRequest, services: Services) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(topic.name, [_describe(services, topic.name, index) for index in topic.partition_indexes])
            for topic in request.topics
        ]
    )


def _describe(services: Services, topic: str, index: int) -> PartitionResponse:
    partition = services.partitions.find(topic, index)
    if partition is None and _is_internal(services, topic, index):
        return PartitionResponse(index)
    if partition is None and (illegal := why_illegal(topic)) is not None:
        return PartitionResponse(index, ErrorCode.INVALID_TOPIC_EXCEPTION, illegal)
    if partition is None:
        return PartitionResponse(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "there is no such partition")
    if partition.offline is not None:
        return PartitionResponse(index, ErrorCode.KAFKA_STORAGE_ERROR, str(partition.offline))
    return PartitionResponse(index, active_producers=_active(partition.log.producers))


def _is_internal(services: Services, topic: str, index: int) -> bool:
    """Nobody writes there; but tools that look for hanging transactions ask for every partition."""
    found = services.topics.get(topic)
    return found is not None and found.is_internal and 0 <= index < found.partition_count


def _active(producers: Producers) -> list[ProducerState]:
    transactions = producers.transactions
    return [
        ProducerState(
            producer_id,
            epoch,
            last_sequence=batches[-1][1],
            last_timestamp=batches[-1][4],
            coordinator_epoch=transactions.coordinator_epochs.get(producer_id, NO_COORDINATOR),
            current_txn_start_offset=transactions.open.get(producer_id, -1),
        )
        for producer_id, (epoch, _, batches) in producers.entries.items()
    ]


def refuse(request: DescribeProducersRequest, code: ErrorCode) -> DescribeProducersResponse:
    """The same error for every partition."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(topic.name, [PartitionResponse(index, code) for index in topic.partition_indexes])
            for topic in request.topics
        ]
    )
