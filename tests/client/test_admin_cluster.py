"""`client.cluster`; and all of administration while brokers go away, hang, move, and many threads ask."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.admin.types import ApiRange, BrokerInfo
from flymq.client.errors import BrokerUnavailableError, ClosedError, RequestTimeoutError
from flymq.client.kafka_python import kafka
from flymq_protocol.registry import API
from tests.wire.client import Client

QUESTIONS: dict[str, Callable[[FlyMQClient], object]] = {
    "topics.list": lambda client: client.topics.list(),
    "topics.describe": lambda client: client.topics.describe("orders"),
    "topics.create": lambda client: client.topics.create("orders", exist_ok=True),
    "topics.offsets": lambda client: client.topics.offsets("orders"),
    "groups.list": lambda client: client.groups.list(),
    "groups.describe": lambda client: client.groups.describe("kitchen"),
    "groups.reset": lambda client: client.groups.reset("kitchen", topics=["orders"]),
    "groups.delete": lambda client: client.groups.delete("kitchen-2", missing_ok=True),
    "cluster.info": lambda client: client.cluster.info(),
}
questions = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)


@pytest.fixture
def refusals(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """kafka-python leaves the socket of a refused connection to the garbage collector. That may come at any time until
    the end of the test, but not in somebody else's: pytest keeps what is logged, and with it the connection."""
    caplog.set_level(logging.CRITICAL, "kafka")
    yield
    gc.collect()


def prepare(client: FlyMQClient) -> None:
    client.topics.create("orders", exist_ok=True)
    client.groups.reset("kitchen", topics=["orders"])


def test_info(broker: EmbeddedBroker, client: FlyMQClient) -> None:
    found = client.cluster.info()
    assert found.cluster_id
    assert found.controller_id == 1
    assert found.brokers == client.cluster.brokers() == [BrokerInfo(1, broker.host, broker.port, None)]


def test_a_broker_before_kafka_3_7(broker: EmbeddedBroker, client: FlyMQClient) -> None:
    with FlyMQClient(broker.bootstrap_servers, api_version=(3, 6)) as old:
        assert old.cluster.info() == client.cluster.info()
        assert old.ping() > 0


def test_api_versions_are_those_the_broker_tells(broker: EmbeddedBroker, client: FlyMQClient) -> None:
    from flymq_protocol.api.k18_api_versions import ApiVersionsRequest

    with Client(broker.port) as wire:
        told = wire.call(ApiVersionsRequest(), 0)
    assert client.cluster.api_versions() == [
        ApiRange(row.api_key, API[row.api_key].name, row.min_version, row.max_version)
        for row in sorted(told.api_keys, key=lambda row: row.api_key)
    ]


def test_apis_that_we_do_not_know_are_named_by_who_does(
    client: FlyMQClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a broker that is newer than this client."""
    versions = client.connection.admin()._manager.broker_version_data.api_versions
    monkeypatch.setitem(versions, 9999, (0, 1))
    monkeypatch.delitem(API, 0)
    found = {row.key: row for row in client.cluster.api_versions()}
    assert found[9999] == ApiRange(9999, "key 9999", 0, 1)
    assert found[0].name == "Produce"


@questions
@pytest.mark.usefixtures("refusals")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_broker_that_is_gone_is_missed_and_found_again(question: Callable[[FlyMQClient], object]) -> None:
    with EmbeddedBroker() as first:
        port = first.port
        client = FlyMQClient(first.bootstrap_servers)
        prepare(client)
    with client:
        for _ in range(3):  # kafka-python waits longer after each, before it connects again
            with pytest.raises(BrokerUnavailableError, match=f"nothing listens at 127.0.0.1:{port}"):
                question(client)
        with EmbeddedBroker(port=port):
            prepare(client)
            question(client)


@questions
@pytest.mark.usefixtures("refusals")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_restart_between_two_calls_is_not_noticed(
    tmp_path: Path, question: Callable[[FlyMQClient], object]
) -> None:
    with EmbeddedBroker(data_dir=str(tmp_path)) as first:
        port = first.port
        client = FlyMQClient(first.bootstrap_servers)
        prepare(client)
    with client, EmbeddedBroker(data_dir=str(tmp_path), port=port):
        question(client)


@pytest.mark.usefixtures("refusals")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_broker_that_hangs_is_given_up_on_in_time(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker, FlyMQClient(broker.bootstrap_servers, timeout=0.5) as client:
        prepare(client)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            for question in QUESTIONS.values():
                with pytest.raises((RequestTimeoutError, BrokerUnavailableError)):
                    question(client)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        for question in QUESTIONS.values():
            question(client)


@pytest.mark.parametrize(
    "name", ["NotCoordinatorError", "CoordinatorLoadInProgressError", "CoordinatorNotAvailableError"]
)
def test_a_coordinator_that_moves_is_asked_for_again(
    broker: EmbeddedBroker,
    client: FlyMQClient,
    monkeypatch: pytest.MonkeyPatch,
    fresh_name: Callable[..., str],
    name: str,
) -> None:
    topic, group = fresh_name("topic"), fresh_name("group")
    client.create_topic(topic)
    client.groups.reset(group, topics=[topic])
    admin = client.connection.admin()
    real, failures = admin.list_group_offsets, [getattr(kafka().errors, name)] * 2

    def moving(groups: list[str]) -> object:
        if failures:
            raise failures.pop()()
        return real(groups)

    monkeypatch.setattr(admin, "list_group_offsets", moving)
    looked_up = len(broker.requests("FindCoordinator"))
    assert client.groups.offsets(group) == {(topic, 0): 0}
    assert failures == []
    assert len(broker.requests("FindCoordinator")) > looked_up


def test_many_threads_may_ask(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    prefix = fresh_name("thread")

    def work(number: int) -> tuple[list[int], object]:
        topic, group = f"{prefix}-t{number}", f"{prefix}-g{number}"
        for turn in range(5):
            client.topics.create(topic, partitions=number + 1)
            client.groups.reset(group, topics=[topic], partitions=[0])
            assert client.groups.describe(group).state == "Empty"
            assert [row.partition for row in client.groups.lag(group)] == [0]
            client.groups.delete(group)
            found = client.topics.describe(topic)
            client.topics.delete(topic)
            assert topic not in client.topics.names(), turn
        return [row.partition for row in found.partitions], client.cluster.info().controller_id

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [(list(range(number + 1)), 1) for number in range(8)]


def test_a_closed_client_says_so(broker: EmbeddedBroker) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    client.topics.list()
    client.close()
    for question in QUESTIONS.values():
        with pytest.raises(ClosedError):
            question(client)
