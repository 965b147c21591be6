"""What the cleaner's process does: read segments, write cleaned ones beside them. It renames and deletes nothing.

The job: {"folder", "index_interval", "segments": [[base offset, end offset, size]...] that may be cleaned, "parts":
[[log file, size, end offset]...] of the whole log, "task": the fields of `CleaningTask`}. It tells, oldest first, of
each group of neighbours that is written and on the disk: {"bases", "size", "first_timestamp", "end"}; then {"end",
"read", "written": bytes}. The end is the new clean end.

The new segment of a group is <base of the first>.cleaned with .cleaned.index and .cleaned.timeindex; where nothing
is left of a group its size is 0 and there are no files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from flymq.core.log.cleaner import Cleaner, map_keys
from flymq.core.log.cleaning import CleaningTask, group
from flymq.env.files import Files
from flymq.storage.api import Segment
from flymq.storage.files.recovery import stream
from flymq.storage.files.segment import CLEANED, FileSegment
from flymq.storage.headers import MAX_TIMESTAMP, MAX_TIMESTAMP_AT, PLACE
from flymq_protocol.types import Buffer

_WRITE_BYTES = 1 << 20
# Every so often: one fsync of a whole large segment would hold up those of the producers.
_SYNC_BYTES = 2 << 20

Spend = Callable[[int], None]


def task_to_json(task: CleaningTask) -> dict[str, Any]:
    return asdict(task)


def task_from_json(fields: dict[str, Any]) -> CleaningTask:
    """JSON's keys are text, and its lists no tuples."""
    lasts = {int(key): (epoch, offset) for key, (epoch, offset) in fields["last_batches"].items()}
    return CleaningTask(**{**fields, "last_batches": lasts})


def run(files: Files, job: dict[str, Any], tell: Callable[[dict[str, Any]], None], spend: Spend) -> None:
    """`spend(bytes)` may wait. Raises OSError, and `Corrupt` or ProtocolError for a damaged batch."""
    task = task_from_json(job["task"])
    cleaner = Cleaner(task)
    parts: list[tuple[str, int, int]] = [(path, size, end) for path, size, end in job["parts"]]
    segments = [Segment(base, end, size, -1, -1) for base, end, size in job["segments"]]

    def batches(offset: int) -> Iterator[memoryview]:
        for batch in stream(files, [(path, size) for path, size, end in parts if end > offset], offset):
            spend(len(batch))
            yield batch

    for _ in map_keys(cleaner, batches):
        pass
    bytes_read = bytes_written = 0
    paths = {segment.base_offset: f"{job['folder']}/{segment.base_offset:020d}.log" for segment in segments}
    for neighbours in group(segments, cleaner.end, task.segment_bytes):
        inputs = [(paths[segment.base_offset], segment.size_bytes) for segment in neighbours]
        writer = _Writer(files, job["folder"], neighbours[0].base_offset, job["index_interval"], spend)
        is_same = True
        try:
            for batch in stream(files, inputs, 0):
                spend(len(batch))
                cleaned = cleaner.clean(batch)
                is_same = is_same and cleaned is batch
                if cleaned is not None:
                    writer.add(cleaned)
            is_same = is_same and len(neighbours) == 1
            if is_same or not writer.new.size:
                writer.discard()
            else:
                writer.finish()
        except BaseException:
            writer.discard()
            raise
        bytes_read += sum(size for _, size in inputs)
        bytes_written += writer.new.size
        if not is_same:
            bases = [segment.base_offset for segment in neighbours]
            new = {"size": writer.new.size, "first_timestamp": writer.new.first_timestamp}
            tell({"bases": bases, **new, "end": cleaner.end})
    tell({"end": cleaner.end, "read": bytes_read, "written": bytes_written})


class _Writer:
    """A cleaned segment in the making, its indexes as `FileLog.append` would have made them."""

    def __init__(self, files: Files, folder: str, base: int, index_interval: int, spend: Spend) -> None:
        self._files = files
        self._index_interval = index_interval
        self._spend = spend
        self._buffer = bytearray()
        self._unsynced = 0
        self.new = new = FileSegment(folder, base)
        new.path += CLEANED
        new.start_index()
        self._fd = files.open(new.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def add(self, batch: Buffer) -> None:
        new = self.new
        base, _, delta = PLACE.unpack_from(batch)
        timestamp = MAX_TIMESTAMP.unpack_from(batch, MAX_TIMESTAMP_AT)[0]
        if not new.size:
            new.first_timestamp = timestamp
        if timestamp > new.max_timestamp:
            new.max_timestamp = timestamp
            new.max_timestamp_offset = base + delta
        if new.since_index > self._index_interval:
            new.add_index_row(base + delta, new.size)
        new.since_index += len(batch)
        new.size += len(batch)
        self._buffer += batch
        if len(self._buffer) >= _WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        position = self.new.size - len(self._buffer)
        with memoryview(self._buffer) as view:
            done = 0
            while done < len(view):
                done += self._files.pwrite(self._fd, view[done:], position + done)
        self._spend(len(self._buffer))
        self._unsynced += len(self._buffer)
        self._buffer.clear()
        if self._unsynced >= _SYNC_BYTES:
            self._files.fdatasync(self._fd)
            self._unsynced = 0

    def finish(self) -> None:
        """All of it on the disk, its names too."""
        self._flush()
        self._files.fdatasync(self._fd)
        self.new.write_index(self._files, sync=True)
        self._close()
        self._files.fsync_folder(os.path.dirname(self.new.path))

    def discard(self) -> None:
        self._close()
        for suffix in (".index", ".timeindex", ""):
            with suppress(FileNotFoundError):
                self._files.unlink(self.new.path + suffix)

    def _close(self) -> None:
        if self._fd >= 0:
            self._files.close(self._fd)
            self._fd = -1
