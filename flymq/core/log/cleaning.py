"""When a compacted partition is cleaned, how far, and which of its segments become one.

Offsets: everything below the clean end holds one record a key at most and was gone through before; what follows, up
to the first record that may not be touched, is dirty.

Source: LogCleanerManager, LogToClean, Cleaner.groupSegmentsBySize in Apache Kafka 4; KIP-58 (min lag), KIP-354 (max
lag).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from flymq.core.settings import TopicConfig

KEY_BYTES = 160
"""What one key takes in the cleaner's map, of log.cleaner.dedupe.buffer.size: digest, offset and their place."""

_OFFSET_SPAN_MAX = 2**31 - 1  # an index row holds offsets relative to its segment's base


class SegmentView(Protocol):
    """What is known of a segment: offsets, `end_offset` exclusive, and ms, -1 for none."""

    @property
    def base_offset(self) -> int: ...
    @property
    def end_offset(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def first_timestamp(self) -> int: ...
    @property
    def max_timestamp(self) -> int: ...


S = TypeVar("S", bound=SegmentView)


@dataclass(frozen=True, slots=True)
class CleaningTask:
    """One cleaning of one partition, as `Log.clean` is asked for it.

    last_batches: of each producer that is remembered, (epoch, last offset of its last batch with sequences; -1 where
        it has written only markers): that batch is kept though it were empty.
    """

    first_dirty: int
    end: int  # nothing at or above is looked at, but for the markers of transactions that began below
    log_start: int
    now_ms: int
    delete_retention_ms: int
    segment_bytes: int
    keys_max: int  # in the map; a task that has more ends early
    inflate_bytes_max: int
    bytes_per_second: float  # read and written together
    last_batches: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a cleaning did. `end` is the new clean end, the old one where it came to nothing."""

    end: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True, slots=True)
class Dirt:
    """How dirty a partition is: offsets [first_dirty, end) could be cleaned now."""

    first_dirty: int
    end: int
    clean_bytes: int
    dirty_bytes: int
    is_overdue: bool

    @property
    def ratio(self) -> float:
        """The dirty part of all that a cleaning would go through, by bytes."""
        return self.dirty_bytes / (self.clean_bytes + self.dirty_bytes) if self.dirty_bytes else 0.0

    def is_due(self, config: TopicConfig) -> bool:
        return self.dirty_bytes > 0 and (self.is_overdue or self.ratio > config.min_cleanable_dirty_ratio)


def survey(
    segments: Sequence[SegmentView],
    clean_end: int,
    log_start: int,
    stable_end: int,
    config: TopicConfig,
    now_ms: int,
) -> Dirt:
    """Look at a partition: `segments` oldest first, the last one active; `stable_end` is the last stable offset.

    Nothing is cleanable of the active segment, at or above `stable_end`, nor from the first segment on that has a
    record younger than min.compaction.lag.ms.
    """
    if not segments:
        return Dirt(clean_end, clean_end, 0, 0, False)
    active = segments[-1].base_offset
    first_dirty = clean_end if log_start <= clean_end <= active else log_start
    dirty = [segment for segment in segments[:-1] if segment.end_offset > first_dirty]
    end = min(active, stable_end)
    if config.min_compaction_lag_ms > 0:
        youngest_ms = now_ms - config.min_compaction_lag_ms
        end = next((min(end, segment.base_offset) for segment in dirty if segment.max_timestamp > youngest_ms), end)
    whole = [segment for segment in dirty if segment.end_offset <= end]
    since_ms = [segment.first_timestamp for segment in dirty if segment.first_timestamp > 0]
    return Dirt(
        first_dirty=first_dirty,
        end=max(end, first_dirty),
        clean_bytes=sum(segment.size_bytes for segment in segments[:-1] if segment.end_offset <= first_dirty),
        dirty_bytes=sum(segment.size_bytes for segment in whole),
        is_overdue=bool(since_ms) and min(since_ms) < now_ms - config.max_compaction_lag_ms,
    )


def group(segments: Sequence[S], end: int, segment_bytes: int) -> list[list[S]]:
    """The segments that begin below `end`, in neighbours of which each becomes one new segment.

    By their sizes before cleaning, so that a group never outgrows `segment_bytes` nor an index's offsets.
    """
    groups: list[list[S]] = []
    size = 0
    for segment in segments:
        if segment.base_offset >= end:
            break
        size += segment.size_bytes
        fits = size <= segment_bytes and groups and segment.end_offset - groups[-1][0].base_offset <= _OFFSET_SPAN_MAX
        if fits:
            groups[-1].append(segment)
        else:
            groups.append([segment])
            size = segment.size_bytes
    return groups
