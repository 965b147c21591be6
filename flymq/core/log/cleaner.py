"""What compaction keeps: the newest record of each key, and all that readers and producers rely on.

`Cleaner` gets whole batches, in offset order, in two passes: `note` those from the first dirty offset on, then
`clean` all from the log start on. In between, `map_keys` finds out how the transactions ended that `note` has seen
begin: their markers may lie above the cleaned part.

Of a batch: records that a newer one of their key supersedes go, and those without a key. A tombstone stays until the
batch's delete horizon, which is set when the batch is cleaned first: delete.retention.ms later, as base timestamp
under attribute bit 6. A marker gets its horizon when nothing of its transaction is left, and stays until then.
What an aborted transaction wrote goes at once. Offsets, sequences, order and codec stay; a batch that nothing is
left of stays empty where it is its producer's last, so that the producer's next sequence is still known.

Source: Cleaner and CleanedTransactionMetadata in Apache Kafka 4, MemoryRecords.filterTo; KIP-98, KIP-534.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from hashlib import blake2b

from flymq.core.log.cleaning import CleaningTask
from flymq_protocol.errors import ProtocolError
from flymq_protocol.records.batch import (
    ATTRIBUTES_OFFSET,
    CODEC_MASK,
    CONTROL_BIT,
    DELETE_HORIZON_BIT,
    HEADER,
    HEADER_SIZE,
    MAGIC,
    PREFIX_SIZE,
    TIMESTAMP_TYPE_BIT,
    TRANSACTIONAL_BIT,
    write_crc,
)
from flymq_protocol.records.compression import compress, decompress
from flymq_protocol.records.control import ABORT, COMMIT, control_type
from flymq_protocol.records.crc import crc32c
from flymq_protocol.records.record import decode_batch
from flymq_protocol.types import Buffer

_DIGEST_BYTES = 16
_HORIZON_MAX = 2**63 - 1
_unpack = HEADER.unpack_from

Fields = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]
"""A batch's header: base offset, length, leader epoch, magic, crc, attributes, last offset delta, base timestamp, max
timestamp, producer id, producer epoch, base sequence, record count."""


def digest(key: bytes) -> bytes:
    """A key in the map: itself where it is short, else 16 bytes of hash, which no short one can equal."""
    return key if len(key) < _DIGEST_BYTES else blake2b(key, digest_size=_DIGEST_BYTES).digest()


def map_keys(cleaner: Cleaner, batches: Callable[[int], Iterator[memoryview]]) -> Iterator[None]:
    """The first pass, a batch a step. `batches(offset)`: from the batch that holds it to the end of the log."""
    for batch in batches(cleaner.end):
        if not cleaner.note(batch):
            break
        yield
    if cleaner.has_open:
        for batch in batches(cleaner.end):
            cleaner.decide(batch)
            if not cleaner.has_open:
                break
            yield
    cleaner.settle()


class Cleaner:
    """One cleaning. `end` is how far keys are in the map: from there on batches stay as they are.

    Every method raises ProtocolError for a batch that is damaged.
    """

    def __init__(self, task: CleaningTask) -> None:
        self.end = task.first_dirty
        self._task = task
        self._newest: dict[bytes, int] = {}  # digest -> offset of the key's newest record
        self._open: dict[int, int] = {}  # producer id -> where its open transaction began
        self._undecided: dict[int, dict[bytes, int]] = {}  # producer id -> what that transaction wrote
        self._undecided_count = 0
        self._aborted: dict[int, deque[tuple[int, int]]] = {}  # producer id -> [(first offset, its marker's)]
        self._seen: set[int] = set()  # producers of which `clean` has seen a transaction's data, but no marker yet
        self._horizon = min(task.now_ms + task.delete_retention_ms, _HORIZON_MAX)

    # -- first pass -------------------------------------------------------------------------------

    def note(self, batch: memoryview) -> bool:
        """Take in a batch's keys; False where it is beyond the task, or the map is full: this pass is over."""
        header = _checked(batch)
        base, attributes, delta, producer_id, count = header[0], header[5], header[6], header[9], header[12]
        task = self._task
        last = base + delta
        if last >= task.end:
            return False
        if attributes & CONTROL_BIT:
            self._ended(batch, producer_id, last)
        elif count:
            # The first batch is taken in any case, else the log would never get clean.
            full = len(self._newest) + self._undecided_count + count > task.keys_max
            if full and self.end > task.first_dirty:
                return False
            if attributes & TRANSACTIONAL_BIT:
                self._open.setdefault(producer_id, base)
                into = self._undecided.setdefault(producer_id, {})
                before = len(into)
                self._note_records(batch, header, into)
                self._undecided_count += len(into) - before
            else:
                self._note_records(batch, header, self._newest)
        self.end = last + 1
        return True

    def _note_records(self, batch: memoryview, header: Fields, into: dict[bytes, int]) -> None:
        """The loop of the first pass: what it does for every record is most of what a cleaning costs."""
        data = self._inflate(batch, header[5])
        base = header[0]
        position = 0
        try:
            for _ in range(header[12]):
                size = data[position]
                position += 1
                if size > 127:
                    size, position = _varint(data, position - 1)
                stop = position + (size >> 1)
                position += 1
                while data[position] > 127:
                    position += 1
                position += 1
                delta = data[position]
                position += 1
                if delta > 127:
                    delta, position = _varint(data, position - 1)
                length = data[position]
                position += 1
                if length > 127:
                    length, position = _varint(data, position - 1)
                if not length & 1:
                    key = data[position : position + (length >> 1)]
                    into[key if len(key) < _DIGEST_BYTES else digest(key)] = base + (delta >> 1)
                position = stop
        except IndexError:
            position = -1
        if position != len(data):
            raise ProtocolError(f"malformed records in the batch at offset {base}")

    def _ended(self, batch: memoryview, producer_id: int, offset: int) -> None:
        """A marker: what its transaction wrote counts, or is to go."""
        type_ = _marker_type(batch)
        if type_ not in (ABORT, COMMIT):
            return
        first = self._open.pop(producer_id, None)
        if first is None:
            return
        written = self._undecided.pop(producer_id, {})
        self._undecided_count -= len(written)
        if type_ == ABORT:
            self._aborted.setdefault(producer_id, deque()).append((first, offset))
            return
        newest = self._newest
        for key, at in written.items():
            if newest.get(key, -1) < at:
                newest[key] = at

    @property
    def has_open(self) -> bool:
        """A transaction was seen to begin, but not to end."""
        return bool(self._open)

    def decide(self, batch: memoryview) -> None:
        """A batch behind the noted ones: only the markers of open transactions count."""
        if batch[ATTRIBUTES_OFFSET + 1] & CONTROL_BIT:
            header = _checked(batch)
            if header[9] in self._open:
                self._ended(batch, header[9], header[0] + header[6])

    def settle(self) -> None:
        """Both are through: what belongs to a transaction that is open yet, and all behind it, stays as it is."""
        if self._open:
            self.end = min(self.end, *self._open.values())
        self._undecided.clear()

    # -- second pass ------------------------------------------------------------------------------

    def clean(self, batch: memoryview) -> Buffer | None:
        """What to keep of a batch: it as it is, a new one in its place, or None."""
        header = _checked(batch)
        base, attributes, delta, producer_id, count = header[0], header[5], header[6], header[9], header[12]
        last = base + delta
        if last >= self.end:
            return batch
        is_control = bool(attributes & CONTROL_BIT)
        keeps = self._is_last(producer_id, header[10], last, is_control)
        if is_control:
            return self._clean_marker(batch, header, keeps)
        is_gone = last < self._task.log_start
        if attributes & TRANSACTIONAL_BIT:
            self._seen.add(producer_id)
            is_gone = is_gone or self._is_aborted(producer_id, base)
        if is_gone or not count:
            return _emptied(header) if keeps else None
        return self._clean_records(batch, header, keeps)

    def _is_last(self, producer_id: int, epoch: int, last: int, is_control: bool) -> bool:
        known = self._task.last_batches.get(producer_id) if producer_id >= 0 else None
        if known is None:
            return False
        return known[1] == last if known[1] >= 0 else is_control and known[0] == epoch

    def _is_aborted(self, producer_id: int, base: int) -> bool:
        aborted = self._aborted.get(producer_id)
        return aborted is not None and len(aborted) > 0 and aborted[0][0] <= base < aborted[0][1]

    def _clean_marker(self, batch: memoryview, header: Fields, keeps: bool) -> Buffer | None:
        producer_id = header[9]
        aborted = self._aborted.get(producer_id)
        if aborted and aborted[0][1] == header[0]:
            aborted.popleft()
        if not header[12]:
            return batch if keeps else None
        if _marker_type(batch) not in (ABORT, COMMIT):
            return batch
        if producer_id in self._seen:
            self._seen.discard(producer_id)
            return batch
        if not header[5] & DELETE_HORIZON_BIT:
            return self._with_horizon(header, _split(self._inflate(batch, header[5]), header[12]))
        if self._task.now_ms < header[7]:
            return batch
        return _emptied(header) if keeps else None

    def _clean_records(self, batch: memoryview, header: Fields, keeps: bool) -> Buffer | None:
        """The loop of the second pass."""
        base, attributes = header[0], header[5]
        data = self._inflate(batch, attributes)
        has_horizon = bool(attributes & DELETE_HORIZON_BIT)
        tombstones_stay = not has_horizon or self._task.now_ms < header[7]
        newest = self._newest
        kept: list[tuple[int, int]] = []
        has_tombstones = False
        position = 0
        try:
            for _ in range(header[12]):
                start = position
                size = data[position]
                position += 1
                if size > 127:
                    size, position = _varint(data, position - 1)
                stop = position + (size >> 1)
                position += 1
                while data[position] > 127:
                    position += 1
                position += 1
                delta = data[position]
                position += 1
                if delta > 127:
                    delta, position = _varint(data, position - 1)
                length = data[position]
                position += 1
                if length > 127:
                    length, position = _varint(data, position - 1)
                if not length & 1:
                    key = data[position : position + (length >> 1)]
                    offset = base + (delta >> 1)
                    if newest.get(key if len(key) < _DIGEST_BYTES else digest(key), -1) <= offset:
                        # A null value has the length -1, as a varint 1.
                        if data[position + len(key)] != 1:
                            kept.append((start, stop))
                        elif tombstones_stay:
                            has_tombstones = True
                            kept.append((start, stop))
                position = stop
        except IndexError:
            position = -1
        if position != len(data):
            raise ProtocolError(f"malformed records in the batch at offset {base}")
        if not kept:
            return _emptied(header) if keeps else None
        if has_tombstones and not has_horizon:
            return self._with_horizon(header, [data[start:stop] for start, stop in kept])
        if len(kept) == header[12]:
            return batch
        return _rebuilt(header, attributes, header[7], [data[start:stop] for start, stop in kept])

    def _with_horizon(self, header: Fields, records: list[bytes]) -> bytearray:
        """With the delete horizon as base timestamp, which every record's timestamp counts from."""
        shift = header[7] - self._horizon
        moved = [_shifted(record, shift) for record in records]
        return _rebuilt(header, header[5] | DELETE_HORIZON_BIT, self._horizon, moved)

    def _inflate(self, batch: memoryview, attributes: int) -> bytes:
        codec = attributes & CODEC_MASK
        payload = batch[HEADER_SIZE:]
        return decompress(codec, payload, self._task.inflate_bytes_max) if codec else bytes(payload)


