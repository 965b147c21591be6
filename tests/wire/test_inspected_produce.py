"""Produce to topics whose settings need a look inside the batches."""

from __future__ import annotations

import gzip
import os
import struct

import pytest
from crc32c import crc32c

from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.record import decode_batch

from .batches import ATTRIBUTES, BASE_SEQUENCE, GZIP, LOG_APPEND_TIME_BIT, MAX_TIMESTAMP, a_batch, now_ms
from .client import Client, Closed
from .kit import a_topic, fetch, list_offset, produce, producing, until
from .marks import deviates

OK = ErrorCode.NONE
LARGE = 100_000


def test_a_record_without_key_in_a_compacted_topic(client: Client) -> None:
    topic = a_topic(client, cleanup_policy="compact")
    for version in (7, 8, 13):
        refused = produce(client, topic, a_batch([b"a", b"b"], key=None), version=version)
        assert (refused.error_code, refused.base_offset) == (ErrorCode.INVALID_RECORD, -1)
        if version >= 8:
            assert [error.batch_index for error in refused.record_errors] == [0, 1]
            assert "message without key" in refused.record_errors[0].batch_index_error_message
            assert "message without key" in refused.error_message
    assert produce(client, topic, a_batch([b"a", None])).base_offset == 0
    assert produce(client, topic, a_batch([b"a"], key=None, attributes=GZIP)).error_code == ErrorCode.INVALID_RECORD


def test_forced_codec(client: Client) -> None:
    topic = a_topic(client, compression_type="gzip")
    assert produce(client, topic, a_batch([b"a" * 500, b"b"])).base_offset == 0
    found = bytes(fetch(client, topic).records)
    assert found[ATTRIBUTES + 1] & 7 == GZIP
    assert [record.value for record in decode_batch(found)] == [b"a" * 500, b"b"]
    plain = a_topic(client, compression_type="uncompressed")
    produce(client, plain, a_batch([b"a"], attributes=GZIP))
    assert fetch(client, plain).records[ATTRIBUTES + 1] == 0


def test_forced_codec_and_log_append_time(client: Client) -> None:
    topic = a_topic(client, compression_type="gzip", message_timestamp_type="LogAppendTime")
    before = now_ms()
    answer = produce(client, topic, a_batch([b"a", b"b"], timestamps=[5, 9]))
    assert before <= answer.log_append_time_ms <= now_ms()
    found = bytes(fetch(client, topic).records)
    assert found[ATTRIBUTES + 1] == GZIP | LOG_APPEND_TIME_BIT
    assert struct.unpack_from(">q", found, MAX_TIMESTAMP) == (answer.log_append_time_ms,)
    assert [record.timestamp for record in decode_batch(found)] == [answer.log_append_time_ms] * 2


def test_a_retry_of_a_batch_in_another_codec_is_known(client: Client) -> None:
    topic = a_topic(client, compression_type="gzip")
    batch = a_batch([b"a"], producer=(4711, 0, 0))
    large = a_batch([os.urandom(LARGE)], producer=(4711, 0, 1))
    for _ in range(2):
        assert produce(client, topic, batch).base_offset == 0
        assert produce(client, topic, large).base_offset == 1
    assert list_offset(client, topic, -1).offset == 2
    assert struct.unpack_from(">i", fetch(client, topic, 1).records, BASE_SEQUENCE) == (1,)


@pytest.mark.parametrize("acks", [1, -1])
def test_pipelined_batches_are_appended_and_answered_in_order(client: Client, acks: int) -> None:
    topic = a_topic(client, compression_type="gzip")
    values = [os.urandom(LARGE) if i % 3 == 0 else b"%d" % i for i in range(30)]
    batches = [a_batch([value], producer=(815, 0, i)) for i, value in enumerate(values)]
    answers = client.pipeline(*((producing(topic, batch, acks=acks), 13) for batch in batches))
    told = [answer.responses[0].partition_responses[0] for answer in answers]
    assert [(one.error_code, one.base_offset) for one in told] == [(OK, i) for i in range(30)]
    until(lambda: fetch(client, topic).high_watermark, 30)
    for i in (0, 1, 29):
        found = decode_batch(fetch(client, topic, i, max_bytes=1).records)[0]
        assert (found.offset, found.value) == (i, values[i])


