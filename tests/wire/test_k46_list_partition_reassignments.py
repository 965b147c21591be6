"""ListPartitionReassignments on the wire."""

from __future__ import annotations

from flymq_protocol.api.k46_list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsTopics,
)

from .client import Client
from .kit import a_topic
from .test_k45_alter_partition_reassignments import move


def happy(client: Client, version: int) -> None:
    topic = a_topic(client).name
    assert move(client, topic, 0, [1]) == 0
    named = [ListPartitionReassignmentsTopics(topic, [0]), ListPartitionReassignmentsTopics("none", [0])]
    for topics in (None, named):
        answer = client.call(ListPartitionReassignmentsRequest(topics=topics), version)
        assert (answer.error_code, answer.error_message, answer.topics) == (0, None, [])
