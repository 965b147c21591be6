"""Opening a data folder again: after a clean stop, a crash, and damage. Letters: see recovery.py."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flymq.storage.api import Corrupt
from flymq.storage.files import FilesEngine

from .batches import REF, TOPIC_ID, Runner, make_batch, make_plan

SIZE = 200
LARGE = 10_000  # a start scans an active segment of less than 64 KiB


class Folder:
    """A data folder that is opened again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = Runner()
        self.messages: list[str] = []
        self.engine: FilesEngine | None = None

    def start(self, **options: Any) -> FilesEngine:
        options.setdefault("durability", "fsync")
        self.engine = FilesEngine(str(self.path), self.run.env, recovery_log=self.messages.append, **options)
        return self.engine

    def stop(self) -> None:
        if self.engine is not None:
            self.run.wait(self.engine.close())
            self.engine = None

    def crash(self) -> None:
        """As `kill -9` leaves it: nothing is flushed or marked, only the descriptors go."""
        engine, self.engine = self.engine, None
        assert engine is not None
        self.run.wait(engine.logs.flusher.flush_all())
        engine.logs.flusher.stop()
        for log in engine.logs._logs.values():
            log.close_files()
        engine.shards.close()
        os.close(engine._lock_fd)

    @property
    def logs(self) -> Path:
        return self.path / "logs" / "orders" / f"0.{TOPIC_ID.hex()}"

    def segment(self, base: int, suffix: str = "log") -> Path:
        return self.logs / f"{base:020d}.{suffix}"

    def fill(self, count: int, *, roll_every: int = 10**9, size: int = SIZE) -> Any:
        """`count` batches of one record and `size` bytes."""
        assert self.engine is not None
        log = self.run.open(self.engine).log
        epoch = log.epochs[-1][0]
        for base in range(log.end, log.end + count):
            log.append(
                make_plan(base, size=size, epoch=epoch, timestamp=base, roll=base > 0 and base % roll_every == 0)
            )
        self.run.wait_durable(log, log.end, [])
        return log

    def reopened_end(self) -> int:
        """Start, and see that everything up to the end can be read."""
        opened = self.run.open(self.start())
        assert self.run.read_all(opened.log, 0, opened.end) == [(base, base) for base in range(opened.end)]
        return opened.end

    def set_recovery_point(self, offset: int) -> None:
        """While stopped: what the row says about fsyncs."""
        with sqlite3.connect(self.path / "meta.sqlite") as connection:
            key = f"{TOPIC_ID.hex()}.0"
            found = connection.execute("SELECT value FROM rows WHERE key = ?", (key,)).fetchone()
            row = json.loads(found[0]) if found else {"topic": "orders", "epochs": [[0, 0]], "log_start": 0}
            row["recovery_point"] = offset
            connection.execute("INSERT OR REPLACE INTO rows VALUES ('_partitions', ?, ?)", (key, json.dumps(row)))
        connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "data")
    yield made
    made.stop()
    made.run.close()


def damage(path: Path, position: int) -> None:
    """Flip one byte."""
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 0xFF]))


# -- clean -----------------------------------------------------------------------------------------


def test_case_a_nothing_was_written(folder: Folder) -> None:
    cluster_id = folder.start().cluster_id
    folder.run.open(folder.engine)
    folder.stop()
    assert not folder.logs.exists()
    engine = folder.start()
    assert engine.was_clean
    assert engine.cluster_id == cluster_id
    assert folder.run.open(engine).end == 0


def test_case_b_a_clean_stop(folder: Folder) -> None:
    folder.start()
    before = folder.fill(100, roll_every=40).segments()
    folder.stop()
    engine = folder.start()
    assert engine.was_clean
    opened = folder.run.open(engine)
    assert opened.epochs == [(0, 0)]
    assert opened.segments == before
    folder.fill(30)
    folder.stop()
    assert folder.reopened_end() == 130
    assert folder.messages == []


def test_case_b_the_snapshot_is_found(folder: Folder) -> None:
    folder.start()
    log = folder.fill(20)
    log.snapshot(5, b"five")
    log.snapshot(10, b"ten")
    log.snapshot(15, b"fifteen")
    folder.stop()
    assert not folder.segment(5, "producers").exists()
    opened = folder.run.open(folder.start())
    assert opened.snapshot == (15, b"fifteen")
    folder.stop()
    damage(folder.segment(15, "producers"), 6)
    assert folder.run.open(folder.start()).snapshot == (10, b"ten")


