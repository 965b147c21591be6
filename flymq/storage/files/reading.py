"""Finding batches in a segment, by its sparse index and the headers in between.

Every function takes `fill(fd, buffer, position)`: `Files.read_cached` on the loop, where too few
bytes raise `Cold` and the caller starts over on a thread with `Files.read_into`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from flymq.storage.api import Chunk, Corrupt
from flymq.storage.files.buffers import Buffers
from flymq.storage.files.segment import FileSegment
from flymq.storage.headers import HEADER_BYTES, LENGTH_END, MAX_TIMESTAMP, MAX_TIMESTAMP_AT, PLACE

Fill = Callable[[int, memoryview, int], int]

_WINDOW_BYTES = 8192  # about one index interval
_POSITIONS_MAX = 256


class Cold(Exception):
    """The bytes are not in the page cache."""


class Headers:
    """The headers of a segment's batches, in file order, read through a small window."""

    __slots__ = ("_at", "_fd", "_fill", "_filled", "_path", "_stop", "_view", "base", "last", "position", "size")

    def __init__(self, segment: FileSegment, fd: int, position: int, stop: int, fill: Fill) -> None:
        self._path = segment.log_path
        self._fd = fd
        self._fill = fill
        self._view = memoryview(bytearray(_WINDOW_BYTES))
        self._at = self._filled = 0
        self._stop = stop
        self.position = position
        self.size = 0
        self.base = self.last = -1

    def step(self) -> bool:
        """On to the next batch; False at the end. Then `position`, `size`, `base` and `last` are its."""
        position = self.position = self.position + self.size
        if position >= self._stop:
            self.size = 0
            return False
        if position + HEADER_BYTES > self._at + self._filled or position < self._at:
            self._at = position
            wanted = min(_WINDOW_BYTES, self._stop - position)
            self._filled = self._fill(self._fd, self._view[:wanted], position)
            if self._filled < HEADER_BYTES:
                raise Cold
        self.base, length, delta = PLACE.unpack_from(self._view, position - self._at)
        self.size = length + LENGTH_END
        if self.size < HEADER_BYTES:
            raise Corrupt(f"{self._path}, byte {position}: no record batch; restore it from a copy")
        self.last = self.base + delta
        return True

    @property
    def max_timestamp(self) -> int:
        found: int = MAX_TIMESTAMP.unpack_from(self._view, self.position - self._at + MAX_TIMESTAMP_AT)[0]
        return found


def locate(segment: FileSegment, fd: int, offset: int, stop: int, fill: Fill) -> int:
    """The position of the first batch before `stop` whose last offset is >= `offset`; `stop` where none is."""
    offsets = segment.index_offsets
    assert offsets is not None
    relative = offset - segment.base
    at = bisect_right(offsets, relative) - 1
    position = segment.index_positions[at] if at >= 0 else 0
    if at >= 0 and offsets[at] == relative:
        return min(position, stop)
    # The next row's batch ends beyond `offset`: it is the answer if no earlier one is.
    after = segment.index_positions[at + 1] if at + 1 < len(offsets) else stop
    headers = Headers(segment, fd, position, min(after, stop), fill)
    while headers.step():
        if headers.last >= offset:
            break
    return headers.position


def cut(segment: FileSegment, fd: int, start: int, limit: int, max_bytes: int, at_least_one: bool, fill: Fill) -> int:
    """How many bytes from the batch at `start`: whole batches, at most `max_bytes`, before `limit`.

    From the index where a row is in reach, hence up to an interval fewer than would fit.
    """
    at = bisect_right(segment.index_positions, start + max_bytes) - 1
    if at >= 0 and segment.index_positions[at] > start:
        return segment.index_positions[at] - start
    headers = Headers(segment, fd, start, limit, fill)
    while headers.step():
        if headers.position + headers.size - start > max_bytes:
            if headers.position == start and at_least_one:
                return headers.size
            break
    return headers.position - start


def read_batches(
    segment: FileSegment,
    fd: int,
    segment_end: int,
    size: int,
    offset: int,
    end_offset: int,
    max_bytes: int,
    at_least_one: bool,
    fill: Fill,
    buffers: Buffers | None,
) -> Chunk | None:
    """`Log.read` within one segment, which ends at offset `segment_end` and byte `size`."""
    positions = segment.positions
    if len(positions) > _POSITIONS_MAX:
        positions.clear()
    start = positions.get(offset)
    if start is None:
        start = locate(segment, fd, offset, size, fill)
        if start < size:  # the place of an offset that is not there yet may turn out to be another
            positions[offset] = start
    if end_offset >= segment_end:
        limit = positions[segment_end] = size
    else:
        found = positions.get(end_offset)
        if found is None:
            found = locate(segment, fd, end_offset, size, fill)
            if found < size:
                positions[end_offset] = found
        limit = found
    count = limit - start
    if count > max_bytes:
        count = cut(segment, fd, start, limit, max_bytes, at_least_one, fill)
    if count <= 0:
        return None
    buffer = buffers.take(count) if buffers is not None else None
    if buffer is None:
        view = memoryview(bytearray(count))
        if fill(fd, view, start) != count:
            raise Cold
        return Chunk(view)
    view = buffer.view[:count]
    if fill(fd, view, start) != count:
        buffer.give_back()
        raise Cold
    return Chunk(view, buffer.give_back)


def read_one(headers: Headers, fd: int, fill: Fill) -> Chunk:
    """The batch that `headers` is at."""
    view = memoryview(bytearray(headers.size))
    if fill(fd, view, headers.position) != headers.size:
        raise Cold
    return Chunk(view)
