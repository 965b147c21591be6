"""When and how bytes reach the disk: group commit in rounds, and the limits that go with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from flymq.env import Env, Timer, Token
from flymq.env.files import Files
from flymq.storage.api import DiskFull
from flymq.storage.files.segment import FileSegment

if TYPE_CHECKING:
    from flymq.storage.files.log import FileLog

_THREADS = 8
_TICK_MS = 1000
_TICKS_PER_PERIOD = 60
_DISK_CHECK_BYTES = 64 << 20
# Under `os`: begin to flush when this part of the limit is waiting.
_FLUSH_AT = 4


class FlushJob:
    """What one log needs synced, captured on the loop, carried out by `run` on a thread."""

    __slots__ = ("active", "active_size", "end", "error", "folders", "indexed", "log", "rolled", "sizes")

    def __init__(
        self, log: FileLog, rolled: list[FileSegment], folders: list[str], active: FileSegment, end: int
    ) -> None:
        self.log = log
        self.rolled = rolled  # their index files are written, too
        self.folders = folders  # with new entries; parents last
        self.active = active
        self.active_size = active.size
        self.sizes = [*((segment, segment.size) for segment in rolled), (active, active.size)]
        self.end = end
        self.indexed: list[FileSegment] = []  # those of `rolled` whose index files could be written
        self.error: BaseException | None = None

    def run(self, files: Files) -> None:
        """Raises nothing: whoever waits for this job would wait for ever."""
        try:
            for segment in self.rolled:
                segment.sync(files)
                if segment.try_write_index(files):
                    self.indexed.append(segment)
            if self.active_size > self.active.synced:
                self.active.sync(files)
            for folder in self.folders:
                files.fsync_folder(folder)
        except BaseException as error:
            self.error = error


class Flusher:
    """Bytes written and flushed, broker-wide.

    `fsync`: a round starts as soon as something is dirty and no round is in flight; whatever is
    written meanwhile is the next one. `os`: a round starts every minute, and when a quarter of the
    limit waits. `written_limit` is where `append` must ask `admit` again; 0: at once.
    """

    __slots__ = (
        "_asked",
        "_asked_in_flight",
        "_dirty",
        "_disk_checked_at",
        "_disk_free_min",
        "_disk_is_low",
        "_env",
        "_folder",
        "_in_flight",
        "_is_scheduled",
        "_on_period",
        "_on_relief",
        "_rounds_done",
        "_ticks",
        "_timer",
        "_unflushed_max",
        "flushed",
        "is_backlogged",
        "is_fsync",
        "written",
        "written_limit",
    )

    def __init__(
        self,
        env: Env,
        folder: str,
        *,
        is_fsync: bool,
        unflushed_bytes_max: int,
        disk_free_min: int,
        on_period: Callable[[], None],
        on_relief: Callable[[], None],
    ) -> None:
        self._env = env
        self._folder = folder
        self._unflushed_max = unflushed_bytes_max
        self._disk_free_min = disk_free_min
        self._on_period = on_period
        self._on_relief = on_relief
        self._dirty: list[FileLog] = []
        self._in_flight = 0
        self._is_scheduled = False
        self._rounds_done: list[Token] = []
        self._asked: list[Token] = []  # for the next round
        self._asked_in_flight: list[Token] = []
        self._timer: Timer | None = None
        self._ticks = 0
        self._disk_checked_at = 0
        self._disk_is_low = False
        self.is_fsync = is_fsync
        self.is_backlogged = False
        self.written = 0
        self.written_limit = 0
        self.flushed = 0

    # -- limits -----------------------------------------------------------------------------------

    def admit(self) -> None:
        """Before an append: raises `DiskFull` below `flymq.disk.free.min`; else sets the next limit."""
        if self._disk_is_low or not self.written_limit or self.written >= self._disk_checked_at + _DISK_CHECK_BYTES:
            self._check_disk()
        if self._disk_is_low:
            raise DiskFull(f"{self._folder}: fewer than {self._disk_free_min} bytes are free on the disk")
        unflushed = self.written - self.flushed
        flush_at = self._unflushed_max // _FLUSH_AT
        if unflushed >= flush_at and not self.is_fsync:
            self._schedule()
        if unflushed >= self._unflushed_max:
            self.is_backlogged = True
        limits = [self._disk_checked_at + _DISK_CHECK_BYTES, self.written + flush_at]
        if unflushed < flush_at:
            limits.append(self.flushed + flush_at)
        elif unflushed < self._unflushed_max:
            limits.append(self.flushed + self._unflushed_max)
        self.written_limit = max(min(limits), self.written + 1)

    def _check_disk(self) -> None:
        self._disk_checked_at = self.written
        if not self._disk_free_min:
            return
        try:
            self._disk_is_low = self._env.files.disk_free(self._folder) < self._disk_free_min
        except OSError:
            self._disk_is_low = False  # unknown: the write itself will tell
        if self._disk_is_low:
            self.written_limit = 0

    # -- rounds -----------------------------------------------------------------------------------

    def mark(self, log: FileLog) -> None:
        """The log has bytes that no fsync has covered."""
        log.is_dirty = True
        self._dirty.append(log)
        if self.is_fsync:
            self._schedule()
        if self._timer is None:
            self._timer = self._env.call_in(_TICK_MS, self._tick)

    def _schedule(self) -> None:
        """A round in the loop's next turn, so that all appends of this turn share it."""
        if not self._in_flight and not self._is_scheduled:
            self._is_scheduled = True
            self._env.call_soon(self._round)

    def _round(self) -> None:
        self._is_scheduled = False
        self._asked_in_flight, self._asked = self._asked, []
        dirty, self._dirty = self._dirty, []
        jobs = deque(log.begin_flush() for log in dirty if log.failure is None)
        count = self._in_flight = len(jobs)  # the threads empty it while we look
        for _ in range(min(_THREADS, count)):
            self._env.offload(self._work, jobs)
        if not count:
            self._relieve()
            self._after_round()

    def _work(self, jobs: deque[FlushJob]) -> None:
        """On a thread: each partition is reported as soon as its own files are synced."""
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                return
            job.run(self._env.files)
            self._env.call_threadsafe(self._job_done, job)

    def _job_done(self, job: FlushJob) -> None:
        job.log.end_flush(job)
        self._in_flight -= 1
        self._relieve()
        if not self._in_flight:
            self._after_round()

    def forget(self, count: int) -> None:
        """So many bytes need no flush any more: their topic is gone, or their partition offline."""
        self.flushed += count
        self._env.call_soon(self._relieve)

    def _relieve(self) -> None:
        if self.is_backlogged and self.written - self.flushed <= self._unflushed_max // 2:
            self.is_backlogged = False
            self._on_relief()

    def _after_round(self) -> None:
        asked, self._asked_in_flight = self._asked_in_flight, []
        for token in asked:
            token.complete()
        # While producers are stopped nobody else asks for the next round.
        if self._asked or (self._dirty and (self.is_fsync or self._rounds_done or self.is_backlogged)):
            self._schedule()
        elif not self._dirty and self._rounds_done:
            waiting, self._rounds_done = self._rounds_done, []
            for token in waiting:
                token.complete()

    def flush_once(self) -> Token:
        """Completes with None once everything written so far is flushed, or its partition offline."""
        token = Token()
        self._asked.append(token)
        self._schedule()
        return token

    def flush_all(self) -> Token:
        """As `flush_once`, but what is written meanwhile is flushed, too: for the end, when nobody writes any more."""
        token = Token()
        self._rounds_done.append(token)
        self._schedule()
        return token

    # -- once a second, while something is going on -------------------------------------------------

    def _tick(self) -> None:
        self._check_disk()
        self._ticks += 1
        self._timer = None
        if self._ticks % _TICKS_PER_PERIOD == 0:
            self._schedule()
            self._on_period()
            if not self._disk_is_low and not self._dirty:
                return  # the next append arms it again
        self._timer = self._env.call_in(_TICK_MS, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
