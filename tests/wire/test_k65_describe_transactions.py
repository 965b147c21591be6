"""DescribeTransactions on the wire."""

from __future__ import annotations

from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from flymq_protocol.api.k65_describe_transactions import DescribeTransactionsRequest, TransactionState
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic, drop_topic, until
from .marks import deviates
from .txn import add, end, start


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 3)
    name, producer_id, epoch = start(client)
    client.call(AddOffsetsToTxnRequest(name, producer_id, epoch, "group"), 3)
    add(client, name, producer_id, epoch, topic, 0, 2)
    idle = start(client)
    one, other = client.call(DescribeTransactionsRequest([name, idle[0]]), version).transaction_states
    assert (one.error_code, one.transactional_id, one.transaction_state) == (0, name, "Ongoing")
    assert (one.producer_id, one.producer_epoch, one.transaction_timeout_ms) == (producer_id, epoch, 60_000)
    assert one.transaction_start_time_ms > 1_700_000_000_000
    partitions = {told.topic: sorted(told.partitions) for told in one.topics}
    assert len(partitions.pop("__consumer_offsets")) == 1
    assert partitions == {topic.name: [0, 2]}
    assert (other.transaction_state, other.transaction_start_time_ms, other.topics) == ("Empty", -1, [])
    end(client, name, producer_id, epoch, True)
    until(lambda: described(client, name, version).transaction_state, "CompleteCommit")
    one = described(client, name, version)
    assert (one.topics, one.producer_epoch) == ([], epoch + 1)


def described(client: Client, name: str, version: int = 0) -> TransactionState:
    (state,) = client.call(DescribeTransactionsRequest([name]), version).transaction_states
    assert isinstance(state, TransactionState)
    return state


@deviates("A topic deleted in the course of a transaction")
def test_a_deleted_topic_does_not_show(client: Client) -> None:
    topic, gone = a_topic(client), a_topic(client)
    one = start(client)
    assert add(client, *one, topic) == add(client, *one, gone) == [ErrorCode.NONE]
    drop_topic(client, gone)
    assert [told.topic for told in described(client, one[0]).topics] == [topic.name]


def test_errors_are_by_id(client: Client) -> None:
    name = start(client)[0]
    states = client.call(DescribeTransactionsRequest(["nobody", "", name]), 0).transaction_states
    assert [(one.transactional_id, one.error_code) for one in states] == [
        ("nobody", ErrorCode.TRANSACTIONAL_ID_NOT_FOUND), ("", ErrorCode.INVALID_REQUEST), (name, ErrorCode.NONE)
    ]


@deviates("Named twice is answered twice")
def test_named_twice_is_told_once(client: Client) -> None:
    """One of many partitions, named over and over, would fill the memory."""
    name = start(client)[0]
    answer = client.call(DescribeTransactionsRequest([name, "unknown", name, "unknown"]), 0)
    assert [one.transactional_id for one in answer.transaction_states] == [name, "unknown"]
