"""AlterReplicaLogDirs on the wire."""

from __future__ import annotations

from flymq_protocol.api.k34_alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from flymq_protocol.api.k35_describe_log_dirs import DescribeLogDirsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic


def move(client: Client, folder: str, topic: str, *indexes: int, version: int = 2) -> list[tuple[int, int]]:
    """(partition, error code) each, sorted."""
    asked = [AlterReplicaLogDir(folder, [AlterReplicaLogDirTopic(topic, list(indexes))])]
    (result,) = client.call(AlterReplicaLogDirsRequest(asked), version).results
    assert result.topic_name == topic
    return sorted((one.partition_index, one.error_code) for one in result.partitions)


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2).name
    folder = client.call(DescribeLogDirsRequest([]), 5).results[0].log_dir
    assert move(client, folder, topic, 1, 0, version=version) == [(0, 0), (1, 0)]


def test_refusals(client: Client) -> None:
    topic = a_topic(client).name
    folder = client.call(DescribeLogDirsRequest([]), 5).results[0].log_dir
    assert move(client, "/elsewhere", topic, 0) == [(0, ErrorCode.LOG_DIR_NOT_FOUND)]
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert move(client, folder, topic, 1, -1) == [(-1, unknown), (1, unknown)]
    assert move(client, folder, "none", 0) == [(0, unknown)]


def test_a_partition_in_two_folders_is_answered_once_for_the_last(client: Client) -> None:
    topic = a_topic(client).name
    folder = client.call(DescribeLogDirsRequest([]), 5).results[0].log_dir
    asked = [AlterReplicaLogDir(path, [AlterReplicaLogDirTopic(topic, [0])]) for path in ("/elsewhere", folder)]
    (result,) = client.call(AlterReplicaLogDirsRequest(asked), 2).results
    assert [(one.partition_index, one.error_code) for one in result.partitions] == [(0, 0)]
