"""Compaction in the files engine: crashes between its steps, what is left on the disk, and its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flymq.env import Token
from flymq.storage.api import StorageError, Unavailable
from flymq.storage.files import FilesEngine
from flymq_protocol.records.control import COMMIT

from . import cleaning
from .batches import REF, TOPIC_ID, Runner
from .test_files_recovery import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path / "data")
    yield made
    made.stop()
    made.run.close()


def names(folder: Folder) -> list[str]:
    return sorted(path.name for path in folder.logs.iterdir())


def filled(folder: Folder, **options: Any) -> Any:
    log = folder.run.open(folder.start(**options)).log
    cleaning.fill(log, [20, 20, 20, 5])
    if log._flusher.is_fsync:
        folder.run.wait_durable(log, log.end, [])
    return log


class Steps:
    """Lets so many changes of names through, of any thread, and counts them; then nothing works any more."""

    def __init__(self, files: Any, let_through: int) -> None:
        self.left = let_through
        self.files = files
        self.whole = {name: getattr(files, name) for name in ("rename", "unlink", "fsync_folder")}
        for name, call in self.whole.items():
            setattr(files, name, self.counted(call))

    def counted(self, call: Any) -> Any:
        def step(*args: Any) -> Any:
            if not self.left:
                raise OSError("crashed")
            self.left -= 1
            return call(*args)

        return step

    def over(self) -> None:
        for name, call in self.whole.items():
            setattr(self.files, name, call)


# Groups of two: [0, 60) and [60, 120) become one, [120, 180) another.
GROUPED = {"segment_bytes": 5000}


def steps_of_a_whole_cleaning(tmp_path: Path) -> int:
    folder = Folder(tmp_path / "counting")
    cleaning.without_processes(folder.run.env)
    log = filled(folder)
    steps = Steps(folder.run.env.files, 10**6)
    cleaning.clean(folder.run, log, **GROUPED)
    steps.over()
    folder.stop()
    folder.run.close()
    return 10**6 - steps.left


def test_a_crash_at_each_step(tmp_path: Path) -> None:
    """Reopened, the log has each key's newest record, no left-over, and can be cleaned: whatever was done by then."""
    count = steps_of_a_whole_cleaning(tmp_path)
    assert count > 15
    ends = set()
    for let_through in range(count + 1):
        folder = Folder(tmp_path / str(let_through))
        cleaning.without_processes(folder.run.env)
        log = filled(folder)
        newest = cleaning.newest(cleaning.records(folder.run, log))
        steps = Steps(folder.run.env.files, let_through)
        try:
            folder.run.wait(log.clean(cleaning.task(log, **GROUPED)))
        except StorageError:
            assert let_through < count
        steps.over()
        folder.crash()
        log = folder.run.open(folder.start()).log
        ends.add(log.clean_end)
        assert not [name for name in names(folder) if ".cleaned" in name], let_through
        left = cleaning.records(folder.run, log)
        assert cleaning.newest(left) == newest, let_through
        assert [record.offset for record in left] == sorted({record.offset for record in left})
        segments = log.segments()
        assert [s.end_offset for s in segments[:-1]] == [s.base_offset for s in segments[1:]]
        assert {name[:20] for name in names(folder) if name.endswith(".log")} == {
            f"{segment.base_offset:020d}" for segment in segments
        }
        cleaning.clean(folder.run, log, **GROUPED)
        assert [record.offset for record in cleaning.records(folder.run, log)] == [*range(173, 195)]
        folder.stop()
        assert folder.run.open(folder.start()).log.clean_end == 180
        folder.stop()
        folder.run.close()
    assert ends == {0, 180}


def test_a_cleaned_log_after_a_clean_stop_and_after_a_crash(folder: Folder) -> None:
    log = filled(folder)
    cleaning.clean(folder.run, log)
    left = cleaning.records(folder.run, log)
    segments = log.segments()
    names_then = names(folder)
    assert names_then == [
        f"{0:020d}.index", f"{0:020d}.log", f"{0:020d}.timeindex", f"{180:020d}.log",
    ]  # fmt: skip
    for stop in (folder.stop, folder.crash):
        stop()
        log = folder.run.open(folder.start()).log
        assert cleaning.records(folder.run, log) == left
        assert log.segments() == segments
        assert log.clean_end == 180
    assert folder.messages == []


