"""One open partition of the files engine."""

from __future__ import annotations

import errno
import os
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flymq.core.log.cleaning import CleaningTask
from flymq.core.log.plan import AppendPlan
from flymq.core.log.retention import epochs_from
from flymq.core.log.transactions import AbortedTransaction
from flymq.env import Token, completed
from flymq.storage.api import (
    Chunk,
    Corrupt,
    DiskFull,
    Fenced,
    Log,
    PartitionRef,
    Segment,
    StorageError,
    Unavailable,
)
from flymq.storage.files.cleaning import Cleaning
from flymq.storage.files.cold import load_index, read_later
from flymq.storage.files.flush import FlushJob
from flymq.storage.files.reading import Cold, read_batches
from flymq.storage.files.recovery import old_snapshots
from flymq.storage.files.searching import Span, first_at_or_after, first_largest
from flymq.storage.files.segment import FileSegment
from flymq.storage.memory import add_epoch

if TYPE_CHECKING:
    from flymq.storage.files.recovery import Found
    from flymq.storage.files.store import FilesLogStore

# Shortages that end: the next attempt may do, and nothing was written.
_PASSES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN}
_DISK_IS_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _ignore_durable(_: int) -> None:
    pass


def _ignore_offline(_: StorageError) -> None:
    pass


