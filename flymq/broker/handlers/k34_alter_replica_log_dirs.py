"""AlterReplicaLogDirs: v1-2.

Moves partitions to another log folder. FlyMQ has one, so a partition can only stay where it is.

Versions:
    v2: flexible.
Behaviour:
    * To the folder that DescribeLogDirs names: nothing to do.
    * A partition named twice goes to the last of its folders, and is answered once.
Errors:
    LOG_DIR_NOT_FOUND: another folder.
    UNKNOWN_TOPIC_OR_PARTITION: there is no such partition.
Source:
    KIP-113; ReplicaManager.alterReplicaLogDirs in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq_protocol.api.k34_alter_replica_log_dirs import (
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopicResult,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: AlterReplicaLogDirsRequest, services: Services
) -> AlterReplicaLogDirsResponse:
    def move(path: str, name: str, index: int) -> ErrorCode:
        if path != services.engine.location:
            return ErrorCode.LOG_DIR_NOT_FOUND
        topic = services.topics.get(name)
        if topic is None or not 0 <= index < topic.partition_count:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return ErrorCode.NONE

    paths = {
        (topic.name, index): one.path for one in request.dirs for topic in one.topics for index in topic.partitions
    }
    answers: dict[str, AlterReplicaLogDirTopicResult] = {}
    for (name, index), path in paths.items():
        answer = answers.setdefault(name, AlterReplicaLogDirTopicResult(name, []))
        answer.partitions.append(AlterReplicaLogDirPartitionResult(index, move(path, name, index)))
    return AlterReplicaLogDirsResponse(results=list(answers.values()))


def refuse(request: AlterReplicaLogDirsRequest, code: ErrorCode) -> AlterReplicaLogDirsResponse:
    """The same error for every partition."""
    return AlterReplicaLogDirsResponse(
        results=[
            AlterReplicaLogDirTopicResult(
                topic.name, [AlterReplicaLogDirPartitionResult(index, code) for index in topic.partitions]
            )
            for one in request.dirs
            for topic in one.topics
        ]
    )
