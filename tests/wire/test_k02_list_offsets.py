"""ListOffsets on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from flymq_protocol.errors import ErrorCode

from .batches import GZIP, a_batch
from .client import Client
from .conftest import Disk
from .kit import NO_ID, Topic, a_topic, list_offset, produce

OK = ErrorCode.NONE
LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING = -1, -2, -3, -4, -5, -6
KNOWN_FROM = {LATEST: 1, EARLIEST: 1, MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9, EARLIEST_PENDING: 11}
T = 1_600_000_000_000


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    produce(client, topic, a_batch([b"a", b"b", b"c"], timestamps=[T, T + 10, T + 20]))
    epoch = 0 if version >= 4 else -1
    for timestamp, offset, found in ((LATEST, 3, -1), (EARLIEST, 0, -1), (T + 5, 1, T + 10)):
        answer = list_offset(client, topic, timestamp, version=version)
        assert (answer.error_code, answer.offset, answer.timestamp) == (OK, offset, found)
        assert answer.leader_epoch == epoch


@pytest.mark.parametrize("version", range(1, 12))
@pytest.mark.parametrize("timestamp", [*KNOWN_FROM, -7, -(2**63)])
def test_negative_timestamps_are_known_from_some_version_on(client: Client, timestamp: int, version: int) -> None:
    answer = list_offset(client, a_topic(client), timestamp, version=version)
    known = version >= KNOWN_FROM.get(timestamp, 99)
    assert answer.error_code == (OK if known else ErrorCode.UNSUPPORTED_VERSION)
    nowhere = list_offset(client, Topic("nowhere", NO_ID), timestamp, version=version)
    expected = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if known else ErrorCode.UNSUPPORTED_VERSION
    assert nowhere.error_code == expected
    if not known:
        assert (answer.offset, answer.timestamp) == (-1, -1)


@pytest.fixture
def times(client: Client) -> Topic:
    """Records' times go back and forth, inside a batch and between batches."""
    topic = a_topic(client)
    produce(client, topic, a_batch([b""] * 3, timestamps=[T + 100, T + 50, T + 300]))  # 0, 1, 2
    produce(client, topic, a_batch([b""] * 2, timestamps=[T + 10, T + 20], attributes=GZIP))  # 3, 4
    produce(client, topic, a_batch([b""] * 3, timestamps=[T + 310, T + 400, T + 400], attributes=GZIP))  # 5, 6, 7
    return topic


@pytest.mark.parametrize(
    ("timestamp", "offset", "found"),
    [
        (0, 0, 100), (T + 100, 0, 100), (T + 101, 2, 300), (T + 300, 2, 300), (T + 301, 5, 310), (T + 311, 6, 400),
        (T + 400, 6, 400),
    ],
)
def test_a_time_finds_a_record_and_not_a_batch(
    client: Client, times: Topic, timestamp: int, offset: int, found: int
) -> None:
    answer = list_offset(client, times, timestamp)
    assert (answer.error_code, answer.offset, answer.timestamp) == (OK, offset, T + found)


@pytest.mark.parametrize("timestamp", [T + 401, 2**63 - 1])
def test_none_found_is_no_error(client: Client, times: Topic, timestamp: int) -> None:
    answer = list_offset(client, times, timestamp)
    assert (answer.error_code, answer.offset, answer.timestamp) == (OK, -1, -1)


def test_the_largest_timestamp(client: Client, times: Topic) -> None:
    answer = list_offset(client, times, MAX_TIMESTAMP)
    assert (answer.error_code, answer.offset, answer.timestamp) == (OK, 6, T + 400)


def test_the_other_special_ones(client: Client, times: Topic) -> None:
    assert [list_offset(client, times, special).offset for special in (LATEST, EARLIEST, EARLIEST_LOCAL)] == [8, 0, 0]
    assert [list_offset(client, times, special).offset for special in (LATEST_TIERED, EARLIEST_PENDING)] == [-1, -1]


@pytest.mark.parametrize(("timestamp", "offset"), [(LATEST, 0), (EARLIEST, 0), (MAX_TIMESTAMP, -1), (T, -1)])
def test_an_empty_log(client: Client, timestamp: int, offset: int) -> None:
    answer = list_offset(client, a_topic(client), timestamp)
    assert (answer.error_code, answer.offset, answer.timestamp) == (OK, offset, -1)


def test_log_append_time_counts_where_it_is_the_topics(client: Client) -> None:
    topic = a_topic(client, message_timestamp_type="LogAppendTime")
    appended = produce(client, topic, a_batch([b"a", b"b"], timestamps=[T, T + 1])).log_append_time_ms
    answer = list_offset(client, topic, T + 2)
    assert (answer.offset, answer.timestamp) == (0, appended)


@pytest.mark.parametrize("isolation_level", [0, 1])
def test_what_is_not_durable_yet_is_not_found(client: Client, disk: Disk, isolation_level: int) -> None:
    topic = a_topic(client)
    produce(client, topic, a_batch([b"a"], timestamps=[T]), acks=1)
    for timestamp, offset in ((LATEST, 0), (EARLIEST, 0), (MAX_TIMESTAMP, -1), (T, -1)):
        request = ListOffsetsRequest(
            -1, isolation_level, [ListOffsetsTopic(topic.name, [ListOffsetsPartition(0, timestamp=timestamp)])]
        )
        answer = client.call(request, 11).topics[0].partitions[0]
        assert (answer.error_code, answer.offset) == (OK, offset)


@pytest.mark.parametrize(("epoch", "code"), [(-1, OK), (0, OK), (1, ErrorCode.UNKNOWN_LEADER_EPOCH)])
def test_epochs(client: Client, epoch: int, code: ErrorCode) -> None:
    answer = list_offset(client, a_topic(client), LATEST, version=4, current_leader_epoch=epoch)
    assert answer.error_code == code


@pytest.mark.parametrize(("name", "index"), [("wire-none", 0), ("a/b", 0), ("", 0), (None, 1), (None, -1)])
def test_unknown_partitions(client: Client, name: str | None, index: int) -> None:
    topic = a_topic(client).name if name is None else name
    asked = ListOffsetsTopic(topic, [ListOffsetsPartition(index, timestamp=LATEST)])
    answer = client.call(ListOffsetsRequest(-1, 0, [asked]), 7).topics[0].partitions[0]
    assert (answer.error_code, answer.offset) == (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)


def test_a_partition_named_twice(client: Client) -> None:
    topic = a_topic(client, 2)
    expected = {0: ErrorCode.INVALID_REQUEST, 1: OK}
    for topics in ([(0, 1, 0)], [(0, 1), (0,)]):  # also where the topic is
        asked = [
            ListOffsetsTopic(topic.name, [ListOffsetsPartition(index, timestamp=LATEST) for index in indexes])
            for indexes in topics
        ]
        (answered,) = client.call(ListOffsetsRequest(-1, 0, asked), 7).topics
        codes = {one.partition_index: one.error_code for one in answered.partitions}
        assert (len(answered.partitions), codes) == (2, expected)
