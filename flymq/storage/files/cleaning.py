"""One cleaning of one partition of the files engine: a process writes new segments, here they take the old ones' place.

For each group of segments, in ascending order, and nothing of a later one before it is over:

1. (process) write and fsync <base>.cleaned and its index files, fsync the folder;
2. (thread) delete the first input's index files: they are not the new segment's; fsync the folder;
3. (loop, while no thread uses a file of the log) rename .cleaned over the first input's .log: the commit point.
   Inputs that are not all there any more: the group is discarded, and the cleaning is over;
4. (thread) fsync the folder; delete the other inputs, ascending; fsync the folder; rename the index files, last
   .cleaned.index: with it at load, `recovery` finishes what a crash cut short.

The clean end moves when the last group is done. Until then every record that superseded another is in the dirty part
yet, so a cleaning that stops in between has lost nothing and is simply done again.
"""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from flymq.core.log.cleaning import Cleaned, CleaningTask
from flymq.env import Child, Token
from flymq.env.files import Files
from flymq.storage.api import Corrupt, StorageError, Unavailable
from flymq.storage.files.cleaner_job import task_to_json
from flymq.storage.files.segment import CLEANED, SEGMENT_SUFFIXES, FileSegment

if TYPE_CHECKING:
    from flymq.storage.files.log import FileLog
    from flymq.storage.files.store import FilesLogStore

_MODULE = "flymq._cleaner"


class Cleaning:
    """`result` completes with `Cleaned` or a StorageError once nothing of it is going on any more."""

    def __init__(self, store: FilesLogStore, log: FileLog, task: CleaningTask) -> None:
        self.result = Token()
        self._store = store
        self._env = store.env
        self._log = log
        self._task = task
        self._segments: dict[int, FileSegment] = {}
        self._child: Child | None = None
        self._messages: deque[dict[str, Any]] = deque()
        self._is_busy = False
        self._exit: object = None  # the process's exit code, or why it could not be started
        self._failure: StorageError | None = None
        self._end: dict[str, Any] | None = None
        # A power cut must not take what others go for: records of the same key, the marker that makes these count,
        # a producer's next batch. Nor all that follows a segment with a gap at its end.
        if log.flushed_end < log.end:
            store.flusher.flush_once().then(lambda _: self._begin())
        else:
            self._begin()

    def stop(self) -> Token:
        """Give up; `result`."""
        self._fail("the cleaning was stopped")
        return self.result

    def _fail(self, text: str) -> None:
        if self._failure is None:
            self._failure = Unavailable(f"{self._log.folder}: {text}")
        if self._child is not None:
            self._child.kill()

    def _begin(self) -> None:
        log = self._log
        if self._failure is not None or log.failure is not None:
            self._fail("the partition is offline or deleted")
            self._complete(None)
            return
        segments = [segment for segment in log.rolled if segment.size and segment.end < log.flushed_end]
        self._segments = {segment.base: segment for segment in segments}
        task = {**task_to_json(self._task), "end": min(self._task.end, segments[-1].end if segments else 0)}
        job = {
            "folder": log.folder,
            "index_interval": self._store.index_interval,
            "segments": [[segment.base, segment.end, segment.size] for segment in segments],
            "parts": [[segment.log_path, segment.size, end] for segment, end in log.whole() if segment.size],
            "task": task,
        }
        self._child = self._env.spawn(_MODULE, json.dumps(job).encode(), self._told)
        self._child.done.then(self._exited)

    # -- what the process tells ---------------------------------------------------------------------

    def _told(self, line: bytes) -> None:
        self._messages.append(json.loads(line))
        self._go_on()

    def _exited(self, outcome: object) -> None:
        self._exit = outcome
        self._go_on()

    def _go_on(self) -> None:
        """The next message; the end once all are dealt with."""
        while not self._is_busy and self._messages:
            message = self._messages.popleft()
            if self._failure is not None:
                continue
            if "bases" in message:
                self._replace(message)
            elif "end" in message:
                self._end = message
            elif message["error"] == "damaged":
                self._failure = Corrupt(message["text"])
            else:
                self._fail(message["text"])
        if not self._is_busy and self._exit is not None:
            if self._end is None and self._failure is None:
                self._fail(f"the cleaner's process ended early: {self._exit}")
            self._wrap_up()

    # -- a group ------------------------------------------------------------------------------------

    def _replace(self, message: dict[str, Any]) -> None:
        """Steps 2 to 4."""
        log = self._log
        old = [self._segments[base] for base in message["bases"]]
        self._is_busy = True

        def prepared(outcome: Any) -> None:
            if isinstance(outcome, BaseException):
                done(outcome)
            else:
                log.when_idle(partial(commit, *outcome))

        def commit(new: FileSegment | None, held: list[int]) -> None:
            gone = self._failure is not None or log.failure is not None or any(s not in log.rolled for s in old)
            try:
                if gone:
                    raise FileNotFoundError("the log was trimmed or deleted while it was cleaned")
                if new is not None:
                    self._env.files.rename(new.path + CLEANED, new.log_path)
            except OSError as error:
                for fd in held:
                    self._env.files.close(fd)
                done(error)
                return
            log.swap(old, new)
            log.pins += 1
            self._env.offload(_finish, self._env.files, log.folder, old, new, held).then(partial(finished, new))

        def finished(new: FileSegment | None, error: object) -> None:
            log.unpin()
            if new is not None and error is None:
                new.is_finished = True
                if new.fd < 0:
                    new.forget_index()
            done(error)

        def done(error: object) -> None:
            self._is_busy = False
            if error is not None:
                self._fail(f"a cleaned segment could not be taken over: {error}")
            self._go_on()

        self._env.offload(_prepare, self._env.files, log.folder, old, message).then(prepared)

    # -- the end ------------------------------------------------------------------------------------

    def _wrap_up(self) -> None:
        log = self._log
        if self._failure is not None or self._end is None or log.failure is not None:
            self._fail("the partition is offline or deleted")
            self._env.offload(_discard, self._env.files, log.folder).then(self._complete)
            return
        log.clean_end = self._end["end"]
        self._store.save_row(log).then(self._complete)

    def _complete(self, error: object) -> None:
        if self._failure is None and isinstance(error, StorageError):
            self._failure = error
        end = self._end
        if self._failure is not None or end is None:
            self.result.complete(self._failure)
        else:
            self.result.complete(Cleaned(end["end"], end["read"], end["written"]))


