"""DescribeQuorum: v0-2.

The quorum that keeps the cluster's metadata: this broker, which leads and is the only voter.

Versions:
    v1: times of the replicas (KIP-836). v2: nodes and messages; directory ids, all zero here (KIP-853).
Behaviour:
    * The one partition is `__cluster_metadata`-0. FlyMQ keeps its metadata in rows, not in a log: the offsets count the
      changes of topics since the start.
Errors:
    UNKNOWN_TOPIC_OR_PARTITION: for every partition named, if one is named that is not that one, as in Kafka.
Source:
    KIP-595, KIP-836; KafkaRaftClient.handleDescribeQuorumRequest in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.catalog import CLUSTER_METADATA
from flymq_protocol.api.k55_describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    PartitionDataResult,
    ReplicaState,
    TopicDataResult,
)
from flymq_protocol.errors import ErrorCode

_NODES_FROM = 2
_EPOCH = 1  # of the only leader there ever was


def handle(ctx: RequestContext, request: DescribeQuorumRequest, services: Services) -> DescribeQuorumResponse:
    named = [(topic.topic_name, [one.partition_index for one in topic.partitions]) for topic in request.topics]
    if named != [(CLUSTER_METADATA, [0])]:
        return refuse(request, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    node_id = services.placement.node_id
    changes = services.topics.version
    now_ms = services.env.now_ms()
    voter = ReplicaState(node_id, bytes(16), changes, now_ms, now_ms)
    partition = PartitionDataResult(0, 0, "", node_id, _EPOCH, changes, [voter], [])
    host, port = services.placement.advertised(ctx.local_address)
    response = DescribeQuorumResponse(error_message="", topics=[TopicDataResult(CLUSTER_METADATA, [partition])])
    if ctx.api_version >= _NODES_FROM:
        response.nodes = [Node(node_id, [Listener(services.config.listeners[0].name, host, port)])]
    return response


def refuse(request: DescribeQuorumRequest, code: ErrorCode) -> DescribeQuorumResponse:
    """The same error for every partition."""
    return DescribeQuorumResponse(
        error_code=ErrorCode.NONE if code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION else code,
        error_message="",
        topics=[
            TopicDataResult(
                topic.topic_name,
                [PartitionDataResult(one.partition_index, code, None) for one in topic.partitions],
            )
            for topic in request.topics
        ],
    )
