"""DescribeTransactions on the wire."""

from __future__ import annotations

from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from flymq_protocol.api.k65_describe_transactions import DescribeTransactionsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic, drop_topic
from .txn import add, end, start


def happy(client: Client, version: int) -> None:
    topic, gone = a_topic(client, 3), a_topic(client)
    name, producer_id, epoch = start(client)
    client.call(AddOffsetsToTxnRequest(name, producer_id, epoch, "group"), 3)
    add(client, name, producer_id, epoch, topic, 0, 2)
    add(client, name, producer_id, epoch, gone)
    drop_topic(client, gone)
    idle = start(client)
    one, other = client.call(DescribeTransactionsRequest([name, idle[0]]), version).transaction_states
    assert (one.error_code, one.transactional_id, one.transaction_state) == (0, name, "Ongoing")
    assert (one.producer_id, one.producer_epoch, one.transaction_timeout_ms) == (producer_id, epoch, 60_000)
    assert one.transaction_start_time_ms > 1_700_000_000_000
    partitions = {told.topic: told.partitions for told in one.topics}
    assert len(partitions.pop("__consumer_offsets")) == 1
    assert partitions == {topic.name: [0, 2]}
    assert (other.transaction_state, other.transaction_start_time_ms, other.topics) == ("Empty", -1, [])
    end(client, name, producer_id, epoch, True)
    (one,) = client.call(DescribeTransactionsRequest([name]), version).transaction_states
    assert (one.transaction_state, one.topics, one.producer_epoch) == ("CompleteCommit", [], epoch + 1)


def test_errors_are_by_id(client: Client) -> None:
    name = start(client)[0]
    states = client.call(DescribeTransactionsRequest(["nobody", "", name]), 0).transaction_states
    assert [(one.transactional_id, one.error_code) for one in states] == [
        ("nobody", ErrorCode.TRANSACTIONAL_ID_NOT_FOUND), ("", ErrorCode.INVALID_REQUEST), (name, ErrorCode.NONE)
    ]


def test_named_twice_is_told_once(client: Client) -> None:
    """One of many partitions, named over and over, would fill the memory."""
    name = start(client)[0]
    answer = client.call(DescribeTransactionsRequest([name, "unknown", name, "unknown"]), 0)
    assert [one.transactional_id for one in answer.transaction_states] == [name, "unknown"]
