"""One partition's log: offsets, producer windows, epochs, high watermark, and when to roll.

Pure and synchronous: no bytes are stored here. The runtime asks for a plan, has the store carry it
out, and tells the outcome.

Source: UnifiedLog, LeaderEpochFileCache in Apache Kafka 4.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from flymq.core.log.batch_rules import CODEC_MAX, RECORD_BYTES_MIN, why_refused
from flymq.core.log.inspection import with_records
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.producers import Producers, last_sequence
from flymq.core.log.retention import epochs_from
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import (
    ATTRIBUTES_OFFSET,
    HEADER,
    HEADER_SIZE,
    PREFIX_SIZE,
)
from flymq_protocol.records.crc import crc32c

if TYPE_CHECKING:
    from flymq.core.settings import TopicConfig

_OFFSET_DELTA_MAX = 2**31 - 1  # an index row holds offsets relative to its segment's base, in 31 bits
_unpack_header = HEADER.unpack_from


class PartitionLog:
    """The state that decides. Offsets: log_start <= high_watermark <= end; `end` is one past the last.

    `high_watermark` is set by whoever hears from the store how far the log is durable; it only rises.

    `config` may be replaced at any time.
    """

    __slots__ = (
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
        self._segment_base = end
        self._segment_bytes = 0
        self._segment_first_timestamp = -1

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

    def apply(self, batch: memoryview, now_ms: int) -> None:
        """Take a stored batch into the producer state, at load. In offset order."""
        base_offset, _, _, _, _, _, last_delta, _, max_timestamp, producer_id, epoch, sequence, _ = (
            _unpack_header(batch)
        )
        if producer_id >= 0 <= sequence:
            last = last_sequence(sequence, last_delta)
            # The batch's own time, where it has one: a replay must not renew an old producer.
            seen_ms = min(max_timestamp, now_ms) if max_timestamp >= 0 else now_ms
            added = (sequence, last, base_offset, base_offset + last_delta, max_timestamp)
            self.producers.add(producer_id, epoch, added, seen_ms)

    # -- append -----------------------------------------------------------------------------------

    def plan(self, batch: memoryview, now_ms: int) -> AppendPlan | Duplicate | AppendError:
        """Decide about one produced batch, and reserve its place.

        The plan holds once the store has taken it, else `abandon` it. Plans may overlap; when one fails,
        it and all later ones are abandoned, newest first.

        Errors: those of `protocol` for a Produce partition: CORRUPT_MESSAGE, INVALID_RECORD,
        MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE, INVALID_TIMESTAMP, OUT_OF_ORDER_SEQUENCE_NUMBER,
        INVALID_PRODUCER_EPOCH.
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
            or max_timestamp > now_ms + config.timestamp_after_max_ms
            or base_timestamp < now_ms - config.timestamp_before_max_ms
            or (producer_id >= 0 and sequence < 0)
        ):
            # Some of these tests are coarser than the rules: only `why_refused` refuses.
            refused = why_refused(batch, config, now_ms)
            if refused is not None and refused.code != ErrorCode.INVALID_TIMESTAMP:
                # A wrong CRC explains any of what Kafka checks after it; but a batch of another size, format or
                # place than it should have is refused before.
                framed = length + PREFIX_SIZE == size and magic == 2 and not base_offset
                if framed and refused.code == ErrorCode.INVALID_RECORD and self._crc_is_wrong(batch, crc):
                    return AppendError(ErrorCode.CORRUPT_MESSAGE, "wrong CRC")
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
            if answer is not None:
                return answer
            producer = (producer_id, producer_epoch, sequence, last)
            added = (sequence, last, first_offset, last_offset, max_timestamp)
            undo = self.producers.add(producer_id, producer_epoch, added, now_ms)
        roll = self._segment_bytes > 0 and self._must_roll(size, last_offset, max_timestamp, now_ms)
        if roll or not self._segment_bytes:
            self._segment_base = first_offset
            self._segment_bytes = size
            self._segment_first_timestamp = max_timestamp if max_timestamp >= 0 else now_ms
        else:
            self._segment_bytes += size
        self.end = last_offset + 1
        plan = AppendPlan(batch, first_offset, last_offset, self.leader_epoch, max_timestamp, size, roll, producer)
        plan.undo = undo
        return plan

    @staticmethod
    def _crc_is_wrong(batch: memoryview, crc: int) -> bool:
        return len(batch) >= HEADER_SIZE and crc32c(batch[ATTRIBUTES_OFFSET:]) != crc

    def _must_roll(self, size: int, last_offset: int, max_timestamp: int, now_ms: int) -> bool:
        config = self.config
        if self._segment_bytes + size > config.segment_bytes or last_offset - self._segment_base > _OFFSET_DELTA_MAX:
            return True
        # Kafka's clock for segment.ms: the batch's own time, counted from the segment's first batch.
        time_ms = max_timestamp if max_timestamp >= 0 else now_ms
        age_ms = time_ms - self._segment_first_timestamp
        return age_ms > config.roll_ms_min and age_ms > config.roll_ms - self._jitter_ms()

    def _jitter_ms(self) -> int:
        """This segment's part of segment.jitter.ms: another one in each partition, with no dice in here."""
        return (self._segment_first_timestamp * 2654435761 + self._segment_base * 40503) % (self.config.jitter_ms + 1)

    def abandon(self, plan: AppendPlan) -> None:
        """The store has not taken the batch: give its place and its sequence numbers back."""
        assert plan.last_offset + 1 == self.end, "plans are abandoned newest first"
        self.end = plan.base_offset
        if plan.roll:
            # The old segment is full or old either way: the next plan rolls again.
            self._segment_bytes = self.config.segment_bytes
        else:
            self._segment_bytes -= plan.size
        if plan.producer is not None:
            self.producers.restore(plan.producer[0], plan.undo)

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
