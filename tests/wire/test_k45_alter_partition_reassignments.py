"""AlterPartitionReassignments on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic


def move(client: Client, topic: str, index: int, replicas: list[int] | None, version: int = 1) -> int:
    asked = [ReassignableTopic(topic, [ReassignablePartition(index, replicas)])]
    answer = client.call(AlterPartitionReassignmentsRequest(topics=asked), version)
    (result,) = answer.responses
    (one,) = result.partitions
    assert (answer.error_code, result.name, one.partition_index) == (0, topic, index)
    code: int = one.error_code
    return code


def happy(client: Client, version: int) -> None:
    assert move(client, a_topic(client, 2).name, 1, [1], version) == 0


@pytest.mark.parametrize(
    ("topic", "index", "replicas", "code"),
    [
        ("none", 0, [1], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (None, 1, [1], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (None, -1, None, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (None, 0, None, ErrorCode.NO_REASSIGNMENT_IN_PROGRESS),
        (None, 0, [], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (None, 0, [1, 1], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (None, 0, [2], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (None, 0, [1, 2], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (None, 0, [-1], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_refusals(client: Client, topic: str | None, index: int, replicas: list[int] | None, code: ErrorCode) -> None:
    assert move(client, topic or a_topic(client).name, index, replicas) == code


@pytest.mark.parametrize("is_allowed", [True, False])
def test_the_flag_is_repeated_where_there_are_topics(client: Client, is_allowed: bool) -> None:
    topics = [ReassignableTopic("none", [ReassignablePartition(0, [1])])]
    for asked, told in ((topics, is_allowed), ([], True)):
        request = AlterPartitionReassignmentsRequest(allow_replication_factor_change=is_allowed, topics=asked)
        assert client.call(request, 1).allow_replication_factor_change is told
