"""Looking inside a produced batch, where its topic asks for it: a key in every record, another codec.

Everywhere else batches stay as they are, compressed. Pure, and slow for large batches: not for the loop.

Source: LogValidator.validateMessagesAndAssignOffsets in Apache Kafka 4; KIP-467 for the records' errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flymq.core.log.batch_rules import why_refused
from flymq.core.log.plan import AppendError
from flymq_protocol.errors import ErrorCode, ProtocolError
from flymq_protocol.records.batch import (
    ATTRIBUTES_OFFSET,
    CODEC_MASK,
    HEADER,
    HEADER_SIZE,
    PREFIX_SIZE,
    crc_ok,
    write_crc,
)
from flymq_protocol.records.compression import InflateLimit, compress, decompress

if TYPE_CHECKING:
    from flymq.core.settings import TopicConfig

_ERRORS_SHOWN = 3
_SMALL_BYTES_MAX = 64 * 1024


def must_inspect(batch: memoryview, config: TopicConfig) -> bool:
    """Whether the topic's settings can't be kept without looking inside."""
    return config.compact or (
        config.codec >= 0
        and len(batch) >= HEADER_SIZE
        and batch[ATTRIBUTES_OFFSET + 1] & CODEC_MASK != config.codec
    )


def inspect(batch: memoryview, config: TopicConfig, now_ms: int, inflated_max: int) -> memoryview | AppendError:
    """The batch as the topic wants it, which may be `batch` itself; sequence numbers and times are kept.

    A batch that `PartitionLog.plan` refuses anyway comes back as it is. Raises `InflateLimit` where its
    records are more than `inflated_max` bytes.

    Errors: INVALID_RECORD (records that can't be read, or without the key that a compacted topic needs),
    INVALID_TIMESTAMP; both with the records they are about.
    """
    if why_refused(batch, config, now_ms) is not None or not crc_ok(batch):
        return batch
    fields = list(HEADER.unpack_from(batch))
    attributes, base_timestamp, max_timestamp, count = fields[5], fields[7], fields[8], fields[12]
    codec = attributes & CODEC_MASK
    try:
        data = decompress(codec, batch[HEADER_SIZE:], inflated_max)
        bad, largest = _check_records(data, count, base_timestamp, config, now_ms)
    except InflateLimit:
        raise
    except (ProtocolError, IndexError) as wrong:
        return AppendError(ErrorCode.INVALID_RECORD, f"the batch's records cannot be read: {wrong}")
    if bad:
        return _refusal(bad)
    wanted = codec if config.codec < 0 else config.codec
    if wanted == codec and (largest == max_timestamp or config.log_append_time):
        return batch
    payload = batch[HEADER_SIZE:] if wanted == codec else compress(wanted, data, config.codec_level)
    fields[1] = HEADER_SIZE - PREFIX_SIZE + len(payload)
    fields[5] = attributes & ~CODEC_MASK | wanted
    fields[8] = largest
    made = bytearray(HEADER.pack(*fields))
    made += payload
    write_crc(made)
    return memoryview(made)


def with_records(refused: AppendError, batch: memoryview, config: TopicConfig, now_ms: int) -> AppendError:
    """The refusal of a batch for its times, with the records that are to blame; where the batch is large, as it is."""
    fields = HEADER.unpack_from(batch)
    try:
        data = decompress(fields[5] & CODEC_MASK, batch[HEADER_SIZE:], _SMALL_BYTES_MAX)
        bad, _ = _check_records(data, fields[12], fields[7], config, now_ms)
    except (ProtocolError, IndexError):
        return refused
    return _refusal(bad) if bad else refused


_BadRecord = tuple[int, ErrorCode, str]


def _check_records(
    data: bytes, count: int, base_timestamp: int, config: TopicConfig, now_ms: int
) -> tuple[list[_BadRecord], int]:
    """(the records that the topic doesn't take, the largest timestamp). ProtocolError, IndexError: malformed.

    One pass without objects: a batch may hold a hundred thousand.
    """
    bad: list[_BadRecord] = []
    needs_key = config.compact
    checks_time = not config.log_append_time
    earliest, latest = now_ms - config.timestamp_before_max_ms, now_ms + config.timestamp_after_max_ms
    largest = -1
    position = 0
    size = len(data)
    for index in range(count):
        length, position = _varint(data, position)
        end = position + length
        if length < 0 or end > size:
            raise ProtocolError(f"record {index} of {length} bytes does not fit")
        delta, position = _varint(data, position + 1)  # one byte of attributes: none are in use
        offset, position = _varint(data, position)
        if offset != index:
            raise ProtocolError(f"record {index} has offset delta {offset}")
        key_size, position = _varint(data, position)
        if max(0, key_size) > end - position:
            raise ProtocolError(f"the key of record {index} does not fit")
        timestamp = base_timestamp + delta
        if timestamp > largest:
            largest = timestamp
        if needs_key and key_size < 0:
            bad.append((index, ErrorCode.INVALID_RECORD, "a compacted topic takes no message without key"))
        elif checks_time and timestamp != -1 and not earliest <= timestamp <= latest:
            text = f"timestamp {timestamp} is not between {earliest} and {latest}"
            bad.append((index, ErrorCode.INVALID_TIMESTAMP, text))
        position = end
    if position != size:
        raise ProtocolError(f"{size - position} bytes after the last of {count} records")
    return bad, largest


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """(value, where it ends). Zigzag, as lengths, deltas and sizes are."""
    byte = data[position]
    position += 1
    if byte < 0x80:
        return byte >> 1 ^ -(byte & 1), position
    value = byte & 0x7F
    for shift in range(7, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value >> 1 ^ -(value & 1), position
    raise ProtocolError("varint above 10 bytes")


def _refusal(bad: list[_BadRecord]) -> AppendError:
    """All of the batch is refused; a wrong time outweighs a missing key."""
    codes = {code for _, code, _ in bad}
    code = ErrorCode.INVALID_TIMESTAMP if ErrorCode.INVALID_TIMESTAMP in codes else ErrorCode.INVALID_RECORD
    shown = "; ".join(f"record {index}: {text}" for index, _, text in bad[:_ERRORS_SHOWN])
    more = f", and {len(bad) - _ERRORS_SHOWN} more" if len(bad) > _ERRORS_SHOWN else ""
    return AppendError(code, f"the batch is refused: {shown}{more}", tuple((index, text) for index, _, text in bad))
