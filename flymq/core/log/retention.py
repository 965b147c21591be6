"""What retention takes of a log: whole segments, the oldest first, nothing above the high watermark.

Source: UnifiedLog.deleteOldSegments, LeaderEpochFileCache.truncateFromStart in Apache Kafka 4.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flymq.core.settings import TopicConfig


class Segment(Protocol):
    """What a store says of one: offsets, bytes, and the largest timestamp (ms, -1: none has one)."""

    base_offset: int
    end_offset: int
    size_bytes: int
    max_timestamp: int


def new_log_start(
    segments: Sequence[Segment], log_start: int, high_watermark: int, config: TopicConfig, now_ms: int
) -> int | None:
    """Where the log should begin, so that the segments before it go; None where none has to.

    Three reasons, one after the other, each from the oldest segment on: A. it lies below the log start (a
    deletion that a crash cut short); B. the log has more than retention.bytes without it; C. its newest
    record is older than retention.ms. B and C need cleanup.policy=delete. The last, active segment is no
    exception.
    """
    count = len(segments)
    gone = 0
    while gone < count and segments[gone].end_offset <= log_start:
        gone += 1
    if config.delete:
        while count > gone and segments[count - 1].end_offset > high_watermark:
            count -= 1
        if config.retention_bytes >= 0:
            spare = sum(segment.size_bytes for segment in segments[gone:]) - config.retention_bytes
            while gone < count and spare >= segments[gone].size_bytes:
                spare -= segments[gone].size_bytes
                gone += 1
        if config.retention_ms >= 0:
            oldest_ms = now_ms - config.retention_ms
            while gone < count and 0 <= segments[gone].max_timestamp < oldest_ms:
                gone += 1
    return max(log_start, segments[gone - 1].end_offset) if gone else None


def epochs_from(epochs: list[tuple[int, int]], log_start: int) -> list[tuple[int, int]]:
    """The (leader epoch, first offset) of what is left; the oldest of them begins at `log_start`."""
    at = bisect_right(epochs, log_start, key=lambda entry: entry[1]) - 1
    return [(epochs[at][0], log_start), *epochs[at + 1 :]] if at >= 0 else list(epochs)
