"""DeleteTopics on the wire."""

from __future__ import annotations

from flymq_protocol.api.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import a_topic, produce

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    if version < 6:
        request = DeleteTopicsRequest(topic_names=[topic.name])
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    else:
        request = DeleteTopicsRequest([DeleteTopicState(None, topic.id)])
        missing = ErrorCode.UNKNOWN_TOPIC_ID
    (deleted,) = client.call(request, version).responses
    assert (deleted.name, deleted.error_code) == (topic.name, OK)
    (again,) = client.call(request, version).responses
    assert again.error_code == missing
    assert produce(client, topic, a_batch(), version=9).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_refusals(client: Client) -> None:
    topic = a_topic(client)
    for states, expected in (
        ([DeleteTopicState(topic.name, topic.id)], [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState()], [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState(topic.name), DeleteTopicState(None, topic.id)], [ErrorCode.INVALID_REQUEST] * 2),
        ([DeleteTopicState("a/b")], [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]),
        ([DeleteTopicState(topic.name), DeleteTopicState("none")], [OK, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]),
    ):
        answers = client.call(DeleteTopicsRequest(states), 6).responses
        assert [one.error_code for one in answers] == expected
