"""ElectLeaders on the wire."""

from __future__ import annotations

from flymq_protocol.api.k43_elect_leaders import ElectLeadersRequest, TopicPartitions
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic

NOT_NEEDED = ErrorCode.ELECTION_NOT_NEEDED
UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2).name
    named = [TopicPartitions(topic, [1, 0, 2, -1]), TopicPartitions("none", [0])]
    for kind in (0, 1) if version else (0,):
        answer = client.call(ElectLeadersRequest(kind, named), version)
        found = {
            result.topic: [(one.partition_id, one.error_code) for one in result.partition_result]
            for result in answer.replica_election_results
        }
        assert answer.error_code == 0
        assert found == {topic: [(1, NOT_NEEDED), (0, NOT_NEEDED), (2, UNKNOWN), (-1, UNKNOWN)], "none": [(0, UNKNOWN)]}


def test_of_all_only_those_are_told_that_need_one(client: Client) -> None:
    topic = a_topic(client, 2).name
    results = client.call(ElectLeadersRequest(0, None), 2).replica_election_results
    assert topic in {result.topic for result in results}
    assert all(result.partition_result == [] for result in results)
    assert client.call(ElectLeadersRequest(0, []), 2).replica_election_results == []


def test_an_unknown_kind(client: Client) -> None:
    answer = client.call(ElectLeadersRequest(2, [TopicPartitions("t", [0])]), 2)
    assert answer.error_code == ErrorCode.INVALID_REQUEST
    assert answer.replica_election_results[0].partition_result[0].error_code == ErrorCode.INVALID_REQUEST
