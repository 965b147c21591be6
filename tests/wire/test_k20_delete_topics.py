"""DeleteTopics on the wire."""

from __future__ import annotations

from flymq_protocol.api.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import NO_ID, a_topic, produce, until

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    if version < 6:
        request = DeleteTopicsRequest(topic_names=[topic.name], timeout_ms=30_000)
        missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    else:
        request = DeleteTopicsRequest([DeleteTopicState(None, topic.id)], timeout_ms=30_000)
        missing = ErrorCode.UNKNOWN_TOPIC_ID
    (deleted,) = client.call(request, version).responses
    assert (deleted.name, deleted.error_code) == (topic.name, OK)
    (again,) = client.call(request, version).responses
    assert again.error_code == missing
    until(lambda: produce(client, topic, a_batch(), version=9).error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_refusals(client: Client) -> None:
    topic = a_topic(client)
    for states, expected in (
        ([DeleteTopicState(topic.name, topic.id)], [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState()], [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState()] * 2, [ErrorCode.INVALID_REQUEST] * 2),
        ([DeleteTopicState(topic.name), DeleteTopicState(None, topic.id)], [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState(topic.name)] * 3, [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState(None, topic.id)] * 2, [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState("none")] * 2, [ErrorCode.INVALID_REQUEST]),
        ([DeleteTopicState("a/b")], [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]),
        ([DeleteTopicState(topic.name), DeleteTopicState("none")], [OK, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]),
    ):
        answers = client.call(DeleteTopicsRequest(states, timeout_ms=30_000), 6).responses
        assert sorted(one.error_code for one in answers) == sorted(expected)  # in any order on Kafka


def test_a_topic_is_deleted_by_the_one_name_that_is_not_twice(client: Client) -> None:
    topic = a_topic(client)
    states = [DeleteTopicState(topic.name), DeleteTopicState(None, topic.id), DeleteTopicState(topic.name)]
    answers = client.call(DeleteTopicsRequest(states, timeout_ms=30_000), 6).responses
    assert {(one.topic_id, one.error_code) for one in answers} == {(NO_ID, ErrorCode.INVALID_REQUEST), (topic.id, OK)}
