"""Everything that is not deterministic, in one object: clocks, timers, entropy, threads, processes, files.

The layers above ask `Env` and nothing else, so a simulation swaps this one object.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flymq.env.files import Files
from flymq.env.spawn import Child
from flymq.env.timers import Timer, Timers
from flymq.env.token import Token

_OFFLOAD_THREADS = 8
_SLACK_MS = 8


class Env:
    """The real environment of one broker, bound to a running event loop.

    Units: `now_ms` is wall-clock milliseconds since the epoch (timestamps); `tick_ms` is the
    monotonic clock (deadlines). Callbacks run on the loop thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.files = Files()
        self._timers = Timers(self._arm)
        self._handle: asyncio.TimerHandle | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._children: set[Child] = set()
        self._closed = False

    def now_ms(self) -> int:
        """Wall clock, milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def tick_ms(self) -> int:
        """Monotonic clock, milliseconds from an arbitrary start."""
        return time.monotonic_ns() // 1_000_000

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def reached(self, point: str) -> None:
        """A step that must survive a crash begins or ends here. Does nothing: tests stop the process at a point."""

    # -- timers -----------------------------------------------------------------------------------

    def call_in(self, delay_ms: int, callback: Callable[..., object], *args: Any) -> Timer:
        """Call `callback(*args)` once, `delay_ms` from now: never earlier, so a part of a millisecond later."""
        return self._timers.at(-(-time.monotonic_ns() // 1_000_000) + delay_ms, callback, *args)

    def call_about(self, delay_ms: int, callback: Callable[..., object], *args: Any) -> Timer:
        """As `call_in`, but up to 8 ms late, so that what is due at about the same time is done in one turn."""
        deadline_ms = -(-time.monotonic_ns() // 1_000_000) + delay_ms
        return self._timers.at(deadline_ms + -deadline_ms % _SLACK_MS, callback, *args)

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback(*args)` in the loop's next turn."""
        self.loop.call_soon(callback, *args)

    def _arm(self, deadline_ms: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if not self._closed:
            self._handle = self.loop.call_later(max(0, deadline_ms - self.tick_ms()) / 1000, self._run_timers)

    def _run_timers(self) -> None:
        self._handle = None
        self._timers.run(self.tick_ms())

    # -- threads ----------------------------------------------------------------------------------

    def offload(self, fn: Callable[..., Any], *args: Any) -> Token:
        """Run `fn(*args)` on a small thread pool; the token gets its result, or its exception.

        A hop costs tens of microseconds: for work that inflates or scans more than 64 KiB, or
        that waits for a disk, never for a request as such.
        """
        token = Token()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_OFFLOAD_THREADS, thread_name_prefix="flymq-offload")

        def run() -> None:
            try:
                result = fn(*args)
            except BaseException as error:  # whatever it is belongs to who asked
                result = error
            self.call_threadsafe(token.complete, result)

        self._pool.submit(run)
        return token

    def call_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        """From another thread: call `callback(*args)` on the loop thread; dropped once it is closed."""
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            if not self.loop.is_closed():
                raise

    def spawn(self, module: str, line: bytes, on_line: Callable[[bytes], None]) -> Child:
        """Run `python -m module` with `line` on its stdin; `on_line` gets each line that it writes."""
        child = Child(module, line, on_line, self.call_threadsafe)
        self._children.add(child)
        child.done.then(lambda _: self._children.discard(child))
        return child

    def close(self) -> None:
        """Drop pending timers, kill the processes and join the threads."""
        self._closed = True
        if self._handle is not None:
            self._handle.cancel()
        for child in list(self._children):
            child.join()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
