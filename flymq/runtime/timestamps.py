"""Finding a record by its time: the store finds the batch, this looks inside it.

Batches are opaque everywhere else; a look inside inflates, so anything large leaves the loop.
"""

from __future__ import annotations

from collections.abc import Callable

from flymq.env import Env, Token
from flymq.runtime.partitions import Partition
from flymq.storage.api import Chunk, StorageError
from flymq_protocol.errors import ProtocolError
from flymq_protocol.records.batch import parse_header
from flymq_protocol.records.record import Record, decode_batch

Chooser = Callable[[list[Record]], tuple[int, int] | None]

_INLINE_BYTES_MAX = 64 * 1024
_ATTRIBUTES_LOW_BYTE = 22
_CODEC_MASK = 7


def find_timestamp(env: Env, partition: Partition, timestamp: int, end_offset: int, inflated_max: int) -> Token:
    """A token of (offset, timestamp) of the first record with a timestamp >= `timestamp`, in offset
    order, below `end_offset`; None where there is none, a `StorageError` where it can't be read,
    or inflates to more than `inflated_max` bytes."""

    def choose(records: list[Record]) -> tuple[int, int] | None:
        start = partition.log.log_start
        for record in records:
            if record.timestamp >= timestamp and record.offset >= start:
                return record.offset, record.timestamp
        return None

    result = Token()

    def look_from(offset: int) -> None:
        try:
            found = partition.store.find_timestamp(timestamp, end_offset, offset)
        except StorageError as failure:
            result.complete(failure)
            return
        behind = -1

        def batch_found(chunk: object) -> None:
            nonlocal behind
            if isinstance(chunk, Chunk):
                behind = parse_header(chunk.data).last_offset + 1

        def looked(answer: object) -> None:
            if answer is None and behind >= 0:  # the record that its header tells of was compacted or trimmed away
                env.call_soon(look_from, behind)
            else:
                result.complete(answer)

        found.then(batch_found)
        _look_inside(env, found, choose, inflated_max).then(looked)

    look_from(0)
    return result


def find_latest(env: Env, partition: Partition, end_offset: int, inflated_max: int) -> Token:
    """A token of (offset, timestamp) of the earliest record below `end_offset` that has the largest timestamp;
    None where there is none."""

    def choose(records: list[Record]) -> tuple[int, int] | None:
        start = partition.log.log_start
        kept = [record for record in records if record.offset >= start]
        latest = max(kept, key=lambda record: record.timestamp, default=None)
        return None if latest is None else (latest.offset, latest.timestamp)

    return _look_inside(env, partition.store.find_max_timestamp(end_offset), choose, inflated_max)


def _look_inside(env: Env, found: Token, choose: Chooser, inflated_max: int) -> Token:
    result = Token()

    def look(data: memoryview) -> tuple[int, int] | StorageError | None:
        try:
            return choose(decode_batch(data, inflated_max))
        except ProtocolError as wrong:
            return StorageError(f"a stored batch cannot be read: {wrong}")

    def batch_found(chunk: Chunk | StorageError | None) -> None:
        if not isinstance(chunk, Chunk):
            result.complete(chunk)
            return
        data = chunk.data
        if len(data) <= _INLINE_BYTES_MAX and not data[_ATTRIBUTES_LOW_BYTE] & _CODEC_MASK:
            answer = look(data)
            chunk.release()
            result.complete(answer)
        else:
            looked = env.offload(look, data)
            looked.then(lambda _: chunk.release())
            looked.then(result.complete)

    found.then(batch_found)
    return result