def _checked(batch: memoryview) -> Fields:
    header: Fields = _unpack(batch)
    if header[3] != MAGIC or header[1] + PREFIX_SIZE != len(batch) or crc32c(batch[ATTRIBUTES_OFFSET:]) != header[4]:
        raise ProtocolError(f"the batch at offset {header[0]} is damaged")
    return header


def _marker_type(batch: memoryview) -> int:
    """ABORT, COMMIT, that of another control record, or -1 where there is no record any more."""
    records = decode_batch(batch)
    return control_type(records[0].key) if records else -1


def _emptied(header: Fields) -> bytearray:
    """The batch without a record. Kafka's: no codec, no base timestamp."""
    kept = header[5] & (TIMESTAMP_TYPE_BIT | TRANSACTIONAL_BIT | CONTROL_BIT)
    return _packed(header, kept, -1, header[8], 0, b"")


def _rebuilt(header: Fields, attributes: int, base_timestamp: int, records: list[bytes]) -> bytearray:
    """The batch with these records only, in its own codec."""
    max_timestamp = header[8]
    if not attributes & TIMESTAMP_TYPE_BIT:
        max_timestamp = base_timestamp + max(_timestamp_delta(record)[0] for record in records)
    body = b"".join(records)
    codec = attributes & CODEC_MASK
    return _packed(
        header, attributes, base_timestamp, max_timestamp, len(records), compress(codec, body) if codec else body
    )


