"""One segment file, and Kafka's sparse indexes over it.

In memory the indexes are arrays; on disk they are byte for byte what Kafka writes, so that Kafka's
own dump tool reads and checks them (OffsetIndex, TimeIndex, LogSegment.append in Apache Kafka 4):

* `.index`: rows of (last offset of a batch minus the base offset u32, position of that batch u32),
  one before the first batch that follows more than `index.interval.bytes` of log;
* `.timeindex`: rows of (largest timestamp so far i64, last offset of its batch minus base u32),
  written along with an index row and once more when the segment is rolled or closed;
* `.txnindex`: see `aborted.py`.

All are written at roll and at a clean stop, `.index` last: where it is there, the others are whole.
"""

from __future__ import annotations

import os
import sys
from array import array
from bisect import bisect_right
from contextlib import suppress
from struct import Struct

from flymq.env import Token
from flymq.env.files import Files
from flymq.storage.api import Segment
from flymq.storage.files.aborted import AbortedRows

# The log last: where a crash comes in between, the next start still sees the segment.
SEGMENT_SUFFIXES = (".index", ".timeindex", ".txnindex", ".log")
CLEANED = ".cleaned"  # a segment in the making, with `.cleaned.index` and `.cleaned.timeindex`

_INDEX_FILES_FROM_BYTES = 1 << 16
_TIME_ROW = Struct(">qI")
_OFFSET_ROW_BYTES = 8


