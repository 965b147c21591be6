"""ShardStore on SQLite: everything that is not a record batch, in DATA/meta.sqlite."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterable, Iterator

from flymq.env import Env, Token
from flymq.storage.api import EngineError, ShardStore, StorageError, Unavailable

FORMAT_VERSION = 1
_APPLICATION_ID = 0x464C794D  # "FLyM": tells our file from any other SQLite database

# sqlite3 gives up the GIL at every row of executemany, and beside a busy loop each time waits for
# it: rows go as one statement of many VALUES instead.
_ROWS_PER_STATEMENT = 100

ENGINE_SHARD = "_engine"
PARTITION_SHARD = "_partitions"

_Rows = dict[tuple[str, str], str | None]  # (shard, key) -> value; None: deleted


class SqliteShards(ShardStore):
    """One table of (shard, key, value). Shards with a leading underscore are the engine's own.

    Writes gather in `_pending` by key (the later wins); one thread at a time takes all of it in one
    transaction. The connection is used under `_lock`: by that thread, and by `load` and `write_now`.
    """

    def __init__(self, env: Env, path: str, *, synchronous: str) -> None:
        """Open or make the file; raises `EngineError` where it is not ours, or newer than we are."""
        self._env = env
        self._path = path
        self._synchronous = synchronous
        self._lock = threading.Lock()
        self._pending: _Rows = {}
        self._in_flight: _Rows = {}
        self._tokens: list[Token] = []
        self._is_writing = False
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        try:
            application_id = run("PRAGMA application_id").fetchone()[0]
            version = run("PRAGMA user_version").fetchone()[0]
            tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if application_id != _APPLICATION_ID and tables:
                raise EngineError(
                    f"{self._path} is a SQLite database of another program",
                    "point the data folder somewhere else",
                )
            if version > FORMAT_VERSION:
                raise EngineError(
                    f"{self._path} has data format {version}; this FlyMQ knows {FORMAT_VERSION}",
                    "run the FlyMQ version that wrote it, or a newer one",
                )
            run("PRAGMA journal_mode = WAL")
            run(f"PRAGMA synchronous = {self._synchronous}")
            if not tables:
                run("BEGIN IMMEDIATE")
                run(
                    "CREATE TABLE rows (shard TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
                    " PRIMARY KEY (shard, key)) WITHOUT ROWID"
                )
                run(f"PRAGMA application_id = {_APPLICATION_ID}")
                run(f"PRAGMA user_version = {FORMAT_VERSION}")
                run("COMMIT")
        except sqlite3.Error as error:
            raise EngineError(
                f"{self._path} can't be opened: {error}",
                "check that the folder is writable and that meta.sqlite is FlyMQ's",
            ) from error

    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        """Raises `Unavailable` where the file can't be read."""
        try:
            with self._lock:
                found = self._connection.execute("SELECT key, value FROM rows WHERE shard = ?", (shard,)).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path}: {error}") from error
        rows = dict(found)
        for waiting in (self._in_flight, self._pending):
            for (name, key), value in waiting.items():
                if name == shard:
                    if value is None:
                        rows.pop(key, None)
                    else:
                        rows[key] = value
        return iter(sorted(rows.items()))

    def shards(self) -> list[str]:
        try:
            with self._lock:
                found = {row[0] for row in self._connection.execute("SELECT DISTINCT shard FROM rows")}
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path}: {error}") from error
        unsettled = {name for waiting in (self._in_flight, self._pending) for name, _ in waiting}
        settled = found - unsettled
        holding = {name for name in unsettled if next(self.load(name), None) is not None}
        return sorted(name for name in settled | holding if not name.startswith("_"))

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        pending = self._pending
        for key, value in puts:
            pending[shard, key] = value
        for key in deletes:
            pending[shard, key] = None
        token = Token()
        self._tokens.append(token)
        if not self._is_writing:
            self._is_writing = True
            self._env.call_soon(self._begin)
        return token

    def _begin(self) -> None:
        """Everything that waits, in one transaction on a thread."""
        self._in_flight, self._pending = self._pending, {}
        tokens, self._tokens = self._tokens, []

        def done(result: object) -> None:
            self._in_flight = {}
            if isinstance(result, BaseException):
                # What was written meanwhile builds on what is lost: it fails, too.
                failure: StorageError = Unavailable(f"{self._path}: {result}")
                tokens.extend(self._tokens)
                self._pending, self._tokens = {}, []
            self._is_writing = bool(self._tokens)
            if self._is_writing:
                self._env.call_soon(self._begin)
            for token in tokens:
                token.complete(failure if isinstance(result, BaseException) else None)

        self._env.offload(self._commit, self._in_flight).then(done)

    def _commit(self, rows: _Rows) -> None:
        puts = [(shard, key, value) for (shard, key), value in rows.items() if value is not None]
        deletes = [place for place, value in rows.items() if value is None]
        with self._lock:
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            try:
                for at in range(0, len(puts), _ROWS_PER_STATEMENT):
                    some = puts[at : at + _ROWS_PER_STATEMENT]
                    marks = ",".join(["(?,?,?)"] * len(some))
                    run(f"INSERT OR REPLACE INTO rows VALUES {marks}", [field for row in some for field in row])
                for at in range(0, len(deletes), _ROWS_PER_STATEMENT):
                    places = deletes[at : at + _ROWS_PER_STATEMENT]
                    marks = ",".join(["(?,?)"] * len(places))
                    values = [field for place in places for field in place]
                    run(f"DELETE FROM rows WHERE (shard, key) IN (VALUES {marks})", values)
                run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    run("ROLLBACK")
                raise

    def write_now(self, shard: str, key: str, value: str) -> None:
        """One row, on the disk on return, whatever the durability; raises OSError."""
        try:
            with self._lock:
                self._connection.execute("PRAGMA synchronous = FULL")
            self._commit({(shard, key): value})
            with self._lock:
                self._connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except sqlite3.Error as error:
            code = errno.ENOSPC if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(code, f"{self._path}: {error}") from error

    def close(self) -> None:
        """No write may be waiting. Idempotent."""
        with self._lock:
            self._connection.close()
