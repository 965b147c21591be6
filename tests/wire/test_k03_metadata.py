"""Metadata on the wire; every rule of it is tested in tests/broker/handlers."""

from __future__ import annotations

import pytest

from flymq import EmbeddedBroker
from flymq_protocol.api.k03_metadata import MetadataRequest, MetadataRequestTopic
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import Topic, a_name, a_topic, drop_topic, produce
from .marks import deviates

OK = ErrorCode.NONE


def ask(client: Client, version: int, *names: str, create: bool = False) -> dict[str, int]:
    """Name -> error code."""
    request = MetadataRequest([MetadataRequestTopic(name=name) for name in names])
    if version >= 4:
        request.allow_auto_topic_creation = create
    return {topic.name: topic.error_code for topic in client.call(request, version).topics}


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2)
    response = client.call(MetadataRequest([MetadataRequestTopic(name=topic.name)]), version)
    host, port = client.socket.getpeername()
    (node,) = response.brokers
    assert (node.host, node.port) == (host, port)
    (found,) = response.topics
    assert (found.error_code, found.name) == (OK, topic.name)
    assert [(one.partition_index, one.leader_id) for one in found.partitions] == [(0, node.node_id), (1, node.node_id)]
    if version >= 10:
        assert found.topic_id == topic.id
    if version >= 2:
        assert len(response.cluster_id) == 22


@pytest.mark.parametrize("version", [0, 1, 13])
def test_all_topics(client: Client, version: int) -> None:
    topic = a_topic(client)
    everything = client.call(MetadataRequest([] if version == 0 else None), version).topics
    assert {topic.name, "__consumer_offsets", "__transaction_state"} <= {one.name for one in everything}
    if version >= 1:
        assert {one.name for one in everything if one.is_internal} == {"__consumer_offsets", "__transaction_state"}
        assert client.call(MetadataRequest([]), version).topics == []


@pytest.mark.parametrize("name", ["a/b", "", "..", "x" * 250, "ä"])
def test_malformed_names_are_never_created(client: Client, name: str) -> None:
    assert ask(client, 9, name, create=True) == {name: ErrorCode.INVALID_TOPIC_EXCEPTION}
    assert name not in {one.name for one in client.call(MetadataRequest(None), 9).topics}


@deviates("Metadata answers before the topic is there")
@pytest.mark.parametrize("version", [0, 3, 4, 13])
def test_an_auto_created_topic_can_be_written_at_once(client: Client, version: int) -> None:
    """Metadata and Produce in one packet: announced is writable."""
    name = a_name("auto")
    assert ask(client, version, name, create=True) == {name: OK}
    assert produce(client, Topic(name, bytes(16)), a_batch(), version=9).base_offset == 0


def test_no_creation_unless_wanted(client: Client) -> None:
    name = a_name("auto")
    assert ask(client, 4, name) == {name: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}
    assert ask(client, 13, name) == {name: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION}


def test_what_may_be_done_with_a_topic_that_is_not_there(client: Client) -> None:
    asked = [MetadataRequestTopic(name=name) for name in (a_topic(client).name, a_name())]
    request = MetadataRequest(asked, allow_auto_topic_creation=False, include_topic_authorized_operations=True)
    there, missing = client.call(request, 12).topics
    assert there.topic_authorized_operations == missing.topic_authorized_operations > 0


def test_where_an_id_is_asked_for_names_alone_do_not_count(client: Client) -> None:
    by_id, by_name = a_topic(client), a_topic(client)
    asked = [MetadataRequestTopic(topic_id=by_id.id), MetadataRequestTopic(name=by_name.name)]
    assert [topic.name for topic in client.call(MetadataRequest(asked), 12).topics] == [by_id.name]


@deviates("Metadata answers before the topic is there")
def test_a_topic_made_anew_has_another_id(client: Client) -> None:
    topic = a_topic(client)
    drop_topic(client, topic)
    assert ask(client, 13, topic.name, create=True) == {topic.name: OK}
    found = client.call(MetadataRequest([MetadataRequestTopic(name=topic.name)]), 13).topics[0]
    assert found.topic_id != topic.id
    gone = client.call(MetadataRequest([MetadataRequestTopic(topic_id=topic.id)]), 13).topics[0]
    assert (gone.error_code, gone.name) == (ErrorCode.UNKNOWN_TOPIC_ID, None)


def test_each_client_is_told_the_address_that_it_dialled() -> None:
    with EmbeddedBroker(config={"listeners": "PLAINTEXT://0.0.0.0:0"}) as anywhere:
        for host in ("127.0.0.1", "127.0.0.2"):
            with Client(anywhere.port, host=host) as client:
                (node,) = client.call(MetadataRequest([]), 9).brokers
                assert (node.host, node.port) == (host, anywhere.port)
