"""Opening a partition's folder: trust what a clean stop left, check the rest, cut a torn tail.

On a thread, blocking. Cases, by the newest segment and the partition's row:

A. no segment: an empty log;
B. name and size of the newest segment are what the row says of the last clean stop: its index
   files are read, nothing is checked;
C. otherwise every segment that ends above the recovery point is scanned with CRC from its start:
   C1. a bad batch at or above the recovery point: it and everything behind goes to `.cut` files;
   C2. a bad batch below it, or a log that ends below it: `Corrupt`. An fsync had covered that.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any

from flymq.env.files import Files
from flymq.storage.api import Corrupt
from flymq.storage.files.aborted import AbortedRows
from flymq.storage.files.segment import CLEANED, SEGMENT_SUFFIXES, FileSegment, read_file
from flymq.storage.headers import (
    BATCH_MAGIC,
    CRC_FROM,
    FIELDS,
    HEADER_BYTES,
    LENGTH_END,
    MAX_TIMESTAMP,
    MAX_TIMESTAMP_AT,
    PLACE,
)
from flymq.storage.memory import add_epoch
from flymq_protocol.records.batch import CONTROL_BIT
from flymq_protocol.records.crc import crc32c

_SCAN_BYTES = 4 << 20
_STREAM_BYTES = 1 << 20
_SNAPSHOTS_KEPT = 2  # the newest, and another one should that be damaged


class Found:
    """What a folder holds. `segments` in order, the last one active; empty where nothing was ever written."""

    __slots__ = (
        "clean_end",
        "end",
        "epochs",
        "is_recovered",
        "log_start",
        "messages",
        "recovery_point",
        "segments",
        "snapshot",
    )

    def __init__(self, row: dict[str, Any]) -> None:
        self.segments: list[FileSegment] = []
        self.log_start: int = row.get("log_start", 0)
        self.end = self.log_start
        self.epochs: list[tuple[int, int]] = [(epoch, start) for epoch, start in row.get("epochs", [(0, 0)])]
        self.recovery_point: int = row.get("recovery_point", 0)
        self.clean_end: int = row.get("clean_end", 0)
        self.is_recovered = False  # case C
        self.messages: list[str] = []
        self.snapshot: tuple[int, bytes] | None = None


def _after_cleaning(files: Files, folder: str, names: list[str]) -> list[str]:
    """Finish or undo a cleaning that a crash cut short (the order is in `cleaning`); the names that are left.

    An index file of a .cleaned that is not there: it was renamed, and the segments that it replaced may be there yet.
    They begin at or below its last offset, as no others do.
    """
    left = [name for name in names if CLEANED in name]
    if not left:
        return names
    for base in (name[:20] for name in left if name[20:] == f"{CLEANED}.index"):
        if base + CLEANED in left or f"{base}.log" not in names:
            continue
        path = f"{folder}/{base}.log"
        last = -1
        for batch in stream(files, [(path, files.size(path))], 0):
            first, _, delta = PLACE.unpack_from(batch)
            last = first + delta
        for name in sorted(names):
            if name[:20].isdigit() and int(base) < int(name[:20]) <= last and name[20:] in SEGMENT_SUFFIXES:
                files.unlink(f"{folder}/{name}")
        for suffix in (".index", ".timeindex", ".txnindex"):
            if base + suffix in names:
                files.unlink(f"{folder}/{base}{suffix}")  # of either; it is built anew
    for name in sorted(left, reverse=True):  # a .cleaned after its index files
        files.unlink(f"{folder}/{name}")
    files.fsync_folder(folder)
    return files.list(folder)


class _Bad(Exception):
    """The bytes at this position of the segment are no whole, correct batch."""

    def __init__(self, position: int, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.offset = offset  # the one expected there


def recover(files: Files, name: str, folder: str, row: dict[str, Any], index_interval: int) -> Found:
    """Raises `Corrupt` (case C2) and OSError. `name` is the partition's, for the messages."""
    found = Found(row)
    try:
        names = _after_cleaning(files, folder, files.list(folder))
    except FileNotFoundError:
        names = []
    bases = sorted(int(entry[:-4]) for entry in names if entry.endswith(".log") and entry[:-4].isdigit())
    while len(bases) > 1 and not files.size(f"{folder}/{bases[-1]:020d}.log"):
        # A roll that a crash cut short, before the first batch was in.
        files.unlink(f"{folder}/{bases.pop():020d}.log")
    for base in bases:
        segment = FileSegment(folder, base)
        segment.size = files.size(segment.log_path)
        found.segments.append(segment)
    if not bases:  # nothing was ever written, or all of it trimmed away
        _check_end(found, name, folder)
        drop_snapshots(files, folder, names, found.end)
        found.snapshot = newest_snapshot(files, folder, names, found.end)
        return found
    for segment, following in zip(found.segments, bases[1:], strict=False):
        segment.end = following
    newest = found.segments[-1]
    clean = row.get("clean")
    if clean is not None and clean[1:] == [newest.base, newest.size]:
        newest.end = clean[0]
        for segment in found.segments[:-1]:
            _summarize(files, name, segment, index_interval, found)
        if newest.is_scanned_fast and f"{newest.base:020d}.txnindex" not in names:
            _scan_whole(files, name, newest, index_interval, found)
        else:
            _summarize(files, name, newest, index_interval, found)
    else:
        _scan_all(files, name, found, index_interval)
    found.end = max(found.segments[-1].end, found.log_start)
    _check_end(found, name, folder)
    for segment in found.segments:
        segment.synced = segment.size
    for segment in found.segments[:-1]:
        segment.is_finished = segment.first_marker < 0
    while len(found.epochs) > 1 and found.epochs[-1][1] > found.end:
        found.epochs.pop()
    drop_snapshots(files, folder, names, found.end)
    found.snapshot = newest_snapshot(files, folder, names, replay_from(found.segments, found.end))
    return found


