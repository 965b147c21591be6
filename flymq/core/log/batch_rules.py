"""Why a record batch is refused: Kafka's checks, in Kafka's order.

The hot path (`PartitionLog.plan`) tests all of this at once; only a batch that fails comes here to
be told why.

Source: LogValidator and UnifiedLog.analyzeAndValidateRecords in Apache Kafka 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flymq.core.log.plan import AppendError
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import (
    CODEC_MASK,
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    PREFIX_SIZE,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
)
from flymq_protocol.records.compression import LZ4

if TYPE_CHECKING:
    from flymq.core.settings import TopicConfig

CODEC_MAX = 4  # none, gzip, snappy, lz4, zstd

RECORD_BYTES_MIN = 7  # length, attributes, two deltas, two lengths and a header count of one byte each
LEGACY_HEADER_BYTES = 14  # what a batch of any magic has at least, after offset and length
_LZ4_FLAGS = HEADER_SIZE + 4  # their place in a batch: after the magic of the frame
_LZ4_INDEPENDENT = 0b011  # their high bits: version 1, independent blocks


def has_independent_blocks(batch: memoryview) -> bool:
    """Of a batch in lz4: whether it is a frame that Java reads; frames of linked blocks it does not."""
    return len(batch) > _LZ4_FLAGS and batch[_LZ4_FLAGS] >> 5 == _LZ4_INDEPENDENT


def why_refused(batch: memoryview, config: TopicConfig, now_ms: int) -> AppendError | None:
    """The first rule that `batch` breaks, CRC aside; None where it breaks none."""
    size = len(batch)
    if size < PREFIX_SIZE:
        return _unframed("the request holds no complete record batch")
    length = int.from_bytes(batch[8:12], "big", signed=True)
    if length < LEGACY_HEADER_BYTES:
        return AppendError(ErrorCode.CORRUPT_MESSAGE, f"a record batch cannot be {length} bytes long")
    if size > 16 and not 0 <= int.from_bytes(batch[16:17], "big", signed=True) <= 2:
        return AppendError(ErrorCode.CORRUPT_MESSAGE, f"unknown record format (magic {batch[16]})")
    if length + PREFIX_SIZE > size or size < HEADER_SIZE:
        return _unframed("the record batch is cut short")
    if batch[16] < 2:
        return _unframed(f"record format {batch[16]} is too old: v2 is needed")
    if length + PREFIX_SIZE < size:
        return _unframed("a partition takes exactly one record batch a request")
    return _why_header_refused(batch, config, now_ms)


def _unframed(message: str) -> AppendError:
    """As ProduceRequest.validateRecords, before the log is asked."""
    return AppendError(ErrorCode.INVALID_RECORD, message, before_log=True)


def _why_header_refused(batch: memoryview, config: TopicConfig, now_ms: int) -> AppendError | None:
    (base_offset, length, _, _, _, attributes, last_delta, base_timestamp, max_timestamp, producer_id, _, sequence,
     count) = HEADER.unpack_from(batch)
    size = length + PREFIX_SIZE
    if base_offset:
        return AppendError(ErrorCode.INVALID_RECORD, f"base offset must be 0 when produced, not {base_offset}")
    if size > config.max_message_bytes:
        return AppendError(
            ErrorCode.MESSAGE_TOO_LARGE, f"the batch has {size} bytes, max.message.bytes is {config.max_message_bytes}"
        )
    if size > config.segment_bytes:
        return AppendError(
            ErrorCode.RECORD_LIST_TOO_LARGE, f"the batch has {size} bytes, segment.bytes is {config.segment_bytes}"
        )
    refused = _why_records_refused(size, attributes, last_delta, count, producer_id, sequence)
    if refused is None and attributes & CODEC_MASK == LZ4 and not has_independent_blocks(batch):
        refused = AppendError(ErrorCode.INVALID_RECORD, "not an lz4 frame of independent blocks: Java cannot read it")
    return refused or _why_timestamp_refused(attributes, base_timestamp, max_timestamp, config, now_ms)


def _why_records_refused(
    size: int, attributes: int, last_delta: int, count: int, producer_id: int, sequence: int
) -> AppendError | None:
    code = ErrorCode.INVALID_RECORD
    if count <= 0 or last_delta < 0 or count != last_delta + 1:
        return AppendError(code, f"a batch of {count} records cannot end at offset delta {last_delta}")
    if not attributes & CODEC_MASK and count * RECORD_BYTES_MIN > size - HEADER_SIZE:
        return AppendError(code, f"{size - HEADER_SIZE} bytes cannot hold {count} records")
    if attributes & CODEC_MASK > CODEC_MAX:
        return AppendError(code, f"unknown compression codec {attributes & CODEC_MASK}")
    if attributes & CONTROL_BIT:
        return AppendError(code, "clients may not write control batches")
    if producer_id >= 0 and sequence < 0:
        return AppendError(code, f"base sequence {sequence} of an idempotent producer")
    if attributes & TRANSACTIONAL_BIT and producer_id < 0:
        return AppendError(code, "a transactional batch without a producer id")
    return None


def _why_timestamp_refused(
    attributes: int, base_timestamp: int, max_timestamp: int, config: TopicConfig, now_ms: int
) -> AppendError | None:
    if config.log_append_time:
        return None
    if attributes & TIMESTAMP_TYPE_BIT:
        return AppendError(ErrorCode.INVALID_TIMESTAMP, "only the broker may set the LogAppendTime bit")
    if max_timestamp > now_ms + config.timestamp_after_max_ms:
        return AppendError(ErrorCode.INVALID_TIMESTAMP, f"timestamp {max_timestamp} is too far in the future")
    if base_timestamp != -1 and base_timestamp < now_ms - config.timestamp_before_max_ms:
        return AppendError(ErrorCode.INVALID_TIMESTAMP, f"timestamp {base_timestamp} is too old")
    return None
