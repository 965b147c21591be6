"""Compaction in memory: on the loop, in slices of a few milliseconds, since a thread would hold the GIL longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flymq.core.log.cleaner import Cleaner, map_keys
from flymq.core.log.cleaning import Cleaned, CleaningTask, group
from flymq.env import Env, Token
from flymq.storage.api import Corrupt, Unavailable
from flymq_protocol.errors import ProtocolError
from flymq_protocol.types import Buffer

if TYPE_CHECKING:
    from flymq.storage.memory import MemoryLog

_SLICE_MS = 2


def clean_in_slices(env: Env, log: MemoryLog, task: CleaningTask) -> Token:
    """`Log.clean` for the memory engine. A batch is never cut, so a slice takes as long as a batch at least."""
    result = Token()
    steps = _steps(log, task, result)

    def work() -> None:
        stop_at = env.tick_ms() + _SLICE_MS
        try:
            for _ in steps:
                if env.tick_ms() >= stop_at:
                    env.call_soon(work)
                    return
        except ProtocolError as damaged:
            result.complete(Corrupt(str(damaged)))

    env.call_soon(work)
    return result


def _steps(log: MemoryLog, task: CleaningTask, result: Token) -> Iterator[None]:
    """A batch a step; completes `result`, or raises ProtocolError."""

    def batches(offset: int) -> Iterator[memoryview]:
        for piece, i in log.batches(offset, log.end):
            yield piece.batch(i)

    cleaner = Cleaner(task)
    yield from map_keys(cleaner, batches)
    bytes_read = bytes_written = 0
    for runs in group(log.runs[:-1], cleaner.end, task.segment_bytes):
        kept: list[Buffer] = []
        for piece in [piece for piece in log.pieces if any(piece.segment is run for run in runs)]:
            for i in range(len(piece.starts)):
                cleaned = cleaner.clean(piece.batch(i))
                if cleaned is not None:
                    kept.append(cleaned)
                yield
        if not log.replace(runs, kept):
            result.complete(Unavailable("the log was trimmed or deleted while it was cleaned"))
            return
        bytes_read += sum(run.size_bytes for run in runs)
        bytes_written += sum(map(len, kept))
    log.cleaned_to(cleaner.end)
    result.complete(Cleaned(cleaner.end, bytes_read, bytes_written))
