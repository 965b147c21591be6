"""Markers: the control batches that end a producer's transaction in a partition.

Source: ProducerAppendInfo.appendEndTxnMarker in Apache Kafka 4; KIP-98, KIP-890, KIP-1228.
"""

from __future__ import annotations

from flymq.core.log.plan import AppendError, AppendPlan
from flymq.core.log.producers import Producers
from flymq.core.log.transactions import NO_COORDINATOR, AbortedTransaction
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.control import ABORT, COMMIT, build_marker, control_type, coordinator_epoch
from flymq_protocol.records.record import decode_batch

_BUMPS_EPOCHS_FROM = 2  # the transaction.version from which a marker's epoch is one above its batches'


class Marker:
    """What a marker says."""

    __slots__ = ("commit", "coordinator_epoch", "producer_epoch", "producer_id")

    def __init__(self, producer_id: int, producer_epoch: int, commit: bool, coordinator_epoch: int) -> None:
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch
        self.commit = commit
        self.coordinator_epoch = coordinator_epoch

    def encode(self, now_ms: int) -> memoryview:
        """The whole batch, to be stamped like a produced one."""
        type_ = COMMIT if self.commit else ABORT
        return memoryview(
            build_marker(type_, self.producer_id, self.producer_epoch, self.coordinator_epoch, now_ms)
        )

    @classmethod
    def decode(cls, batch: memoryview, producer_id: int, producer_epoch: int) -> Marker | None:
        """Of a stored control batch; None where compaction has emptied it, or it is another kind of control."""
        records = decode_batch(batch)
        if not records or control_type(records[0].key) not in (ABORT, COMMIT):
            return None
        commit = control_type(records[0].key) == COMMIT
        return cls(producer_id, producer_epoch, commit, coordinator_epoch(records[0].value))

    def why_refused(self, producers: Producers, transaction_version: int) -> AppendError | None:
        """Whether the producer's epoch or the coordinator's is out of date.

        Under `transaction_version` 2 a marker of the epoch known here comes from an earlier transaction; where
        nothing is open it is the retry of one that was written, and harmless.
        """
        producer_id = self.producer_id
        if producer_id < 0:
            return AppendError(ErrorCode.INVALID_PRODUCER_ID_MAPPING, f"no producer has id {producer_id}")
        if self.producer_epoch < 0:
            return AppendError(ErrorCode.INVALID_PRODUCER_EPOCH, f"no producer has epoch {self.producer_epoch}")
        transactions = producers.transactions
        entry = producers.entries.get(producer_id)
        if entry is not None:
            bumps = transaction_version >= _BUMPS_EPOCHS_FROM and producer_id in transactions.open
            if self.producer_epoch < entry[0] or (bumps and self.producer_epoch == entry[0]):
                return AppendError(
                    ErrorCode.INVALID_PRODUCER_EPOCH,
                    f"producer {producer_id} is at epoch {entry[0]}: a marker of epoch {self.producer_epoch} is late",
                )
        known = transactions.coordinator_epochs.get(producer_id, NO_COORDINATOR)
        if self.coordinator_epoch < known:
            return AppendError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"producer {producer_id} had a marker of coordinator epoch {known}: {self.coordinator_epoch} is older",
            )
        return None


class MarkerPlan(AppendPlan):
    """A marker with its place in the log; its effect on `Producers` is undone by `undo_on`."""

    __slots__ = ("_coordinator_before", "_first_offset", "aborted", "producers_before")

    aborted: AbortedTransaction | None  # what the store's index is to remember
    _coordinator_before: int | None
    _first_offset: int | None  # of the transaction that it ends; None: nothing was open
    producers_before: bytes | None
    """A snapshot of the producers, of the offset of a marker that begins a segment."""

    def do_on(self, producers: Producers, marker: Marker, now_ms: int) -> None:
        """End the transaction, if any, and take over the marker's epochs."""
        transactions = producers.transactions
        producer_id = marker.producer_id
        self._first_offset = transactions.open.get(producer_id)
        self._coordinator_before = transactions.coordinator_epochs.get(producer_id)
        self.undo = producers.entries.get(producer_id)
        self.aborted = take_marker(producers, marker, self.base_offset, self.max_timestamp, now_ms)

    def undo_on(self, producers: Producers) -> None:
        assert self.producer is not None
        transactions = producers.transactions
        producer_id = self.producer[0]
        producers.restore(producer_id, self.undo)
        if self._coordinator_before is None:
            transactions.coordinator_epochs.pop(producer_id, None)
        else:
            transactions.coordinator_epochs[producer_id] = self._coordinator_before
        if self._first_offset is not None:
            transactions.reopen(producer_id, self._first_offset)


def take_marker(
    producers: Producers, marker: Marker, offset: int, timestamp: int, now_ms: int
) -> AbortedTransaction | None:
    """The effect of a marker at `offset`, live and at load; what to remember where it aborts a transaction."""
    producers.add_marker(marker.producer_id, marker.producer_epoch, timestamp, now_ms)
    producers.transactions.coordinator_epochs[marker.producer_id] = marker.coordinator_epoch
    return producers.transactions.end(marker.producer_id, offset, marker.commit)