def test_the_index_of_a_cleaned_segment_is_as_a_scan_would_make_it(folder: Folder) -> None:
    log = folder.run.open(folder.start(index_interval_bytes=100)).log
    cleaning.fill(log, [60, 60, 2], keys=100)
    folder.run.wait_durable(log, log.end, [])
    cleaning.clean(folder.run, log)
    found = [folder.segment(0, suffix).read_bytes() for suffix in ("index", "timeindex")]
    assert len(found[0]) > 80
    folder.stop()
    for suffix in ("index", "timeindex"):
        folder.segment(0, suffix).unlink()
    folder.run.open(folder.start(index_interval_bytes=100))
    assert [folder.segment(0, suffix).read_bytes() for suffix in ("index", "timeindex")] == found


def test_what_the_disk_does_not_have_yet_is_flushed_before_older_records_go(folder: Folder) -> None:
    log = filled(folder, durability="os")
    assert log.flushed_end == 0
    synced: list[int] = []
    files = folder.run.env.files
    whole = files.fdatasync

    def fdatasync(fd: int) -> None:
        synced.append(fd)
        whole(fd)

    files.fdatasync = fdatasync  # type: ignore[method-assign]
    cleaning.clean(folder.run, log)
    assert len(synced) >= 4
    assert log.flushed_end == log.end
    flusher = log._flusher
    assert flusher.written == flusher.flushed


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_a_cleaning_does_not_wait_for_a_pause_of_the_writers(folder: Folder, durability: str) -> None:
    log = filled(folder, durability=durability)
    token = log.clean(cleaning.task(log))
    while not token.done:
        log.append(cleaning.keyed_plan(log.end, [b"key-0"]))
        folder.run.turn()
    assert token.result.end == 180


def test_a_reader_in_the_middle_of_a_file_reads_on(folder: Folder) -> None:
    """Its read waits for the disk while the segment would be replaced: the replacement waits for it."""
    log = filled(folder)
    env = folder.run.env
    env.files.read_cached = lambda fd, buffer, position: -1  # type: ignore[method-assign]
    started = log.clean(cleaning.task(log))
    reads: list[Token] = []

    def read_on(_: object = None) -> None:
        if not started.done:
            token = log.read(30, 200, 1 << 20, at_least_one=True)
            reads.append(token)
            token.then(read_on)

    read_on()
    folder.run.wait(started)
    folder.run.wait(reads[-1])
    assert len(reads) > 3
    assert not [token.result for token in reads if isinstance(token.result, BaseException)]


def test_only_one_cleaning_of_a_log_at_a_time(folder: Folder) -> None:
    log = filled(folder)
    first = log.clean(cleaning.task(log))
    with pytest.raises(Unavailable, match="already"):
        folder.run.wait(log.clean(cleaning.task(log)))
    assert folder.run.wait(first).end == 180


def slowed(log: Any) -> Any:
    """A task that would take minutes."""
    return cleaning.task(log, bytes_per_second=100)


def until_the_process_writes(folder: Folder) -> None:
    while not list(folder.logs.glob("*.cleaned*")):
        folder.run.turn()


def test_a_stop_ends_the_process_and_leaves_nothing(folder: Folder) -> None:
    log = filled(folder)
    token = log.clean(cleaning.task(log, bytes_per_second=30_000))
    until_the_process_writes(folder)
    folder.stop()
    assert isinstance(token.result, Unavailable)
    assert not list(folder.logs.glob("*.cleaned*"))
    log = folder.run.open(folder.start()).log
    assert log.clean_end == 0
    assert len(cleaning.records(folder.run, log)) == 195


def test_a_drop_ends_the_process_and_leaves_no_folder(folder: Folder) -> None:
    log = filled(folder)
    log.clean(cleaning.task(log, bytes_per_second=30_000))
    until_the_process_writes(folder)
    assert folder.engine is not None
    folder.run.wait(folder.engine.logs.drop(TOPIC_ID))
    assert not folder.logs.exists()


