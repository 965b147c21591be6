"""All partition logs of the files engine, and the deletion of those that are gone."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from flymq.env import Env, Token, completed, gather
from flymq.storage.api import Fenced, LogStore, Opened, PartitionRef, StorageError, Unavailable
from flymq.storage.files.buffers import Buffers
from flymq.storage.files.flush import Flusher
from flymq.storage.files.log import FileLog
from flymq.storage.files.open_files import OpenFiles
from flymq.storage.files.recovery import Found, newest_snapshot, recover, replay_from, stream
from flymq.storage.files.segment import SEGMENT_SUFFIXES, FileSegment
from flymq.storage.files.shards import ENGINE_SHARD, PARTITION_SHARD, SqliteShards
from flymq.storage.memory import add_epoch, take_epoch

_SLICE_MS = 5
_THREADS = 8
_RECOVERIES_PER_HOP = 64
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_FOLDER_NAME = re.compile(r"[0-9]+\.([0-9a-f]{32})")


class _Recovery(NamedTuple):
    """A partition to open, and who waits for it."""

    ref: PartitionRef
    folder: str
    row: dict[str, Any]
    epoch: int
    token: Token


class FilesLogStore(LogStore):
    """Logs by topic id and index, in DATA/logs/<topic>/<partition>.<topic id>."""

    def __init__(
        self,
        env: Env,
        folder: str,
        shards: SqliteShards,
        *,
        is_fsync: bool,
        was_clean: bool,
        unflushed_bytes_max: int,
        disk_free_min: int,
        open_files_max: int,
        index_interval_bytes: int,
        recovery_log: Callable[[str], None],
    ) -> None:
        self.env = env
        self.files = env.files
        self.folder = folder  # DATA/logs
        self.index_interval = index_interval_bytes
        self.buffers = Buffers()
        self.open_files = OpenFiles(env.files, open_files_max)
        self.flusher = Flusher(
            env,
            folder,
            is_fsync=is_fsync,
            unflushed_bytes_max=unflushed_bytes_max,
            disk_free_min=disk_free_min,
            on_period=self._save_flushed,
            on_relief=self._relieved,
        )
        self._shards = shards
        self._was_clean = was_clean
        self._is_clean_on_disk = was_clean
        self._recovery_log = recovery_log
        self._logs: dict[tuple[bytes, int], FileLog] = {}
        self._to_recover: list[_Recovery] = []
        self._flushed: set[FileLog] = set()  # their recovery point may move
        self._rows: dict[str, dict[str, Any]] = {key: json.loads(value) for key, value in shards.load(PARTITION_SHARD)}

    # -- open -------------------------------------------------------------------------------------

    def open(self, ref: PartitionRef, epoch: int) -> Token:
        if not _TOPIC_NAME.fullmatch(ref.topic) or ref.topic in (".", ".."):
            return completed(Unavailable(f"{ref.topic!r} is no topic name"))
        log = self._logs.get((ref.topic_id, ref.index))
        if log is not None:
            return self._opened_again(log, epoch)
        folder = f"{self.folder}/{ref.topic}/{ref.index}.{ref.topic_id.hex()}"
        row = self._rows.get(_row_key(ref), {})
        if not row and not self.files.exists(folder):
            return self._recovered(ref, folder, epoch, Found({}))
        token = Token()
        if not self._to_recover:
            self.env.call_soon(self._recover_waiting)
        self._to_recover.append(_Recovery(ref, folder, row, epoch, token))
        return token

    def _recover_waiting(self) -> None:
        """All that this turn asked for, spread over the threads: at a start that is every partition, and a hop for
        each would cost more than looking at it."""
        waiting, self._to_recover = self._to_recover, []
        count = max(1, min(_RECOVERIES_PER_HOP, len(waiting) // _THREADS))
        for at in range(0, len(waiting), count):
            some = waiting[at : at + count]
            self.env.offload(self._recover, some).then(partial(self._recovered_some, some))

    def _recover(self, some: list[_Recovery]) -> list[Found | BaseException]:
        """On a thread."""
        results: list[Found | BaseException] = []
        for ref, folder, row, _, _ in some:
            try:
                results.append(recover(self.files, f"{ref.topic}-{ref.index}", folder, row, self.index_interval))
            except StorageError as error:
                results.append(error)
            except Exception as error:
                results.append(Unavailable(f"{folder}: {error!r}"))
        return results

    def _recovered_some(self, some: list[_Recovery], results: list[Found | BaseException] | BaseException) -> None:
        for number, (ref, folder, _, epoch, token) in enumerate(some):
            result = results if isinstance(results, BaseException) else results[number]
            if isinstance(result, BaseException):
                token.complete(result)
            else:
                self._recovered(ref, folder, epoch, result).then(token.complete)

    def _recovered(self, ref: PartitionRef, folder: str, epoch: int, found: Found) -> Token:
        for message in found.messages:
            self._recovery_log(message)
        lost_unknown = found.end > found.log_start and (found.is_recovered or not self._was_clean)
        if lost_unknown:
            # Records that consumers have seen may be gone: they must not be taken for the next ones.
            add_epoch(found.epochs, found.epochs[-1][0] + 1, found.end)
        log = FileLog(self, ref, folder, found)
        self._logs[ref.topic_id, ref.index] = log
        return self._opened(log, found.snapshot, epoch, self.save_row(log) if lost_unknown else None)

    def _opened_again(self, log: FileLog, epoch: int) -> Token:
        snapshot = None
        if log.end and self.files.exists(log.folder):
            try:
                names = self.files.list(log.folder)
                start = replay_from([segment for segment, _ in log.whole()], log.end)
                snapshot = newest_snapshot(self.files, log.folder, names, start)
            except OSError as error:
                return completed(Unavailable(f"{log.folder}: {error}"))
        return self._opened(log, snapshot, epoch, None)

    def _opened(self, log: FileLog, snapshot: tuple[int, bytes] | None, epoch: int, waits_for: Token | None) -> Token:
        """`Opened` once the epoch that it tells of is durable."""
        if log.failure is not None:
            return completed(log.failure)
        before = list(log.epochs)
        try:
            take_epoch(log.epochs, epoch, log.end)
        except Fenced as error:
            return completed(error)
        if log.epochs != before and log.end:
            waits_for = self.save_row(log)
        start = snapshot[0] if snapshot else log.whole()[0][0].base
        parts = log.parts(start)
        opened = Opened(
            log=log,
            log_start=log.log_start,
            end=log.end,
            epochs=list(log.epochs),
            segments=log.segments(),
            snapshot=snapshot,
            batches=_replay(log, stream(self.files, parts, start)) if parts else (),
        )
        if waits_for is None:
            return completed(opened)
        token = Token()
        waits_for.then(lambda result: token.complete(result if isinstance(result, StorageError) else opened))
        return token

    # -- rows -------------------------------------------------------------------------------------

    def leave_clean_state(self) -> None:
        """Before the first append after a start: the folder is no longer as the clean stop left it."""
        if self._is_clean_on_disk:
            self._shards.write_now(ENGINE_SHARD, "clean", "false")
            self._is_clean_on_disk = False

    def save_row(self, log: FileLog, *, clean: bool = False) -> Token:
        """Write the partition's row; its recovery point is what an fsync has covered."""
        self._flushed.discard(log)
        row = log.row(clean=clean)
        key = _row_key(log.ref)
        if not clean and "clean" in (before := self._rows.get(key, {})):
            row["clean"] = before["clean"]  # still tells whether the files were touched since
        self._rows[key] = row
        log.row_end = log.flushed_end
        return self._shards.write(PARTITION_SHARD, [(key, json.dumps(row))])

    def note_flushed(self, log: FileLog) -> None:
        """The recovery point may move, at the next period."""
        if log.flushed_end != log.row_end:
            self._flushed.add(log)

    def _save_flushed(self) -> None:
        for log in list(self._flushed):
            self.save_row(log)

    # -- limits -----------------------------------------------------------------------------------

    @property
    def is_backlogged(self) -> bool:
        return self.flusher.is_backlogged

    def _relieved(self) -> None:
        if self.on_relief is not None:
            self.on_relief()

    # -- deletion ---------------------------------------------------------------------------------

    def drop(self, topic_id: bytes) -> Token:
        folders = set()
        idle = []
        for key in [key for key in self._logs if key[0] == topic_id]:
            log = self._logs.pop(key)
            self._flushed.discard(log)
            folders.add(log.folder)
            log.drop()
            idle += [log.idle(), log.stop_cleaning()]
        for row_key in self._row_keys(topic_id):
            folders.add(f"{self.folder}/{self._rows[row_key]['topic']}/{row_key[33:]}.{row_key[:32]}")
        result = Token()
        gather(idle).then(lambda _: self._delete(self._remove_folders(folders, {topic_id}), result))
        return result

    def sweep(self, known_topic_ids: set[bytes]) -> Token:
        result = Token()
        known = {topic_id.hex() for topic_id in known_topic_ids}
        self._delete(self._remove_unknown(known), result)
        return result

    def unlink_segments(self, segments: list[FileSegment]) -> Token:
        """Delete the files of segments that no log lists any more."""
        result = Token()
        paths = [segment.path + suffix for segment in segments for suffix in SEGMENT_SUFFIXES]
        self._delete(iter([self.env.offload(self._unlink_all, paths)] if paths else []), result)
        return result

    def _delete(self, steps: Iterator[Token | None], result: Token, failure: object = None) -> None:
        """Run a deletion in slices of 5 ms. A step that is a token is a thread's: it is waited for.

        (Unlinking a file of a gigabyte takes tens of milliseconds where it is in the page cache.)
        """
        stop_at = self.env.tick_ms() + _SLICE_MS
        try:
            if isinstance(failure, BaseException):
                raise failure
            for step in steps:
                if step is not None:
                    step.then(lambda outcome: self._delete(steps, result, outcome))
                    return
                if self.env.tick_ms() > stop_at:
                    self.env.call_soon(self._delete, steps, result)
                    return
        except OSError as error:
            self._recovery_log(f"a deletion failed and is finished at the next start: {error}")
            result.complete(Unavailable(f"a deletion failed and is finished at the next start: {error}"))
            return
        result.complete()

    def _remove_unknown(self, known: set[str]) -> Iterator[Token | None]:
        folders = set()
        gone = set()
        for topic in self.files.list(self.folder):
            path = f"{self.folder}/{topic}"
            if not self.files.is_folder(path):
                continue
            for name in self.files.list(path):
                match = _FOLDER_NAME.fullmatch(name)
                if match is not None and match[1] not in known:
                    folders.add(f"{path}/{name}")
                    gone.add(bytes.fromhex(match[1]))
            yield None
        gone |= {bytes.fromhex(key[:32]) for key in self._rows if key[:32] not in known}
        yield from self._remove_folders(folders, gone)

    def _remove_folders(self, folders: set[str], topic_ids: set[bytes]) -> Iterator[Token | None]:
        """The folders with their files, their parents where empty, then the topics' rows."""
        for folder in sorted(folders):
            try:
                names = self.files.list(folder)
            except FileNotFoundError:
                yield None
                continue
            yield self.env.offload(self._unlink_all, [f"{folder}/{name}" for name in names])
            self.files.remove_folder(folder)
            parent = folder.rpartition("/")[0]
            if not self.files.list(parent):
                self.files.remove_folder(parent)
            yield None
        keys = [key for topic_id in topic_ids for key in self._row_keys(topic_id)]
        for key in keys:
            del self._rows[key]
        if keys:
            self._shards.write(PARTITION_SHARD, (), keys)

    def _row_keys(self, topic_id: bytes) -> list[str]:
        prefix = topic_id.hex() + "."
        return [key for key in self._rows if key.startswith(prefix)]

    def _unlink_all(self, paths: list[str]) -> None:
        for path in paths:
            with suppress(FileNotFoundError):
                self.files.unlink(path)

    # -- close ------------------------------------------------------------------------------------

    def close(self) -> Token:
        """Flush everything, write the indexes and the clean rows, close the files."""
        result = Token()
        self.flusher.stop()
        logs = list(self._logs.values())

        def flushed(_: object) -> None:
            gather([log.idle() for log in logs]).then(finish)

        def finish(_: object) -> None:
            changed = [log for log in logs if log.is_changed and log.failure is None]
            waiting = deque(changed)
            threads = [self.env.offload(_finish_waiting, waiting) for _ in range(min(_THREADS, len(changed)))]
            gather(threads).then(lambda errors: finished(changed, [error for error in errors if error is not None]))

        def finished(changed: list[FileLog], errors: list[BaseException]) -> None:
            self.flusher.stop()
            rows = [] if errors else [self.save_row(log, clean=True) for log in changed]
            for log in logs:
                log.close_files()
            gather(rows).then(lambda outcomes: closed([*errors, *outcomes]))

        def closed(outcomes: list[object]) -> None:
            result.complete(next((one for one in outcomes if isinstance(one, BaseException)), None))

        stopped = gather([log.stop_cleaning() for log in logs])
        stopped.then(lambda _: self.flusher.flush_all().then(flushed))
        return result


def _finish_waiting(logs: deque[FileLog]) -> None:
    """On one of some threads that share the work: each index file costs an fsync."""
    while True:
        try:
            log = logs.popleft()
        except IndexError:
            return
        log.finish()


def _replay(log: FileLog, batches: Iterator[memoryview]) -> Iterator[memoryview]:
    yield from batches
    log.replayed()


def _row_key(ref: PartitionRef) -> str:
    return f"{ref.topic_id.hex()}.{ref.index}"