class FileLog(Log):
    """Segments of one folder, the last one active.

    `append` has one branch for everything rare: no open file, a roll, another leader epoch, a
    limit of the flusher, offline (then the file is closed). `pins` counts the threads that use one
    of the log's files; nothing is closed or unlinked while there are any.
    """

    __slots__ = (
        "_active",
        "_files",
        "_flusher",
        "_idle_callbacks",
        "_index_interval",
        "_pwrite",
        "_reports_at_once",
        "_store",
        "_unsynced_folders",
        "clean_end",
        "cleaning",
        "end",
        "epochs",
        "failure",
        "flushed_end",
        "folder",
        "is_changed",
        "is_dirty",
        "log_start",
        "on_durable",
        "on_offline",
        "pins",
        "ref",
        "rolled",
        "row_end",
        "swaps",
        "to_finish",
    )

    def __init__(self, store: FilesLogStore, ref: PartitionRef, folder: str, found: Found) -> None:
        self._store = store
        self._files = store.files
        self._flusher = store.flusher
        self._pwrite = store.files.pwrite
        self._index_interval = store.index_interval
        self._reports_at_once = not store.flusher.is_fsync
        self.ref = ref
        self.folder = folder
        self.rolled = found.segments[:-1]
        self._active = found.segments[-1] if found.segments else FileSegment(folder, found.end)
        self.end = found.end
        self.log_start = found.log_start
        self.epochs = found.epochs
        self.clean_end = found.clean_end
        self.cleaning: Cleaning | None = None  # the one that is going on
        self.swaps = 0
        self.flushed_end = found.end  # what an fsync has covered
        self.row_end = found.recovery_point  # what the row says about that
        self.is_changed = found.is_recovered  # the row's clean values are out of date
        self.is_dirty = False
        self.pins = 0
        self.to_finish: list[FileSegment] = []  # rolled, index files not yet written
        self._unsynced_folders: list[str] = []
        self._idle_callbacks: list[Callable[[], None]] = []
        self.failure: StorageError | None = None  # why it is offline or gone
        self.on_durable: Callable[[int], None] = _ignore_durable
        self.on_offline: Callable[[StorageError], None] = _ignore_offline

    # -- append -----------------------------------------------------------------------------------

    def append(self, plan: AppendPlan) -> None:
        segment = self._active
        flusher = self._flusher
        if (
            plan.roll
            or segment.fd < 0
            or plan.leader_epoch != self.epochs[-1][0]
            or flusher.written >= flusher.written_limit
        ):
            segment = self._prepare(plan)
        position = segment.size
        size = plan.size
        try:
            written = self._pwrite(segment.fd, plan.batch, position)
        except OSError as error:
            raise self._undo(segment, error) from error
        if written != size:
            raise self._undo(segment, None)
        if segment is not self._active:
            self._activate(segment)
        # All in one function: a call would cost a tenth of it. `recovery` does the same for a scan.
        last = plan.last_offset
        if plan.max_timestamp > segment.max_timestamp:
            segment.max_timestamp = plan.max_timestamp
            segment.max_timestamp_offset = last
        if segment.since_index > self._index_interval:
            segment.add_index_row(last, position)
        segment.since_index += size
        segment.size = position + size
        self.end = last + 1
        flusher.written += size
        if not self.is_dirty:
            flusher.mark(self)
        if self._reports_at_once:
            self.on_durable(last + 1)

    def _prepare(self, plan: AppendPlan) -> FileSegment:
        """The rare part of `append`: the open segment to write to, which may be a new one."""
        if self.failure is not None:
            raise self.failure
        epoch = self.epochs[-1][0]
        if plan.leader_epoch < epoch:
            raise Fenced(f"leader epoch {plan.leader_epoch} is older than {epoch}")
        self._flusher.admit()
        segment = self._active
        try:
            self._store.leave_clean_state()
            if not self.is_changed:
                self.is_changed = True
                segment.drop_index(self._files)  # of the clean stop; after a crash they would seem right
            if not segment.size and segment.fd < 0 and not self.rolled:
                self._make_folders()
            if plan.roll and segment.size:
                segment = FileSegment(self.folder, plan.base_offset)
            elif not segment.size and segment.base != plan.base_offset:
                segment = self._active = FileSegment(self.folder, plan.base_offset)
            if segment.index_offsets is None:
                segment.start_index()
            if segment.fd < 0:
                new = not segment.size
                flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if new else 0)
                self._store.open_files.add(segment, self._files.open(segment.log_path, flags, 0o644), self)
                if new and self.folder not in self._unsynced_folders:
                    self._unsynced_folders.append(self.folder)
        except OSError as error:
            raise self._refusal(error) from error
        if not segment.size:
            segment.first_timestamp = plan.max_timestamp
        if plan.leader_epoch != epoch:
            add_epoch(self.epochs, plan.leader_epoch, plan.base_offset)
        return segment

    def _make_folders(self) -> None:
        self._files.make_folders(self.folder)
        parents = [self.folder]
        while parents[-1] != self._store.folder:
            parents.append(os.path.dirname(parents[-1]))
        self._unsynced_folders = parents

    def _activate(self, segment: FileSegment) -> None:
        """The new segment has its first batch: the old one is rolled."""
        old = self._active
        old.end = segment.base
        self.rolled.append(old)
        self.to_finish.append(old)
        self._active = segment

    def _undo(self, segment: FileSegment, error: OSError | None) -> StorageError:
        """A write failed (or, without an error, was short): back to the old end; what to raise."""
        try:
            self._files.truncate(segment.fd, segment.size)
            if not segment.size:  # so that the next append sets its first timestamp
                self._store.open_files.close(segment)
            if segment is not self._active:
                self._files.unlink(segment.log_path)
        except OSError as worse:
            return self.go_offline(f"a write failed, and so did truncating it away: {worse}")
        if error is None:
            return DiskFull(f"{segment.log_path}: no room on the disk")
        return self._refusal(error)

    def _refusal(self, error: OSError) -> StorageError:
        if error.errno in _DISK_IS_FULL:
            return DiskFull(f"{self.folder}: no room on the disk")
        if error.errno in _PASSES:
            return Unavailable(f"{self.folder}: {error}")
        return self.go_offline(str(error))

    def go_offline(self, reason: str) -> StorageError:
        """No call works from here on, until a restart; returns what they raise."""
        if self.failure is None:
            self._fail(Unavailable(f"{self.ref.topic}-{self.ref.index} is offline: {reason}"))
            assert self.failure is not None
            self.on_offline(self.failure)
        return self.failure

    def drop(self) -> None:
        """The topic is gone: later calls raise, and the files close once nobody uses them."""
        self._fail(Unavailable(f"{self.ref.topic}-{self.ref.index} was deleted"))

    def _fail(self, failure: StorageError) -> None:
        self.failure = failure
        for segment in [*self.rolled, self._active]:
            self._forget_unsynced(segment)
        # A segment without an open file sends every append to `_prepare`, which raises.
        self.rolled = [*self.rolled, self._active]
        self._active = FileSegment(self.folder, self.end)
        self.when_idle(self.close_files)

    def _forget_unsynced(self, segment: FileSegment) -> None:
        self._flusher.forget(segment.size - segment.synced)
        segment.synced = segment.size

    # -- flush ------------------------------------------------------------------------------------

    def begin_flush(self) -> FlushJob:
        """What a thread is to sync: everything up to the present end. Pins the files."""
        active = self._active
        job = FlushJob(self, self.to_finish, self._unsynced_folders, active, self.end)
        self.to_finish = []
        self._unsynced_folders = []
        self.is_dirty = False
        self.pins += 1
        return job

    def end_flush(self, job: FlushJob) -> None:
        """The thread is done with it (loop thread)."""
        if job.error is not None and self.failure is None:
            # Never retried: after a failed fsync the kernel may have dropped the dirty pages.
            self.go_offline(f"fsync failed: {job.error}")
        if self.failure is None:
            flusher = self._flusher
            for segment, size in job.sizes:
                flusher.flushed += size - segment.synced
                segment.synced = size
            job.active.positions[job.end] = job.active_size  # where reads up to the high watermark stop
            self.flushed_end = job.end
            for segment in job.rolled:
                segment.is_finished = segment in job.indexed
                if not segment.is_finished:  # no room for its index files: at the next flush, perhaps
                    self.to_finish.append(segment)
            if job.indexed:
                self._store.save_row(self)
            else:
                self._store.note_flushed(self)
            if not self._reports_at_once:
                self.on_durable(job.end)
        self.unpin()

    def finish(self) -> None:
        """At a clean stop, everything flushed (any thread): write the active segment's indexes."""
        active = self._active
        if active.index_offsets is None or active.first_marker >= 0:
            return
        if active.aborted.data or not active.is_scanned_fast:
            active.try_write_index(self._files)

    def row(self, *, clean: bool) -> dict[str, Any]:
        """The partition's row. `clean`: (end, newest segment's base, its size) where all is flushed."""
        row: dict[str, Any] = {
            "topic": self.ref.topic,
            "epochs": self.epochs,
            "log_start": self.log_start,
            "recovery_point": self.flushed_end,
            "clean_end": self.clean_end,
        }
        if clean and self._active.size:
            row["clean"] = [self.end, self._active.base, self._active.size]
        return row

    def unpin(self) -> None:
        self.pins -= 1
        if not self.pins and self._idle_callbacks:
            callbacks, self._idle_callbacks = self._idle_callbacks, []
            for callback in callbacks:
                callback()

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call it once no thread uses a file of this log; at once where that is so."""
        if self.pins:
            self._idle_callbacks.append(callback)
        else:
            callback()

    def idle(self) -> Token:
        """Completes with None once no thread uses a file of this log."""
        token = Token()

        def now() -> None:
            token.complete()

        self.when_idle(now)
        return token

    def close_files(self) -> None:
        for segment in [*self.rolled, self._active]:
            self._store.open_files.close(segment)

    # -- read -------------------------------------------------------------------------------------

    def read(self, offset: int, end_offset: int, max_bytes: int, *, at_least_one: bool) -> Chunk | Token | None:
        if self.failure is not None:
            raise self.failure
        segment = self._active
        segment_end = self.end
        if offset < segment.base and self.rolled:
            segment = self._segment_at(offset)
            if segment is not self._active:
                segment_end = segment.end
        if not segment.size:
            return None
        if segment.index_offsets is None:
            return read_later(self, load_index(self, segment, self._files), offset, end_offset, max_bytes, at_least_one)
        store = self._store
        if segment.fd < 0:
            try:
                store.open_files.open(segment, self)
            except OSError as error:
                raise Unavailable(f"{segment.log_path}: {error}") from error
        size = segment.size
        wanted = (segment_end, size, offset, end_offset, max_bytes, at_least_one)
        try:
            chunk = read_batches(segment, segment.fd, *wanted, self._files.read_cached, store.buffers)
        except Cold:
            cold = self.offload(read_batches, segment, segment.fd, *wanted, self._files.read_into, None)
            if segment is self._active or not offset < segment_end < end_offset:
                return cold
            return self._or_next(cold, segment, segment_end, offset, end_offset, max_bytes, at_least_one)
        except OSError as error:
            raise Unavailable(f"{segment.log_path}: {error}") from error
        if segment is not self._active:
            store.open_files.touch(segment)
            if chunk is None and offset < segment_end < end_offset and self._has_none(segment, offset):
                return self.read(segment_end, end_offset, max_bytes, at_least_one=at_least_one)
        return chunk

    def _has_none(self, segment: FileSegment, offset: int) -> bool:
        """Nothing at or after `offset` in this segment: compaction took it, the next one goes on."""
        position = segment.positions.get(offset)
        return position is None or position >= segment.size

    def _or_next(
        self, read: Token, segment: FileSegment, segment_end: int, offset: int, end_offset: int, max_bytes: int,
        at_least_one: bool,
    ) -> Token:
        """What `read` finds in a rolled segment, or the next one has where this one has nothing more."""
        result = Token()

        def done(got: object) -> None:
            if got is None and self._has_none(segment, offset):
                later = read_later(self, completed(), segment_end, end_offset, max_bytes, at_least_one)
                later.then(result.complete)
            else:
                result.complete(got)

        read.then(done)
        return result

    def _segment_at(self, offset: int) -> FileSegment:
        """The segment whose range holds `offset`; the first one for anything below."""
        at = bisect_right(self.rolled, offset, key=_base_of) - 1
        if at < 0:
            return self.rolled[0]
        segment = self.rolled[at]
        if offset < segment.end:
            return segment
        return self.rolled[at + 1] if at + 1 < len(self.rolled) else self._active

    def offload(self, fn: Callable[..., Any], *args: Any) -> Token:
        """`env.offload` with the files pinned; what fails completes as a `StorageError`."""
        result = Token()
        self.pins += 1

        def done(value: Any) -> None:
            self.unpin()
            if isinstance(value, Cold):
                value = Corrupt(f"{self.folder}: a segment is shorter than its index says; restore it from a copy")
            elif isinstance(value, BaseException) and not isinstance(value, StorageError):
                value = Unavailable(f"{self.folder}: {value!r}")
            result.complete(value)

        self._store.env.offload(fn, *args).then(done)
        return result

    def readable_bytes(self, offset: int, end_offset: int, enough_bytes: int) -> int:
        if offset >= end_offset:
            return 0
        active = self._active
        if offset >= active.base or not self.rolled:
            return self._between(active, self.end, offset, end_offset)
        total = 0
        at = max(0, bisect_right(self.rolled, offset, key=_base_of) - 1)
        for segment in self.rolled[at:]:
            if segment.base >= end_offset or total >= enough_bytes:
                return min(total, enough_bytes)
            total += self._between(segment, segment.end, max(offset, segment.base), end_offset)
        if total < enough_bytes and active.base < end_offset:
            total += self._between(active, self.end, active.base, end_offset)
        return min(total, enough_bytes)

    def _between(self, segment: FileSegment, segment_end: int, offset: int, end_offset: int) -> int:
        """About the bytes of [offset, end_offset) in one segment; at least 1: there is something."""
        positions = segment.positions
        start = positions.get(offset)
        if start is None:
            start = segment.about(offset)
        if end_offset >= segment_end:
            return segment.size - start or 1
        stop = positions.get(end_offset)
        if stop is None:
            stop = segment.about(end_offset)
        return stop - start if stop > start else 1

    # -- look-ups ---------------------------------------------------------------------------------

    def find_timestamp(self, timestamp: int, end_offset: int, offset: int = 0) -> Token:
        return self.offload(first_at_or_after, self._files, self._spans(end_offset, offset), timestamp, end_offset)

    def find_max_timestamp(self, end_offset: int) -> Token:
        return self.offload(first_largest, self._files, self._spans(end_offset), end_offset)

    def _spans(self, end_offset: int, offset: int = 0) -> list[Span]:
        """What a thread may look at: the sizes as of now, from `offset` and the log start on."""
        if self.failure is not None:
            raise self.failure
        start = max(offset, self.log_start)
        return [
            Span(segment, end, segment.size, start)
            for segment, end in self.whole()
            if segment.size and segment.base < end_offset and end > start
        ]

    def segments(self) -> list[Segment]:
        found = [segment.view(segment.end) for segment in self.rolled]
        if self._active.size:
            found.append(self._active.view(self.end))
        return found

    def parts(self, offset: int) -> list[tuple[str, int]]:
        """(log file, its size) of every segment that ends above `offset`."""
        return [(segment.log_path, segment.size) for segment, end in self.whole() if segment.size and end > offset]

    def whole(self) -> list[tuple[FileSegment, int]]:
        """(segment, its end) of all, the active one last."""
        return [*((segment, segment.end) for segment in self.rolled), (self._active, self.end)]

    # -- aborted transactions ---------------------------------------------------------------------

    def add_aborted(self, aborted: AbortedTransaction) -> None:
        self._segment_of(aborted.last_offset).aborted.add(aborted)

    def aborted(self, from_offset: int, to_offset: int) -> Iterator[AbortedTransaction]:
        first = bisect_right(self.rolled, from_offset, key=_base_of) - 1
        for segment in [*self.rolled[max(0, first) :], self._active]:
            for transaction in segment.aborted.ending_from(from_offset):
                if transaction.first_offset < to_offset:
                    yield transaction
                if transaction.last_stable_offset >= to_offset:
                    return

    def replayed(self) -> None:
        """All batches at load were told: so were the aborted transactions that a scan did not find. The indexes of
        rolled segments that waited for this are written at the next flush."""
        waited = [segment for segment in self.rolled if segment.first_marker >= 0]
        for segment in [*waited, self._active]:
            segment.first_marker = -1
        if waited:
            self.to_finish += waited
            if not self.is_dirty:
                self._flusher.mark(self)

    def _segment_of(self, offset: int) -> FileSegment:
        """The segment that holds `offset`."""
        return self._active if offset >= self._active.base or not self.rolled else self._segment_at(offset)

    # -- the rest ---------------------------------------------------------------------------------

    def snapshot(self, offset: int, data: bytes) -> None:
        """Not synced: it only saves time, and its CRC tells a torn one."""
        if self.failure is not None:
            raise self.failure
        if not self.end:
            return  # nothing was ever written: nothing to replay either
        framed = zlib.crc32(data).to_bytes(4, "big") + data
        try:
            self._files.write_all(f"{self.folder}/{offset:020d}.producers", framed, sync=False)
            names = self._files.list(self.folder)
            for path in old_snapshots(self.folder, names, self._active.base, self.flushed_end):
                self._files.unlink(path)
        except OSError as error:
            raise DiskFull(f"{self.folder}: the producer snapshot could not be written: {error}") from error

    def trim(self, before_offset: int) -> Token:
        if self.failure is not None:
            raise self.failure
        result = Token()
        self.log_start = max(self.log_start, before_offset)
        self.epochs = epochs_from(self.epochs, self.log_start)
        if self.log_start >= self.end and self._active.size:
            self._activate(FileSegment(self.folder, self.end))

        def saved(outcome: object) -> None:
            if not isinstance(outcome, StorageError):
                gone = [segment for segment in self.rolled if segment.end <= before_offset]
                self.rolled = [segment for segment in self.rolled if segment.end > before_offset]
                self.when_idle(lambda: delete(gone))
            result.complete(outcome)

        def delete(gone: list[FileSegment]) -> None:
            for segment in gone:
                self._close_for_good(segment)
            self.pins += 1  # a clean stop waits: whoever opens the folder next must not see them go
            self._store.unlink_segments(gone).then(lambda _: self.unpin())

        self._store.save_row(self).then(saved)
        return result

    def _close_for_good(self, segment: FileSegment) -> None:
        """It is in `rolled` no more; its file is about to go."""
        self._store.open_files.close(segment)
        self._forget_unsynced(segment)
        if segment in self.to_finish:
            self.to_finish.remove(segment)

    # -- cleaning ---------------------------------------------------------------------------------

    def clean(self, task: CleaningTask) -> Token:
        if self.failure is not None:
            raise self.failure
        if self.cleaning is not None:
            return completed(Unavailable(f"{self.folder} is being cleaned already"))
        cleaning = self.cleaning = Cleaning(self._store, self, task)

        def over(_: object) -> None:
            self.cleaning = None

        cleaning.result.then(over)
        return cleaning.result

    def stop_cleaning(self) -> Token:
        """Completes once no cleaning is going on."""
        return self.cleaning.stop() if self.cleaning is not None else completed()

    def swap(self, old: list[FileSegment], new: FileSegment | None) -> None:
        """A cleaned segment takes the place of neighbours in `rolled`; None: nothing is left of them."""
        self.swaps += 1
        at = self.rolled.index(old[0])
        self.rolled[at : at + len(old)] = [new] if new is not None else []
        if new is None and at:
            self.rolled[at - 1].end = old[-1].end
        for segment in old:
            self._close_for_good(segment)


def _base_of(segment: FileSegment) -> int:
    return segment.base

