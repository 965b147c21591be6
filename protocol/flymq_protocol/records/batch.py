"""The record batch header, read and stamped in place, and batches in a row.

| offset | size | field                  | in the CRC |
|--------|------|------------------------|------------|
| 0      | 8    | base_offset            | no         |
| 8      | 4    | length, of what follows | no        |
| 12     | 4    | partition_leader_epoch | no         |
| 16     | 1    | magic, 2               | no         |
| 17     | 4    | crc, CRC-32C           | no         |
| 21     | 2    | attributes             | yes        |
| 23     | 4    | last_offset_delta      | yes        |
| 27     | 8    | base_timestamp         | yes        |
| 35     | 8    | max_timestamp          | yes        |
| 43     | 8    | producer_id            | yes        |
| 51     | 2    | producer_epoch         | yes        |
| 53     | 4    | base_sequence          | yes        |
| 57     | 4    | record_count           | yes        |
| 61     |      | records                | yes        |

Attributes: bits 0-2 codec, 3 timestamp type (1: LogAppendTime), 4 transactional, 5 control, 6 delete horizon.
Source: DefaultRecordBatch in Apache Kafka 4.
"""

import struct
from collections.abc import Iterator
from typing import Final

from ..errors import ProtocolError
from ..types import Buffer
from .crc import crc32c

LENGTH_OFFSET: Final = 8
LEADER_EPOCH_OFFSET: Final = 12
MAGIC_OFFSET: Final = 16
CRC_OFFSET: Final = 17
ATTRIBUTES_OFFSET: Final = 21
MAX_TIMESTAMP_OFFSET: Final = 35
HEADER_SIZE: Final = 61
"""Bytes before the records."""
PREFIX_SIZE: Final = 12
"""Bytes that `length` doesn't count."""
MAGIC: Final = 2

CODEC_MASK: Final = 0x07
TIMESTAMP_TYPE_BIT: Final = 0x08
TRANSACTIONAL_BIT: Final = 0x10
CONTROL_BIT: Final = 0x20
DELETE_HORIZON_BIT: Final = 0x40

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
"""The fields in the order of the table."""

_unpack_header = HEADER.unpack_from
_INT64 = struct.Struct(">q")
_INT32 = struct.Struct(">i")
_UINT32 = struct.Struct(">I")
_pack_int64 = _INT64.pack_into
_pack_int32 = _INT32.pack_into


class BatchHeader:
    """One batch's header, read once; it doesn't follow later changes of the buffer."""

    __slots__ = (
        "attributes",
        "base_offset",
        "base_sequence",
        "base_timestamp",
        "crc",
        "last_offset_delta",
        "leader_epoch",
        "length",
        "magic",
        "max_timestamp",
        "producer_epoch",
        "producer_id",
        "record_count",
    )

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    def __init__(self, buffer: Buffer, position: int = 0) -> None:
        """ProtocolError if the header doesn't fit. Nothing is judged: not the magic, not the length."""
        try:
            (
                self.base_offset,
                self.length,
                self.leader_epoch,
                self.magic,
                self.crc,
                self.attributes,
                self.last_offset_delta,
                self.base_timestamp,
                self.max_timestamp,
                self.producer_id,
                self.producer_epoch,
                self.base_sequence,
                self.record_count,
            ) = _unpack_header(buffer, position)
        except struct.error:
            raise ProtocolError(f"{len(buffer) - position} bytes are less than a batch header") from None

    @property
    def size(self) -> int:
        """The whole batch in bytes."""
        return PREFIX_SIZE + self.length

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def codec(self) -> int:
        """0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; above that none is known."""
        return self.attributes & CODEC_MASK

    @property
    def log_append_time(self) -> bool:
        """Whether max_timestamp is every record's timestamp."""
        return self.attributes & TIMESTAMP_TYPE_BIT != 0

    @property
    def transactional(self) -> bool:
        return self.attributes & TRANSACTIONAL_BIT != 0

    @property
    def control(self) -> bool:
        return self.attributes & CONTROL_BIT != 0

    @property
    def delete_horizon(self) -> bool:
        """Whether base_timestamp is when tombstones and markers may go."""
        return self.attributes & DELETE_HORIZON_BIT != 0


def parse_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`. ProtocolError if it doesn't fit."""
    return BatchHeader(buffer, position)


def crc_ok(buffer: Buffer, start: int = 0) -> bool:
    """Whether the batch at `start` has the CRC it says. False, too, for one that is cut short."""
    if len(buffer) - start < HEADER_SIZE:
        return False
    (length,) = _INT32.unpack_from(buffer, start + LENGTH_OFFSET)
    end = start + PREFIX_SIZE + length
    if not start + HEADER_SIZE <= end <= len(buffer):
        return False
    (stored,) = _UINT32.unpack_from(buffer, start + CRC_OFFSET)
    return bool(crc32c(memoryview(buffer)[start + ATTRIBUTES_OFFSET : end]) == stored)


def write_crc(buffer: bytearray | memoryview, start: int = 0) -> None:
    """Compute the CRC of the batch at `start`, whose length is right, and write it."""
    (length,) = _INT32.unpack_from(buffer, start + LENGTH_OFFSET)
    covered = memoryview(buffer)[start + ATTRIBUTES_OFFSET : start + PREFIX_SIZE + length]
    _UINT32.pack_into(buffer, start + CRC_OFFSET, crc32c(covered))


def stamp(buffer: bytearray | memoryview, base_offset: int, leader_epoch: int, start: int = 0) -> None:
    """Write what the broker assigns to a batch. Both lie outside the CRC."""
    _pack_int64(buffer, start, base_offset)
    _pack_int32(buffer, start + LEADER_EPOCH_OFFSET, leader_epoch)


def stamp_log_append_time(buffer: bytearray | memoryview, timestamp_ms: int, start: int = 0) -> None:
    """Make the batch LogAppendTime, with this time for every record, and compute its CRC again."""
    # The timestamp type is in the low byte of the int16.
    buffer[start + ATTRIBUTES_OFFSET + 1] |= TIMESTAMP_TYPE_BIT
    _pack_int64(buffer, start + MAX_TIMESTAMP_OFFSET, timestamp_ms)
    write_crc(buffer, start)


def iter_batches(buffer: Buffer, start: int = 0) -> Iterator[tuple[int, int]]:
    """(start, end) of each whole batch from `start` on; a batch cut short at the end is left out.

    ProtocolError at a batch whose length is less than its header: nothing after it can be found.
    """
    size = len(buffer)
    while size - start >= PREFIX_SIZE:
        (length,) = _INT32.unpack_from(buffer, start + LENGTH_OFFSET)
        if length < HEADER_SIZE - PREFIX_SIZE:
            raise ProtocolError(f"batch length {length} is less than a header's")
        end = start + PREFIX_SIZE + length
        if end > size:
            return
        yield start, end
        start = end


def whole_batches_end(buffer: Buffer, size_max: int, start: int = 0) -> int:
    """Where the whole batches end that fit `size_max` bytes together; the first is taken whatever its size.

    `start` itself if there isn't one whole batch. ProtocolError as `iter_batches`.
    """
    taken = start
    for _, end in iter_batches(buffer, start):
        if taken > start and end - start > size_max:
            break
        taken = end
    return taken
