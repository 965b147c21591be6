"""WriteTxnMarkers on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k27_write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import iter_batches, parse_header

from .batches import a_batch
from .client import Client
from .conftest import Disk
from .kit import Topic, a_name, a_topic, drop_topic, fetch, produce
from .marks import deviates
from .transactions import ABORT, COMMIT, Ledger, append, end, mark, marking

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2)
    produce(client, topic, a_batch(producer=(7, 0, 0)))
    answer = client.call(marking(topic, 7, COMMIT, indexes=(1, 0)), version)
    (marker,) = answer.markers
    (result,) = marker.topics
    assert (marker.producer_id, result.name) == (7, topic.name)
    assert {one.partition_index: one.error_code for one in result.partitions} == {0: OK, 1: OK}
    records = fetch(client, topic).records
    headers = [parse_header(records, start) for start, _ in iter_batches(records)]
    assert [(header.base_offset, header.control) for header in headers] == [(0, False), (1, True)]


def test_a_hanging_transaction_is_ended(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0)
    assert fetch(client, topic).last_stable_offset == 0
    end(client, topic, 7, ABORT)
    data = fetch(client, topic)
    assert (data.last_stable_offset, data.high_watermark) == (2, 2)


@pytest.mark.parametrize(("fields", "code"), [
    ({"epoch": -1}, ErrorCode.INVALID_PRODUCER_EPOCH),
    ({"epoch": 2}, ErrorCode.INVALID_PRODUCER_EPOCH),
    ({"epoch": 3, "version": 2}, ErrorCode.INVALID_PRODUCER_EPOCH),  # KIP-1228: of the transaction before
    ({"epoch": 4, "version": 2}, OK),
    ({"epoch": 3}, OK),
    ({"epoch": 3, "coordinator": 4}, ErrorCode.TRANSACTION_COORDINATOR_FENCED),
    ({"epoch": 3, "coordinator": 6}, OK),
])
def test_epochs_are_checked(client: Client, ledger: Ledger, fields: dict[str, int], code: ErrorCode) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0, epoch=3)
    end(client, topic, 7, COMMIT, epoch=3, coordinator=5)
    append(client, topic, 7, 1, epoch=3)
    assert mark(client, topic, 7, COMMIT, **{"coordinator": 5, **fields}) == code
    assert fetch(client, topic).last_stable_offset == (4 if code == OK else 2)


def test_each_partition_has_its_own_result(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client, 2)
    append(client, topic, 7, 0, epoch=3)
    topics = [WritableTxnMarkerTopic(topic.name, [0, 1, 2]), WritableTxnMarkerTopic(a_name(), [0])]
    request = WriteTxnMarkersRequest([
        WritableTxnMarker(7, 2, True, topics, 0), WritableTxnMarker(7, 3, True, topics[:1], 0),
    ])
    missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    answered = [
        [[result.error_code for result in topic.partitions] for topic in marker.topics]
        for marker in client.call(request, 2).markers
    ]
    assert answered == [[[ErrorCode.INVALID_PRODUCER_EPOCH, OK, missing], [missing]], [[OK, OK, missing]]]


def test_nothing_asked(client: Client) -> None:
    assert client.call(WriteTxnMarkersRequest([]), 2).markers == []
    assert client.call(marking(a_topic(client), 7, COMMIT, indexes=()), 2).markers == []


@deviates("Kafka says UNKNOWN_SERVER_ERROR where a request is not valid")
def test_no_producer(client: Client) -> None:
    assert mark(client, a_topic(client), -1, COMMIT) == ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_it_answers_once_the_marker_is_durable(client: Client, other: Client, ledger: Ledger, disk: Disk) -> None:
    topic = a_topic(client)
    client.send(marking(topic, 7, COMMIT), 2)
    disk.wait_for(1)
    assert fetch(other, topic).high_watermark == 0
    disk.release()
    assert client.receive().markers[0].topics[0].partitions[0].error_code == OK
    assert fetch(other, topic).high_watermark == 1


def test_a_topic_deleted_meanwhile(client: Client, other: Client, disk: Disk) -> None:
    topic: Topic = a_topic(client)
    client.send(marking(topic, 7, COMMIT), 2)
    disk.wait_for(1)
    drop_topic(other, topic)
    code = client.receive().markers[0].topics[0].partitions[0].error_code
    assert code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
