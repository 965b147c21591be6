"""DescribeQuorum on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k55_describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic
from .marks import deviates

METADATA = "__cluster_metadata"


def asking(*topics: tuple[str, list[int]]) -> DescribeQuorumRequest:
    return DescribeQuorumRequest([TopicData(name, [PartitionData(index) for index in found]) for name, found in topics])


def happy(client: Client, version: int) -> None:
    ends = []
    for _ in range(2):
        a_topic(client)
        answer = client.call(asking((METADATA, [0])), version)
        assert (answer.error_code, answer.topics[0].topic_name) == (0, METADATA)
        (quorum,) = answer.topics[0].partitions
        (voter,) = quorum.current_voters
        assert (quorum.error_code, quorum.leader_id, voter.replica_id, quorum.observers) == (0, 1, 1, [])
        assert quorum.leader_epoch >= 1
        assert quorum.high_watermark == voter.log_end_offset > 0
        ends.append(quorum.high_watermark)
        if version >= 1:
            assert voter.last_caught_up_timestamp == voter.last_fetch_timestamp > 0
        if version >= 2:
            (node,) = answer.nodes
            (listener,) = node.listeners
            assert (node.node_id, listener.host) == (1, client.socket.getpeername()[0])
            assert listener.port > 0
    assert ends[0] < ends[1]


@deviates("DescribeQuorum")
def test_the_listener_of_the_quorum_is_the_brokers(client: Client) -> None:
    (node,) = client.call(asking((METADATA, [0])), 2).nodes
    assert [(one.host, one.port) for one in node.listeners] == [client.socket.getpeername()]


@pytest.mark.parametrize(
    "topics", [[(METADATA, [1])], [(METADATA, [0, 1])], [("other", [0])], [(METADATA, [0]), ("other", [0])]]
)
def test_no_other_partition_has_a_quorum(client: Client, topics: list[tuple[str, list[int]]]) -> None:
    answer = client.call(asking(*topics), 2)
    found = [(one.topic_name, [(each.partition_index, each.error_code) for each in one.partitions])
             for one in answer.topics]  # fmt: skip
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert answer.error_code == 0
    assert found == [(name, [(index, unknown) for index in indexes]) for name, indexes in topics]


def test_nothing_asked(client: Client) -> None:
    answer = client.call(asking(), 2)
    assert (answer.error_code, answer.topics, answer.nodes) == (0, [], [])
