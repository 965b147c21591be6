"""Metadata, topics, configs, coordinators, producer ids: whole handlers over the memory engine.

Every answer is encoded in the version asked and decoded again, so that no handler fills a field which the
version does not have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import HANDLERS
from flymq.broker.handlers.k18_api_versions import unsupported_version
from flymq.broker.wiring import wire
from flymq.core.features import FEATURES
from flymq.core.settings import BROKER_SETTINGS, TOPIC_SETTINGS, BrokerConfig
from flymq.env import Env
from flymq.runtime.waiting import Ended, Pending
from flymq.storage.memory import MemoryEngine
from flymq_protocol.api.k03_metadata import MetadataRequest, MetadataRequestTopic
from flymq_protocol.api.k10_find_coordinator import FindCoordinatorRequest
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from flymq_protocol.api.k19_create_topics import CreatableTopic, CreatableTopicConfig, CreateTopicsRequest
from flymq_protocol.api.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from flymq_protocol.api.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from flymq_protocol.api.k60_describe_cluster import DescribeClusterRequest
from flymq_protocol.errors import ErrorCode
from flymq_protocol.registry import load

MINE = (3, 10, 18, 19, 20, 22, 32, 60)
DIALLED = ("127.0.0.1", 9092)
INTERNAL = {"__consumer_offsets", "__transaction_state"}


class Client:
    """Asks handlers, as the dispatcher would."""

    def __init__(self, loop: asyncio.AbstractEventLoop, **values: str) -> None:
        self.env = Env(loop)
        config = BrokerConfig([{name.replace("_", "."): (text, "test") for name, text in values.items()}])
        self.services: Services = wire(self.env, config, MemoryEngine(self.env), print)
        self.services.topics.load()

    def ask(self, request: Any, version: int | None = None, ended: Ended | None = None) -> Any:
        """The answer, decoded. `ended`: what happens to a `Pending` instead of its result."""
        key = request.KEY
        version = HANDLERS[key].max_version if version is None else version
        handle = HANDLERS[key].loaded()[0]
        ctx = RequestContext(key, version, "test", "127.0.0.1", DIALLED)
        answer = handle(ctx, request, self.services)
        if isinstance(answer, Pending):
            assert answer.token.done
            answer = answer.finish(ended or answer.token.result)
        body = answer if isinstance(answer, bytes) else answer.encode(version)
        return load(key)[1].decode(version, body)

    def create(self, *names: str, version: int | None = None, **fields: Any) -> Any:
        topics = [CreatableTopic(name, **{"num_partitions": -1, "replication_factor": -1, **fields}) for name in names]
        return self.ask(CreateTopicsRequest(topics), version).topics

    def topics(self, *names: str, version: int | None = None, **fields: Any) -> Any:
        """Metadata of these."""
        wanted = [MetadataRequestTopic(name=name) for name in names]
        return self.ask(MetadataRequest(wanted, **fields), version).topics


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def client(loop: asyncio.AbstractEventLoop) -> Client:
    return Client(loop)


@pytest.mark.parametrize("key", MINE)
def test_a_handler_that_fails_has_an_answer_in_every_version(key: int) -> None:
    handle, request_class, _ = HANDLERS[key].loaded()
    refuse = __import__(handle.__module__, fromlist=["refuse"]).refuse
    for version in range(HANDLERS[key].min_version, HANDLERS[key].max_version + 1):
        request = request_class()
        if key == 10 and version >= 4:
            request.coordinator_keys = ["g"]
        answer = refuse(request, ErrorCode.UNKNOWN_SERVER_ERROR)
        load(key)[1].decode(version, answer.encode(version))


# -- Metadata -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(14))
def test_metadata_of_all_topics_in_every_version(client: Client, version: int) -> None:
    client.create("t", num_partitions=2)
    answer = client.ask(MetadataRequest([] if version == 0 else None), version)
    assert {topic.name for topic in answer.topics} == {"t", *INTERNAL}
    topic = next(topic for topic in answer.topics if topic.name == "t")
    assert [(one.partition_index, one.leader_id, one.replica_nodes, one.isr_nodes) for one in topic.partitions] == [
        (0, 1, [1], [1]),
        (1, 1, [1], [1]),
    ]
    assert [(one.node_id, one.host, one.port) for one in answer.brokers] == [(1, *DIALLED)]
    if version >= 1:
        assert {one.name for one in answer.topics if one.is_internal} == INTERNAL
        assert answer.controller_id == 1
    if version >= 2:
        assert len(answer.cluster_id) == 22
    if version >= 10:
        assert topic.topic_id == client.services.topics.get("t").id  # type: ignore[union-attr]


def test_an_empty_list_is_no_topic_from_v1_on(client: Client) -> None:
    assert client.ask(MetadataRequest([]), 1).topics == []


@pytest.mark.parametrize("version", range(14))
def test_a_missing_topic_is_created_and_answered_as_existing(client: Client, version: int) -> None:
    (topic,) = client.topics("new", version=version)
    assert (topic.error_code, topic.name, len(topic.partitions)) == (0, "new", 1)
    assert client.services.partitions.find("new", 0) is not None


def test_no_topic_is_created_where_the_client_or_the_broker_says_so(loop: asyncio.AbstractEventLoop) -> None:
    (topic,) = Client(loop).topics("new", allow_auto_topic_creation=False)
    assert (topic.error_code, topic.name, topic.topic_id) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "new", bytes(16))
    (topic,) = Client(loop, auto_create_topics_enable="false").topics("new")
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_bad_names_are_not_created(client: Client) -> None:
    client.create("a.b")
    answers = {topic.name: topic.error_code for topic in client.topics("a b", "a_b", "good", "good")}
    assert answers == {
        "a b": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "a_b": ErrorCode.INVALID_TOPIC_EXCEPTION,
        "good": 0,
    }


def test_metadata_by_id(client: Client) -> None:
    client.create("t")
    topic_id = client.services.topics.get("t").id  # type: ignore[union-attr]
    by_id = [MetadataRequestTopic(topic_id=topic_id), MetadataRequestTopic(topic_id=b"x" * 16)]
    found, missing = client.ask(MetadataRequest(by_id), 12).topics
    assert (found.error_code, found.name) == (0, "t")
    assert (missing.error_code, missing.name, missing.topic_id) == (ErrorCode.UNKNOWN_TOPIC_ID, None, b"x" * 16)
    answers = client.ask(MetadataRequest([MetadataRequestTopic(topic_id=topic_id, name="t")]), 11).topics
    assert [answer.error_code for answer in answers] == [ErrorCode.INVALID_REQUEST]


def test_operations_only_if_asked(client: Client) -> None:
    asked = MetadataRequest([MetadataRequestTopic(name="t")], True, True, True)
    answer = client.ask(asked, 10)
    assert (answer.cluster_authorized_operations, answer.topics[0].topic_authorized_operations) == (8096, 3576)
    answer = client.ask(MetadataRequest(None), 10)
    assert answer.cluster_authorized_operations == answer.topics[0].topic_authorized_operations == -(2**31)


def test_kept_answers_follow_changes(client: Client) -> None:
    assert {topic.name for topic in client.ask(MetadataRequest(None)).topics} == INTERNAL
    client.create("t")
    assert {topic.name for topic in client.ask(MetadataRequest(None)).topics} == {"t", *INTERNAL}
    client.ask(DeleteTopicsRequest([DeleteTopicState("t")]))
    assert {topic.name for topic in client.ask(MetadataRequest(None)).topics} == INTERNAL
    for number in range(1000):
        client.topics(f"missing{number}", allow_auto_topic_creation=False)
    assert len(client.services.topics.answers) <= 256


def test_a_stopping_broker_names_no_leader(client: Client) -> None:
    answer = client.ask(MetadataRequest([MetadataRequestTopic(name="t")]), ended=Ended.SHUTDOWN)
    assert [topic.error_code for topic in answer.topics] == [ErrorCode.LEADER_NOT_AVAILABLE]


# -- CreateTopics, DeleteTopics -------------------------------------------------------------------


@pytest.mark.parametrize("version", range(2, 8))
def test_create_in_every_version(client: Client, version: int) -> None:
    config = [CreatableTopicConfig("retention.ms", "5")]
    (created,) = client.create("t", version=version, num_partitions=3, replication_factor=1, configs=config)
    assert (created.name, created.error_code, created.error_message) == ("t", 0, None)
    topic = client.services.topics.get("t")
    assert topic is not None
    assert (topic.partition_count, topic.overrides) == (3, {"retention.ms": "5"})
    if version >= 5:
        assert (created.num_partitions, created.replication_factor) == (3, 1)
        shown = {one.name: (one.value, one.config_source, one.read_only) for one in created.configs}
        assert shown.keys() == TOPIC_SETTINGS.keys()
        assert (shown["retention.ms"], shown["segment.ms"]) == (("5", 1, False), ("604800000", 5, False))
    if version >= 7:
        assert created.topic_id == topic.id


def test_each_topic_of_a_request_has_its_own_answer(client: Client) -> None:
    client.create("there")
    answers = {one.name: (one.error_code, one.error_message) for one in client.create("a", "twice", "twice", "there")}
    assert answers == {
        "a": (0, None),
        "twice": (ErrorCode.INVALID_REQUEST, "Duplicate topic name."),
        "there": (ErrorCode.TOPIC_ALREADY_EXISTS, "Topic 'there' already exists."),
    }
    assert client.services.topics.get("twice") is None


def test_validate_only_keeps_nothing(client: Client) -> None:
    asked = CreateTopicsRequest([CreatableTopic("t", 2, 1), CreatableTopic("u", 0, 1)], validate_only=True)
    good, bad = client.ask(asked).topics
    assert (good.error_code, good.num_partitions) == (0, 2)
    assert client.services.topics.by_id(good.topic_id) is None  # the id that it might have had, as on Kafka
    assert bad.error_code == ErrorCode.INVALID_PARTITIONS
    assert client.services.topics.get("t") is None
    assert dict(client.services.topics._shards.load("catalog")) == {}


@pytest.mark.parametrize("version", range(1, 7))
def test_delete_in_every_version(client: Client, version: int) -> None:
    client.create("t")
    if version < 6:
        asked = DeleteTopicsRequest(topic_names=["t", "missing"])
    else:
        asked = DeleteTopicsRequest([DeleteTopicState("t"), DeleteTopicState("missing")])
    answers = [(one.name, one.error_code) for one in client.ask(asked, version).responses]
    assert answers == [("t", 0), ("missing", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    assert client.services.topics.get("t") is None
    assert client.services.partitions.find("t", 0) is None


def test_delete_by_id(client: Client) -> None:
    client.create("t", "u")
    t, u = (client.services.topics.get(name) for name in "tu")
    assert t is not None
    assert u is not None
    asked = [
        DeleteTopicState(topic_id=t.id),
        DeleteTopicState(topic_id=b"x" * 16),
        DeleteTopicState("u", u.id),
        DeleteTopicState(),
        DeleteTopicState("__consumer_offsets"),
    ]
    answers = client.ask(DeleteTopicsRequest(asked)).responses
    assert [(one.name, one.error_code) for one in answers] == [
        ("t", 0),
        (None, ErrorCode.UNKNOWN_TOPIC_ID),
        ("u", ErrorCode.INVALID_REQUEST),
        (None, ErrorCode.INVALID_REQUEST),
        ("__consumer_offsets", ErrorCode.INVALID_TOPIC_EXCEPTION),
    ]
    assert answers[0].topic_id == t.id
    twice = DeleteTopicsRequest([DeleteTopicState("u"), DeleteTopicState(topic_id=u.id)])
    assert [one.error_code for one in client.ask(twice).responses] == [ErrorCode.INVALID_REQUEST]
    assert client.services.topics.get("u") is u


# -- ApiVersions, FindCoordinator, InitProducerId, DescribeCluster --------------------------------


def test_api_versions_is_the_handler_table(client: Client) -> None:
    for version in range(5):
        answer = client.ask(ApiVersionsRequest("librdkafka", "2.6.1-rc.1"), version)
        rows = {row.api_key: (row.min_version, row.max_version) for row in answer.api_keys}
        assert rows == {key: (row.advertise_min, row.max_version) for key, row in HANDLERS.items()}
    assert rows[0] == (0, 13)
    assert {one.name for one in answer.supported_features} == FEATURES.keys()


@pytest.mark.parametrize(
    ("name", "version"), [("", "1"), ("a", ""), ("-a", "1"), ("a", "1."), ("a b", "1"), ("é", "1")]
)
def test_odd_client_software_is_refused_from_v3_on(client: Client, name: str, version: str) -> None:
    asked = ApiVersionsRequest(name, version)
    assert client.ask(asked, 3).error_code == ErrorCode.INVALID_REQUEST
    assert client.ask(asked, 2).error_code == 0


def test_an_unknown_version_of_api_versions_is_told_the_known_ones() -> None:
    answer = ApiVersionsResponse.decode(0, unsupported_version().encode(0))
    assert answer.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(row.api_key, row.min_version, row.max_version) for row in answer.api_keys] == [(18, 0, 4)]


@pytest.mark.parametrize("version", range(7))
def test_groups_are_coordinated_here(client: Client, version: int) -> None:
    asked = FindCoordinatorRequest(coordinator_keys=["g", "h"]) if version >= 4 else FindCoordinatorRequest("g")
    answer = client.ask(asked, version)
    answers = answer.coordinators if version >= 4 else [answer]
    assert [(one.error_code, one.node_id, one.host, one.port) for one in answers] == [(0, 1, *DIALLED)] * len(answers)
    assert [one.key for one in answer.coordinators] == (["g", "h"] if version >= 4 else [])


@pytest.mark.parametrize(
    ("key_type", "code", "message"),
    [
        (2, ErrorCode.INVALID_REQUEST, "FlyMQ has no share groups yet"),
        (9, ErrorCode.INVALID_REQUEST, "there is no coordinator type 9"),
    ],
)
def test_other_coordinators_are_not_there(client: Client, key_type: int, code: ErrorCode, message: str) -> None:
    (one,) = client.ask(FindCoordinatorRequest(key_type=key_type, coordinator_keys=["x"])).coordinators
    assert (one.key, one.error_code, one.error_message, one.node_id) == ("x", code, message, -1)
    answer = client.ask(FindCoordinatorRequest("x", key_type), 3)
    assert (answer.error_code, answer.error_message) == (code, message)


@pytest.mark.parametrize("version", range(6))
def test_producer_ids(client: Client, version: int) -> None:
    answers = [client.ask(InitProducerIdRequest(None, 1000), version) for _ in range(2)]
    assert [(one.error_code, one.producer_id, one.producer_epoch) for one in answers] == [(0, 0, 0), (0, 1, 0)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"transactional_id": ""}, ErrorCode.INVALID_REQUEST),
        ({"transactional_id": None, "producer_id": 5}, ErrorCode.INVALID_REQUEST),
        ({"transactional_id": "t", "producer_id": 5}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_no_producer_id(client: Client, fields: dict[str, Any], code: ErrorCode) -> None:
    answer = client.ask(InitProducerIdRequest(transaction_timeout_ms=1000, **fields))
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (code, -1, -1)


def test_a_producers_own_id_is_not_looked_at_without_a_transactional_id(client: Client) -> None:
    answer = client.ask(InitProducerIdRequest(None, 1000, producer_id=77, producer_epoch=3))
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (0, 0, 0)


def test_the_cluster(client: Client) -> None:
    answer = client.ask(DescribeClusterRequest(include_cluster_authorized_operations=True))
    assert (answer.cluster_id, answer.controller_id) == (client.services.cluster_id, 1)
    assert [(one.broker_id, one.host, one.port, one.is_fenced) for one in answer.brokers] == [(1, *DIALLED, False)]
    assert answer.cluster_authorized_operations == 8096
    assert client.ask(DescribeClusterRequest(endpoint_type=2)).error_code == ErrorCode.MISMATCHED_ENDPOINT_TYPE
    assert client.ask(DescribeClusterRequest(endpoint_type=3)).error_code == ErrorCode.UNSUPPORTED_ENDPOINT_TYPE


# -- DescribeConfigs ------------------------------------------------------------------------------


def describe(client: Client, type_: int, name: str, keys: list[str] | None = None, **fields: Any) -> Any:
    (result,) = client.ask(
        DescribeConfigsRequest([DescribeConfigsResource(type_, name, keys)], **fields), fields.pop("version", None)
    ).results
    assert (result.resource_type, result.resource_name) == (type_, name)
    return result


@pytest.mark.parametrize("version", range(1, 5))
def test_a_topics_settings_in_every_version(client: Client, version: int) -> None:
    client.create("t", configs=[CreatableTopicConfig("segment.bytes", "2000000")])
    nothing: list[str] = []
    for keys in (None, nothing):
        asked = DescribeConfigsRequest([DescribeConfigsResource(2, "t", keys)], include_synonyms=True)
        (result,) = client.ask(asked, version).results
        assert {one.name for one in result.configs} == TOPIC_SETTINGS.keys()
        segment = next(one for one in result.configs if one.name == "segment.bytes")
        assert (segment.value, segment.config_source, segment.read_only, segment.is_sensitive) == (
            "2000000",
            1,
            False,
            False,
        )
        assert [(one.name, one.value, one.source) for one in segment.synonyms] == [
            ("segment.bytes", "2000000", 1),
            ("log.segment.bytes", "1073741824", 5),
        ]
        if version >= 3:
            assert (segment.config_type, segment.documentation) == (3, None)


def test_only_what_is_asked_for(client: Client) -> None:
    client.create("t")
    result = describe(client, 2, "t", ["retention.ms", "no.such"], include_documentation=True)
    (only,) = result.configs
    assert (only.name, only.value, only.config_source, only.synonyms) == ("retention.ms", "604800000", 5, [])
    assert only.documentation == TOPIC_SETTINGS["retention.ms"].doc


def test_the_brokers_settings(loop: asyncio.AbstractEventLoop) -> None:
    client = Client(loop, node_id="7", num_partitions="3")
    shown = {one.name: one for one in describe(client, 4, "7").configs}
    assert shown.keys() == BROKER_SETTINGS.keys()
    assert (shown["num.partitions"].value, shown["num.partitions"].config_source) == ("3", 4)
    assert shown["num.partitions"].read_only
    assert not shown["log.retention.ms"].read_only
    assert all(one.config_source in (4, 5) for one in shown.values())
    assert describe(client, 4, "").configs == []


def test_an_internal_topics_settings(client: Client) -> None:
    shown = {one.name: one.value for one in describe(client, 2, "__consumer_offsets").configs}
    assert shown["cleanup.policy"] == "compact"


@pytest.mark.parametrize(
    ("type_", "name", "code"),
    [
        (2, "missing", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (2, "a b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (4, "2", ErrorCode.INVALID_REQUEST),
        (4, "x", ErrorCode.INVALID_REQUEST),
        (8, "2", ErrorCode.INVALID_REQUEST),
        (16, "", ErrorCode.INVALID_REQUEST),
        (32, "", ErrorCode.INVALID_REQUEST),
        (1, "1", ErrorCode.INVALID_REQUEST),
    ],
)
def test_resources_that_are_not_there(client: Client, type_: int, name: str, code: ErrorCode) -> None:
    result = describe(client, type_, name)
    assert (result.error_code, result.configs) == (code, [])
    assert result.error_message
