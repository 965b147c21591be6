"""One connection to the shared broker for each test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flymq import EmbeddedBroker
from flymq.core.log.plan import AppendPlan
from flymq.storage.memory import MemoryLog

from .client import TIMEOUT_S, Client
from .transactions import Ledger


@pytest.fixture
def address(broker: EmbeddedBroker) -> tuple[str, int]:
    """Host and port of the broker that is asked. compat_tests/wire has another: the same tests run on other brokers."""
    return broker.host, broker.port


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[Client]:
    host, port = address
    with Client(port, host=host) as connected:
        yield connected


@pytest.fixture
def other(address: tuple[str, int]) -> Iterator[Client]:
    """A second connection."""
    host, port = address
    with Client(port, "other", host) as connected:
        yield connected


class Disk:
    """What is appended while this is in force becomes durable at `release` only."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._loop = broker._loop
        self._held: list[tuple[Callable[[int], None], int]] = []
        self._changed = threading.Condition()

    def append(self, log: MemoryLog, plan: AppendPlan, append: Callable[[MemoryLog, AppendPlan], None]) -> None:
        on_durable = log.on_durable
        log.on_durable = lambda end: self._held.append((on_durable, end))
        try:
            append(log, plan)
        finally:
            log.on_durable = on_durable
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many appends are held."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._held) >= count, TIMEOUT_S)

    def release(self) -> None:
        held, self._held = self._held, []
        for on_durable, end in held:
            self._loop.call_soon_threadsafe(on_durable, end)


@pytest.fixture
def disk(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Disk:
    held = Disk(broker)
    append: Any = MemoryLog.append
    monkeypatch.setattr(MemoryLog, "append", lambda log, plan: held.append(log, plan, append))
    return held


@pytest.fixture
def ledger(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """In place of the broker's coordinator of transactions."""
    kept = Ledger()
    monkeypatch.setattr(broker._running._broker.services, "transactions", kept, raising=False)
    return kept
