"""Looking for timestamps, on a thread: what is open and cached on the loop is left alone."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from flymq.env.files import Files
from flymq.storage.api import Chunk
from flymq.storage.files.reading import Headers, locate, read_one
from flymq.storage.files.segment import FileSegment


class Span:
    """A segment as of the look-up: it ends at offset `end` and byte `size`; nothing below `start` counts."""

    __slots__ = ("end", "max_timestamp", "max_timestamp_offset", "segment", "size", "start")

    def __init__(self, segment: FileSegment, end: int, size: int, start: int) -> None:
        self.segment = segment
        self.end = end
        self.size = size
        self.start = start
        self.max_timestamp = segment.max_timestamp
        self.max_timestamp_offset = segment.max_timestamp_offset

    @contextmanager
    def headers(self, files: Files, offset: int) -> Iterator[tuple[Headers, int]]:
        """The batches from the one that holds `offset` on, and the file they are in."""
        segment = self.segment
        if segment.index_offsets is None:
            segment = FileSegment(os.path.dirname(segment.path), segment.base)
            segment.size = self.size
            if not segment.load_index(files):
                segment.start_index()
        fd = files.open(segment.log_path, os.O_RDONLY, 0)
        try:
            position = locate(segment, fd, max(offset, self.start), self.size, files.read_into)
            yield Headers(segment, fd, position, self.size, files.read_into), fd
        finally:
            files.close(fd)


def first_at_or_after(files: Files, spans: list[Span], timestamp: int, end_offset: int) -> Chunk | None:
    """The first batch with max_timestamp >= `timestamp` that begins below `end_offset`."""
    for span in spans:
        if span.max_timestamp < timestamp:
            continue
        segment = span.segment
        # Up to the offset of a row with a smaller timestamp everything is older.
        at = bisect_left(segment.timestamps, timestamp) - 1
        with span.headers(files, segment.base + segment.time_offsets[at] if at >= 0 else segment.base) as (headers, fd):
            while headers.step() and headers.base < end_offset:
                if headers.max_timestamp >= timestamp:
                    return read_one(headers, fd, files.read_into)
    return None


def first_largest(files: Files, spans: list[Span], end_offset: int) -> Chunk | None:
    """The earliest batch with the largest max_timestamp among those that begin below `end_offset`."""
    best: tuple[int, Span, int] | None = None  # timestamp, where, an offset of that batch
    for span in spans:
        timestamp, offset = span.max_timestamp, span.max_timestamp_offset
        if span.end > end_offset or offset < span.start:
            timestamp, offset = _largest(files, span, end_offset)
        if timestamp >= 0 and (best is None or timestamp > best[0]):
            best = (timestamp, span, offset)
    if best is None:
        return None
    with best[1].headers(files, best[2]) as (headers, fd):
        headers.step()
        return read_one(headers, fd, files.read_into)


def _largest(files: Files, span: Span, end_offset: int) -> tuple[int, int]:
    """By walking a segment that counts only in part: (largest timestamp or -1, last offset of its batch)."""
    timestamp = offset = -1
    with span.headers(files, span.start) as (headers, _):
        while headers.step() and headers.base < end_offset:
            if headers.max_timestamp > timestamp:
                timestamp, offset = headers.max_timestamp, headers.last
    return timestamp, offset