def _prepare(
    files: Files, folder: str, old: list[FileSegment], message: dict[str, Any]
) -> tuple[FileSegment | None, list[int]]:
    """Step 2; the new segment with its indexes in memory (None: nothing is left), and the old files, open.

    They are held open so that the last close, which frees a large file's blocks, is a thread's.
    """
    new = None
    if message["size"]:
        new = FileSegment(folder, old[0].base)
        new.end = old[-1].end
        new.size = new.synced = message["size"]
        new.first_timestamp = message["first_timestamp"]
        new.path += CLEANED
        if not new.load_index(files):
            raise OSError(f"{new.path}: its index files are not right")
        new.path = old[0].path
        for segment in old:
            for aborted in segment.aborted.ending_from(message["end"]):  # below, what they wrote is gone
                new.aborted.add(aborted)
    held = []
    try:
        for segment in old:
            held.append(files.open(segment.log_path, os.O_RDONLY, 0))
        for suffix in (".index", ".timeindex", ".txnindex"):
            _unlink(files, old[0].path + suffix)
        files.fsync_folder(folder)
    except BaseException:
        for fd in held:
            files.close(fd)
        raise
    return new, held


def _finish(
    files: Files, folder: str, old: list[FileSegment], new: FileSegment | None, held: list[int]
) -> None:
    """Step 4."""
    try:
        if new is not None:
            files.fsync_folder(folder)
        for segment in old if new is None else old[1:]:
            for suffix in SEGMENT_SUFFIXES:
                _unlink(files, segment.path + suffix)
        files.fsync_folder(folder)
        if new is not None:
            _unlink(files, new.path + ".txnindex")  # a flush may have written the old one's once more
            if new.aborted.data:
                files.write_all(new.path + ".txnindex", bytes(new.aborted.data), sync=True)
            for suffix in (".timeindex", ".index"):
                files.rename(new.path + CLEANED + suffix, new.path + suffix)
    finally:
        for fd in held:
            files.close(fd)


def _discard(files: Files, folder: str) -> None:
    """What was written and not taken over. A .cleaned goes after its index files: they alone say that it was."""
    try:
        names = files.list(folder)
    except FileNotFoundError:
        return
    for name in names:
        if name.endswith(CLEANED):
            for suffix in (".index", ".timeindex", ""):
                _unlink(files, f"{folder}/{name}{suffix}")


def _unlink(files: Files, path: str) -> None:
    with suppress(FileNotFoundError):
        files.unlink(path)
