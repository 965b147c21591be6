"""Transactions through their coordinator, as clients speak to it."""

from __future__ import annotations

from operator import attrgetter

from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from flymq_protocol.api.k24_add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
)
from flymq_protocol.api.k26_end_txn import EndTxnRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import Topic, a_name, until


def init(client: Client, name: str) -> tuple[int, int]:
    """Producer id and epoch."""
    answer = client.call(InitProducerIdRequest(name, 60_000), 5)
    assert answer.error_code == ErrorCode.NONE, answer
    return answer.producer_id, answer.producer_epoch


def take_over(client: Client, name: str) -> tuple[int, int]:
    """As `init`, while a transaction is open: Kafka wants to be asked again until it is aborted."""
    request = InitProducerIdRequest(name, 60_000)
    until(lambda: client.call(request, 5).error_code, ErrorCode.NONE)
    return init(client, name)


def start(client: Client) -> tuple[str, int, int]:
    """A transactional id that no other test has, its producer id and epoch."""
    name = a_name("txn")
    return (name, *init(client, name))


def adding(name: str, producer_id: int, epoch: int, topic: Topic, *indexes: int) -> AddPartitionsToTxnRequest:
    topics = [AddPartitionsToTxnTopic(topic.name, list(indexes or (0,)))]
    return AddPartitionsToTxnRequest([], name, producer_id, epoch, topics)


def add(
    client: Client, name: str, producer_id: int, epoch: int, topic: Topic, *indexes: int, version: int = 3
) -> list[int]:
    """The partitions' error codes, in their order."""
    answer = client.call(adding(name, producer_id, epoch, topic, *indexes), version)
    return in_order(answer.results_by_topic_v3_and_below)


def in_order(topics: list[AddPartitionsToTxnTopicResult]) -> list[int]:
    """The error codes of a topic's partitions, which Kafka answers in any order."""
    (topic,) = topics
    results = sorted(topic.results_by_partition, key=attrgetter("partition_index"))
    return [one.partition_error_code for one in results]


def end(
    client: Client, name: str, producer_id: int, epoch: int, commit: bool, *, version: int = 5
) -> tuple[int, int, int]:
    """Error code, producer id, epoch."""
    answer = client.call(EndTxnRequest(name, producer_id, epoch, commit), version)
    return answer.error_code, answer.producer_id, answer.producer_epoch
