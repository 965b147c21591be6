"""Records inside a batch, and whole batches built from and taken apart into records.

A record is: varint length, int8 attributes (0), varint timestamp delta, varint offset delta, key and value as
varint length (-1: null) and bytes, varint header count, and of each header its key and value. Varints are
zigzag. Source: DefaultRecord in Apache Kafka 4.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ..errors import EncodeError, ProtocolError
from ..types import Buffer
from .batch import (
    CODEC_MASK,
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    PREFIX_SIZE,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    BatchHeader,
    write_crc,
)
from .compression import compress, decompress

INFLATED_BYTES_MAX: Final = 100 * 1024 * 1024
"""How far `decode_batch` inflates unless told otherwise."""
_RECORD_SIZE_MIN: Final = 7
_VARINT_BITS_MAX: Final = 64


class Record(NamedTuple):
    """One record. `timestamp` is ms since the epoch, -1 for none; a header's value may be null."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def build_batch(
    records: Iterable[Record],
    *,
    base_offset: int = 0,
    leader_epoch: int = -1,
    codec: int = 0,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
    timestamp_type: int = 0,
    last_offset_delta: int | None = None,
) -> bytearray:
    """Make a batch, CRC included, that can be stamped in place.

    Args:
        records: by rising offset, from `base_offset` on.
        codec: of `compression`.
        timestamp_type: 0 CreateTime, 1 LogAppendTime.
        last_offset_delta: if it isn't the last record's: compaction keeps a batch's offset range.

    Raises:
        EncodeError: an offset below the base or above it by more than an int32, an unknown codec.
    """
    listed = list(records)
    base_timestamp = listed[0].timestamp if listed else -1
    body = bytearray()
    delta = -1
    for record in listed:
        if not delta < record.offset - base_offset < 2**31:
            raise EncodeError(f"offset {record.offset} after {base_offset + delta} in a batch from {base_offset}")
        delta = record.offset - base_offset
        _append_record(body, record, record.timestamp - base_timestamp, delta)
    payload = compress(codec, bytes(body)) if codec else body
    attributes = (
        codec & CODEC_MASK
        | (TIMESTAMP_TYPE_BIT if timestamp_type else 0)
        | (TRANSACTIONAL_BIT if transactional else 0)
        | (CONTROL_BIT if control else 0)
    )
    batch = bytearray(
        HEADER.pack(
            base_offset,
            HEADER_SIZE - PREFIX_SIZE + len(payload),
            leader_epoch,
            MAGIC,
            0,
            attributes,
            delta if last_offset_delta is None else last_offset_delta,
            base_timestamp,
            max((record.timestamp for record in listed), default=-1),
            producer_id,
            producer_epoch,
            base_sequence,
            len(listed),
        )
    )
    batch += payload
    write_crc(batch)
    return batch


def decode_batch(buffer: Buffer, max_inflated: int = INFLATED_BYTES_MAX) -> list[Record]:
    """Take the batch at the start of `buffer` apart; what lies after it is ignored. The CRC isn't checked.

    Under LogAppendTime every record has the batch's time.

    Raises:
        InflateLimit: compressed records are above `max_inflated` bytes.
        ProtocolError: the batch is cut short, of another magic, or its records are malformed.
    """
    header = BatchHeader(buffer)
    if header.magic != MAGIC:
        raise ProtocolError(f"batch magic {header.magic}")
    if not HEADER_SIZE <= header.size <= len(buffer):
        raise ProtocolError(f"batch of {header.size} bytes in {len(buffer)}")
    with memoryview(buffer) as view:
        payload = view[HEADER_SIZE : header.size]
        data = decompress(header.codec, payload, max_inflated if header.codec else len(payload))
    if not 0 <= header.record_count * _RECORD_SIZE_MIN <= len(data):
        raise ProtocolError(f"{header.record_count} records in {len(data)} bytes")
    return _Reader(data).records(header)


class _Reader:
    """Walks through inflated records."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def records(self, header: BatchHeader) -> list[Record]:
        try:
            out = [self.record(header) for _ in range(header.record_count)]
        except (IndexError, UnicodeDecodeError) as error:
            raise ProtocolError(f"malformed record: {error}") from error
        if self.position != len(self.data):
            raise ProtocolError(f"{len(self.data) - self.position} bytes after the last record")
        return out

    def record(self, header: BatchHeader) -> Record:
        size = self.varint()
        end = self.position + size
        if size < 0 or end > len(self.data):
            raise ProtocolError(f"record of {size} bytes does not fit")
        self.position += 1  # attributes: none are in use
        timestamp = header.base_timestamp + self.varint()
        offset = header.base_offset + self.varint()
        key = self.blob()
        value = self.blob()
        count = self.varint()
        if not 0 <= 2 * count <= len(self.data) - self.position:
            raise ProtocolError(f"{count} record headers do not fit")
        headers = tuple(self.header() for _ in range(count))
        if self.position != end:
            raise ProtocolError("a record does not fill its size")
        return Record(offset, header.max_timestamp if header.log_append_time else timestamp, key, value, headers)

    def header(self) -> tuple[str, bytes | None]:
        key = self.blob()
        if key is None:
            raise ProtocolError("a record header's key is null")
        return key.decode(), self.blob()

    def blob(self) -> bytes | None:
        size = self.varint()
        if size < 0:
            return None
        end = self.position + size
        if end > len(self.data):
            raise ProtocolError(f"{size} bytes do not fit their record")
        out = self.data[self.position : end]
        self.position = end
        return out

    def varint(self) -> int:
        value = 0
        for shift in range(0, _VARINT_BITS_MAX, 7):
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                value &= 0xFFFFFFFFFFFFFFFF
                return value >> 1 ^ -(value & 1)
        raise ProtocolError("varint above 10 bytes")


def _append_record(out: bytearray, record: Record, timestamp_delta: int, offset_delta: int) -> None:
    body = bytearray(1)
    _append_varint(body, timestamp_delta)
    _append_varint(body, offset_delta)
    _append_blob(body, record.key)
    _append_blob(body, record.value)
    _append_varint(body, len(record.headers))
    for key, value in record.headers:
        _append_blob(body, key.encode())
        _append_blob(body, value)
    _append_varint(out, len(body))
    out += body


def _append_blob(out: bytearray, value: bytes | None) -> None:
    if value is None:
        out.append(1)
    else:
        _append_varint(out, len(value))
        out += value


def _append_varint(out: bytearray, value: int) -> None:
    value = value << 1 ^ value >> 63
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