class FileSegment:
    """A segment: `size`, `synced` and positions in bytes, timestamps in ms, offsets absolute.

    Where `index_offsets` is None the indexes are on disk only: `load` brings them. `positions`
    remembers where batches begin: offset -> position, for offsets that readers asked for or stopped at.
    """

    __slots__ = (
        "aborted",
        "base",
        "end",
        "fd",
        "first_marker",
        "first_timestamp",
        "index_offsets",
        "index_positions",
        "is_finished",
        "loading",
        "max_timestamp",
        "max_timestamp_offset",
        "path",
        "positions",
        "since_index",
        "size",
        "synced",
        "time_offsets",
        "timestamps",
    )

    def __init__(self, folder: str, base: int) -> None:
        self.base = base
        self.end = base  # one past the last record; of the active segment only the log knows it
        self.path = f"{folder}/{base:020d}"  # without the suffix
        self.fd = -1
        self.size = 0
        self.synced = 0
        self.first_timestamp = -1
        self.max_timestamp = -1
        self.max_timestamp_offset = -1
        self.aborted = AbortedRows()
        self.first_marker = -1  # offset of the first one that `aborted` does not know of; -1: it knows all
        self.positions: dict[int, int] = {}
        self.since_index = 0
        self.is_finished = False  # rolled, and its index files are on the disk
        self.loading: Token | None = None
        self.index_offsets: array[int] | None = None
        self.index_positions: array[int] = array("I")
        self.timestamps: array[int] = array("q")
        self.time_offsets: array[int] = array("I")

    @property
    def log_path(self) -> str:
        return self.path + ".log"

    def start_index(self) -> None:
        """Empty indexes, for a segment that is written or scanned from its start."""
        self.index_offsets = array("I")
        self.index_positions = array("I")
        self.timestamps = array("q")
        self.time_offsets = array("I")
        self.since_index = 0

    def forget_index(self) -> None:
        """Give the memory back: the files have it."""
        self.index_offsets = None
        self.index_positions = array("I")
        self.timestamps = array("q")
        self.time_offsets = array("I")
        self.positions = {}

    def add_index_row(self, last_offset: int, position: int) -> None:
        """The batch that ends with `last_offset` begins at `position`; its timestamp is already counted."""
        assert self.index_offsets is not None
        self.index_offsets.append(last_offset - self.base)
        self.index_positions.append(position)
        self._add_time_row()
        self.since_index = 0

    def _add_time_row(self) -> None:
        if self.max_timestamp > (self.timestamps[-1] if self.timestamps else -1):
            self.timestamps.append(self.max_timestamp)
            self.time_offsets.append(self.max_timestamp_offset - self.base)

    def about(self, offset: int) -> int:
        """A position at or before the batch of `offset`, less than an index interval away."""
        if self.index_offsets is None or offset <= self.base:
            return 0
        at = bisect_right(self.index_offsets, offset - self.base) - 1
        return self.index_positions[at] if at >= 0 else 0

    def view(self, end: int) -> Segment:
        return Segment(self.base, end, self.size, self.first_timestamp, self.max_timestamp)

    def sync(self, files: Files) -> None:
        """Wait until the log's bytes are on the disk, whether it is open or not (any thread)."""
        if self.fd >= 0:
            files.fdatasync(self.fd)
            return
        fd = files.open(self.log_path, os.O_RDWR, 0)
        try:
            files.fdatasync(fd)
        finally:
            files.close(fd)

    # -- index files ------------------------------------------------------------------------------

    def write_index(self, files: Files, *, sync: bool) -> None:
        """Write the index files: at roll and at a clean stop."""
        assert self.index_offsets is not None
        if self.aborted.data:
            files.write_all(self.path + ".txnindex", bytes(self.aborted.data), sync=sync)
        self._add_time_row()
        rows = array("I", bytes(_OFFSET_ROW_BYTES * len(self.index_offsets)))
        rows[0::2] = self.index_offsets
        rows[1::2] = self.index_positions
        if sys.byteorder == "little":
            rows.byteswap()
        times = b"".join(map(_TIME_ROW.pack, self.timestamps, self.time_offsets))
        files.write_all(self.path + ".timeindex", times, sync=sync)
        files.write_all(self.path + ".index", rows.tobytes(), sync=sync)

    @property
    def is_scanned_fast(self) -> bool:
        """So short that a start reads it as fast as index files: an idle partition does without them."""
        return self.size < _INDEX_FILES_FROM_BYTES

    def try_write_index(self, files: Files) -> bool:
        """`write_index`; False where that fails, as on a full disk. Then there are no index files, rather than
        a part of them: they can be made from the log at any time."""
        try:
            self.write_index(files, sync=True)
        except OSError:
            self.drop_index(files)
            return False
        return True

    def drop_index(self, files: Files) -> None:
        """Delete the index files, before the segment grows beyond what they say. Raises nothing."""
        for suffix in (".index", ".timeindex", ".txnindex"):
            with suppress(OSError):
                files.unlink(self.path + suffix)

    def load_index(self, files: Files) -> bool:
        """Read the index files; False where they are missing or can't be of this segment's bytes."""
        try:
            data = read_file(files, self.path + ".index")
            times = read_file(files, self.path + ".timeindex")
        except FileNotFoundError:
            return False
        if len(data) % _OFFSET_ROW_BYTES or len(times) % _TIME_ROW.size:
            return False
        rows = array("I", data)
        if sys.byteorder == "little":
            rows.byteswap()
        offsets, positions = rows[0::2], rows[1::2]
        if positions and positions[-1] >= self.size:
            return False
        if self.size and not times and self.first_timestamp >= 0:
            return False
        timestamps, time_offsets = array("q"), array("I")
        for timestamp, offset in _TIME_ROW.iter_unpack(times):
            timestamps.append(timestamp)
            time_offsets.append(offset)
        if timestamps:
            self.max_timestamp = timestamps[-1]
            self.max_timestamp_offset = time_offsets[-1] + self.base
        self.index_positions, self.timestamps, self.time_offsets = positions, timestamps, time_offsets
        self.index_offsets = offsets  # last: another thread takes it as the sign that all is there
        return True

    def load_aborted(self, files: Files) -> bool:
        """Read the `.txnindex`, where there is one; False where it can't be of this segment."""
        try:
            self.aborted = AbortedRows(read_file(files, self.path + ".txnindex"))
        except FileNotFoundError:
            self.aborted = AbortedRows()
        return self.aborted.are_between(self.base, self.end)


def read_file(files: Files, path: str) -> bytes:
    """The whole (small) file."""
    size = files.size(path)
    fd = files.open(path, 0, 0)
    try:
        return files.pread(fd, size, 0)
    finally:
        files.close(fd)
