"""`kafka-transactions.sh`, of Apache Kafka: list, describe, describe-producers, find-hanging, abort."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from compat_tests import java_tools
from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import create_topic

pytestmark = pytest.mark.compat

TOPIC = "transactions-tool"


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with BrokerProcess(tmp_path_factory.mktemp("broker")) as broker:
        create_topic(broker.bootstrap_servers, TOPIC, 1)
        yield broker.bootstrap_servers


@pytest.fixture(scope="module")
def hanging(bootstrap: str) -> Producer:
    """In the middle of a transaction, with a record in the topic."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "hanging"})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(TOPIC, b"value")
    producer.flush(10)
    return producer


def rows(bootstrap: str, *arguments: str) -> list[list[str]]:
    """The cells of the table that the tool prints, without its head."""
    output = java_tools.run(java_tools.TRANSACTIONS, "--bootstrap-server", bootstrap, *arguments)
    return [[cell.strip() for cell in line.split("\t")][:-1] for line in output.splitlines() if line.strip()][1:]


def test_the_tool_sees_an_open_transaction_and_aborts_it(bootstrap: str, hanging: Producer) -> None:
    place = ["--topic", TOPIC, "--partition", "0"]
    [[transactional_id, coordinator, producer_id, state]] = rows(bootstrap, "list")
    assert (transactional_id, coordinator, state) == ("hanging", "1", "Ongoing")
    [described] = rows(bootstrap, "describe", "--transactional-id", "hanging")
    assert described[:6] == ["1", "hanging", producer_id, described[3], "Ongoing", "60000"]
    assert described[-1] == f"{TOPIC}-0"
    [producer] = rows(bootstrap, "describe-producers", *place)
    assert producer[0] == producer_id
    assert producer[-1] == "0"
    assert rows(bootstrap, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "15") == []
    java_tools.run(java_tools.TRANSACTIONS, "--bootstrap-server", bootstrap, "abort", *place, "--start-offset", "0")
    [producer] = rows(bootstrap, "describe-producers", *place)
    assert (producer[0], producer[-1]) == (producer_id, "None")
