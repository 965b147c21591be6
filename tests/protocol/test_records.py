"""Record batches: round trips, other clients' builders and readers, stamping, CRC, limits."""

import struct
import warnings
import zlib
from typing import Any

import cramjam
import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from flymq_protocol.errors import EncodeError, ProtocolError
from flymq_protocol.records import compression, control
from flymq_protocol.records.batch import (
    HEADER_SIZE,
    BatchHeader,
    crc_ok,
    iter_batches,
    parse_header,
    stamp,
    stamp_log_append_time,
    whole_batches_end,
    write_crc,
)
from flymq_protocol.records.record import Record, build_batch, decode_batch

with warnings.catch_warnings():
    # kafka-python reads its message definitions with a deprecated function as it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from aiokafka.record.memory_records import MemoryRecords as AioRecords

CODECS = sorted(compression.NAMES)
SOME = [
    Record(0, 1_700_000_000_000, b"key", b"value", (("h", b"1"), ("null", None))),
    Record(1, 1_700_000_000_005, None, b"x" * 5000),
    Record(2, 1_699_999_999_990, b"", None),
]

records = st.lists(
    st.tuples(
        st.integers(-1, 2**45),
        st.none() | st.binary(max_size=20),
        st.none() | st.binary(max_size=300),
        st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=2),
    ),
    max_size=6,
).map(lambda rows: [Record(i, t, k, v, tuple(h)) for i, (t, k, v, h) in enumerate(rows)])


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=25, deadline=None, database=None)
@given(listed=records)
def test_round_trip(codec: int, listed: list[Record]) -> None:
    batch = build_batch(listed, codec=codec)
    assert crc_ok(batch)
    assert decode_batch(batch) == listed
    assert decode_batch(memoryview(bytes(batch) + b"next")) == listed


@pytest.mark.parametrize("codec", CODECS)
def test_header(codec: int) -> None:
    batch = build_batch(
        SOME, codec=codec, producer_id=7, producer_epoch=3, base_sequence=11, transactional=True, leader_epoch=4
    )
    header = parse_header(batch)
    assert header.size == len(batch)
    assert (header.base_offset, header.last_offset, header.record_count) == (0, 2, 3)
    assert (header.leader_epoch, header.magic, header.codec) == (4, 2, codec)
    assert (header.base_timestamp, header.max_timestamp) == (SOME[0].timestamp, SOME[1].timestamp)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 3, 11)
    assert header.transactional
    assert not header.control
    assert not header.log_append_time
    assert not header.delete_horizon


def test_a_batch_by_hand() -> None:
    body = bytes.fromhex("10 00 00 00 02 6b 02 76 00".replace(" ", ""))
    covered = struct.pack(">hiqqqhii", 0, 0, 1000, 1000, -1, -1, -1, 1) + body
    expected = struct.pack(">qiibI", 5, 49 + len(body), -1, 2, crc32c(covered)) + covered
    assert build_batch([Record(5, 1000, b"k", b"v")], base_offset=5) == expected


@pytest.mark.parametrize("codec", CODECS)
def test_other_clients_read_ours(codec: int) -> None:
    batch = bytes(build_batch(SOME, codec=codec))
    for reader in (MemoryRecords(batch), AioRecords(batch)):
        read: Any = reader.next_batch()
        assert read.validate_crc()
        assert [
            Record(r.offset, r.timestamp, r.key, r.value, tuple((k, v) for k, v in r.headers)) for r in read
        ] == SOME


@pytest.mark.parametrize("codec", CODECS)
def test_we_read_other_clients(codec: int) -> None:
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1_000_000)
    for record in SOME:
        builder.append(record.timestamp, record.key, record.value, list(record.headers))
    builder.close()
    data = builder.buffer()
    assert crc_ok(data)
    assert decode_batch(data) == SOME


def test_stamping_keeps_the_crc() -> None:
    batch = bytearray(b"before") + build_batch(SOME)
    stamp(batch, 1000, 9, start=6)
    assert crc_ok(batch, 6)
    header = BatchHeader(batch, 6)
    assert (header.base_offset, header.leader_epoch) == (1000, 9)
    assert [record.offset for record in decode_batch(batch[6:])] == [1000, 1001, 1002]


def test_log_append_time() -> None:
    batch = build_batch(SOME)
    stamp_log_append_time(batch, 123)
    assert crc_ok(batch)
    assert BatchHeader(batch).log_append_time
    assert {record.timestamp for record in decode_batch(batch)} == {123}
    assert {record.timestamp for record in MemoryRecords(bytes(batch)).next_batch()} == {123}


@pytest.mark.parametrize("at", [17, 21, 40, HEADER_SIZE, -1])
def test_crc_finds_a_flipped_bit(at: int) -> None:
    batch = build_batch(SOME)
    batch[at] ^= 1
    assert not crc_ok(batch)


def test_crc_of_what_is_cut_short() -> None:
    batch = build_batch(SOME)
    assert not crc_ok(batch[:-1])
    assert not crc_ok(batch[:20])


