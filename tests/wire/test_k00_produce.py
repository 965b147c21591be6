"""Produce on the wire."""

from __future__ import annotations

import struct

import pytest

from flymq import EmbeddedBroker
from flymq_protocol.api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from flymq_protocol.errors import ErrorCode

from .batches import (
    ATTRIBUTES,
    BASE_OFFSET,
    BASE_SEQUENCE,
    CONTROL_BIT,
    COUNT,
    CRC,
    GZIP,
    LAST_DELTA,
    LENGTH,
    LOG_APPEND_TIME_BIT,
    MAGIC,
    ZSTD,
    a_batch,
    now_ms,
    patched,
    stored,
)
from .client import TIMEOUT_S, Client
from .conftest import Disk
from .kit import NO_ID, Topic, a_topic, drop_topic, fetch, fetching, produce, producing, told, until, wanted
from .marks import deviates

OK = ErrorCode.NONE
DAY_MS = 86_400_000


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2)
    batch = a_batch([b"a", b"b"])
    for base in (0, 2):
        answer = produce(client, topic, batch, 1, version=version)
        assert (answer.error_code, answer.base_offset, answer.log_append_time_ms) == (OK, base, -1)
        assert answer.log_start_offset == (0 if version >= 5 else -1)
    data = told(client.call(fetching(topic, wanted(1)), 12))[1]
    assert bytes(data.records) == stored(batch, 0) + stored(batch, 2)


# -- the checks, in the order of their table ----------------------------------------------------------


