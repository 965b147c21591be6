"""ElectLeaders: v0-2.

Elects leaders of partitions. The only broker leads all of them, so there is never anything to do.

Versions:
    v1: election types, preferred (0) and unclean (1); error_code (KIP-460).
Behaviour:
    * No list stands for all topics: they are named, without partitions, since only those are told of that need one.
Errors:
    ELECTION_NOT_NEEDED: for each partition named.
    UNKNOWN_TOPIC_OR_PARTITION: there is no such partition. INVALID_REQUEST: another election type.
Source:
    KIP-183, KIP-460; ReplicationControlManager.electLeaders in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq_protocol.api.k43_elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
    TopicPartitions,
)
from flymq_protocol.errors import ErrorCode

_PREFERRED, _UNCLEAN = 0, 1


def handle(ctx: RequestContext, request: ElectLeadersRequest, services: Services) -> ElectLeadersResponse:
    if request.election_type not in (_PREFERRED, _UNCLEAN):
        answer = refuse(request, ErrorCode.INVALID_REQUEST)
        answer.error_code = ErrorCode.INVALID_REQUEST
        return answer
    if request.topic_partitions is None:
        return ElectLeadersResponse(
            replica_election_results=[ReplicaElectionResult(topic.name) for topic in services.topics.all()]
        )
    return ElectLeadersResponse(
        replica_election_results=[
            ReplicaElectionResult(named.topic, [_elect(named.topic, index, services) for index in named.partitions])
            for named in request.topic_partitions
        ]
    )


def _elect(name: str, index: int, services: Services) -> PartitionResult:
    topic = services.topics.get(name)
    if topic is None:
        return PartitionResult(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {name}")
    if not 0 <= index < topic.partition_count:
        return PartitionResult(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {name}-{index}")
    return PartitionResult(index, ErrorCode.ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.")


def refuse(request: ElectLeadersRequest, code: ErrorCode) -> ElectLeadersResponse:
    """The same error for every partition; where all are meant, for one that stands for them, since v0 has no other
    place for it."""
    named = [TopicPartitions("", [-1])] if request.topic_partitions is None else request.topic_partitions
    return ElectLeadersResponse(
        replica_election_results=[
            ReplicaElectionResult(topic.topic, [PartitionResult(index, code, None) for index in topic.partitions])
            for topic in named
        ]
    )