def test_iteration_and_cutting() -> None:
    sizes = []
    data = bytearray()
    for count in (1, 2, 3):
        batch = build_batch(SOME[:count])
        sizes.append(len(batch))
        data += batch
    first, second, third = sizes
    ends = [first, first + second, first + second + third]
    assert [end for _, end in iter_batches(data)] == ends
    assert list(iter_batches(data[:-1])) == [(0, ends[0]), (ends[0], ends[1])]
    assert list(iter_batches(data, ends[1])) == [(ends[1], ends[2])]
    assert whole_batches_end(data, 1) == ends[0]
    assert whole_batches_end(data, ends[1] - 1) == ends[0]
    assert whole_batches_end(data, ends[1]) == ends[1]
    assert whole_batches_end(data[: first - 1], 10_000) == 0
    with pytest.raises(ProtocolError):
        list(iter_batches(bytes(61)))


def test_a_header_that_does_not_fit() -> None:
    with pytest.raises(ProtocolError):
        parse_header(bytes(60))


# Damage


@settings(max_examples=300, deadline=None, database=None)
@given(st.sampled_from(CODECS), st.integers(HEADER_SIZE, 200), st.integers(1, 255), st.integers(0, 40))
def test_damaged_batches_give_records_or_a_protocol_error(codec: int, at: int, change: int, cut: int) -> None:
    batch = build_batch(SOME, codec=codec)
    batch[at % len(batch)] ^= change
    try:
        decode_batch(batch[: len(batch) - cut], 100_000)
    except ProtocolError:
        return


def refit(batch: bytearray, count: int) -> bytearray:
    """The batch with another record count, and length and CRC to match."""
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    struct.pack_into(">i", batch, 57, count)
    write_crc(batch)
    return batch


def test_record_counts_that_do_not_fit() -> None:
    for count in (-1, 2**31 - 1, 2, 4):
        with pytest.raises(ProtocolError):
            decode_batch(refit(build_batch(SOME), count))
    with pytest.raises(ProtocolError, match="after the last"):
        decode_batch(refit(build_batch(SOME) + b"\0", 3))
    with pytest.raises(ProtocolError, match="magic"):
        decode_batch(bytes(61))


# Limits


@pytest.mark.parametrize("codec", CODECS)
def test_inflating_is_limited(codec: int) -> None:
    data = bytes(1_000_000)
    packed = compression.compress(codec, data)
    assert compression.decompress(codec, memoryview(packed), 1_000_000) == data
    for limit in (0, 10, 999_999):
        with pytest.raises(compression.InflateLimit):
            compression.decompress(codec, packed, limit)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec])
def test_corrupt_data(codec: int) -> None:
    packed = compression.compress(codec, bytes(range(256)) * 300)
    for data in (packed[: len(packed) // 2], b"\x99garbage" * 3, b""):
        with pytest.raises(ProtocolError):
            compression.decompress(codec, data, 10_000_000)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 64 * 1024 + 1, 200_000])
def test_sizes_around_the_blocks(codec: int, size: int) -> None:
    data = bytes(i * i >> 3 & 0xFF for i in range(size))
    assert compression.decompress(codec, compression.compress(codec, data), size) == data


def test_other_forms_of_a_codec() -> None:
    data = b"some data " * 100
    raw = bytes(cramjam.snappy.compress_raw(data))
    assert compression.decompress(compression.SNAPPY, raw, 1000) == data
    two = zlib.compress(data[:500], wbits=31) + zlib.compress(data[500:], wbits=31)
    assert compression.decompress(compression.GZIP, two, 1000) == data
    linked = bytes(cramjam.lz4.compress(data))
    assert compression.decompress(compression.LZ4, linked, 1000) == data


def test_lz4_blocks_are_independent() -> None:
    # Java's reader refuses frames without this flag (Lz4BlockInputStream).
    assert compression.compress(compression.LZ4, b"x")[4] & 0x20


def test_unknown_codecs() -> None:
    with pytest.raises(EncodeError):
        compression.compress(5, b"")
    with pytest.raises(ProtocolError):
        compression.decompress(5, b"", 10)


# Building


def test_offsets_must_rise_from_the_base() -> None:
    for listed in ([Record(4, 0, None, None)], [Record(6, 0, None, None), Record(6, 0, None, None)]):
        with pytest.raises(EncodeError):
            build_batch(listed, base_offset=5)


def test_a_compacted_batch_keeps_its_range() -> None:
    batch = build_batch([SOME[2]], last_offset_delta=9)
    assert BatchHeader(batch).last_offset == 9
    assert decode_batch(batch) == [SOME[2]]
    empty = build_batch([], last_offset_delta=9)
    assert decode_batch(empty) == []


# Control records


@pytest.mark.parametrize("type_", [control.ABORT, control.COMMIT])
def test_markers(type_: int) -> None:
    batch = control.build_marker(type_, 77, 5, 12, 1000, base_offset=40)
    header = BatchHeader(batch)
    assert header.control
    assert header.transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (77, 5, -1)
    (record,) = decode_batch(batch)
    assert (record.offset, record.timestamp) == (40, 1000)
    assert record.key == bytes([0, 0, 0, type_])
    assert record.value == bytes([0, 0, 0, 0, 0, 12])
    assert control.control_type(record.key) == type_
    assert control.coordinator_epoch(record.value) == 12


def test_markers_that_are_none() -> None:
    for data in (None, b"\0\0\0", b"\xff\xff\0\0\0\0"):
        with pytest.raises(ProtocolError):
            control.control_type(data)
        with pytest.raises(ProtocolError):
            control.coordinator_epoch(data)
