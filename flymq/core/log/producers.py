"""Idempotent producers of one partition: the window that tells a retry from a gap.

Source: ProducerStateManager and ProducerAppendInfo in Apache Kafka 4; KIP-98, KIP-360.
"""

from __future__ import annotations

from struct import Struct, error
from zlib import crc32

from flymq.core.log.plan import AppendError, Duplicate
from flymq.core.log.transactions import NO_COORDINATOR, Transactions
from flymq_protocol.errors import ErrorCode

WINDOW = 5  # batches a producer may have in flight, as in Kafka
_SEQUENCE_MASK = 0x7FFFFFFF  # after 2^31 - 1 comes 0

Batch = tuple[int, int, int, int, int]
"""(first sequence, last sequence, base offset, last offset, max timestamp)"""

Entry = tuple[int, int, tuple[Batch, ...]]
"""(producer epoch, wall-clock ms of the last batch, its last batches, oldest first)"""

_NONE_OPEN = -1

_HEAD = Struct(">HI")  # format version, number of producers
# producer id, epoch, last ms, coordinator epoch, first offset of its open transaction, number of batches
_PRODUCER = Struct(">qhqiqB")
_PRODUCER_V1 = Struct(">qhqB")  # without the two of transactions
_BATCH = Struct(">iiqqq")
_CRC = Struct(">I")
_VERSION = 2


class BadSnapshot(ValueError):
    """A producer snapshot that is damaged or of an unknown version."""


def last_sequence(first_sequence: int, last_offset_delta: int) -> int:
    """The sequence of a batch's last record; wraps after 2^31 - 1."""
    return (first_sequence + last_offset_delta) & _SEQUENCE_MASK


class Producers:
    """Producer id -> its epoch and its last five batches; and its transactions."""

    __slots__ = ("entries", "transactions")

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.transactions = Transactions()

    def check(self, producer_id: int, epoch: int, first: int, last: int) -> Duplicate | AppendError | None:
        """What to answer instead of appending; None: append it."""
        entry = self.entries.get(producer_id)
        if entry is None:
            return None
        known_epoch, _, batches = entry
        if epoch == known_epoch:
            if first == (batches[-1][1] + 1) & _SEQUENCE_MASK:
                return None
            for batch in batches:
                if batch[0] == first and batch[1] == last:
                    return Duplicate(batch[2], batch[3], batch[4])
            return AppendError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {producer_id} sent sequence {first} after {batches[-1][1]}",
            )
        if epoch < known_epoch:
            return AppendError(
                ErrorCode.INVALID_PRODUCER_EPOCH, f"producer {producer_id} is at epoch {known_epoch}, not {epoch}"
            )
        if first:
            return AppendError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {producer_id} began epoch {epoch} at sequence {first}, not 0",
            )
        return None

    def add(self, producer_id: int, epoch: int, batch: Batch, now_ms: int) -> Entry | None:
        """Take in an appended batch; returns the entry as it was, for `restore`."""
        before = self.entries.get(producer_id)
        batches = (*before[2][1 - WINDOW :], batch) if before is not None and before[0] == epoch else (batch,)
        self.entries[producer_id] = (epoch, now_ms, batches)
        return before

    def add_marker(self, producer_id: int, epoch: int, timestamp: int, now_ms: int) -> None:
        """Take in the marker of a transaction. At a higher epoch than the producer's, sequences begin at 0 again."""
        before = self.entries.get(producer_id)
        nothing_yet = ((-1, -1, -1, -1, timestamp),)  # as if of the batch before sequence 0
        batches = before[2] if before is not None and before[0] == epoch else nothing_yet
        self.entries[producer_id] = (epoch, now_ms, batches)

    def restore(self, producer_id: int, before: Entry | None) -> None:
        """Undo the newest `add` or `add_marker`: a window moved for a batch that was not written would make the
        retry a false success."""
        if before is None:
            del self.entries[producer_id]
        else:
            self.entries[producer_id] = before

    def last_batches(self, below: int) -> dict[int, tuple[int, int]]:
        """producer id -> (epoch, last offset of its last batch), of those that wrote nothing at or above `below`: for
        compaction, which must keep these batches. -1 where there is none."""
        found = {}
        for producer_id, entry in self.entries.items():
            last = entry[2][-1][3] if entry[2] else -1
            if last < below:
                found[producer_id] = (entry[0], last)
        return found

    def expire(self, before_ms: int) -> None:
        """Forget producers whose last batch is older than `before_ms` (producer.id.expiration.ms), but not where
        a transaction is open."""
        open_ = self.transactions.open
        for producer_id in [key for key, entry in self.entries.items() if entry[1] < before_ms and key not in open_]:
            del self.entries[producer_id]
            self.transactions.coordinator_epochs.pop(producer_id, None)

    def snapshot(self) -> bytes:
        """All of it as bytes, with a CRC: `load` reads it back."""
        parts = [_HEAD.pack(_VERSION, len(self.entries))]
        coordinator_epochs, open_ = self.transactions.coordinator_epochs, self.transactions.open
        for producer_id, (epoch, last_ms, batches) in self.entries.items():
            coordinator_epoch = coordinator_epochs.get(producer_id, NO_COORDINATOR)
            first_offset = open_.get(producer_id, _NONE_OPEN)
            parts.append(_PRODUCER.pack(producer_id, epoch, last_ms, coordinator_epoch, first_offset, len(batches)))
            parts.extend(_BATCH.pack(*batch) for batch in batches)
        body = b"".join(parts)
        return body + _CRC.pack(crc32(body))

    def load(self, data: bytes) -> None:
        """Replace everything by a snapshot, of this format or an older one; raises `BadSnapshot`."""
        body = data[: -_CRC.size]
        if len(data) < _HEAD.size + _CRC.size or _CRC.pack(crc32(body)) != data[-_CRC.size :]:
            raise BadSnapshot("producer snapshot: wrong CRC")
        version, count = _HEAD.unpack_from(body)
        if version not in (1, _VERSION):
            raise BadSnapshot(f"producer snapshot: unknown version {version}")
        entries: dict[int, Entry] = {}
        coordinator_epochs: dict[int, int] = {}
        first_offsets: dict[int, int] = {}
        head = _PRODUCER if version == _VERSION else _PRODUCER_V1
        position = _HEAD.size
        try:
            for _ in range(count):
                producer_id, epoch, last_ms, *transaction, batch_count = head.unpack_from(body, position)
                position += head.size
                end = position + batch_count * _BATCH.size
                entries[producer_id] = (epoch, last_ms, tuple(_BATCH.iter_unpack(body[position:end])))
                position = end
                if transaction and transaction[0] != NO_COORDINATOR:
                    coordinator_epochs[producer_id] = transaction[0]
                if transaction and transaction[1] != _NONE_OPEN:
                    first_offsets[producer_id] = transaction[1]
        except error as wrong:
            raise BadSnapshot(f"producer snapshot: {wrong}") from wrong
        self.entries = entries
        self.transactions.load(first_offsets, coordinator_epochs)
