"""What a look inside a batch refuses, and what it makes of a batch in another codec."""

from __future__ import annotations

import pytest

from flymq.core.log.inspection import inspect, must_inspect
from flymq.core.log.plan import AppendError
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import BatchHeader, crc_ok, write_crc
from flymq_protocol.records.compression import InflateLimit
from flymq_protocol.records.record import Record, build_batch, decode_batch

NOW = 1_700_000_000_000
CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
RECORDS = [
    Record(0, NOW, b"k", b"x" * 500),
    Record(1, NOW + 9, b"", None, (("h", b"v"), ("n", None))),
    Record(2, NOW - 70_000, b"k" * 300, b"y" * 5000),
]


def config(**settings: object) -> TopicConfig:
    return TopicConfig.of(BrokerConfig(), {name.replace("_", "."): str(value) for name, value in settings.items()})


def a_batch(records: list[Record] = RECORDS, codec: int = 0) -> memoryview:
    return memoryview(build_batch(records, codec=codec, producer_id=7, producer_epoch=2, base_sequence=40))


def look(batch: memoryview, settings: TopicConfig, inflated_max: int = 1 << 20) -> memoryview | AppendError:
    return inspect(batch, settings, NOW, inflated_max)


@pytest.mark.parametrize("sent", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("wanted", CODECS)
def test_another_codec_keeps_all_but_the_bytes(sent: int, wanted: str) -> None:
    batch = a_batch(codec=sent)
    settings = config(compression_type=wanted)
    assert must_inspect(batch, settings) == (sent != CODECS[wanted])
    found = look(batch, settings)
    assert isinstance(found, memoryview)
    assert (found is batch) == (sent == CODECS[wanted])
    header, before = BatchHeader(found), BatchHeader(batch)
    assert header.codec == CODECS[wanted]
    assert crc_ok(found)
    assert header.size == len(found)
    for name in ("producer_id", "producer_epoch", "base_sequence", "base_timestamp", "max_timestamp", "record_count",
                 "last_offset_delta", "base_offset"):
        assert getattr(header, name) == getattr(before, name), name
    assert decode_batch(found) == RECORDS


@pytest.mark.parametrize(("codec", "low", "high"), [("gzip", 1, 9), ("lz4", 1, 17), ("zstd", 1, 19)])
def test_levels_act(codec: str, low: int, high: int) -> None:
    text = b" ".join(b"%d" % (i * i * i % 9973 % 300) for i in range(9000))
    sizes = []
    for level in (low, high):
        settings = {f"compression_{codec}_level": level, "compression_type": codec}
        found = look(a_batch([Record(0, NOW, b"k", text)]), config(**settings))
        assert isinstance(found, memoryview)
        assert decode_batch(found)[0].value == text
        sizes.append(len(found))
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_records_without_a_key(codec: int) -> None:
    keyless = [Record(i, NOW, None if i % 2 else b"k", b"v") for i in range(12)]
    assert not must_inspect(a_batch(keyless, codec), config())
    settings = config(cleanup_policy="compact,delete")
    assert must_inspect(a_batch(keyless, codec), settings)
    refused = look(a_batch(keyless, codec), settings)
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.INVALID_RECORD
    assert [index for index, _ in refused.records] == [1, 3, 5, 7, 9, 11]
    assert "record 1: a compacted topic takes no message without key" in refused.message
    assert "and 3 more" in refused.message
    batch = a_batch([Record(0, NOW, b"", None)], codec)
    assert look(batch, settings) is batch  # an empty key is one, and a tombstone is welcome


def test_times_are_checked_by_record() -> None:
    records = [Record(0, NOW, b"k", b""), Record(1, NOW - 2000, b"k", b""), Record(2, NOW, None, b"")]
    refused = look(a_batch(records), config(cleanup_policy="compact", message_timestamp_before_max_ms=1000))
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.INVALID_TIMESTAMP
    assert [index for index, _ in refused.records] == [1, 2]
    settings = config(
        cleanup_policy="compact", message_timestamp_before_max_ms=1000, message_timestamp_type="LogAppendTime"
    )
    batch = a_batch(records[:2])
    assert look(batch, settings) is batch
    timeless = a_batch([Record(0, -1, b"k", b"")])
    assert look(timeless, config(cleanup_policy="compact")) is timeless


def test_a_wrong_largest_timestamp_is_put_right() -> None:
    batch = a_batch()
    batch[35:43] = (NOW - 1).to_bytes(8, "big")
    write_crc(batch)
    found = look(batch, config(cleanup_policy="compact"))
    assert isinstance(found, memoryview)
    assert (BatchHeader(found).max_timestamp, crc_ok(found)) == (NOW + 9, True)


def test_the_limit_of_inflating() -> None:
    bomb = a_batch([Record(0, NOW, b"k", bytes(1 << 20))], codec=1)
    assert len(bomb) < 2000
    with pytest.raises(InflateLimit):
        look(bomb, config(cleanup_policy="compact"), 100_000)
    assert look(bomb, config(cleanup_policy="compact"), 2 << 20) is bomb


def test_what_the_log_refuses_anyway_is_left_to_it() -> None:
    damaged = a_batch()
    damaged[70] ^= 1
    for batch in (damaged, memoryview(bytearray(b"short")), a_batch()[:-1]):
        assert look(batch, config(compression_type="gzip", cleanup_policy="compact")) is batch


@pytest.mark.parametrize(("at", "byte"), [
    (61, 0x7F), (61, 0x01), (64, 0x08), (65, 0x7E), (61, 0x10),
], ids=["beyond the end", "negative size", "offset out of order", "key beyond the record", "too short"])
def test_malformed_records(at: int, byte: int) -> None:
    batch = a_batch([Record(0, NOW, b"k", b"value"), Record(1, NOW, b"k", b"value")])
    batch[at] = byte
    write_crc(batch)
    refused = look(batch, config(cleanup_policy="compact"))
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.INVALID_RECORD
    assert refused.records == ()


@pytest.mark.parametrize("end", range(61, 74))
def test_records_cut_short(end: int) -> None:
    whole = a_batch([Record(0, NOW, b"k", b"value")])
    batch = memoryview(bytearray(whole[:end]))
    batch[8:12] = (end - 12).to_bytes(4, "big")
    write_crc(batch)
    found = look(batch, config(compression_type="gzip"))
    if end < 61 + 7:  # no record is so small: refused without a look
        assert found is batch
    else:
        assert isinstance(found, AppendError)
        assert found.code == ErrorCode.INVALID_RECORD