def _check_end(found: Found, name: str, folder: str) -> None:
    if found.end < found.recovery_point:
        raise Corrupt(
            f"{name} is offline: {folder} ends at offset {found.end}, but offsets up to {found.recovery_point}"
            " were on the disk; restore it from a copy"
        )


def _summarize(files: Files, name: str, segment: FileSegment, index_interval: int, found: Found) -> None:
    """A segment that needs no check: its timestamps and, of the active one, its indexes."""
    if not segment.size:
        segment.start_index()
        return
    end = segment.end
    fd = files.open(segment.log_path, os.O_RDONLY, 0)
    try:
        header = files.pread(fd, HEADER_BYTES, 0)
    finally:
        files.close(fd)
    if len(header) == HEADER_BYTES:
        segment.first_timestamp = MAX_TIMESTAMP.unpack_from(header, MAX_TIMESTAMP_AT)[0]
    if not (segment.load_index(files) and segment.load_aborted(files)):
        _scan_whole(files, name, segment, index_interval, found)
        if segment.first_marker >= 0 or not segment.try_write_index(files):
            return  # it stays in memory
    segment.end = end
    if segment is not found.segments[-1]:
        segment.forget_index()


def _scan_whole(files: Files, name: str, segment: FileSegment, index_interval: int, found: Found) -> None:
    """A scan of what a clean stop left: `Corrupt` where any of it is bad."""
    size, end = segment.size, segment.end
    try:
        _scan(files, segment, index_interval, found.epochs)
    except _Bad as bad:
        raise _corrupt(name, segment, bad) from bad
    assert segment.size == size
    segment.end = end


def _corrupt(name: str, segment: FileSegment, bad: _Bad) -> Corrupt:
    return Corrupt(
        f"{name} is offline: {segment.log_path}, byte {bad.position} (offset {bad.offset}): {bad};"
        " it was whole once; restore it from a copy"
    )