def test_a_full_disk_stops_a_cleaning(folder: Folder, tmp_path: Path) -> None:
    """The process can't write there: a folder stands where its file should be."""
    log = filled(folder)
    (folder.logs / f"{0:020d}.cleaned").mkdir()
    with pytest.raises(Unavailable, match="directory"):
        cleaning.clean(folder.run, log)
    assert len(cleaning.records(folder.run, log)) == 195
    (folder.logs / f"{0:020d}.cleaned").rmdir()
    assert cleaning.clean(folder.run, log).end == 180


BROKER = """
import sys
from pathlib import Path
from storage.test_files_cleaning import filled, slowed, until_the_process_writes, Folder
folder = Folder(Path(sys.argv[1]))
log = filled(folder)
log.clean(slowed(log))
while log.cleaning._child is None or log.cleaning._child._process is None:
    folder.run.turn()
print(log.cleaning._child._process.pid, flush=True)
folder.run.loop.run_forever()
"""


def test_the_process_ends_with_a_killed_broker(tmp_path: Path) -> None:
    tests = Path(__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BROKER), str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tests)},
    ) as broker:
        assert broker.stdout is not None
        child = int(broker.stdout.readline())
        watched = os.pidfd_open(child) if hasattr(os, "pidfd_open") else -1
        broker.send_signal(signal.SIGKILL)
    if watched >= 0:
        import select

        assert select.select([watched], [], [], 30)[0], "the cleaner outlives its broker"
        os.close(watched)


def test_the_job_is_one_line_of_json(folder: Folder) -> None:
    """By hand, as the engine would start it; what it cannot read it tells."""
    log = filled(folder)
    job = {"folder": str(folder.logs), "index_interval": 4096, "segments": [[0, 60, 99]], "parts": [], "task": {
        "first_dirty": 0, "end": 0, "log_start": 0, "now_ms": 0, "delete_retention_ms": 0, "segment_bytes": 1,
        "keys_max": 1, "inflate_bytes_max": 1, "bytes_per_second": 1e9, "last_batches": {"5": [0, 3]}}}  # fmt: skip
    lines: list[bytes] = []
    assert folder.run.wait(folder.run.env.spawn("flymq._cleaner", json.dumps(job).encode(), lines.append).done) == 0
    job["parts"] = [[str(folder.logs / "missing.log"), 1, 1]]
    assert folder.run.wait(folder.run.env.spawn("flymq._cleaner", json.dumps(job).encode(), lines.append).done) == 0
    assert json.loads(lines[0]) == {"end": 0, "read": 0, "written": 0}
    assert json.loads(lines[1])["error"] == "failed"
    assert log.clean_end == 0


def test_an_engine_that_cannot_start_the_process(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(folder)
    monkeypatch.setattr(sys, "executable", str(folder.path / "no-python"))
    with pytest.raises(Unavailable, match="no-python"):
        cleaning.clean(folder.run, log)
    assert len(log.segments()) == 4


__all__ = ["REF", "FilesEngine", "Runner"]


def test_a_power_cut_takes_nothing_that_others_went_for(tmp_path: Path) -> None:
    """The marker in the active segment makes the newer values count: it is on the disk before the older ones go."""
    folder = Folder(tmp_path / "data")
    cleaning.without_processes(folder.run.env)
    log = filled(folder, durability="os")
    folder.run.wait(log._flusher.flush_all())
    log.append(cleaning.marker_plan(log.end, 7, COMMIT))
    assert log.rolled[-1].end < log.flushed_end < log.end
    cleaning.clean(folder.run, log)
    assert log.flushed_end == log.end
    folder.stop()
    folder.run.close()


def test_an_index_of_aborted_transactions_that_came_back_late(folder: Folder) -> None:
    """A flush may be writing the index files of a segment while it is cleaned."""
    cleaning.without_processes(folder.run.env)
    log = filled(folder)
    rename = folder.run.env.files.rename

    def late(path: str, target: str) -> None:
        rename(path, target)
        if target.endswith(".log"):
            folder.segment(0, "txnindex").write_bytes(b"old")

    folder.run.env.files.rename = late  # type: ignore[method-assign]
    cleaning.clean(folder.run, log)
    assert not folder.segment(0, "txnindex").exists()
