"""Crashes between a write and its flush, slow disks, and shortages that pass."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from flymq.env.files import Files
from flymq.storage.api import Unavailable
from flymq.storage.files import FilesEngine

from .batches import Runner, make_plan, offsets


class Disk(Files):
    """The real one; slow, short of something, and watched, as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.is_fast = threading.Event()
        self.is_fast.set()
        self.synced: list[str] = []
        self.no_index_files = False
        self.open_failures: list[int] = []
        real_open = self.open

        def open_or_fail(path: str, *rest: Any) -> int:
            if self.open_failures and path.endswith(".log"):
                raise OSError(self.open_failures.pop(), "planted")
            return real_open(path, *rest)

        self.open = open_or_fail

    def fdatasync(self, fd: int) -> None:
        self.is_fast.wait()
        self.synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        super().fdatasync(fd)

    def write_all(self, path: str, data: bytes, *, sync: bool) -> None:
        if self.no_index_files and "index" in path:
            raise OSError(errno.ENOSPC, "planted")
        super().write_all(path, data, sync=sync)


class Place:
    """A folder, its disk and a loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runner = Runner()
        self.disk = self.runner.env.files = Disk()

    def start(self, folder: str = "data", durability: Literal["fsync", "os"] = "os", **rest: Any) -> FilesEngine:
        return FilesEngine(str(self.path / folder), self.runner.env, durability=durability, **rest)

    def killed(self) -> str:
        """The folder as `kill -9` leaves it, page cache and all, under another name."""
        shutil.copytree(self.path / "data", self.path / "killed")
        return "killed"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.disk.is_fast.set()
    made.runner.env.close()
    made.runner.loop.close()


def test_what_recovery_found_is_synced_before_it_is_told_as_durable(place: Place) -> None:
    """The page cache outlives a killed broker, but not a power cut after it."""
    engine = place.start()
    log = place.runner.open(engine).log
    for offset in range(3):
        log.append(make_plan(offset))
    folder = place.killed()
    place.disk.synced.clear()
    again = place.start(folder, "fsync")
    assert place.runner.open(again).end == 3
    assert f"{0:020d}.log" in place.disk.synced
    for one in (again, engine):
        place.runner.wait(one.close())


def test_index_files_of_a_clean_stop_are_not_trusted_for_what_came_after(place: Place) -> None:
    """Clean stop, more appends, a flush that moves the recovery point, a roll, kill -9."""
    runner = place.runner
    engine = place.start()
    log = runner.open(engine).log
    for offset in range(10):
        log.append(make_plan(offset, timestamp=1000 + offset))
    runner.wait(engine.close())
    engine = place.start()
    log = runner.open(engine).log
    for offset in range(10, 1000):
        log.append(make_plan(offset, timestamp=1000 + offset))
    runner.wait(engine.logs.flusher.flush_all())
    engine.logs._save_flushed()
    runner.wait(engine.shards.write("any", []))
    log.append(make_plan(1000, timestamp=1, roll=True))
    again = place.start(place.killed())
    opened = runner.open(again)
    assert [segment.max_timestamp for segment in opened.segments] == [1999, 1]
    assert offsets(runner.wait(opened.log.find_timestamp(1500, opened.end)).data) == [(500, 500)]
    for one in (again, engine):
        runner.wait(one.close())


def test_producers_are_relieved_where_the_limit_was_reached_during_a_flush(place: Place) -> None:
    """Nobody appends any more, so nobody else would ask for the next round."""
    engine = place.start(unflushed_bytes_max=1 << 20)
    log = place.runner.open(engine).log
    relieved = place.runner.loop.create_future()
    engine.logs.on_relief = lambda: relieved.set_result(None)
    place.disk.is_fast.clear()
    offset = 0
    while not engine.logs.is_backlogged:
        log.append(make_plan(offset, size=4096))
        place.runner.turn()
        offset += 1
    place.disk.is_fast.set()
    place.runner.loop.run_until_complete(relieved)
    assert not engine.logs.is_backlogged
    place.runner.wait(engine.close())


def test_producers_are_relieved_where_what_was_behind_is_deleted(place: Place) -> None:
    engine = place.start(unflushed_bytes_max=1 << 20)
    opened = place.runner.open(engine)
    relieved = place.runner.loop.create_future()
    engine.logs.on_relief = lambda: relieved.set_result(None)
    place.disk.is_fast.clear()
    offset = 0
    while not engine.logs.is_backlogged:
        opened.log.append(make_plan(offset, size=4096))
        offset += 1
    engine.logs.drop(opened.log.ref.topic_id)
    place.runner.loop.run_until_complete(relieved)
    place.disk.is_fast.set()
    place.runner.wait(engine.close())


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_no_room_for_index_files_is_no_failure(place: Place, durability: Literal["fsync", "os"]) -> None:
    """They can be made from the log at any time; the log itself is synced."""
    runner = place.runner
    engine = place.start(durability=durability)
    log = runner.open(engine).log
    failures: list[object] = []
    log.on_offline = failures.append
    log.append(make_plan(0))
    place.disk.no_index_files = True
    log.append(make_plan(1, roll=True))
    runner.wait(engine.logs.flusher.flush_all())
    assert not failures
    runner.wait(engine.close())
    engine = place.start()  # still no room
    opened = runner.open(engine)
    assert offsets(runner.read(opened.log, 0, 2)) == [(0, 0)]
    assert offsets(runner.read(opened.log, 1, 2)) == [(1, 1)]
    place.disk.no_index_files = False
    opened.log.append(make_plan(2))
    runner.wait(engine.close())


@pytest.mark.parametrize("shortage", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_shortage_that_passes_leaves_the_partition_online(place: Place, shortage: int) -> None:
    engine = place.start()
    log = place.runner.open(engine).log
    place.disk.open_failures = [shortage]
    with pytest.raises(Unavailable):
        log.append(make_plan(0))
    log.append(make_plan(0))
    assert offsets(place.runner.read(log, 0, 1)) == [(0, 0)]
    place.runner.wait(engine.close())


def test_a_bug_in_a_flush_does_not_hang_who_waits_for_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = place.start(durability="fsync")
    log = place.runner.open(engine).log
    failures: list[object] = []
    log.on_offline = failures.append
    monkeypatch.setattr(place.disk, "fdatasync", lambda fd: 1 / 0)
    log.append(make_plan(0))
    place.runner.wait(engine.logs.flusher.flush_all())
    assert len(failures) == 1
    monkeypatch.undo()
    place.runner.wait(engine.close())
