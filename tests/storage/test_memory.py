"""The memory engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flymq.storage.api import DiskFull, Engine
from flymq.storage.memory import MemoryEngine

from .batches import REF, Runner, make_plan
from .contract import StorageContract


class TestMemory(StorageContract):
    def make_engine(self, run: Runner, path: Path) -> Engine:
        return MemoryEngine(run.env)

    def test_an_idle_partition_is_small(self, run: Runner, engine: Engine) -> None:
        log = run.open(engine).log
        parts = [log, *(getattr(log, name) for name in type(log).__slots__ if name not in ("_store", "on_durable"))]
        assert sum(map(sys.getsizeof, parts)) < 2048

    def test_a_read_is_a_view_and_not_a_copy(self, run: Runner, engine: Engine) -> None:
        log = run.open(engine).log
        log.append(make_plan(0))
        first, second = (run.wait(log.read(0, 1, 1000, at_least_one=True)) for _ in range(2))
        assert first.data.obj is second.data.obj
        assert first.data.readonly

    def test_the_limit_refuses_and_changes_nothing(self, run: Runner) -> None:
        engine = MemoryEngine(run.env, bytes_max=10_000)
        log = run.open(engine, REF).log
        for base in range(40):
            log.append(make_plan(base))
        with pytest.raises(DiskFull):
            log.append(make_plan(40, size=8000))
        assert run.read_all(log, 0, 40) == [(base, base) for base in range(40)]
        assert log.segments()[-1].end_offset == 40
