"""The data folder itself: lock, identity, formats, open files, deletion; and disks that fail."""

from __future__ import annotations

import errno
import os
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest

from flymq.env.files import Files
from flymq.storage.api import DiskFull, EngineError, PartitionRef, Unavailable
from flymq.storage.files import FilesEngine

from .batches import REF, TOPIC_ID, make_plan
from .test_files_recovery import SIZE, Folder, folder  # noqa: F401


class BadDisk(Files):
    """A file system that fails on demand, at log files only."""

    def __init__(self) -> None:
        super().__init__()
        self.room: int | None = None  # bytes that may still be written
        self.is_silent = False  # a short write instead of ENOSPC
        self.truncate_error: OSError | None = None
        self.sync_error: OSError | None = None
        self.free = 1 << 40
        self._real_pwrite = self.pwrite
        self.pwrite = self._pwrite

    def _pwrite(self, fd: int, data: Any, position: int) -> int:
        if self.room is None:
            return self._real_pwrite(fd, data, position)
        fits = min(self.room, len(data))
        self.room -= fits
        if fits < len(data) and not self.is_silent:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._real_pwrite(fd, data[:fits], position)

    def truncate(self, fd: int, size: int) -> None:
        if self.truncate_error is not None:
            raise self.truncate_error
        super().truncate(fd, size)

    def fdatasync(self, fd: int) -> None:
        if self.sync_error is not None:
            raise self.sync_error
        super().fdatasync(fd)

    def disk_free(self, path: str) -> int:
        return self.free


@pytest.fixture
def disk(folder: Folder) -> BadDisk:  # noqa: F811
    folder.run.env.files = disk = BadDisk()
    return disk


# -- the folder ------------------------------------------------------------------------------------


def test_a_second_broker_is_told_who_has_the_folder(folder: Folder) -> None:  # noqa: F811
    folder.start()
    with pytest.raises(EngineError, match=rf"is in use by process {os.getpid()} on ") as caught:
        FilesEngine(str(folder.path), folder.run.env)
    assert "another data folder" in caught.value.hint
    folder.stop()
    folder.start()


def test_a_file_in_place_of_the_folder(folder: Folder) -> None:  # noqa: F811
    folder.path.write_text("not a folder")
    with pytest.raises(EngineError, match="can't be used"):
        folder.start()
    folder.path.unlink()


