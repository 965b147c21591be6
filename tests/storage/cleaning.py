"""Compacted logs for engines' tests: keyed batches, and what a reader finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flymq.core.log.cleaning import Cleaned, CleaningTask
from flymq.core.log.plan import AppendPlan
from flymq.env import Env, Token
from flymq.storage.files.cleaner_job import run as run_job
from flymq_protocol.records.batch import iter_batches
from flymq_protocol.records.control import build_marker
from flymq_protocol.records.record import Record, build_batch, decode_batch

from .batches import Runner

VALUE = b"v" * 40


def keyed_plan(base: int, keys: list[bytes], *, roll: bool = False, epoch: int = 0, value: bytes | None = VALUE,
               timestamp: int = 1000, producer_id: int = -1) -> AppendPlan:  # fmt: skip
    """Of a transaction, where there is a producer."""
    records = [Record(base + i, timestamp, key, value) for i, key in enumerate(keys)]
    batch = build_batch(
        records, base_offset=base, leader_epoch=epoch, producer_id=producer_id, transactional=producer_id >= 0
    )
    return AppendPlan(memoryview(batch), base, base + len(keys) - 1, epoch, timestamp, len(batch), roll, None)


def marker_plan(base: int, producer_id: int, type_: int) -> AppendPlan:
    batch = build_marker(type_, producer_id, 0, 0, 1000, base)
    batch[12:16] = bytes(4)  # leader epoch 0
    return AppendPlan(memoryview(batch), base, base, 0, 1000, len(batch), False, None)


def fill(log: Any, counts: list[int], *, keys: int = 7, batch: int = 3) -> None:
    """A segment of as many batches as each of `counts` says; keys come round in turn."""
    epoch = log.epochs[-1][0]
    for count in counts:
        for i in range(count):
            names = [b"key-%d" % (offset % keys) for offset in range(log.end, log.end + batch)]
            log.append(keyed_plan(log.end, names, roll=i == 0 and log.end > 0, epoch=epoch, timestamp=1000 + log.end))


def task(log: Any, **changes: Any) -> CleaningTask:
    """All below the active segment."""
    fields: dict[str, Any] = {
        "first_dirty": log.clean_end,
        "end": log.segments()[-1].base_offset,
        "log_start": log.log_start,
        "now_ms": 10_000,
        "delete_retention_ms": 1000,
        "segment_bytes": 1 << 30,
        "keys_max": 10**6,
        "inflate_bytes_max": 1 << 20,
        "bytes_per_second": 1e308,
    }
    return CleaningTask(**{**fields, **changes})


def clean(run: Runner, log: Any, **changes: Any) -> Cleaned:
    cleaned = run.wait(log.clean(task(log, **changes)))
    assert isinstance(cleaned, Cleaned)
    return cleaned


def records(run: Runner, log: Any, start: int | None = None, max_bytes: int = 1 << 20) -> list[Record]:
    """All that a reader gets from `start` (the log start) to the end."""
    offset = log.log_start if start is None else start
    found: list[Record] = []
    while offset < log.end:
        data = run.read(log, offset, log.end, max_bytes)
        assert data, f"nothing at offset {offset}, but the log ends at {log.end}"
        for first, stop in iter_batches(data):
            batch = data[first:stop]
            found += [record for record in decode_batch(batch) if record.offset >= offset]
            last = int.from_bytes(batch[:8], "big") + int.from_bytes(batch[23:27], "big")
        offset = last + 1
    return found


def newest(found: list[Record]) -> dict[bytes | None, int]:
    return {record.key: record.offset for record in found}


class OnAThread:
    """The cleaner's job on a thread instead of in a process, which takes a tenth of a second to start."""

    def __init__(self, env: Env, line: bytes, on_line: Callable[[bytes], None]) -> None:
        def work() -> int:
            def tell(message: dict[str, Any]) -> None:
                env.call_threadsafe(on_line, json.dumps(message).encode())

            try:
                run_job(env.files, json.loads(line), tell, lambda count: None)
            except OSError as error:
                tell({"error": "failed", "text": str(error)})
            return 0

        self.done: Token = env.offload(work)

    def kill(self) -> None:
        """It ends by itself."""


def without_processes(env: Env) -> None:
    env.spawn = lambda module, line, on_line: OnAThread(env, line, on_line)  # type: ignore[assignment,return-value]
