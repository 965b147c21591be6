"""ExternalBroker: a cluster that others use, too. Here it is an embedded broker with something in it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import psutil
import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.errors import BrokerUnavailableError, RequestTimeoutError
from flymq.testing.external import ExternalBroker


@pytest.fixture
def cluster() -> Iterator[EmbeddedBroker]:
    """With a topic, and a group that has read it."""
    with EmbeddedBroker(topics={"theirs": 2}) as broker:
        broker.seed("theirs", ["kept"])
        with FlyMQClient(broker.bootstrap_servers) as client:
            read_all(client, "theirs", "theirs")
        yield broker


@pytest.fixture
def client(cluster: EmbeddedBroker) -> Iterator[FlyMQClient]:
    """Anybody's."""
    with FlyMQClient(cluster.bootstrap_servers) as one:
        yield one


@pytest.fixture
def external(cluster: EmbeddedBroker) -> Iterator[ExternalBroker]:
    broker = ExternalBroker(cluster.bootstrap_servers).connect()
    yield broker
    broker.close()


def read_all(client: FlyMQClient, topic: str, group: str) -> None:
    """Read and commit the topic's only message."""
    with client.consumer(topic, group, auto_offset_reset="earliest") as consumer:
        next(consumer)


def groups(client: FlyMQClient) -> set[str]:
    return {group.group_id for group in client.groups.list()}


def test_in_the_end_everything_is_as_it_was(
    cluster: EmbeddedBroker, external: ExternalBroker, client: FlyMQClient
) -> None:
    external.create_topics({"made": 3, "theirs": 1})
    external.seed("seeded", ["one"])
    external.seed("theirs", ["another"])
    client.create_topic("somebody-elses")
    for topic, group in (("seeded", "asked"), ("seeded", "never-asked-about"), ("theirs", "theirs")):
        read_all(client, topic, group)
    external.wait_for_group("asked", state="Empty")
    external.wait_for_group("theirs", state="Empty")
    assert external.committed("theirs")
    assert external.lag("asked") == 0
    assert client.list_topics() == ["made", "seeded", "somebody-elses", "theirs"]

    external.close()

    assert client.list_topics() == ["somebody-elses", "theirs"]
    assert groups(client) == {"theirs", "never-asked-about"}
    assert {message.text() for message in cluster.records("theirs")} == {"kept", "another"}
    assert len(client.topics.describe("theirs").partitions) == 2


@pytest.mark.parametrize("ask", ["wait_for_group", "committed", "lag"])
def test_a_group_that_was_asked_about_goes_and_one_that_was_there_stays(
    external: ExternalBroker, client: FlyMQClient, ask: str
) -> None:
    external.seed("orders", ["one"])
    read_all(client, "orders", "ours")
    for group in ("ours", "theirs"):
        if ask == "wait_for_group":
            external.wait_for_group(group, state="Empty")
        else:
            getattr(external, ask)(group)
    external.wipe()
    assert groups(client) == {"theirs"}


def test_a_topic_that_somebody_made_meanwhile_is_theirs(
    external: ExternalBroker, client: FlyMQClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that create it at the same time: two workers of xdist, say. It belongs to the faster."""
    monkeypatch.setattr(external._client(), "list_topics", list)  # as it was a moment ago
    external.create_topics({"theirs": 2, "ours": 1})
    external.wipe()
    assert client.list_topics() == ["theirs"]


def test_a_group_with_a_member_is_left_for_the_next_time(external: ExternalBroker, client: FlyMQClient) -> None:
    external.seed("orders", ["one"])
    consumer = client.consumer("orders", "ours", auto_offset_reset="earliest", auto_commit=False)
    next(consumer)
    external.wait_for_group("ours", members=1)
    external.wipe()
    assert groups(client) == {"ours", "theirs"}
    consumer.close()
    external.wipe()
    assert groups(client) == {"theirs"}


def test_what_could_not_be_deleted_is_the_next_time(external: ExternalBroker, client: FlyMQClient) -> None:
    def refuse(*names: object, **more: object) -> None:
        raise RequestTimeoutError("too busy")

    external.seed("orders", ["one"])
    read_all(client, "orders", "ours")
    external.lag("ours")
    for admin in (TopicAdmin, GroupAdmin):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(admin, "delete", refuse)
            with pytest.raises(RequestTimeoutError, match="too busy"):
                external.wipe()
    external.wipe()
    assert client.list_topics() == ["theirs"]
    assert groups(client) == {"theirs"}


def test_it_looks_like_an_embedded_one(external: ExternalBroker, cluster: EmbeddedBroker) -> None:
    assert external.bootstrap_servers == cluster.bootstrap_servers
    external.seed("orders", ["one", "two"], partitions=2)
    assert [message.text() for message in external.expect("orders", ["two", "one"])]
    assert len(external.records("orders")) == 2
    with pytest.raises(TypeError, match="create_topics"):
        external.create_topics(["orders"])  # type: ignore[arg-type]
    with pytest.raises(pytest.skip.Exception, match="needs an embedded broker"):
        external.requests("Produce")


def test_where_nobody_answers_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    before = threading.active_count(), psutil.Process().num_fds()
    for _ in range(3):
        with pytest.raises(BrokerUnavailableError, match=f"nothing listens at {address}"):
            ExternalBroker(address).connect()
    assert (threading.active_count(), psutil.Process().num_fds()) == before