def _packed(
    header: Fields, attributes: int, base_timestamp: int, max_timestamp: int, count: int, payload: bytes
) -> bytearray:
    base, _, leader_epoch, magic, _, _, delta, _, _, producer_id, producer_epoch, sequence, _ = header
    length = HEADER_SIZE - PREFIX_SIZE + len(payload)
    batch = bytearray(
        HEADER.pack(base, length, leader_epoch, magic, 0, attributes, delta, base_timestamp, max_timestamp, producer_id,
                    producer_epoch, sequence, count)
    )  # fmt: skip
    batch += payload
    write_crc(batch)
    return batch


# -- records as bytes: length, attributes, timestamp delta, offset delta, key, value, headers ----------


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """(zigzag value, the position behind it); IndexError where it is cut short, or longer than 10 bytes."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise IndexError


def _split(data: bytes, count: int) -> list[bytes]:
    records = []
    position = 0
    for _ in range(count):
        size, at = _varint(data, position)
        records.append(data[position : at + (size >> 1)])
        position = at + (size >> 1)
    return records


def _timestamp_delta(record: bytes) -> tuple[int, int, int]:
    """(timestamp delta, where the attributes before it are, the position behind it)."""
    _, at = _varint(record, 0)
    delta, stop = _varint(record, at + 1)
    return delta >> 1 ^ -(delta & 1), at, stop


def _shifted(record: bytes, by: int) -> bytes:
    """The record with `by` added to its timestamp delta."""
    delta, at, stop = _timestamp_delta(record)
    body = record[at : at + 1] + _as_varint(delta + by) + record[stop:]
    return _as_varint(len(body)) + body


def _as_varint(value: int) -> bytes:
    value = (value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
