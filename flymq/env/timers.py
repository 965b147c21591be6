"""One timer heap for the whole broker; the loop (or a manual clock) holds only its head."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

# Cancelled entries stay in the heap until they surface, so that cancelling is O(1); the heap is
# rebuilt when most of it is dead. Long polls cancel nearly every timer that they set.
_REBUILD_MIN = 256


class Timer:
    """A pending callback. `cancel()` may be called at any time, also after it has fired."""

    __slots__ = ("_args", "_callback", "_timers", "deadline_ms")

    def __init__(
        self, timers: Timers, deadline_ms: int, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._timers = timers
        self.deadline_ms = deadline_ms
        self._callback: Callable[..., object] | None = callback
        self._args = args

    def cancel(self) -> None:
        if self._callback is not None:
            self._callback = None
            self._args = ()
            self._timers.cancelled()

    def fire(self) -> None:
        callback, args = self._callback, self._args
        self._callback = None
        self._args = ()
        if callback is not None:
            callback(*args)

    @property
    def is_pending(self) -> bool:
        return self._callback is not None


class Timers:
    """Deadlines in milliseconds of the monotonic clock, in order of deadline, then of arming.

    `arm(deadline_ms)` is the holder's hook: called whenever the head moves to an earlier deadline,
    it must see to it that `run(now_ms)` is called at or after that time.
    """

    def __init__(self, arm: Callable[[int], None]) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._sequence = 0
        self._dead = 0
        self._arm = arm

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def at(self, deadline_ms: int, callback: Callable[..., object], *args: Any) -> Timer:
        timer = Timer(self, deadline_ms, callback, args)
        self._sequence += 1
        heapq.heappush(self._heap, (deadline_ms, self._sequence, timer))
        if self._heap[0][2] is timer:
            self._arm(deadline_ms)
        return timer

    def cancelled(self) -> None:
        """Bookkeeping of `Timer.cancel`."""
        self._dead += 1
        if self._dead > _REBUILD_MIN and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].is_pending]
            heapq.heapify(self._heap)
            self._dead = 0

    def next_deadline_ms(self) -> int | None:
        """The head's deadline; None where nothing is pending."""
        self._drop_dead_head()
        return self._heap[0][0] if self._heap else None

    def run(self, now_ms: int) -> None:
        """Fire what is due at `now_ms`, then arm the new head.

        Timers that these callbacks set for `now_ms` or earlier wait for the next run: a callback
        that re-arms itself at zero delay must not starve the loop.
        """
        limit = self._sequence
        while self._heap and self._heap[0][0] <= now_ms and self._heap[0][1] <= limit:
            timer = heapq.heappop(self._heap)[2]
            if timer.is_pending:
                timer.fire()
            else:
                self._dead -= 1
        self._drop_dead_head()
        if self._heap:
            self._arm(self._heap[0][0])

    def _drop_dead_head(self) -> None:
        while self._heap and not self._heap[0][2].is_pending:
            heapq.heappop(self._heap)
            self._dead -= 1
