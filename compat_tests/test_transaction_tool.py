"""Kafka's `kafka-transactions` on a transaction that hangs: open in a partition, and known to no coordinator."""

from __future__ import annotations

import pytest

from compat_tests import java_tools
from flymq import EmbeddedBroker
from tests.wire.client import Client
from tests.wire.kit import Topic, a_topic, fetch
from tests.wire.transactions import Ledger, append

pytestmark = pytest.mark.compat


def run(broker: EmbeddedBroker, topic: Topic, *arguments: str) -> str:
    where = ("--topic", topic.name, "--partition", "0")
    return java_tools.run(
        java_tools.TRANSACTIONS, "--bootstrap-server", broker.bootstrap_servers, arguments[0], *where, *arguments[1:]
    )


def described(broker: EmbeddedBroker, topic: Topic) -> list[list[str]]:
    """(producer id, last sequence, start offset) of each producer."""
    rows = [line.split() for line in run(broker, topic, "describe-producers").splitlines()[1:] if line.strip()]
    return [[row[0], row[3], row[5]] for row in rows]


def test_a_hanging_transaction_is_found_and_aborted() -> None:
    with EmbeddedBroker() as broker, Client(broker.port) as client:
        broker._running._broker.services.transactions = Ledger()  # type: ignore[assignment,unused-ignore]
        topic = a_topic(client)
        append(client, topic, 7, 0, count=3)
        append(client, topic, 8, 0)
        assert described(broker, topic) == [["7", "2", "0"], ["8", "0", "3"]]
        run(broker, topic, "abort", "--start-offset", "0")
        assert described(broker, topic) == [["7", "2", "None"], ["8", "0", "3"]]
        data = fetch(client, topic, isolation_level=1)
        assert (data.last_stable_offset, data.high_watermark) == (3, 5)
        assert [(one.producer_id, one.first_offset) for one in data.aborted_transactions] == [(7, 0)]
