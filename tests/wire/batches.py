"""Record batches by hand, right and wrong: the broker's own codec is not trusted here."""

from __future__ import annotations

import gzip
import struct
import time
from collections.abc import Sequence

from crc32c import crc32c

LATER_THAN_ALL = 2**62
CREATE_TIME = 0
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
LOG_APPEND_TIME_BIT, TRANSACTIONAL_BIT, CONTROL_BIT = 8, 16, 32

# Where fields lie in a batch.
BASE_OFFSET, LENGTH, LEADER_EPOCH, MAGIC, CRC, ATTRIBUTES = 0, 8, 12, 16, 17, 21
LAST_DELTA, BASE_TIMESTAMP, MAX_TIMESTAMP = 23, 27, 35
PRODUCER_ID, PRODUCER_EPOCH, BASE_SEQUENCE, COUNT = 43, 51, 53, 57


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def varint(value: int) -> bytes:
    """Zigzag."""
    value = (value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def a_record(delta: int, time_delta: int, key: bytes | None, value: bytes | None) -> bytes:
    body = b"\0" + varint(time_delta) + varint(delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += varint(0)
    return varint(len(body)) + body


def zstd(data: bytes) -> bytes:
    """A frame of one block that is stored as it is, of at most 255 bytes (RFC 8878)."""
    size_known, last_block = 0x20, 1
    block = (len(data) << 3 | last_block).to_bytes(3, "little") + data
    return struct.pack("<IBB", 0xFD2FB528, size_known, len(data)) + block


def a_batch(
    values: Sequence[bytes | None] = (b"value",),
    *,
    key: bytes | None = b"key",
    timestamps: Sequence[int] | None = None,
    producer: tuple[int, int, int] = (-1, -1, -1),
    attributes: int = 0,
) -> bytes:
    """`producer` is (id, epoch, base sequence). Codecs gzip and zstd are what they say, the others only claim to."""
    times = list(timestamps) if timestamps is not None else [now_ms()] * len(values)
    records = b"".join(a_record(i, times[i] - times[0], key, value) for i, value in enumerate(values))
    if attributes & 7 == GZIP:
        records = gzip.compress(records, mtime=0)
    elif attributes & 7 == ZSTD:
        records = zstd(records)
    inside = struct.pack(
        ">hiqqqhii", attributes, len(values) - 1, times[0], max(times), *producer, len(values)
    ) + records
    return struct.pack(">qiibI", 0, len(inside) + 9, -1, 2, crc32c(inside)) + inside


def patched(batch: bytes, at: int, patch: bytes) -> bytes:
    """With `patch` at a position, and a CRC that is right again."""
    out = bytearray(batch)
    out[at : at + len(patch)] = patch
    if at >= ATTRIBUTES:
        out[CRC : CRC + 4] = crc32c(out[ATTRIBUTES:]).to_bytes(4, "big")
    return bytes(out)


def stored(batch: bytes, base_offset: int, leader_epoch: int = 0) -> bytes:
    """The batch as a log holds it."""
    return base_offset.to_bytes(8, "big") + batch[8:12] + leader_epoch.to_bytes(4, "big") + batch[16:]
