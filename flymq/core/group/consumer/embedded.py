"""The ConsumerProtocol payloads that classic members put into JoinGroup and expect from SyncGroup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flymq.core.group.consumer.events import Partition
from flymq.core.group.consumer.topics import KnownTopics

if TYPE_CHECKING:
    from flymq_protocol.consumer_protocol import ConsumerProtocolSubscription, TopicPartition

CONSUMER = "consumer"


def read_subscription(metadata: bytes) -> ConsumerProtocolSubscription:
    """Raises `ProtocolError`."""
    from flymq_protocol.consumer_protocol import ConsumerProtocolSubscription, decode_payload

    return decode_payload(ConsumerProtocolSubscription, metadata)


def read_assignment(assignment: bytes, topics: KnownTopics) -> frozenset[Partition]:
    """The partitions of topics that exist; none where there is no assignment. Raises `ProtocolError`."""
    if not assignment:
        return frozenset()
    from flymq_protocol.consumer_protocol import ConsumerProtocolAssignment, decode_payload

    return by_id(decode_payload(ConsumerProtocolAssignment, assignment).assigned_partitions, topics)


def by_id(partitions: Iterable[TopicPartition], topics: KnownTopics) -> frozenset[Partition]:
    return frozenset(
        (found[0], partition)
        for topic in partitions if (found := topics.get(topic.topic)) is not None for partition in topic.partitions
    )


def write_assignment(partitions: Iterable[Partition], metadata: bytes, topics: KnownTopics) -> bytes:
    """In the version of the member's own metadata, or the newest."""
    from flymq_protocol.consumer_protocol import ConsumerProtocolAssignment, TopicPartition, encode_payload

    named: dict[str, list[int]] = {}
    for topic_id, partition in sorted(partitions):
        name = topics.name_of(topic_id)
        if name is not None:
            named.setdefault(name, []).append(partition)
    version = int.from_bytes(metadata[:2], "big", signed=True) if len(metadata) >= 2 else 0
    assignment = ConsumerProtocolAssignment([TopicPartition(name, numbers) for name, numbers in named.items()])
    return encode_payload(assignment, min(max(version, 0), ConsumerProtocolAssignment.MAX_VERSION))
