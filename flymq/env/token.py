"""A value that comes later, without tasks or futures.

A token is completed exactly once; who completes it first wins and later attempts are ignored, so a
deadline, a disconnect and the real result may race without a lock (all on one loop thread).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Token:
    """One result, delivered to every callback given to `then`, in order, on the loop thread."""

    __slots__ = ("_callbacks", "done", "result")

    def __init__(self) -> None:
        self.done = False
        self.result: Any = None
        self._callbacks: list[Callable[[Any], object]] | None = None

    def complete(self, result: Any = None) -> bool:
        """Deliver `result`; False where the token was already done (then nothing happens).

        A failure is delivered as an exception instance, never raised here.
        """
        if self.done:
            return False
        self.done = True
        self.result = result
        callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            for callback in callbacks:
                callback(result)
        return True

    def then(self, callback: Callable[[Any], object]) -> None:
        """Call `callback(result)` on completion; at once where that has happened."""
        if self.done:
            callback(self.result)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)


def completed(result: Any = None) -> Token:
    """A token that is done already: for engines that answer synchronously."""
    token = Token()
    token.complete(result)
    return token


def gather(tokens: list[Token]) -> Token:
    """A token completed with the list of all results, in order, once the last one is in."""
    whole = Token()
    waiting = sum(not token.done for token in tokens)
    if not waiting:
        whole.complete([token.result for token in tokens])
        return whole

    def one_done(_: Any) -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            whole.complete([token.result for token in tokens])

    for token in tokens:
        if not token.done:
            token.then(one_done)
    return whole