def test_a_newer_format_is_refused(folder: Folder) -> None:  # noqa: F811
    folder.start()
    folder.stop()
    connection = sqlite3.connect(folder.path / "meta.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(EngineError, match="has data format 99; this FlyMQ knows 1"):
        folder.start()


@pytest.mark.parametrize("kind", ["text", "another database"])
def test_a_foreign_meta_file_is_refused(folder: Folder, kind: str) -> None:  # noqa: F811
    folder.path.mkdir()
    file = folder.path / "meta.sqlite"
    if kind == "text":
        file.write_text("my own notes " * 100)
    else:
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE notes (text)")
        connection.close()
    with pytest.raises(EngineError, match=r"meta\.sqlite"):
        folder.start()


def test_another_node_id_is_refused(folder: Folder) -> None:  # noqa: F811
    folder.start(node_id=3)
    folder.stop()
    with pytest.raises(EngineError, match=r"belongs to node\.id 3, this broker is 4"):
        folder.start(node_id=4)
    folder.start(node_id=3)


@pytest.mark.parametrize("name", [".", "..", "a/b", "", "x" * 250])
def test_names_that_would_leave_the_folder(folder: Folder, name: str) -> None:  # noqa: F811
    engine = folder.start()
    with pytest.raises(Unavailable, match="is no topic name"):
        folder.run.open(engine, PartitionRef(name, TOPIC_ID, 0))


def test_the_clean_flag_goes_before_the_first_append(folder: Folder) -> None:  # noqa: F811
    def flag() -> str:
        connection = sqlite3.connect(folder.path / "meta.sqlite")
        found: str = connection.execute("SELECT value FROM rows WHERE key = 'clean'").fetchone()[0]
        connection.close()
        return found

    log = folder.run.open(folder.start()).log
    assert flag() == "true"
    log.append(make_plan(0))
    assert flag() == "false"
    folder.stop()
    assert flag() == "true"


# -- index files -----------------------------------------------------------------------------------


def test_index_files_are_kafkas(folder: Folder) -> None:  # noqa: F811
    """A row before each batch that follows more than 4096 bytes; times once more at the end.

    A short active segment has none: a start scans it as fast."""
    log = folder.run.open(folder.start()).log
    stamps = [100, 300, 200, 250, 400]
    for base, stamp in enumerate(stamps):
        log.append(make_plan(10 * base, 10, size=3000, timestamp=stamp))
    log.append(make_plan(50, 1, size=100, timestamp=900))
    log.append(make_plan(51, 1, size=100_000, timestamp=1, roll=True))
    log.append(make_plan(52, 1, size=100, timestamp=1, roll=True))
    folder.stop()
    rows = list(struct.iter_unpack(">II", folder.segment(0, "index").read_bytes()))
    assert rows == [(29, 6000), (49, 12000)]
    times = list(struct.iter_unpack(">qI", folder.segment(0, "timeindex").read_bytes()))
    assert times == [(300, 19), (400, 49), (900, 50)]
    assert folder.segment(51, "index").read_bytes() == b""
    assert list(struct.iter_unpack(">qI", folder.segment(51, "timeindex").read_bytes())) == [(1, 0)]
    assert not folder.segment(52, "index").exists()


# -- open files ------------------------------------------------------------------------------------


def open_descriptors(path: Path) -> int:
    """How many log files of the folder this process has open."""
    import psutil

    return sum(file.path.endswith(".log") and str(path) in file.path for file in psutil.Process().open_files())


def test_open_files_stay_below_the_limit(folder: Folder) -> None:  # noqa: F811
    engine = folder.start(open_files_max=5)
    logs = [folder.run.open(engine, PartitionRef("orders", TOPIC_ID, index)).log for index in range(20)]
    for base in range(12):
        for log in logs:
            log.append(make_plan(base, roll=base % 4 == 0))
        assert open_descriptors(folder.path) <= 5
    folder.run.wait(engine.logs.flusher.flush_all())
    for log in logs:
        assert folder.run.read_all(log, 0, 12) == [(base, base) for base in range(12)]
        assert open_descriptors(folder.path) <= 5


# -- deletion --------------------------------------------------------------------------------------


def test_drop_removes_folder_and_row(folder: Folder) -> None:  # noqa: F811
    engine = folder.start()
    folder.fill(20, roll_every=5)
    folder.run.wait(engine.logs.drop(TOPIC_ID))
    assert list((folder.path / "logs").iterdir()) == []
    assert list(engine.shards.load("_partitions")) == []
    assert open_descriptors(folder.path) == 0


def test_drop_waits_for_reads_in_flight(folder: Folder) -> None:  # noqa: F811
    folder.run.env.files.read_cached = lambda fd, buffer, position: -1  # type: ignore[method-assign]
    engine = folder.start()
    log = folder.fill(20)
    read = log.read(0, 20, 1 << 20, at_least_one=True)
    dropped = engine.logs.drop(TOPIC_ID)
    assert len(folder.run.wait(read).data) == 20 * SIZE
    folder.run.wait(dropped)
    with pytest.raises(Unavailable, match="was deleted"):
        log.read(0, 20, 1 << 20, at_least_one=True)


def test_sweep_finishes_what_a_crash_cut_short(folder: Folder) -> None:  # noqa: F811
    folder.start()
    folder.fill(20)
    gone = PartitionRef("gone", b"g" * 16, 3)
    folder.run.open(folder.engine, gone).log.append(make_plan(0))
    folder.crash()
    stranger = folder.path / "logs" / "gone" / "notes.txt"
    engine = folder.start()
    stranger.write_text("not ours")
    folder.run.wait(engine.logs.sweep({TOPIC_ID}))
    assert [path.name for path in stranger.parent.iterdir()] == ["notes.txt"]
    assert folder.run.open(engine).end == 20


# -- failing disks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize("room", [0, 1, SIZE - 1])
@pytest.mark.parametrize("roll", [False, True])
def test_a_full_disk_changes_nothing(folder: Folder, disk: BadDisk, is_silent: bool, room: int, roll: bool) -> None:  # noqa: F811
    folder.start()
    log = folder.fill(10)
    before = log.segments()
    disk.is_silent, disk.room = is_silent, room
    for _ in range(2):
        with pytest.raises(DiskFull):
            log.append(make_plan(10, size=SIZE, roll=roll))
        disk.room = room
    assert log.segments() == before
    disk.room = None
    log.append(make_plan(10, size=SIZE, roll=roll))
    folder.stop()
    assert folder.reopened_end() == 11


def test_a_full_disk_at_the_very_first_append(folder: Folder, disk: BadDisk) -> None:  # noqa: F811
    log = folder.run.open(folder.start()).log
    disk.room = 10
    with pytest.raises(DiskFull):
        log.append(make_plan(0, timestamp=5))
    disk.room = None
    log.append(make_plan(0, timestamp=7))
    assert log.segments()[0].first_timestamp == 7
    assert folder.run.read_all(log, 0, 1) == [(0, 0)]


def test_offline_where_the_torn_write_can_not_be_undone(folder: Folder, disk: BadDisk) -> None:  # noqa: F811
    folder.start()
    log = folder.fill(10)
    told: list[Exception] = []
    log.on_offline = told.append
    disk.is_silent = True
    disk.room, disk.truncate_error = 50, OSError(errno.EIO, "Input/output error")
    for _ in range(2):
        with pytest.raises(Unavailable, match="orders-0 is offline"):
            log.append(make_plan(10, size=SIZE))
    with pytest.raises(Unavailable):
        log.read(0, 10, 1000, at_least_one=True)
    assert len(told) == 1
    disk.room = disk.truncate_error = None
    folder.stop()
    assert folder.reopened_end() == 10
    assert "cut 50 bytes at offset 10" in folder.messages[0]


def test_a_failed_fsync_is_never_retried(folder: Folder, disk: BadDisk) -> None:  # noqa: F811
    engine = folder.start()
    log = folder.fill(10)
    reported: list[int] = []
    told: list[Exception] = []
    log.on_durable, log.on_offline = reported.append, told.append
    disk.sync_error = OSError(errno.EIO, "Input/output error")
    log.append(make_plan(10, size=SIZE))
    folder.run.wait(engine.logs.flusher.flush_all())
    disk.sync_error = None
    assert reported == []
    assert "fsync failed" in str(told[0])
    with pytest.raises(Unavailable):
        log.append(make_plan(11, size=SIZE))
    folder.run.wait(engine.logs.flusher.flush_all())
    assert reported == []
    assert engine.logs.flusher.written == engine.logs.flusher.flushed
    with pytest.raises(Unavailable):
        folder.run.open(engine)


def test_appends_stop_below_the_free_minimum(folder: Folder, disk: BadDisk) -> None:  # noqa: F811
    engine = folder.start(disk_free_min=1 << 30)
    log = folder.fill(3)
    disk.free = 1 << 20
    engine.logs.flusher._tick()  # what a second brings
    with pytest.raises(DiskFull, match="fewer than"):
        log.append(make_plan(3, size=SIZE))
    assert folder.run.read_all(log, 0, 3) == [(0, 0), (1, 1), (2, 2)]
    disk.free = 1 << 40
    log.append(make_plan(3, size=SIZE))


def test_the_backlog_is_told_and_relieved(folder: Folder) -> None:  # noqa: F811
    engine = folder.start(durability="os", unflushed_bytes_max=100_000)
    relieved: list[bool] = []
    engine.logs.on_relief = lambda: relieved.append(engine.logs.is_backlogged)
    log = folder.run.open(engine).log
    for base in range(150):
        log.append(make_plan(base, size=1000))
    assert engine.logs.is_backlogged
    folder.run.wait(engine.logs.flusher.flush_all())
    assert not engine.logs.is_backlogged
    assert relieved == [False]


# -- shards ----------------------------------------------------------------------------------------


def test_a_failed_write_fails_all_that_builds_on_it(folder: Folder) -> None:  # noqa: F811
    engine = folder.start()
    folder.run.wait(engine.shards.write("groups", [("a", "1")]))
    blocker = sqlite3.connect(folder.path / "meta.sqlite", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    engine.shards._connection.execute("PRAGMA busy_timeout = 0")
    first = engine.shards.write("groups", [("a", "2"), ("b", "2")])
    folder.run.turn()
    second = engine.shards.write("groups", [("c", "3")])
    with pytest.raises(Unavailable, match="locked"):
        folder.run.wait(first)
    with pytest.raises(Unavailable):
        folder.run.wait(second)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert list(engine.shards.load("groups")) == [("a", "1")]
    folder.run.wait(engine.shards.write("groups", [("c", "4")]))
    assert list(engine.shards.load("groups")) == [("a", "1"), ("c", "4")]


def test_many_rows_in_one_write(folder: Folder) -> None:  # noqa: F811
    engine = folder.start()
    rows = [(f"{i:05d}", f'{{"value": {i}}}') for i in range(1234)]
    folder.run.wait(engine.shards.write("groups", rows))
    folder.run.wait(engine.shards.write("groups", [], [key for key, _ in rows[:1100]]))
    folder.stop()
    assert list(folder.start().shards.load("groups")) == rows[1100:]
    assert REF.topic == "orders"
