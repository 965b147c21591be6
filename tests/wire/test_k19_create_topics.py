"""CreateTopics on the wire; every rule of it is tested in tests/broker/handlers and tests/core/catalog."""

from __future__ import annotations

from flymq_protocol.api.k03_metadata import MetadataRequest, MetadataRequestTopic
from flymq_protocol.api.k19_create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import Topic, a_name, a_topic, produce, until_there

OK = ErrorCode.NONE


def codes(client: Client, *topics: CreatableTopic, validate_only: bool = False) -> list[int]:
    response = client.call(CreateTopicsRequest(list(topics), validate_only=validate_only), 7)
    return [one.error_code for one in response.topics]


def happy(client: Client, version: int) -> None:
    name = a_name()
    settings = [CreatableTopicConfig("retention.ms", "1000")]
    (created,) = client.call(CreateTopicsRequest([CreatableTopic(name, 3, 1, [], settings)]), version).topics
    assert (created.name, created.error_code) == (name, OK)
    until_there(client, name, 3)
    assert produce(client, Topic(name, created.topic_id), a_batch(), 2, version=9).base_offset == 0
    if version >= 5:
        assert (created.num_partitions, created.replication_factor) == (3, 1)
        shown = {one.name: (one.value, one.config_source) for one in created.configs}
        assert shown["retention.ms"] == ("1000", 1)
        assert shown["segment.bytes"] == ("1073741824", 5)
        assert {source for _, source in shown.values()} <= {1, 3, 4, 5}  # 3: Kafka sets min.insync.replicas for all
    if version >= 4:
        (created,) = client.call(CreateTopicsRequest([CreatableTopic(a_name(), -1, -1)]), version).topics
        assert created.error_code == OK


def test_the_rows_of_its_table(client: Client) -> None:
    taken = a_topic(client).name
    dotted = a_name("a.b")
    assert codes(client, CreatableTopic(dotted, 1, 1)) == [OK]
    for topic, code in (
        (CreatableTopic("a/b", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic("x" * 250, 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic(dotted.replace(".", "_"), 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (CreatableTopic(taken, 1, 1), ErrorCode.TOPIC_ALREADY_EXISTS),
        (CreatableTopic(a_name(), 1, 2), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic(a_name(), 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic(a_name(), 0, 1), ErrorCode.INVALID_PARTITIONS),
        (CreatableTopic(a_name(), -2, 1), ErrorCode.INVALID_PARTITIONS),
        (CreatableTopic(a_name(), 0, 2), ErrorCode.INVALID_PARTITIONS),
        (CreatableTopic(a_name(), 0, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (CreatableTopic(a_name(), 10_001, 1), ErrorCode.POLICY_VIOLATION),
        (CreatableTopic(a_name(), -1, -1, [CreatableReplicaAssignment(1, [1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (CreatableTopic(a_name(), -1, -1, [CreatableReplicaAssignment(0, [9])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (CreatableTopic(a_name(), 1, 1, [], [CreatableTopicConfig("no.such", "1")]), ErrorCode.INVALID_CONFIG),
        (CreatableTopic(a_name(), 1, 1, [], [CreatableTopicConfig("retention.ms", "x")]), ErrorCode.INVALID_CONFIG),
        (CreatableTopic(a_name(), 1, 1, [], [CreatableTopicConfig("retention.ms", None)]), ErrorCode.INVALID_CONFIG),
    ):
        assert codes(client, topic) == [code], topic


def test_validate_only_keeps_nothing(client: Client) -> None:
    name = a_name()
    (told,) = client.call(CreateTopicsRequest([CreatableTopic(name, 1, 1)], validate_only=True), 7).topics
    assert told.error_code == OK
    assert any(told.topic_id)  # as Kafka: an id, though of no topic
    request = MetadataRequest([MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
    assert client.call(request, 13).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_one_topic_does_not_hold_back_another(client: Client) -> None:
    twice, good = a_name(), a_name()
    topics = [CreatableTopic(name, 1, 1) for name in (twice, good, twice)]
    response = client.call(CreateTopicsRequest(topics), 7)
    assert {one.name: one.error_code for one in response.topics} == {twice: ErrorCode.INVALID_REQUEST, good: OK}
