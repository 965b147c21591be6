"""What pure machines ask for, as values: the runtime carries it out, in order.

A machine's `step(now_ms, event)` returns a list of these and never waits for any of them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any


class Reply:
    """Answer the request `token` (a number) with `result`, once all writes issued before are durable.

    `barrier` False: need not wait for writes (Heartbeat).
    """

    __slots__ = ("barrier", "result", "token")

    def __init__(self, token: int, result: Any, barrier: bool = True) -> None:
        self.token = token
        self.result = result
        self.barrier = barrier

    def __repr__(self) -> str:
        return f"Reply({self.token}, {self.result!r})"


class Write:
    """Rows for the machine's shard, atomically: puts (key, value), then deletes (key). Values are JSON text."""

    __slots__ = ("deletes", "puts")

    def __init__(self, puts: list[tuple[str, str]], deletes: list[str] | None = None) -> None:
        self.puts = puts
        self.deletes = deletes or []

    def __repr__(self) -> str:
        return f"Write({self.puts!r}, {self.deletes!r})"


class SetTimer:
    """Feed the machine a `TimerFired(key)` in `delay_ms`; replaces a pending timer of the same key."""

    __slots__ = ("delay_ms", "key")

    def __init__(self, key: Hashable, delay_ms: int) -> None:
        self.key = key
        self.delay_ms = delay_ms

    def __repr__(self) -> str:
        return f"SetTimer({self.key!r}, {self.delay_ms})"


class CancelTimer:
    """Forget the pending timer of that key; harmless where there is none."""

    __slots__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"CancelTimer({self.key!r})"


class Order:
    """Something that the shard's owner does, once all writes issued before are durable. Subclasses say what."""

    __slots__ = ()


Effect = Reply | Write | SetTimer | CancelTimer | Order


class TimerFired:
    """Event: the timer `key` of an earlier `SetTimer` is due."""

    __slots__ = ("key",)

    def __init__(self, key: Hashable) -> None:
        self.key = key
