"""Notices that a loop stands still: the broker on it does, too, and its clients see no more than a time-out."""

from __future__ import annotations

import asyncio
import time

_LOOK_S = 0.1
# A slow test is not a blocked one; a client's time-out is longer.
_BLOCKED_S = 1.0


class BlockedLoop:
    """Watches the running loop until `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._longest_s = 0.0
        self._due = time.monotonic()  # not the loop's time: some loops keep it while they stand still
        self._look()

    def _look(self) -> None:
        self._longest_s = max(self._longest_s, time.monotonic() - self._due)
        self._due = time.monotonic() + _LOOK_S
        self._timer = self._loop.call_later(_LOOK_S, self._look)

    def explain(self, error: BaseException) -> None:
        """Say it where it may be why this was raised."""
        still_s = max(self._longest_s, time.monotonic() - self._due)
        if still_s >= _BLOCKED_S:
            error.add_note(
                f"the event loop, and AsyncEmbeddedBroker on it, stood still for {still_s:.1f} s: "
                "a synchronous client does that; use EmbeddedBroker, or `await asyncio.to_thread(...)`"
            )

    def close(self) -> None:
        self._timer.cancel()