def _scan_all(files: Files, name: str, found: Found, index_interval: int) -> None:
    """Case C. Index files of scanned segments are written anew, but of the active one, and of those with markers:
    `FileLog.replayed` sees to them."""
    found.is_recovered = True
    segments = found.segments
    for at, segment in enumerate(segments):
        is_last = at == len(segments) - 1
        if not is_last and segment.end <= found.recovery_point:
            _summarize(files, name, segment, index_interval, found)
            continue
        size = segment.size
        try:
            _scan(files, segment, index_interval, found.epochs)
        except _Bad as bad:
            if bad.offset < found.recovery_point:
                raise _corrupt(name, segment, bad) from bad
            lost = size - bad.position + sum(later.size for later in segments[at + 1 :])
            _cut_tail(files, segment, bad.position, segments[at + 1 :])
            found.messages.append(f"{name}: cut {lost} bytes at offset {bad.offset}, kept in {segment.path}.cut: {bad}")
            del segments[at + 1 :]
            return
        # What the scan found is told as durable from here on, and a killed broker may have left it to the
        # page cache.
        segment.sync(files)
        if is_last or segment.first_marker >= 0:
            segment.drop_index(files)  # of an earlier clean stop, when it was shorter
        else:
            segment.end = segments[at + 1].base  # compaction may have left a gap
            segment.try_write_index(files)
    folder = os.path.dirname(segments[-1].path)
    for path in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
        files.fsync_folder(path)