def test_a_snapshot_from_before_the_active_segment_is_kept(folder: Folder) -> None:
    """After a crash all of that segment may have to be told again."""
    folder.start()
    log = folder.fill(20, roll_every=10)
    for offset in (5, 9, 11, 13, 15, 17):
        log.snapshot(offset, b"%d" % offset)
    left = [name for name in sorted(os.listdir(folder.logs)) if name.endswith(".producers")]
    assert left == [f"{offset:020d}.producers" for offset in (5, 9, 15, 17)]


def test_a_clean_stop_waits_for_what_is_being_deleted(folder: Folder) -> None:
    folder.start()
    log = folder.fill(20, roll_every=10)
    unlink, may = folder.run.env.files.unlink, threading.Event()

    def slow(path: str) -> None:
        may.wait(30)
        unlink(path)

    folder.run.env.files.unlink = slow  # type: ignore[method-assign]
    folder.run.wait(log.trim(10))
    idle = log.idle()
    assert not idle.done
    may.set()
    folder.run.wait(idle)
    assert not folder.segment(0).exists()


def test_case_b_lost_index_files_are_made_again(folder: Folder) -> None:
    folder.start()
    folder.fill(100, roll_every=40, size=LARGE)
    folder.stop()
    before = folder.segment(40, "index").read_bytes(), folder.segment(40, "timeindex").read_bytes()
    for suffix in ("index", "timeindex"):
        folder.segment(40, suffix).unlink()
        folder.segment(80, suffix).unlink()
    assert folder.reopened_end() == 100
    assert (folder.segment(40, "index").read_bytes(), folder.segment(40, "timeindex").read_bytes()) == before


# -- crashes ---------------------------------------------------------------------------------------


def test_case_c_a_crash_loses_nothing_and_bumps_the_epoch(folder: Folder) -> None:
    folder.start()
    folder.fill(50, roll_every=20)
    folder.crash()
    engine = folder.start()
    assert not engine.was_clean
    opened = folder.run.open(engine)
    assert opened.end == 50
    assert opened.epochs == [(0, 0), (1, 50)]
    folder.fill(10)
    folder.crash()
    assert folder.run.open(folder.start()).epochs == [(0, 0), (1, 50), (2, 60)]
    folder.crash()
    assert folder.run.open(folder.start()).epochs == [(0, 0), (1, 50), (3, 60)]
    assert folder.messages == []


def test_case_c_an_untouched_partition_of_a_crashed_broker_is_not_scanned(folder: Folder) -> None:
    folder.start()
    folder.fill(50, size=LARGE)
    folder.stop()
    folder.start()
    other = REF.__class__("other", b"o" * 16, 0)
    folder.run.open(folder.engine, other).log.append(make_plan(0))
    folder.crash()
    damage(folder.segment(0), LARGE * 3 + 80)  # a scan would find it
    opened = folder.run.open(folder.start())
    assert opened.end == 50
    assert opened.epochs == [(0, 0), (1, 50)]


TAILS = {
    "a part of a header": make_batch(50, size=SIZE)[:40],
    "a whole header only": make_batch(50, size=SIZE)[:61],
    "a batch cut short": make_batch(50, size=SIZE)[:-1],
    "one byte": b"\0",
    "zeros, as a power cut leaves them": bytes(4096),
    "a wrong CRC": make_batch(50, size=SIZE)[:-1] + b"\xff",
    "a wrong magic": make_batch(50, size=SIZE)[:16] + b"\1" + make_batch(50, size=SIZE)[17:],
    "a length below a header": struct.pack(">qi", 50, 20) + bytes(200),
    "a negative length": struct.pack(">qi", 50, -1) + bytes(200),
    "a huge length": struct.pack(">qi", 50, 0x7FFFFFFF) + b"\0\0\0\0\2" + bytes(200),
    "an offset that was there before": make_batch(49, size=SIZE),
}


@pytest.mark.parametrize("tail", TAILS)
def test_case_c1_a_bad_tail_is_cut_and_kept(folder: Folder, tail: str) -> None:
    folder.start()
    folder.fill(50)
    folder.crash()
    with open(folder.segment(0), "ab") as file:
        file.write(TAILS[tail] + b"more")
    assert folder.reopened_end() == 50
    assert folder.segment(0, "cut").read_bytes() == TAILS[tail] + b"more"
    assert len(folder.messages) == 1
    assert f"orders-0: cut {len(TAILS[tail]) + 4} bytes at offset 50" in folder.messages[0]
    folder.fill(5)
    folder.stop()
    assert folder.reopened_end() == 55