def test_acks_0_is_appended_in_order_too(client: Client) -> None:
    topic = a_topic(client, compression_type="gzip")
    for i in range(6):
        batch = a_batch([os.urandom(LARGE) if i % 2 == 0 else b"small"], producer=(816, 0, i))
        client.send(producing(topic, batch, acks=0), 13, answered=False)
    assert produce(client, topic, a_batch([b"last"], producer=(816, 0, 6))).base_offset == 6


@pytest.mark.parametrize("size", [10, LARGE])
def test_acks_0_that_fails_closes_the_connection(client: Client, size: int) -> None:
    topic = a_topic(client, cleanup_policy="compact")
    client.send(producing(topic, a_batch([os.urandom(size)], key=None), acks=0), 13, answered=False)
    client.send(producing(topic, a_batch([b"a"])), 13)
    with pytest.raises(Closed):
        client.receive()


def test_several_partitions_each_for_itself(client: Client) -> None:
    topic = a_topic(client, 3, cleanup_policy="compact")
    request = producing(topic, a_batch([os.urandom(LARGE)]))
    (data,) = request.topic_data
    data.partition_data += producing(topic, a_batch([os.urandom(LARGE)], key=None), 1).topic_data[0].partition_data
    data.partition_data += producing(topic, a_batch(), 2).topic_data[0].partition_data
    told = client.call(request, 13).responses[0].partition_responses  # in any order on Kafka
    assert {one.index: (one.error_code, len(one.record_errors)) for one in told} == {
        0: (OK, 0), 1: (ErrorCode.INVALID_RECORD, 1), 2: (OK, 0)
    }


@deviates("A batch that inflates to more than flymq.inflate.bytes.max is refused")
def test_inflating_is_bounded(client: Client) -> None:
    topic = a_topic(client, cleanup_policy="compact", max_message_bytes=10_000_000)
    bomb = bytearray(a_batch([b""]))
    payload = gzip.compress(bytes(300_000_000), 1)
    inside = struct.pack(">h", GZIP) + bytes(bomb[23:61]) + payload
    batch = struct.pack(">qiibI", 0, len(inside) + 9, -1, 2, crc32c(inside)) + inside
    refused = produce(client, topic, batch)
    assert refused.error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert "flymq.inflate.bytes.max" in refused.error_message


@pytest.mark.parametrize("acks", [-1, 1])
def test_more_in_sync_replicas_than_replicas_are_all_of_them(client: Client, acks: int) -> None:
    topic = a_topic(client, min_insync_replicas=2)
    assert produce(client, topic, a_batch(), acks=acks).base_offset == 0


@pytest.mark.parametrize(("settings", "age_ms"), [
    ({"message_timestamp_before_max_ms": 1000}, 60_000), ({"message_timestamp_after_max_ms": 1000}, -60_000),
])
@pytest.mark.parametrize("policy", ["delete", "compact"])
def test_times_too_far_from_ours(client: Client, settings: dict[str, int], age_ms: int, policy: str) -> None:
    topic = a_topic(client, cleanup_policy=policy, **settings)
    now = now_ms()
    for attributes in (0, GZIP):
        bad = a_batch([b"a", b"b", b"c"], timestamps=[now - age_ms, now, now - age_ms], attributes=attributes)
        refused = produce(client, topic, bad)
        assert refused.error_code == ErrorCode.INVALID_TIMESTAMP
        assert [error.batch_index for error in refused.record_errors] == [0, 2]
    large = a_batch([os.urandom(LARGE)], timestamps=[now - age_ms])
    assert [error.batch_index for error in produce(client, topic, large).record_errors] == [0]
    assert produce(client, topic, a_batch([b"a"])).error_code == OK
