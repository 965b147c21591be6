"""DeleteRecords on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from flymq_protocol.api.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from flymq_protocol.errors import ErrorCode

from .batches import LATER_THAN_ALL, a_batch, stored
from .client import Client
from .conftest import Disk
from .kit import Topic, a_topic, fetch, fetching, is_silent, list_offset, produce, producing, told, wanted
from .marks import deviates

OK = ErrorCode.NONE
TIMEOUT_MS = 30_000


def deleting(name: str, *wanted: tuple[int, int], timeout_ms: int = TIMEOUT_MS) -> DeleteRecordsRequest:
    """`wanted`: (partition, offset)."""
    partitions = [DeleteRecordsPartition(*one) for one in wanted]
    return DeleteRecordsRequest([DeleteRecordsTopic(name, partitions)], timeout_ms)


def delete(client: Client, name: str, offset: int, *, index: int = 0, version: int = 2) -> tuple[int, int]:
    """(error code, low watermark)"""
    (topic,) = client.call(deleting(name, (index, offset)), version).topics
    (found,) = topic.partitions
    assert (topic.name, found.partition_index) == (name, index)
    return found.error_code, found.low_watermark


@pytest.fixture
def topic(client: Client) -> Topic:
    """Holds batches of offsets 0-2, 3 and 4-5."""
    made = a_topic(client)
    for values in ([b"a", b"b", b"c"], [b"d"], [b"e", b"f"]):
        assert produce(client, made, a_batch(values)).error_code == OK
    return made


def happy(client: Client, version: int) -> None:
    made = a_topic(client)
    produce(client, made, a_batch([b"a", b"b", b"c"]))
    assert delete(client, made.name, 2, version=version) == (OK, 2)
    assert list_offset(client, made, -2).offset == 2


def test_reads_begin_at_the_new_log_start(client: Client, topic: Topic) -> None:
    assert delete(client, topic.name, 3) == (OK, 3)
    assert fetch(client, topic, 2).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    found = fetch(client, topic, 3)
    assert (found.error_code, found.log_start_offset, found.high_watermark) == (OK, 3, 6)
    assert found.records[:8] == (3).to_bytes(8, "big")
    assert list_offset(client, topic, -2).offset == 3
    assert list_offset(client, topic, 0).offset == 3
    assert produce(client, topic, a_batch()).log_start_offset == 3


def test_in_the_middle_of_a_batch_the_batch_stays(client: Client, topic: Topic) -> None:
    assert delete(client, topic.name, 1) == (OK, 1)
    assert fetch(client, topic, 0).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert fetch(client, topic, 1).records[:8] == bytes(8)
    assert list_offset(client, topic, 0).offset == 1


def test_up_to_the_high_watermark(client: Client, topic: Topic) -> None:
    assert delete(client, topic.name, -1) == (OK, 6)
    found = fetch(client, topic, 6)
    assert (found.error_code, found.log_start_offset, bytes(found.records)) == (OK, 6, b"")
    assert list_offset(client, topic, 0).offset == -1
    batch = a_batch([b"g"])
    assert produce(client, topic, batch).base_offset == 6
    assert fetch(client, topic, 6).records == stored(batch, 6)


def test_at_or_below_the_log_start_nothing_changes(client: Client, topic: Topic) -> None:
    assert delete(client, topic.name, 3) == (OK, 3)
    for offset in (0, 2, 3):
        assert delete(client, topic.name, offset) == (OK, 3)
    assert delete(client, a_topic(client).name, -1) == (OK, 0)


def test_offsets_that_are_not_there(client: Client, topic: Topic) -> None:
    for offset in (7, LATER_THAN_ALL, -2, -LATER_THAN_ALL):
        assert delete(client, topic.name, offset) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)


def test_refusals(client: Client, topic: Topic) -> None:
    assert delete(client, topic.name, 0, index=1) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert delete(client, topic.name, 0, index=-1) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert delete(client, "nowhere", 0) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)
    assert delete(client, "__consumer_offsets", 0) == (ErrorCode.INVALID_TOPIC_EXCEPTION, -1)
    assert list_offset(client, topic, -2).offset == 0


def test_of_a_partition_named_twice_the_last_offset_counts(client: Client, topic: Topic) -> None:
    (found,) = client.call(deleting(topic.name, (0, 3), (0, 1)), 2).topics[0].partitions
    assert (found.error_code, found.low_watermark) == (OK, 1)


@pytest.mark.parametrize(("policy", "code"), [
    ("compact", ErrorCode.POLICY_VIOLATION), ("compact,delete", OK), ("delete", OK), ("", OK),
])
def test_a_topic_that_is_only_compacted_keeps_its_records(client: Client, policy: str, code: int) -> None:
    made = a_topic(client, cleanup_policy=policy)
    produce(client, made, a_batch([b"a", b"b"]))
    assert delete(client, made.name, 1)[0] == code
    assert list_offset(client, made, -2).offset == (0 if code else 1)


def test_what_is_not_durable_can_not_be_deleted(client: Client, other: Client, topic: Topic, disk: Disk) -> None:
    client.send(producing(topic, a_batch([b"g"])), 13)
    disk.wait_for(1)
    assert delete(other, topic.name, 7) == (ErrorCode.OFFSET_OUT_OF_RANGE, -1)
    assert delete(other, topic.name, -1) == (OK, 6)
    disk.release()
    assert client.receive().responses[0].partition_responses[0].base_offset == 6
    assert fetch(client, topic, 6).error_code == OK


@deviates("Told when its wait is over")
def test_a_parked_fetch_below_the_new_start_is_told(client: Client, other: Client, topic: Topic) -> None:
    client.send(fetching(topic, wanted(0, 2), max_wait_ms=30_000, min_bytes=1 << 20), 18)
    assert is_silent(client)
    assert delete(other, topic.name, 3) == (OK, 3)
    answer: Any = told(client.receive())[0]
    assert answer.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_many_partitions_each_for_itself(client: Client) -> None:
    made = a_topic(client, 3)
    for index in range(2):
        produce(client, made, a_batch([b"a", b"b"]), index)
    found = client.call(deleting(made.name, (0, 1), (1, 3), (2, -1), (3, 0)), 2).topics[0].partitions
    assert sorted((one.partition_index, one.error_code, one.low_watermark) for one in found) == [
        (0, OK, 1), (1, ErrorCode.OFFSET_OUT_OF_RANGE, -1), (2, OK, 0), (3, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1),
    ]
