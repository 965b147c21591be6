"""The files engine: one data folder, one broker."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Literal

from flymq.env import Env, Token
from flymq.env.files import Files
from flymq.storage.api import Engine, EngineError
from flymq.storage.cluster_id import make_cluster_id
from flymq.storage.files.segment import read_file
from flymq.storage.files.shards import ENGINE_SHARD, SqliteShards
from flymq.storage.files.store import FilesLogStore

_log = logging.getLogger("flymq.storage")


class FilesEngine(Engine):
    """Both stores in the folder `path`.

    durability: "fsync" reports a partition durable after an fsync of its file; "os" as soon as the
        operating system has the bytes (a killed broker loses nothing, a power cut may).
    unflushed_bytes_max: above it `logs.is_backlogged`; broker-wide.
    disk_free_min: bytes; below it appends raise `DiskFull`.
    open_files_max: segment files kept open; None: half of what the process may open.
    recovery_log: gets one line for each partition that lost a torn tail.

    Making one blocks (it is done before the broker serves) and raises `EngineError`.
    """

    logs: FilesLogStore
    shards: SqliteShards

    def __init__(
        self,
        path: str,
        env: Env,
        *,
        node_id: int = 1,
        durability: Literal["fsync", "os"] = "os",
        unflushed_bytes_max: int = 256 << 20,
        disk_free_min: int = 0,
        open_files_max: int | None = None,
        index_interval_bytes: int = 4096,
        recovery_log: Callable[[str], None] = _log.warning,
    ) -> None:
        self._env = env
        files = env.files
        path = os.path.abspath(path)
        self.location = path
        logs_folder = f"{path}/logs"
        is_new = not files.exists(logs_folder)
        try:
            files.make_folders(logs_folder)
        except OSError as error:
            raise _unusable(path, error) from error
        self._lock_fd: int = _lock(files, path)
        try:
            self.shards = SqliteShards(
                env, f"{path}/meta.sqlite", synchronous="FULL" if durability == "fsync" else "NORMAL"
            )
            try:
                self.was_clean = self._identify(path, node_id)
                if is_new:
                    files.fsync_folder(path)
                self.logs = FilesLogStore(
                    env,
                    logs_folder,
                    self.shards,
                    is_fsync=durability == "fsync",
                    was_clean=self.was_clean,
                    unflushed_bytes_max=unflushed_bytes_max,
                    disk_free_min=disk_free_min,
                    open_files_max=files.open_files_limit() // 2 if open_files_max is None else open_files_max,
                    index_interval_bytes=index_interval_bytes,
                    recovery_log=recovery_log,
                )
            except BaseException:
                self.shards.close()
                raise
        except OSError as error:
            files.close(self._lock_fd)
            raise _unusable(path, error) from error
        except BaseException:
            files.close(self._lock_fd)
            raise

    def _identify(self, path: str, node_id: int) -> bool:
        """Whose folder it is, made at the first start; whether it was closed cleanly."""
        rows = dict(self.shards.load(ENGINE_SHARD))
        if "cluster.id" not in rows:
            rows = {"cluster.id": make_cluster_id(self._env), "node.id": str(node_id), "clean": "true"}
            for key, value in rows.items():
                self.shards.write_now(ENGINE_SHARD, key, value)
        if rows["node.id"] != str(node_id):
            raise EngineError(
                f"{path} belongs to node.id {rows['node.id']}, this broker is {node_id}",
                f"set node.id={rows['node.id']}, or use another data folder",
            )
        self.cluster_id = rows["cluster.id"]
        return rows["clean"] == "true"

    def disk_bytes(self) -> tuple[int, int]:
        try:
            return self._env.files.disk_size(self.location), self._env.files.disk_free(self.location)
        except OSError:
            return -1, -1

    def close(self) -> Token:
        result = Token()

        def logs_closed(outcome: object) -> None:
            if isinstance(outcome, BaseException):
                last(outcome)
            else:
                self.shards.write(ENGINE_SHARD, [("clean", "true")]).then(last)

        def last(outcome: object) -> None:
            self.shards.close()
            self._env.files.close(self._lock_fd)
            result.complete(outcome)

        self.logs.close().then(logs_closed)
        return result


def _unusable(path: str, error: OSError) -> EngineError:
    return EngineError(
        f"the data folder {path} can't be used: {error.strerror or error}",
        "give a folder that the broker's user may write",
    )


def _lock(files: Files, path: str) -> int:
    """Take DATA/LOCK for this process; the descriptor that holds it."""
    name = f"{path}/LOCK"
    try:
        fd = files.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        if not files.lock(fd):
            pid, _, host = read_file(files, name).decode(errors="replace").strip().partition(" ")
            raise EngineError(
                f"the data folder {path} is in use by process {pid} on {host}",
                "stop that broker first, or use another data folder",
            )
        files.truncate(fd, 0)
        files.pwrite(fd, f"{os.getpid()} {files.host_name()}\n".encode(), 0)
    except OSError as error:
        files.close(fd)
        raise _unusable(path, error) from error
    except BaseException:
        files.close(fd)
        raise
    return fd
