"""One partition's log: offsets, producer windows, epochs, high watermark, and when to roll.

Pure and synchronous: no bytes are stored here. The runtime asks for a plan, has the store carry it
out, and tells the outcome.

Source: UnifiedLog, LeaderEpochFileCache in Apache Kafka 4.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from flymq.core.log.batch_rules import CODEC_MAX, RECORD_BYTES_MIN, has_independent_blocks, why_refused
from flymq.core.log.inspection import with_records
from flymq.core.log.markers import Marker, MarkerPlan, take_marker
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.producers import Producers, last_sequence
from flymq.core.log.retention import epochs_from
from flymq.core.log.transactions import AbortedTransaction
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import (
    ATTRIBUTES_OFFSET,
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    PREFIX_SIZE,
    TRANSACTIONAL_BIT,
)
from flymq_protocol.records.compression import LZ4
from flymq_protocol.records.crc import crc32c

if TYPE_CHECKING:
    from flymq.core.settings import TopicConfig

_OFFSET_DELTA_MAX = 2**31 - 1  # an index row holds offsets relative to its segment's base, in 31 bits
_unpack_header = HEADER.unpack_from

# Whose batches `plan` takes: of producers without a transaction; by the transaction.version of a transaction.
NO_TRANSACTION, TRANSACTION_V1, TRANSACTION_V2 = range(3)


class PartitionLog:
    """The state that decides. Offsets: log_start <= high_watermark <= end; `end` is one past the last.

    `high_watermark` is set by whoever hears from the store how far the log is durable; it only rises.

    `config` may be replaced at any time.
    """

    __slots__ = (
        "_open_transactions",
        "_segment_base",
        "_segment_bytes",
        "_segment_first_timestamp",
        "config",
        "end",
        "epochs",
        "high_watermark",
        "leader_epoch",
        "log_start",
        "producers",
    )

    def __init__(self, config: TopicConfig, log_start: int, end: int, epochs: list[tuple[int, int]]) -> None:
        self.config = config
        self.log_start = log_start
        self.end = end
        self.high_watermark = end
        self.epochs = epochs  # (leader epoch, its first offset), ascending
        self.leader_epoch = epochs[-1][0]
        self.producers = Producers()
        self._open_transactions = self.producers.transactions.open
        self._segment_base = end
        self._segment_bytes = 0
        self._segment_first_timestamp = -1

    @property
    def last_stable_offset(self) -> int:
        """Where readers of committed records stop: all below is decided. Moves only when the high watermark does."""
        transactions = self.producers.transactions
        if not transactions.open and not transactions.ended:
            return self.high_watermark
        return max(transactions.last_stable_offset(self.high_watermark), self.log_start)

    # -- load -------------------------------------------------------------------------------------

    def resume_segment(self, base_offset: int, size_bytes: int, first_timestamp: int) -> None:
        """The active segment as the store found it."""
        self._segment_base = base_offset
        self._segment_bytes = size_bytes
        self._segment_first_timestamp = first_timestamp

    @property
    def segment_bytes(self) -> int:
        """Size of the active segment."""
        return self._segment_bytes

    def apply(self, batch: memoryview, now_ms: int) -> AbortedTransaction | None:
        """Take a stored batch into the producer state, at load. In offset order.

        Returns what the index of aborted transactions must hold because of it.
        """
        base_offset, _, _, _, _, attributes, last_delta, _, max_timestamp, producer_id, epoch, sequence, count = (
            _unpack_header(batch)
        )
        if producer_id < 0:
            return None
        # The batch's own time, where it has one: a replay must not renew an old producer.
        seen_ms = min(max_timestamp, now_ms) if max_timestamp >= 0 else now_ms
        if attributes & CONTROL_BIT:
            marker = Marker.decode(batch, producer_id, epoch)
            if marker is None:
                return None
            self.producers.transactions.settle(self.high_watermark)
            return take_marker(self.producers, marker, base_offset, max_timestamp, seen_ms)
        if sequence >= 0:
            last = last_sequence(sequence, last_delta)
            added = (sequence, last, base_offset, base_offset + last_delta, max_timestamp)
            self.producers.add(producer_id, epoch, added, seen_ms)
        # What compaction has emptied is of a transaction that had ended, and its marker may be gone.
        if attributes & TRANSACTIONAL_BIT and count:
            self._open_transactions.setdefault(producer_id, base_offset)
        return None

    # -- append -----------------------------------------------------------------------------------

    def plan(
        self, batch: memoryview, now_ms: int, transaction_version: int = TRANSACTION_V1
    ) -> AppendPlan | Duplicate | AppendError:
        """Decide about one produced batch, and reserve its place.

        `transaction_version` says who may append a transactional batch: NO_TRANSACTION nobody, TRANSACTION_V1,
        or TRANSACTION_V2 (KIP-890), under which a producer that is not known here begins at sequence 0.

        The plan holds once the store has taken it, else `abandon` it. Plans may overlap; when one fails,
        it and all later ones are abandoned, newest first.

        Errors: those of `protocol` for a Produce partition: CORRUPT_MESSAGE, INVALID_RECORD,
        MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP, OUT_OF_ORDER_SEQUENCE_NUMBER,
        INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
        """
        config = self.config
        size = len(batch)
        if size < HEADER_SIZE:
            return why_refused(batch, config, now_ms) or AppendError(ErrorCode.INVALID_RECORD, "not a record batch")
        (base_offset, length, _, magic, crc, attributes, last_delta, base_timestamp, max_timestamp, producer_id,
         producer_epoch, sequence, count) = _unpack_header(batch)
        if (
            length + PREFIX_SIZE != size
            or magic != 2
            or base_offset
            or size > config.batch_bytes_max
            or count <= 0
            or last_delta != count - 1
            or not 0 <= attributes <= CODEC_MAX  # any bit but the codec's
            or (not attributes and count * RECORD_BYTES_MIN > size - HEADER_SIZE)
            or (attributes == LZ4 and not has_independent_blocks(batch))
            or max_timestamp > now_ms + config.timestamp_after_max_ms
            or base_timestamp < now_ms - config.timestamp_before_max_ms
            or (producer_id >= 0 and sequence < 0)
        ):
            refused = self._look_closer(batch, now_ms, transaction_version)
            if refused is not None and refused.code != ErrorCode.INVALID_TIMESTAMP:
                return refused
        else:
            refused = None
        if crc32c(batch[ATTRIBUTES_OFFSET:]) != crc:
            return AppendError(ErrorCode.CORRUPT_MESSAGE, "the record batch's CRC is wrong: damaged on its way")
        if refused is not None:
            return with_records(refused, batch, config, now_ms)
        if config.log_append_time:
            max_timestamp = now_ms
        first_offset = self.end
        last_offset = first_offset + last_delta
        producer = undo = None
        if producer_id >= 0:
            last = last_sequence(sequence, last_delta)
            answer = self.producers.check(producer_id, producer_epoch, sequence, last)
            if answer is None and (attributes & TRANSACTIONAL_BIT or producer_id in self._open_transactions):
                answer = self._begin_transaction(attributes, producer_id, sequence, transaction_version)
            if answer is not None:
                return answer
            producer = (producer_id, producer_epoch, sequence, last)
            added = (sequence, last, first_offset, last_offset, max_timestamp)
            undo = self.producers.add(producer_id, producer_epoch, added, now_ms)
        # What `_take_place` would find for nearly every batch, without a call.
        used = self._segment_bytes
        if (
            used
            and used + size <= config.segment_bytes
            and last_offset - self._segment_base <= _OFFSET_DELTA_MAX
            and 0 <= max_timestamp <= self._segment_first_timestamp + config.roll_ms_min
        ):
            roll = False
            self._segment_bytes = used + size
        else:
            roll = self._take_place(size, last_offset, max_timestamp, now_ms)
        self.end = last_offset + 1
        plan = AppendPlan(batch, first_offset, last_offset, self.leader_epoch, max_timestamp, size, roll, producer)
        plan.undo = undo
        return plan

    def _look_closer(self, batch: memoryview, now_ms: int, transaction_version: int) -> AppendError | None:
        """Why the batch is refused. Some of `plan`'s tests are coarser than the rules: None where it is not."""
        base_offset, length, _, magic, crc, attributes, *_ = _unpack_header(batch)
        size = len(batch)
        is_whole = HEADER_SIZE <= length + PREFIX_SIZE <= size and magic == 2
        if is_whole and attributes & TRANSACTIONAL_BIT and not transaction_version:
            return AppendError(
                ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "a transactional batch without a transactional id",
                before_log=True,
            )
        refused = why_refused(batch, self.config, now_ms)
        # A wrong CRC explains any of what Kafka checks after it; but a batch of another size, format or place than it
        # should have is refused before.
        framed = length + PREFIX_SIZE == size and magic == 2 and not base_offset
        if refused is None or refused.code != ErrorCode.INVALID_RECORD or not framed:
            return refused
        is_right = crc32c(batch[ATTRIBUTES_OFFSET:]) == crc
        return refused if is_right else AppendError(ErrorCode.CORRUPT_MESSAGE, "wrong CRC")

    def _take_place(self, size: int, last_offset: int, max_timestamp: int, now_ms: int) -> bool:
        """Account for a batch at the end; True where it begins a new segment after another one."""
        # Kafka's clock for segment.ms: the batch's own time, counted from the segment's first batch.
        time_ms = max_timestamp if max_timestamp >= 0 else now_ms
        age_ms = time_ms - self._segment_first_timestamp
        config = self.config
        roll = self._segment_bytes > 0 and (
            self._segment_bytes + size > config.segment_bytes
            or last_offset - self._segment_base > _OFFSET_DELTA_MAX
            or (age_ms > config.roll_ms_min and age_ms > config.roll_ms - self._jitter_ms())
        )
        if roll or not self._segment_bytes:
            self._segment_base = self.end
            self._segment_bytes = size
            self._segment_first_timestamp = time_ms
        else:
            self._segment_bytes += size
        return roll

    def _jitter_ms(self) -> int:
        """This segment's part of segment.jitter.ms: another one in each partition, with no dice in here."""
        return (self._segment_first_timestamp * 2654435761 + self._segment_base * 40503) % (self.config.jitter_ms + 1)

    def _begin_transaction(
        self, attributes: int, producer_id: int, sequence: int, transaction_version: int
    ) -> AppendError | None:
        """A batch of a transaction, or of a producer that has one open here; it opens with the former."""
        if not attributes & TRANSACTIONAL_BIT:
            return AppendError(
                ErrorCode.INVALID_TXN_STATE, f"producer {producer_id} has an open transaction: this batch is outside it"
            )
        if sequence and transaction_version == TRANSACTION_V2 and producer_id not in self.producers.entries:
            return AppendError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {producer_id} is not known here: its transaction begins at sequence {sequence}, not 0",
            )
        self._open_transactions.setdefault(producer_id, self.end)
        return None

    def plan_marker(
        self,
        producer_id: int,
        producer_epoch: int,
        commit: bool,
        coordinator_epoch: int,
        now_ms: int,
        transaction_version: int = TRANSACTION_V1,
    ) -> MarkerPlan | AppendError:
        """Reserve a place for the marker that ends the producer's transaction; also where none is open.

        After a marker of a higher epoch the producer's next sequence is 0, at that epoch.

        Errors: INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
        """
        marker = Marker(producer_id, producer_epoch, commit, coordinator_epoch)
        refused = marker.why_refused(self.producers, transaction_version)
        if refused is not None:
            return refused
        self.producers.transactions.settle(self.high_watermark)  # perhaps nobody reads here
        batch = marker.encode(now_ms)
        offset = self.end
        size = len(batch)
        roll = self._take_place(size, offset, now_ms, now_ms)
        producer = (producer_id, producer_epoch, -1, -1)
        plan = MarkerPlan(batch, offset, offset, self.leader_epoch, now_ms, size, roll, producer)
        plan.producers_before = self.producers.snapshot() if roll else None
        plan.do_on(self.producers, marker, now_ms)
        self.end = offset + 1
        return plan

    def abandon(self, plan: AppendPlan) -> None:
        """The store has not taken the batch: give its place and its sequence numbers back."""
        assert plan.last_offset + 1 == self.end, "plans are abandoned newest first"
        self.end = plan.base_offset
        if plan.roll:
            # The old segment is full or old either way: the next plan rolls again.
            self._segment_bytes = self.config.segment_bytes
        else:
            self._segment_bytes -= plan.size
        if isinstance(plan, MarkerPlan):
            plan.undo_on(self.producers)
        elif plan.producer is not None:
            producer_id = plan.producer[0]
            self.producers.restore(producer_id, plan.undo)
            if self._open_transactions.get(producer_id) == plan.base_offset:
                del self._open_transactions[producer_id]

    # -- log start --------------------------------------------------------------------------------

    def move_start(self, offset: int) -> None:
        """The log begins at `offset` from now on, which is at most the high watermark; the store deletes.

        Leader epochs before it are forgotten; producers are not, so that a retry is still known as one.
        """
        assert self.log_start <= offset <= self.high_watermark
        self.log_start = offset
        self.epochs = epochs_from(self.epochs, offset)
        if offset == self.end:  # the active segment goes with the others: the next batch begins one
            self._segment_base = offset
            self._segment_bytes = 0

    # -- leader epochs ----------------------------------------------------------------------------

    def epoch_at(self, offset: int) -> int:
        """The leader epoch under which the record at `offset` was written."""
        position = bisect_right(self.epochs, offset, key=lambda entry: entry[1])
        return self.epochs[max(0, position - 1)][0]

    def epoch_end(self, epoch: int) -> tuple[int, int]:
        """(largest known epoch <= `epoch`, the offset where it ends); (-1, -1) where unknown.

        The current epoch ends at the log end. Source: OffsetForLeaderEpoch, KIP-101, KIP-279.
        """
        if epoch == self.leader_epoch:
            return epoch, self.end
        if epoch < 0 or epoch > self.leader_epoch:
            return -1, -1
        position = bisect_right(self.epochs, epoch, key=lambda entry: entry[0])
        if position == 0:
            # Older than all that is kept: it ends where the oldest known one starts.
            return epoch, self.epochs[0][1]
        return self.epochs[position - 1][0], self.epochs[position][1]
