"""Appends to topics that need a look inside their batches: a thread looks, the order of a partition stays.

A small batch is looked at where it is. A large one is copied (the receive buffer is used again) and goes to
a thread; what comes for that partition meanwhile queues behind it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from flymq.core.log.inspection import inspect, must_inspect
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.env import Env, Token
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.waiting import Ended
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.compression import InflateLimit

_log = logging.getLogger("flymq.validating")

_INLINE_BYTES_MAX = 64 * 1024
# Each may inflate a batch to flymq.inflate.bytes.max.
_THREADS_MAX = 4

Answer = AppendPlan | Duplicate | AppendError
Append = Callable[[memoryview, int], Answer]
"""`Partition.append`, and what must be asked right before it."""


class _Job:
    """A batch that waits. `inspected` is what to append once it is known, or the refusal."""

    __slots__ = ("append", "batch", "inspected", "partition", "token")

    def __init__(self, partition: Partition, batch: memoryview, append: Append) -> None:
        self.append = append
        self.partition = partition
        self.batch = batch
        self.inspected: memoryview | AppendError | None = None
        self.token = Token()


class Validation:
    """`on_relief` is called when `Partitions.is_backlogged` may have turned false on its account."""

    def __init__(self, env: Env, partitions: Partitions, inflated_bytes_max: int, held_bytes_max: int) -> None:
        self._env = env
        self._partitions = partitions
        self._inflated_max = inflated_bytes_max
        self._held_max = held_bytes_max
        self._held_bytes = 0
        self._queues: dict[Partition, deque[_Job]] = {}
        self._unseen: deque[_Job] = deque()  # for the next free thread
        self._threads = 0
        self.on_relief: Callable[[], None] | None = None

    def append(self, partition: Partition, batch: memoryview, now_ms: int, append: Append) -> Answer | Token:
        """As `append`; or a token of its answer, or of `Ended`, where a thread has to look first.

        `batch` may be reused on return in either case.
        """
        config = partition.log.config
        must = must_inspect(batch, config)
        if not partition.is_queueing:
            if not must:
                return append(batch, now_ms)
            if len(batch) <= _INLINE_BYTES_MAX:
                try:
                    inspected = inspect(batch, config, now_ms, min(_INLINE_BYTES_MAX, self._inflated_max))
                except InflateLimit:
                    pass
                else:
                    return _append(append, inspected, now_ms)
            self._queues[partition] = deque()
            partition.is_queueing = True
        job = _Job(partition, memoryview(bytearray(batch)), append)
        self._queues[partition].append(job)
        self._hold(len(batch))
        if must:
            self._unseen.append(job)
            self._start()
        else:
            job.inspected = job.batch
        return job.token

    def _hold(self, count: int) -> None:
        self._held_bytes += count
        was_held = self._partitions.is_held
        self._partitions.is_held = self._held_bytes > self._held_max // (2 if was_held else 1)
        if was_held and not self._partitions.is_held and self.on_relief is not None:
            self.on_relief()

    def _start(self) -> None:
        while self._unseen and self._threads < _THREADS_MAX:
            job = self._unseen.popleft()
            self._threads += 1
            looked = self._env.offload(
                inspect, job.batch, job.partition.log.config, self._env.now_ms(), self._inflated_max
            )
            looked.then(partial(self._looked, job))

    def _looked(self, job: _Job, outcome: object) -> None:
        if isinstance(outcome, memoryview | AppendError):
            job.inspected = outcome
        elif isinstance(outcome, InflateLimit):
            job.inspected = AppendError(ErrorCode.MESSAGE_TOO_LARGE, f"{outcome} (flymq.inflate.bytes.max)")
        else:
            _log.error("looking inside a batch for %s failed: %r", job.partition.ref.topic, outcome)
            job.inspected = AppendError(ErrorCode.UNKNOWN_SERVER_ERROR, "the batch could not be looked at")
        self._threads -= 1
        self._start()
        self._append_ready(job.partition)

    def _append_ready(self, partition: Partition) -> None:
        """Append from the head of the queue as far as has been looked at."""
        queue = self._queues[partition]
        while queue and queue[0].inspected is not None:
            job = queue.popleft()
            inspected = job.inspected
            assert inspected is not None
            answer: Answer | Ended
            if partition.ended is not None:
                answer = partition.ended
            else:
                try:
                    answer = _append(job.append, inspected, self._env.now_ms())
                except Exception:  # the partition is offline now, and says so in the log
                    answer = AppendError(ErrorCode.UNKNOWN_SERVER_ERROR, "the batch could not be written")
            if not queue:  # first: whoever is answered may append at once
                del self._queues[partition]
                partition.is_queueing = False
            job.token.complete(answer)
            self._hold(-len(job.batch))
            if not queue:
                return


def _append(append: Append, inspected: memoryview | AppendError, now_ms: int) -> Answer:
    return inspected if isinstance(inspected, AppendError) else append(inspected, now_ms)