def _cut_tail(files: Files, segment: FileSegment, position: int, later: list[FileSegment]) -> None:
    """Keep the bytes from `position` on as `<base>.cut`, later segments as theirs, then truncate."""
    for gone in later:
        files.rename(gone.log_path, gone.path + ".cut")
        for suffix in (".index", ".timeindex", ".txnindex"):
            if files.exists(gone.path + suffix):
                files.unlink(gone.path + suffix)
    fd = files.open(segment.log_path, os.O_RDWR, 0)
    try:
        kept = files.open(segment.path + ".cut", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            at = position
            while data := files.pread(fd, _SCAN_BYTES, at):
                files.pwrite(kept, data, at - position)
                at += len(data)
            files.fdatasync(kept)
        finally:
            files.close(kept)
        files.truncate(fd, position)
        files.fdatasync(fd)
    finally:
        files.close(fd)
    files.fsync_folder(os.path.dirname(segment.path))


def _scan(files: Files, segment: FileSegment, index_interval: int, epochs: list[tuple[int, int]]) -> None:
    """Check every batch and build the indexes; raises `_Bad` at the first that is wrong.

    What was aborted can't be told from one segment alone: `first_marker` says from where on it must be told.
    Then `segment` is accounted up to there. `epochs` gets the leader epochs that it lacks.
    """
    size = segment.size
    segment.size = 0
    segment.end = segment.base
    segment.start_index()
    segment.aborted = AbortedRows()
    segment.first_marker = -1
    buffer = memoryview(bytearray(min(size, _SCAN_BYTES)))
    fd = files.open(segment.log_path, os.O_RDONLY, 0)
    try:
        position = 0
        while position < size:
            filled = files.read_into(fd, buffer[: size - position], position)
            used = _scan_buffer(buffer, filled, position, size, segment, index_interval, epochs)
            if not used:  # a batch larger than the buffer
                length = PLACE.unpack_from(buffer)[1] + LENGTH_END
                buffer = memoryview(bytearray(length))
            position += used
    finally:
        files.close(fd)


def _scan_buffer(
    buffer: memoryview,
    filled: int,
    position: int,
    size: int,
    segment: FileSegment,
    index_interval: int,
    epochs: list[tuple[int, int]],
) -> int:
    """Check the whole batches of a buffer that was read at `position` of `size`; the bytes they take.

    It accounts as `FileLog.append` does, in local names: small batches must not make a start slow.
    """
    at = 0
    expected = segment.end
    newest_epoch = epochs[-1][0]
    unpack, header_bytes, largest = FIELDS.unpack_from, HEADER_BYTES, segment.max_timestamp
    since_index = segment.since_index
    reason = ""
    while at + header_bytes <= filled:
        base, length, epoch, magic, crc, attributes, delta, _, timestamp = unpack(buffer, at)
        stop = at + length + LENGTH_END
        if stop < at + header_bytes or magic != BATCH_MAGIC or base < expected or delta < 0:
            reason = "not the header of a record batch"
            break
        if stop > filled:
            if position + stop > size:
                reason = "the batch is cut short"
            break
        if crc32c(buffer[at + CRC_FROM : stop]) != crc:
            reason = "the CRC is wrong"
            break
        if epoch > newest_epoch:
            add_epoch(epochs, epoch, base)
            newest_epoch = epoch
        if attributes & CONTROL_BIT and segment.first_marker < 0:
            segment.first_marker = base
        last = base + delta
        if timestamp > largest:
            largest = segment.max_timestamp = timestamp
            segment.max_timestamp_offset = last
        if since_index > index_interval:
            segment.add_index_row(last, position + at)
            since_index = 0
        since_index += stop - at
        expected = last + 1
        at = stop
    if at and not position:
        segment.first_timestamp = MAX_TIMESTAMP.unpack_from(buffer, MAX_TIMESTAMP_AT)[0]
    segment.since_index = since_index
    segment.size = position + at
    segment.end = expected
    if not reason and position + filled == size and at < filled and filled - at < header_bytes:
        reason = "the header is cut short"
    if reason:
        raise _Bad(position + at, expected, reason)
    return at


def replay_from(segments: list[FileSegment], end: int) -> int:
    """The offset from which on core must be told of the batches again: `end` where the indexes are whole."""
    return min((segment.first_marker for segment in segments if segment.first_marker >= 0), default=end)


def newest_snapshot(files: Files, folder: str, names: list[str], end: int) -> tuple[int, bytes] | None:
    """The newest whole `.producers` file at or below `end`."""
    for offset, path in sorted(_snapshots(folder, names), reverse=True):
        if offset <= end:
            data = read_file(files, path)
            if len(data) >= 4 and zlib.crc32(data[4:]) == int.from_bytes(data[:4], "big"):
                return offset, data[4:]
    return None


def drop_snapshots(files: Files, folder: str, names: list[str], end: int) -> None:
    """Delete those above `end`: of offsets that were lost."""
    for offset, path in _snapshots(folder, names):
        if offset > end:
            files.unlink(path)


def old_snapshots(folder: str, names: list[str], active_base: int, flushed_end: int) -> list[str]:
    """Those that no start needs: after a clean stop it wants the newest; after a crash the active segment, or the
    last that was flushed, is told again from its first marker on."""
    base = min(active_base, flushed_end)
    flushed = [entry for entry in sorted(_snapshots(folder, names)) if entry[0] <= flushed_end]
    below = [path for offset, path in flushed if offset <= base]
    above = [path for offset, path in flushed if offset > base]
    return below[:-_SNAPSHOTS_KEPT] + above[:-_SNAPSHOTS_KEPT]


def _snapshots(folder: str, names: list[str]) -> Iterator[tuple[int, str]]:
    for entry in names:
        if entry.endswith(".producers"):
            yield int(entry.partition(".")[0]), f"{folder}/{entry}"


def stream(files: Files, parts: list[tuple[str, int]], offset: int) -> Iterator[memoryview]:
    """Every batch that ends at or above `offset`, of (log file, size) in order; a view lives until dropped."""
    for path, size in parts:
        fd = files.open(path, os.O_RDONLY, 0)
        try:
            position = 0
            count = _STREAM_BYTES
            while position < size:
                data = memoryview(files.pread(fd, min(count, size - position), position))
                at = 0
                while len(data) - at >= HEADER_BYTES:
                    base, length, delta = PLACE.unpack_from(data, at)
                    total = length + LENGTH_END
                    if total < HEADER_BYTES or position + at + total > size:
                        raise Corrupt(f"{path}, byte {position + at}: no record batch; restore it from a copy")
                    if at + total > len(data):
                        count = max(count, total)
                        break
                    if base + delta >= offset:
                        yield data[at : at + total]
                    at += total
                if not at and len(data) >= min(count, size - position):
                    raise Corrupt(f"{path}, byte {position}: no record batch; restore it from a copy")
                position += at
        finally:
            files.close(fd)
