"""What tests of consumers share: loops on threads of their own, and waiting for what the broker has."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import pytest

from flymq.client.consumer import Consumer
from flymq.client.messages import Message
from flymq.testing.helpers import BrokerHelpers

TIMEOUT_S = 20.0
# A consumer that begins at the beginning, and hears of a rebalance at once; its loop gives up instead of hanging.
EARLIEST: dict[str, Any] = {"auto_offset_reset": "earliest", "heartbeat_interval_ms": 50, "idle_timeout": TIMEOUT_S}
PAIR = tuple[int, int]


def take(consumer: Consumer, count: int) -> list[Message[Any, Any]]:
    """As a loop that breaks: the last one is still in hand."""
    return list(islice(consumer, count))


def drain(consumer: Consumer, count: int) -> list[Message[Any, Any]]:
    """That many, and there are no more; all of them are finished."""
    messages = take(consumer, count)
    assert consumer.poll(0.1) == []
    return messages


def offsets(messages: Iterable[Message[Any, Any]]) -> list[int]:
    return [message.offset for message in messages]


def pairs(messages: Iterable[Message[Any, Any]]) -> list[PAIR]:
    """(partition, offset) of each."""
    return [(message.partition, message.offset) for message in messages]


def until(check: Callable[[], object], what: str = "it") -> None:
    """Look again and again; with checks that ask a broker, so that others get their turn."""
    deadline = time.monotonic() + TIMEOUT_S
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come to be"


def await_commit(broker: BrokerHelpers, group: str, wanted: Mapping[tuple[str, int], int]) -> None:
    """Return when the broker says that this, and nothing else, is committed."""
    deadline = time.monotonic() + TIMEOUT_S
    while (found := broker.committed(group)) != wanted:
        assert time.monotonic() < deadline, f"{group} has committed {found}, not {wanted}"


@contextlib.contextmanager
def refusals(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """kafka-python leaves the socket of a refused connection to the garbage collector. That may come at any time, but
    not in somebody else's test: pytest keeps what is logged, and with it the connection."""
    caplog.set_level(logging.CRITICAL, "kafka")
    yield
    gc.collect()


class Loop:
    """`for message in consumer: work(message)` on a thread; `got`: those whose turn has begun."""

    def __init__(self, consumer: Consumer, work: Callable[[Message[Any, Any]], object]) -> None:
        self.consumer = consumer
        self.got: list[Message[Any, Any]] = []
        self.error: BaseException | None = None
        self._work = work
        self._changed = threading.Condition()
        self._over = False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self.consumer:
                for message in self.consumer:
                    with self._changed:
                        self.got.append(message)
                        self._changed.notify_all()
                    self._work(message)
        except BaseException as error:
            self.error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def pairs(self) -> list[PAIR]:
        return pairs(self.got)

    def wait_for(self, count: int) -> None:
        """Until that many came, or it is over."""
        with self._changed:
            done = self._changed.wait_for(lambda: len(self.got) >= count or self._over, TIMEOUT_S)
        assert done, f"{len(self.got)} messages came, not {count}"
        assert len(self.got) >= count or self.error is None, self.error

    def wait_for_assignment(self, partitions: Iterable[int]) -> None:
        """Until it has these, and only these."""
        wanted = sorted(partitions)
        until(
            lambda: self._over or [one.partition for one in self.consumer.assignment()] == wanted or time.sleep(0),
            f"the assignment of {wanted}",
        )

    def stop(self) -> None:
        self.consumer.stop()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()


@contextlib.contextmanager
def looping(
    consumer: Consumer, work: Callable[[Message[Any, Any]], object] = lambda message: None
) -> Iterator[Loop]:
    """A running loop that is stopped at the end; what it raised is raised here, unless somebody took it before."""
    loop = Loop(consumer, work)
    try:
        yield loop
    finally:
        loop.stop()
    if loop.error is not None:
        raise loop.error