@pytest.mark.parametrize("at", [0, 8, 16, 17, 30, SIZE - 1])
def test_case_c1_damage_inside_cuts_from_there(folder: Folder, at: int) -> None:
    folder.start()
    folder.fill(60, roll_every=25)
    folder.crash()
    folder.set_recovery_point(20)
    damage(folder.segment(25), SIZE * 4 + at)
    assert folder.reopened_end() == 29
    assert folder.segment(50, "cut").exists()
    assert not folder.segment(50).exists()
    folder.fill(5)
    folder.stop()
    assert folder.reopened_end() == 34


def test_case_c2_damage_below_the_recovery_point_is_not_cut(folder: Folder) -> None:
    folder.start()
    folder.fill(60, roll_every=25)
    folder.crash()
    folder.set_recovery_point(55)
    damage(folder.segment(50), SIZE * 2 + 80)
    size = folder.segment(50).stat().st_size
    engine = folder.start()
    with pytest.raises(Corrupt, match=r"orders-0 is offline: .*50\.log, byte 400 \(offset 52\): .*restore"):
        folder.run.open(engine)
    assert folder.segment(50).stat().st_size == size
    # The others go on.
    assert folder.run.open(engine, REF.__class__("orders", TOPIC_ID, 1)).end == 0


def test_case_c2_a_log_shorter_than_what_was_synced(folder: Folder) -> None:
    folder.start()
    folder.fill(60)
    folder.crash()
    folder.set_recovery_point(60)
    os.truncate(folder.segment(0), SIZE * 40)
    with pytest.raises(Corrupt, match="ends at offset 40, but offsets up to 60"):
        folder.run.open(folder.start())


def test_a_roll_cut_short_leaves_an_empty_file(folder: Folder) -> None:
    folder.start()
    folder.fill(30)
    folder.crash()
    folder.segment(30).touch()
    assert folder.reopened_end() == 30
    assert not folder.segment(30).exists()
    folder.fill(5)
    folder.stop()
    assert folder.reopened_end() == 35


def test_batches_larger_than_the_buffers(folder: Folder) -> None:
    folder.start()
    log = folder.run.open(folder.engine).log
    for base in range(3):
        log.append(make_plan(base, size=5_000_000))
    folder.crash()
    opened = folder.run.open(folder.start())
    assert [len(view) for view in opened.batches] == [5_000_000] * 3
    assert folder.run.read_all(opened.log, 0, 3) == [(0, 0), (1, 1), (2, 2)]


def test_a_snapshot_of_lost_offsets_is_dropped(folder: Folder) -> None:
    folder.start()
    log = folder.fill(50)
    log.snapshot(10, b"ten")
    log.snapshot(45, b"lost")
    folder.crash()
    folder.set_recovery_point(0)
    os.truncate(folder.segment(0), SIZE * 40 + 7)
    opened = folder.run.open(folder.start())
    assert (opened.end, opened.snapshot) == (40, (10, b"ten"))
    assert not folder.segment(45, "producers").exists()


CHILD = """
import asyncio, sys
from flymq.env import Env
from flymq.storage.files import FilesEngine
sys.path.insert(0, sys.argv[2])
from storage.batches import REF, make_plan

async def main():
    engine = FilesEngine(sys.argv[1], Env(asyncio.get_running_loop()), durability=sys.argv[3])
    def opened(result):
        log = result.log
        def durable(offset):
            sys.stdout.write(f"{offset}\\n")
            sys.stdout.flush()
        log.on_durable = durable
        def some():
            for base in range(log.end, log.end + 50):
                log.append(make_plan(base, size=200, timestamp=base, roll=base % 700 == 699))
            asyncio.get_running_loop().call_soon(some)
        some()
    engine.logs.open(REF, -1).then(opened)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_kill_9_while_appending_keeps_what_was_reported(folder: Folder, durability: str) -> None:
    tests = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", CHILD, str(folder.path), tests, durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) > 3000:
                break
        child.send_signal(signal.SIGKILL)
        reported = max(map(int, [line, *(rest for rest in child.stdout if rest.endswith("\n"))]))
    assert folder.reopened_end() >= reported
