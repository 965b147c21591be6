"""DescribeLogDirs: v1-5.

The folder of the logs, and how many bytes each partition has in it.

Versions:
    v3: error_code. v4: bytes of the disk (KIP-827). v5: is_cordoned; never (KIP-1066).
Behaviour:
    * One folder, by its absolute path; a broker in memory calls it `memory`, and knows no disk.
    * Null topics: all that have logs. What is named and not there is left out, as are partitions that are offline.
    * Sizes are those of the record batches, without indexes. Nothing is being moved: lag 0.
Errors:
    None of FlyMQ's own.
Source:
    KIP-113, KIP-827; ReplicaManager.describeLogDirs in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.runtime.partitions import Partition
from flymq_protocol.api.k35_describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from flymq_protocol.errors import ErrorCode


def handle(ctx: RequestContext, request: DescribeLogDirsRequest, services: Services) -> DescribeLogDirsResponse:
    by_topic: dict[str, list[Partition]] = {}
    for partition in _wanted(request, services):
        if partition.offline is None:
            by_topic.setdefault(partition.ref.topic, []).append(partition)
    total, usable = services.engine.disk_bytes()
    topics = [DescribeLogDirsTopic(name, [_row(one) for one in found]) for name, found in by_topic.items()]
    return DescribeLogDirsResponse(
        results=[DescribeLogDirsResult(0, services.engine.location, topics, total, usable, False)]
    )


def _wanted(request: DescribeLogDirsRequest, services: Services) -> list[Partition]:
    if request.topics is None:
        return list(services.partitions)
    named = dict.fromkeys((topic.topic, index) for topic in request.topics for index in topic.partitions)
    found = (services.partitions.find(*one) for one in named)
    return [partition for partition in found if partition is not None]


def _row(partition: Partition) -> DescribeLogDirsPartition:
    size = sum(segment.size_bytes for segment in partition.store.segments())
    return DescribeLogDirsPartition(partition.index, size, 0, False)


def refuse(request: DescribeLogDirsRequest, code: ErrorCode) -> DescribeLogDirsResponse:
    """The error, and for a folder without a name, since older versions have no other place for it."""
    return DescribeLogDirsResponse(error_code=code, results=[DescribeLogDirsResult(code, "")])