@pytest.mark.parametrize("acks", [2, -2, 32767])
def test_acks(client: Client, acks: int) -> None:
    topic = a_topic(client, 2)
    data = [PartitionProduceData(index, a_batch()) for index in (0, 1)]
    response = client.call(ProduceRequest(None, acks, 1000, [TopicProduceData(topic.name, topic.id, data)]), 9)
    codes = {one.partition_responses[index].error_code for one in response.responses for index in (0, 1)}
    assert codes == {ErrorCode.INVALID_REQUIRED_ACKS}
    unknown = client.call(producing(Topic("nowhere", NO_ID), a_batch(), acks=acks), 9)
    assert unknown.responses[0].partition_responses[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert fetch(client, topic).high_watermark == 0


@pytest.mark.parametrize(
    ("version", "code"), [(12, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (13, ErrorCode.UNKNOWN_TOPIC_ID)]
)
def test_an_unknown_topic(client: Client, version: int, code: ErrorCode) -> None:
    answer = produce(client, Topic("wire-none", b"x" * 16), a_batch(), version=version)
    assert (answer.error_code, answer.base_offset) == (code, -1)


@pytest.mark.parametrize("name", ["a/b", "", "..", "x" * 250])
def test_a_name_that_no_topic_can_have(client: Client, name: str) -> None:
    answer = produce(client, Topic(name, NO_ID), a_batch(), version=9)
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("version", [9, 13])
@pytest.mark.parametrize("index", [1, -1, 2**31 - 1])
def test_an_unknown_partition(client: Client, version: int, index: int) -> None:
    answer = produce(client, a_topic(client), a_batch(), index, version=version)
    assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_an_internal_topic(client: Client) -> None:
    answer = produce(client, Topic("__consumer_offsets", NO_ID), a_batch(), version=9)
    assert answer.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


GOOD = a_batch([b"a", b"b"])
WRONG = {
    "nothing": (b"", ErrorCode.INVALID_RECORD),
    "a few bytes": (GOOD[:11], ErrorCode.INVALID_RECORD),
    "length 13": (patched(GOOD, LENGTH, struct.pack(">i", 13)), ErrorCode.CORRUPT_MESSAGE),
    "length -1": (patched(GOOD, LENGTH, struct.pack(">i", -1)), ErrorCode.CORRUPT_MESSAGE),
    "magic 3": (patched(GOOD, MAGIC, b"\3"), ErrorCode.CORRUPT_MESSAGE),
    "magic -1": (patched(GOOD, MAGIC, b"\xff"), ErrorCode.CORRUPT_MESSAGE),
    "magic 1": (patched(GOOD, MAGIC, b"\1"), ErrorCode.INVALID_RECORD),
    "cut short": (GOOD[:-1], ErrorCode.INVALID_RECORD),
    "two batches": (GOOD + GOOD, ErrorCode.INVALID_RECORD),
    "base offset 1": (patched(GOOD, BASE_OFFSET, struct.pack(">q", 1)), ErrorCode.INVALID_RECORD),
    "CRC": (patched(GOOD, CRC, b"\0\0\0\0"), ErrorCode.CORRUPT_MESSAGE),
    "a flipped bit": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), ErrorCode.CORRUPT_MESSAGE),
    "count 0": (patched(GOOD, COUNT, struct.pack(">i", 0)), ErrorCode.INVALID_RECORD),
    "count 3": (patched(GOOD, COUNT, struct.pack(">i", 3)), ErrorCode.INVALID_RECORD),
    "count and delta of a lie": (
        patched(patched(GOOD, COUNT, struct.pack(">i", 1000)), LAST_DELTA, struct.pack(">i", 999)),
        ErrorCode.INVALID_RECORD,
    ),
    "delta -1": (patched(GOOD, LAST_DELTA, struct.pack(">i", -1)), ErrorCode.INVALID_RECORD),
    "control": (patched(GOOD, ATTRIBUTES, struct.pack(">h", CONTROL_BIT)), ErrorCode.INVALID_RECORD),
    "a producer without sequence": (a_batch(producer=(7, 0, -1)), ErrorCode.INVALID_RECORD),
}
UNFRAMED = {"nothing", "a few bytes", "magic 1", "cut short", "two batches"}
"""Refused before the log is asked, as what is corrupt: the answer does not tell where that starts."""
UNLIKE_KAFKA = {
    "null": (None, ErrorCode.INVALID_RECORD),
    "codec 5": (patched(GOOD, ATTRIBUTES, b"\0\5"), ErrorCode.INVALID_RECORD),
    "LogAppendTime": (
        patched(GOOD, ATTRIBUTES, struct.pack(">h", LOG_APPEND_TIME_BIT)),
        ErrorCode.INVALID_TIMESTAMP,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_batch_is_refused_and_nothing_is_kept(client: Client, name: str) -> None:
    batch, code = WRONG[name]
    topic = a_topic(client)
    answer = produce(client, topic, batch)
    assert (answer.error_code, answer.base_offset) == (code, -1)
    log_is_known = code != ErrorCode.CORRUPT_MESSAGE and name not in UNFRAMED
    assert answer.log_start_offset == (0 if log_is_known else -1)
    assert produce(client, topic, GOOD).base_offset == 0
    assert bytes(fetch(client, topic).records) == stored(GOOD, 0)


@deviates("Wrong batches that Kafka takes, or answers nothing or UNKNOWN_SERVER_ERROR to")
@pytest.mark.parametrize("name", UNLIKE_KAFKA)
def test_a_wrong_batch_is_refused_with_a_code_that_says_why(client: Client, name: str) -> None:
    batch, code = UNLIKE_KAFKA[name]
    answer = produce(client, a_topic(client), batch)
    assert (answer.error_code, answer.base_offset) == (code, -1)


@pytest.mark.parametrize("name", [*WRONG, *UNLIKE_KAFKA])
def test_a_refusal_says_why(client: Client, broker: EmbeddedBroker, name: str) -> None:
    batch, _ = {**WRONG, **UNLIKE_KAFKA}[name]
    assert produce(client, a_topic(client), batch).error_message


@pytest.mark.parametrize("name", ["length 13", "length -1", "magic 3", "magic -1"])
def test_what_does_not_begin_like_a_batch_is_refused_with_all_that_came_with_it(client: Client, name: str) -> None:
    topic = a_topic(client, 2)
    for topic_name in (topic.name, "nowhere"):
        data = [PartitionProduceData(0, GOOD), PartitionProduceData(1, WRONG[name][0])]
        request = ProduceRequest(None, -1, 1000, [TopicProduceData(topic_name, NO_ID, data)])
        results = client.call(request, 9).responses[0].partition_responses
        assert [one.error_code for one in results] == [ErrorCode.CORRUPT_MESSAGE] * 2
    assert fetch(client, topic).high_watermark == 0


@pytest.mark.parametrize(("version", "code"), [(6, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE), (7, OK)])
def test_zstd_needs_v7(client: Client, version: int, code: ErrorCode) -> None:
    assert produce(client, a_topic(client), a_batch(attributes=ZSTD), version=version).error_code == code


def test_a_compressed_batch_comes_back_as_it_was_sent(client: Client) -> None:
    topic = a_topic(client)
    batch = a_batch([b"x" * 1000] * 10, attributes=GZIP)
    assert produce(client, topic, batch).error_code == OK
    assert bytes(fetch(client, topic).records) == stored(batch, 0)


def test_max_message_bytes_counts_the_batch_as_sent(client: Client) -> None:
    batch = a_batch([b"x" * 500])
    fits = a_topic(client, max_message_bytes=len(batch))
    small = a_topic(client, max_message_bytes=len(batch) - 1)
    assert produce(client, fits, batch).error_code == OK
    assert produce(client, small, batch).error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_segment_bytes(client: Client) -> None:
    topic = a_topic(client, segment_bytes=1 << 20, max_message_bytes=2 << 20)
    assert produce(client, topic, a_batch([b"x" * (1 << 20)])).error_code == ErrorCode.RECORD_LIST_TOO_LARGE


@pytest.mark.parametrize(("shift_ms", "code"), [
    (0, OK), (2 * DAY_MS, ErrorCode.INVALID_TIMESTAMP), (-2 * DAY_MS, ErrorCode.INVALID_TIMESTAMP)
])
def test_timestamps_are_bounded(client: Client, shift_ms: int, code: ErrorCode) -> None:
    topic = a_topic(client, message_timestamp_before_max_ms=DAY_MS, message_timestamp_after_max_ms=DAY_MS)
    answer = produce(client, topic, a_batch(timestamps=[now_ms() + shift_ms]))
    assert answer.error_code == code
    assert [one.batch_index for one in answer.record_errors] == ([] if code == OK else [0])


def test_a_record_may_have_no_timestamp(client: Client) -> None:
    topic = a_topic(client, message_timestamp_before_max_ms=DAY_MS)
    assert produce(client, topic, a_batch(timestamps=[-1])).error_code == OK


def test_log_append_time_is_the_brokers(client: Client) -> None:
    topic = a_topic(client, message_timestamp_type="LogAppendTime")
    before = now_ms()
    sent = a_batch([b"a", b"b"], timestamps=[1, 2])
    answer = produce(client, topic, sent)
    assert before <= answer.log_append_time_ms <= now_ms()
    kept = bytes(fetch(client, topic).records)
    changed = patched(sent, ATTRIBUTES, struct.pack(">h", LOG_APPEND_TIME_BIT))
    changed = patched(changed, 35, struct.pack(">q", answer.log_append_time_ms))
    assert kept == stored(changed, 0)  # bit, max timestamp, and a CRC that is right again


def test_one_bad_partition_does_not_hold_back_the_others(client: Client) -> None:
    topic = a_topic(client, 3)
    data = [PartitionProduceData(0, a_batch()), PartitionProduceData(7, a_batch()), PartitionProduceData(2, b"")]
    topics = [TopicProduceData(topic.name, topic.id, data), TopicProduceData("wire-none", NO_ID, data[:1])]
    response = client.call(ProduceRequest(None, -1, 1000, topics), 9)
    codes = {
        (answered.name, one.index): one.error_code
        for answered in response.responses
        for one in answered.partition_responses
    }
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert codes == {
        (topic.name, 0): OK, (topic.name, 7): unknown, (topic.name, 2): ErrorCode.INVALID_RECORD,
        ("wire-none", 0): unknown,
    }


def test_nothing_asked_is_nothing_answered(client: Client) -> None:
    assert client.call(ProduceRequest(None, -1, 1000, []), 9).responses == []


# -- idempotence --------------------------------------------------------------------------------------


def send(
    client: Client, topic: Topic, sequence: int, count: int = 1, *, epoch: int = 0, pid: int = 9
) -> tuple[int, int]:
    """(error code, base offset)"""
    answer = produce(client, topic, a_batch([b"x"] * count, producer=(pid, epoch, sequence)))
    return answer.error_code, answer.base_offset


def test_a_retry_gets_the_offset_of_the_original(client: Client) -> None:
    topic = a_topic(client)
    assert [send(client, topic, n * 2, 2) for n in range(6)] == [(OK, n * 2) for n in range(6)]
    assert [send(client, topic, n * 2, 2) for n in (5, 4, 3, 2, 1)] == [(OK, n * 2) for n in (5, 4, 3, 2, 1)]
    out_of_order = (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert send(client, topic, 0, 2) == out_of_order  # the sixth last
    assert send(client, topic, 10, 1) == out_of_order  # not the same batch
    assert send(client, topic, 13, 1) == out_of_order  # a gap
    assert fetch(client, topic).high_watermark == 12
    assert send(client, topic, 12) == (OK, 12)


def test_a_retry_shows_the_time_of_the_original(client: Client) -> None:
    topic = a_topic(client, message_timestamp_type="LogAppendTime")
    batch = a_batch(producer=(9, 0, 0))
    first, again = produce(client, topic, batch), produce(client, topic, batch)
    assert (again.base_offset, again.log_append_time_ms) == (first.base_offset, first.log_append_time_ms)
    topic = a_topic(client)
    first, again = produce(client, topic, batch), produce(client, topic, batch)
    assert (first.log_append_time_ms, again.log_append_time_ms) == (-1, struct.unpack_from(">q", batch, 35)[0])


def test_sequences_start_over_after_the_largest(client: Client) -> None:
    topic = a_topic(client)
    largest = 2**31 - 1
    assert send(client, topic, largest - 1) == (OK, 0)  # no state: any sequence may come first
    assert send(client, topic, largest, 3) == (OK, 1)  # straddles
    assert send(client, topic, 2) == (OK, 4)
    assert send(client, topic, largest, 3) == (OK, 1)  # a retry


def test_epochs(client: Client) -> None:
    topic = a_topic(client)
    assert send(client, topic, 0, 3, epoch=1) == (OK, 0)
    assert send(client, topic, 3, epoch=0) == (ErrorCode.INVALID_PRODUCER_EPOCH, -1)
    assert send(client, topic, 3, epoch=2) == (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert send(client, topic, 0, epoch=2) == (OK, 3)
    assert send(client, topic, 0, 3, epoch=1) == (ErrorCode.INVALID_PRODUCER_EPOCH, -1)


def test_producers_and_partitions_are_apart(client: Client) -> None:
    topic = a_topic(client, 2)
    batch = a_batch(producer=(9, 0, 5))
    assert produce(client, topic, batch, 0).base_offset == 0
    assert produce(client, topic, batch, 1).base_offset == 0
    assert send(client, topic, 5, pid=10) == (OK, 1)


def test_a_topic_made_anew_knows_no_producer(client: Client) -> None:
    topic = a_topic(client)
    assert send(client, topic, 0) == (OK, 0)
    drop_topic(client, topic)
    assert send(client, topic, 1) == (ErrorCode.UNKNOWN_TOPIC_ID, -1)


def test_a_bad_sequence_is_no_reason_to_forget(client: Client) -> None:
    topic = a_topic(client)
    assert send(client, topic, 0) == (OK, 0)
    assert produce(client, topic, patched(a_batch(producer=(9, 0, 1)), BASE_SEQUENCE, b"\0\0\0\7")).base_offset == -1
    assert send(client, topic, 1) == (OK, 1)


# -- acks and durability ------------------------------------------------------------------------------


def test_acks_all_waits_for_the_disk_and_acks_1_does_not(client: Client, other: Client, disk: Disk) -> None:
    topic = a_topic(client)
    client.send(producing(topic, GOOD), 13)
    disk.wait_for(1)
    assert produce(other, topic, GOOD, acks=1).base_offset == 2
    data = fetch(other, topic)
    assert (data.high_watermark, bytes(data.records)) == (0, b"")
    disk.release()
    assert client.receive().responses[0].partition_responses[0].base_offset == 0
    assert fetch(other, topic).high_watermark == 4


def test_a_retry_waits_for_the_original(client: Client, other: Client, disk: Disk) -> None:
    """A success for what a crash would lose."""
    topic = a_topic(client)
    batch = a_batch(producer=(9, 0, 0))
    other.send(producing(topic, batch), 13)
    disk.wait_for(1)
    client.send(producing(topic, batch), 13)
    client.send(producing(topic, GOOD, acks=1), 13)
    disk.wait_for(2)  # the retry has been looked at, too
    client.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv_frame()
    client.socket.settimeout(TIMEOUT_S)
    disk.release()
    assert [client.receive().responses[0].partition_responses[0].base_offset for _ in range(2)] == [0, 1]
    assert other.receive().responses[0].partition_responses[0].base_offset == 0


def test_the_wait_for_the_disk_ends_at_the_timeout_and_the_append_stays(client: Client, disk: Disk) -> None:
    topic = a_topic(client)
    request = producing(topic, GOOD)
    request.timeout_ms = 1
    answer = client.call(request, 13).responses[0].partition_responses[0]
    assert (answer.error_code, answer.base_offset) == (ErrorCode.REQUEST_TIMED_OUT, -1)
    disk.release()
    assert fetch(client, topic, max_wait_ms=10_000).high_watermark == 2


@pytest.mark.parametrize(
    ("version", "code"), [(12, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (13, ErrorCode.UNKNOWN_TOPIC_ID)]
)
def test_a_topic_deleted_while_waiting_for_the_disk_is_no_success(
    client: Client, other: Client, disk: Disk, version: int, code: ErrorCode
) -> None:
    topic = a_topic(client)
    client.send(producing(topic, GOOD), version)
    disk.wait_for(1)
    drop_topic(other, topic)
    answer = client.receive().responses[0].partition_responses[0]
    assert (answer.error_code, answer.base_offset) == (code, -1)


def test_acks_0_is_never_answered(client: Client) -> None:
    topic = a_topic(client)
    client.send(producing(topic, GOOD, acks=0), 9, answered=False)
    until(lambda: fetch(client, topic).high_watermark, 2)  # and this is the next answer


@pytest.mark.parametrize("bad", ["topic", "batch"])
def test_acks_0_with_an_error_closes(client: Client, bad: str) -> None:
    topic = Topic("wire-none", NO_ID) if bad == "topic" else a_topic(client)
    client.send(producing(topic, b"" if bad == "batch" else GOOD, acks=0), 9, answered=False)
    assert client.is_closed()


@pytest.mark.parametrize("version", [0, 1, 2])
def test_advertised_but_refused(client: Client, version: int) -> None:
    client.send_raw(struct.pack(">ihhih", 10, 0, version, 1, -1))
    assert client.is_closed()


def test_pipelined_batches_lie_in_the_order_they_were_sent(client: Client) -> None:
    topic = a_topic(client)
    batches = [a_batch([b"%d" % n] * (1 + n % 3)) for n in range(200)]
    answers = client.pipeline(*[(producing(topic, batch, acks=1 - 2 * (n % 2)), 13) for n, batch in enumerate(batches)])
    kept = b""
    offset = 0
    for batch, answer, n in zip(batches, answers, range(200), strict=True):
        assert answer.responses[0].partition_responses[0].base_offset == offset
        kept += stored(batch, offset)
        offset += 1 + n % 3
    found = b""
    while len(found) < len(kept):
        found += bytes(fetch(client, topic, sum(1 + n % 3 for n in range(count_of(found)))).records)
    assert found == kept


def count_of(batches: bytes) -> int:
    """How many whole batches these are."""
    count = position = 0
    while position < len(batches):
        position += 12 + int.from_bytes(batches[position + 8 : position + 12], "big")
        count += 1
    return count
