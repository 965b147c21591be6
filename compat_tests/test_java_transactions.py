"""The Java client's transactions, with the feature transaction.version at 2, and Kafka's tool for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from compat_tests import java_tools
from flymq import EmbeddedBroker

pytestmark = [pytest.mark.compat, pytest.mark.scenario("transactions", client="Java 4.3.1")]

PROGRAM = Path(__file__).with_name("java") / "Transactions.java"

@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as started:
        yield started


def test_commit_abort_offsets_and_fencing(broker: EmbeddedBroker) -> None:
    broker.create_topics({"java-txn": 2})
    told = java_tools.run(str(PROGRAM), broker.bootstrap_servers, "java-txn", "java-group").split("\n")
    assert told[:2] == ["fenced", "offset 18"]
    kept = [f"{name}-{index}" for name in [*(n for n in range(20) if n % 4 != 3), "successor"] for index in (0, 1)]
    assert sorted(filter(None, told[2:])) == sorted(kept)
    versions = {name: {seen.version for seen in broker.requests(name)} for name in ("EndTxn", "TxnOffsetCommit")}
    assert versions == {"EndTxn": {5}, "TxnOffsetCommit": {5}}
    assert not broker.requests("AddPartitionsToTxn")
    assert not broker.requests("AddOffsetsToTxn")


def tool(broker: EmbeddedBroker, *arguments: str) -> list[list[str]]:
    """Its table, without the headings."""
    told = java_tools.run(java_tools.TRANSACTIONS, "--bootstrap-server", broker.bootstrap_servers, *arguments)
    return [re.split(r"\s+", line.strip()) for line in told.splitlines()[1:] if line.strip()]


def test_the_tool_lists_describes_and_aborts(broker: EmbeddedBroker) -> None:
    broker.create_topics({"tool-txn": 1})
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "tool"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("tool-txn", b"open", partition=0)
    assert producer.flush(20) == 0

    listed = {row[0]: row[1:] for row in tool(broker, "list")}
    coordinator, producer_id, state = listed["tool"]
    assert (coordinator, state) == ("1", "Ongoing")
    assert "tool" in {row[0] for row in tool(broker, "list", "--duration-filter", "0")}
    assert {row[0] for row in tool(broker, "list", "--transactional-id-pattern", "to+l")} == {"tool"}
    (described,) = tool(broker, "describe", "--transactional-id", "tool")
    assert described[:5] == ["1", "tool", producer_id, "0", "Ongoing"]
    assert described[-1] == "tool-txn-0"
    (producers,) = tool(broker, "describe-producers", "--topic", "tool-txn", "--partition", "0")
    assert (producers[0], producers[-1]) == (producer_id, "0")
    assert tool(broker, "find-hanging", "--broker-id", "1", "--max-transaction-timeout", "1") == []

    tool(broker, "abort", "--topic", "tool-txn", "--partition", "0", "--start-offset", "0")
    (producers,) = tool(broker, "describe-producers", "--topic", "tool-txn", "--partition", "0")
    assert producers[-1] == "None"
    producer.abort_transaction(20)
