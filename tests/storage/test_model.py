"""The files engine against the memory engine: random operations, the same answers."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flymq.core.log.transactions import AbortedTransaction
from flymq.storage.files import FilesEngine
from flymq.storage.memory import MemoryEngine

from . import cleaning
from .batches import Runner, make_plan, offsets


class EngineModel(RuleBasedStateMachine):
    """One partition in both engines; the files one is also closed and opened again."""

    @initialize(durability=st.sampled_from(["os", "fsync"]), is_cold=st.booleans())
    def start(self, durability: Any, is_cold: bool) -> None:
        self.path = tempfile.mkdtemp(prefix="flymq-model-")
        self.durability = durability
        self.stable = 0
        self.run = Runner()
        if is_cold:
            self.run.env.files.read_cached = lambda fd, buffer, position: -1  # type: ignore[method-assign]
        self.oracle_engine = MemoryEngine(self.run.env)
        self.oracle: Any = self.run.open(self.oracle_engine).log
        self.open_files()

    def open_files(self) -> None:
        # A small interval, so that short logs have many index rows.
        self.engine = FilesEngine(
            str(Path(self.path)),
            self.run.env,
            durability=self.durability,
            index_interval_bytes=500,
            open_files_max=2,
        )
        opened = self.run.open(self.engine)
        self.log: Any = opened.log
        assert (opened.log_start, opened.end) == (self.oracle.log_start, self.oracle.end)
        assert opened.snapshot == self.oracle.taken
        expected = self.run.open(self.oracle_engine).batches
        assert [bytes(view) for view in opened.batches] == [bytes(view) for view in expected]

    @rule(
        count=st.integers(1, 5),
        size=st.sampled_from([61, 100, 300, 900, 5000]),
        timestamp=st.integers(-1, 50),
        roll=st.sampled_from([False, False, False, True]),
    )
    def append(self, count: int, size: int, timestamp: int, roll: bool) -> None:
        plan = make_plan(self.oracle.end, count, size=size, timestamp=timestamp, roll=roll)
        self.oracle.append(plan)
        self.log.append(plan)

    def append_one(self, roll: bool) -> None:
        self.append(1, 100, 0, roll)

    @precondition(lambda self: self.stable < self.oracle.end)
    @rule(data=st.data(), roll=st.booleans())
    def abort(self, data: st.DataObject, roll: bool) -> None:
        """As a log would: what is told with it as stable is below what later ones begin with."""
        marker = self.oracle.end
        first = data.draw(st.integers(self.stable, marker - 1))
        self.stable = data.draw(st.integers(self.stable, marker + 1))
        self.append_one(roll)
        for log in (self.oracle, self.log):
            log.add_aborted(AbortedTransaction(first, first, marker, self.stable))

    @rule(data=st.data())
    def list_aborted(self, data: st.DataObject) -> None:
        end = data.draw(st.integers(self.oracle.log_start, self.oracle.end))
        offset = data.draw(st.integers(self.oracle.log_start, end))
        assert list(self.log.aborted(offset, end)) == list(self.oracle.aborted(offset, end))

    @rule(data=st.data(), max_bytes=st.sampled_from([1, 100, 700, 3000, 1 << 20]), at_least_one=st.booleans())
    def read(self, data: st.DataObject, max_bytes: int, at_least_one: bool) -> None:
        end = data.draw(st.integers(self.oracle.log_start, self.oracle.end))
        offset = data.draw(st.integers(self.oracle.log_start, end))
        ours = self.run.read(self.log, offset, end, max_bytes, at_least_one=at_least_one)
        whole = self.everything(self.oracle, offset, end)
        assert whole.startswith(ours)
        oracle = self.run.read(self.oracle, offset, end, max_bytes, at_least_one=at_least_one)
        assert bool(ours) == bool(oracle)
        assert len(ours) <= max_bytes or len(offsets(ours)) == 1
        assert self.everything(self.log, offset, end, max_bytes) == whole
        if whole:
            assert self.log.readable_bytes(offset, end, 1) >= 1

    def everything(self, log: Any, offset: int, end: int, max_bytes: int = 1 << 20) -> bytes:
        found = b""
        while offset < end:
            data = self.run.read(log, offset, end, max_bytes)
            if not data:
                break
            found += data
            offset = offsets(data)[-1][1] + 1
        return found

    @rule(data=st.data(), timestamp=st.integers(0, 51))
    def look_up(self, data: st.DataObject, timestamp: int) -> None:
        end = data.draw(st.integers(self.oracle.log_start, self.oracle.end))
        for ours, oracle in (
            (self.log.find_timestamp(timestamp, end), self.oracle.find_timestamp(timestamp, end)),
            (self.log.find_max_timestamp(end), self.oracle.find_max_timestamp(end)),
        ):
            one, other = self.run.wait(ours), self.run.wait(oracle)
            assert (one and bytes(one.data)) == (other and bytes(other.data))

    @precondition(lambda self: self.oracle.end > 0)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        before = data.draw(st.integers(self.oracle.log_start, self.oracle.end))
        self.run.wait(self.oracle.trim(before))
        self.run.wait(self.log.trim(before))

    @precondition(lambda self: self.oracle.end > 0)
    @rule(content=st.binary(max_size=20))
    def snapshot(self, content: bytes) -> None:
        for log in (self.oracle, self.log):
            log.snapshot(self.oracle.end, content)

    @rule()
    def restart(self) -> None:
        self.run.wait(self.engine.close())
        self.open_files()

    @rule()
    def flush(self) -> None:
        self.run.wait(self.engine.logs.flusher.flush_all())

    @invariant()
    def same_segments(self) -> None:
        if hasattr(self, "log"):
            assert self.log.segments() == self.oracle.segments()

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.run.wait(self.engine.close())
            flusher = self.engine.logs.flusher
            assert flusher.written == flusher.flushed
            self.run.close()
            shutil.rmtree(self.path)


class CompactedModel(EngineModel):
    """With keyed records, and cleanings in between."""

    @initialize(durability=st.sampled_from(["os", "fsync"]), is_cold=st.booleans())
    def start(self, durability: Any, is_cold: bool) -> None:
        super().start(durability, is_cold)
        cleaning.without_processes(self.run.env)

    @rule(
        keys=st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e"]), min_size=1, max_size=4),
        value=st.sampled_from([None, b"v", b"w" * 300]),
        timestamp=st.integers(-1, 50),
        roll=st.sampled_from([False, False, True]),
    )
    def append(self, keys: list[bytes], value: bytes | None, timestamp: int, roll: bool) -> None:  # type: ignore[override]
        plan = cleaning.keyed_plan(self.oracle.end, keys, value=value, timestamp=timestamp, roll=roll)
        self.oracle.append(plan)
        self.log.append(plan)

    def append_one(self, roll: bool) -> None:
        self.append([b"marker"], None, 0, roll)

    @precondition(lambda self: len(self.oracle.runs) > 1)
    @rule(
        segment_bytes=st.sampled_from([1, 500, 1 << 30]),
        keys_max=st.sampled_from([2, 100]),
        now_ms=st.integers(0, 20),
    )
    def clean(self, segment_bytes: int, keys_max: int, now_ms: int) -> None:
        changes = {"segment_bytes": segment_bytes, "keys_max": keys_max, "now_ms": now_ms, "delete_retention_ms": 9}
        expected = cleaning.newest(cleaning.records(self.run, self.oracle))
        ours = cleaning.clean(self.run, self.log, **changes)
        assert ours == cleaning.clean(self.run, self.oracle, **changes)
        left = cleaning.newest(cleaning.records(self.run, self.oracle))
        assert left.items() <= expected.items()


_SETTINGS = settings(max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
EngineModel.TestCase.settings = CompactedModel.TestCase.settings = _SETTINGS
TestEngineModel = EngineModel.TestCase
TestCompactedModel = CompactedModel.TestCase
