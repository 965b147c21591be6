"""DescribeProducers on the wire."""

from __future__ import annotations

from typing import Any

from flymq_protocol.api.k61_describe_producers import DescribeProducersRequest, TopicRequest
from flymq_protocol.errors import ErrorCode

from .batches import a_batch, now_ms
from .client import Client
from .kit import Topic, a_name, a_topic, produce
from .transactions import ABORT, COMMIT, Ledger, append, end

OK = ErrorCode.NONE


def describe(client: Client, topic: Topic, index: int = 0) -> list[tuple[int, ...]]:
    """(producer id, epoch, last sequence, last timestamp, coordinator epoch, transaction's start) of each."""
    data = client.call(DescribeProducersRequest([TopicRequest(topic.name, [index])]), 0).topics[0].partitions[0]
    assert (data.partition_index, data.error_code, data.error_message) == (index, OK, None)
    return [
        (one.producer_id, one.producer_epoch, one.last_sequence, one.last_timestamp, one.coordinator_epoch,
         one.current_txn_start_offset)
        for one in data.active_producers
    ]


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    assert describe(client, topic) == []
    stamp = now_ms()
    produce(client, topic, a_batch())
    produce(client, topic, a_batch([b"a", b"b"], producer=(7, 3, 0), timestamps=[stamp, stamp - 1]))
    assert describe(client, topic) == [(7, 3, 1, stamp, -1, -1)]


def test_an_open_transaction_and_its_end(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    produce(client, topic, a_batch())

    def told() -> Any:
        return [(*one[:3], *one[4:]) for one in describe(client, topic)]

    append(client, topic, 7, 0, count=2)
    append(client, topic, 7, 2)
    append(client, topic, 8, 0)
    assert told() == [(7, 0, 2, -1, 1), (8, 0, 0, -1, 4)]
    end(client, topic, 8, ABORT, coordinator=5)
    end(client, topic, 7, COMMIT, epoch=1, coordinator=6)
    assert told() == [(7, 1, -1, 6, -1), (8, 0, 0, 5, -1)]


def test_partitions_that_are_not_there(client: Client) -> None:
    topic = a_topic(client)
    asked = [TopicRequest(topic.name, [0, 1]), TopicRequest(a_name(), [0]), TopicRequest(".", [0])]
    topics = client.call(DescribeProducersRequest(asked), 0).topics
    codes = [[one.error_code for one in topic.partitions] for topic in topics]
    missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert codes == [[OK, missing], [missing], [ErrorCode.INVALID_TOPIC_EXCEPTION]]
