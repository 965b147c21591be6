"""Ctrl-C and SIGTERM for commands that end well when they are told to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ECHO_S = 1.0


class Waiting:
    """Waits for input that a signal ends: where it is waited for by `take`, and else at the next one."""

    def __init__(self) -> None:
        self.stopped = False
        self._waits = False

    def stop(self) -> None:
        """From a signal handler. Raises KeyboardInterrupt out of what waits."""
        self.stopped = True
        if self._waits:
            raise KeyboardInterrupt

    def take(self, source: Iterator[T]) -> Iterator[T]:
        """The items of `source`, which are waited for; ends when it is stopped."""
        while True:
            try:
                self._waits = True
                if self.stopped:
                    return
                item = next(source)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waits = False
            yield item


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Within, the first signal calls `stop`; a later one is Ctrl-C as usual, for what does not stop.

    Several at once count as one: `timeout` and process supervisors signal the process, then its group.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return

    first_at: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not first_at:
            first_at.append(now)
            stop()
        elif now - first_at[0] > _ECHO_S:
            signal.default_int_handler(number, frame)

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
