"""Waiting as data: a handler that cannot answer yet returns `Pending`, not a coroutine."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from flymq.env import Token
from flymq.storage.api import Chunk


class Ended(Enum):
    """Why a token completed without its result."""

    DEADLINE = "deadline"
    DISCONNECT = "disconnect"
    SHUTDOWN = "shutdown"
    DELETED = "deleted"  # the topic is gone


class Pending:
    """A response that comes later.

    The runtime completes `token` exactly once: with the result, or with a member of `Ended`; then
    `finish(result)` makes the response that fills the connection's slot. `finish` must hold only
    copies: the request's memory is gone by then. On DISCONNECT it still runs (to release what it
    holds) and what it returns is dropped.
    """

    __slots__ = ("finish", "token")

    def __init__(self, token: Token, finish: Callable[[Any], Any]) -> None:
        self.token = token
        self.finish = finish


class OnLoan:
    """A response whose records lie in buffers on loan: given back once they are written to the socket."""

    __slots__ = ("chunks", "response")

    def __init__(self, response: Any, chunks: list[Chunk]) -> None:
        self.response = response
        self.chunks = chunks


class Hangup:
    """What a handler returns instead of a response to have the connection closed (acks=0 that failed)."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason
