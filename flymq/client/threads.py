"""Threads that work for an event loop, and end with the process."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from flymq.client.errors import ClosedError
from flymq.client.messages import RecordMetadata
from flymq.client.producer import Producer, SendFuture

R = TypeVar("R")


class RequestThreads:
    """A few threads for calls that wait for a broker. One that nobody waits for any more goes on until it returns."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="flymq-client")
        self._stopped = False

    async def run(self, call: Callable[[], R]) -> R:
        """The outcome of the call. Raises `ClosedError` after `stop`."""
        if self._stopped:
            raise ClosedError("the client is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def stop(self) -> None:
        """End them after what they do now. Blocks for nothing."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)


async def aside(call: Callable[[], R]) -> R:
    """The outcome of a call that must not wait behind others, on a thread of its own."""
    worker = Worker("flymq-aside")
    try:
        return await worker.run(call)
    finally:
        worker.stop()


class Worker:
    """One thread; what it is asked to do, it does in that order. A daemon: nobody waits for it at the end."""

    def __init__(self, name: str) -> None:
        self._wanted: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started = False

    def run(self, call: Callable[[], R]) -> asyncio.Future[R]:
        """On a loop: the outcome of the call to come."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if not self._started:
            self._started = True
            self._thread.start()
        self._wanted.put(partial(_settle, loop, future, call))
        return future

    def _work(self) -> None:
        while (call := self._wanted.get()) is not None:
            call()

    def stop(self) -> None:
        """End it after what it was asked to do."""
        self._wanted.put(None)


def _settle(loop: asyncio.AbstractEventLoop, future: asyncio.Future[R], call: Callable[[], R]) -> None:
    try:
        tell: Callable[[], None] = partial(_resolve, future, call(), None)
    except BaseException as error:
        tell = partial(_resolve, future, None, error)
    _tell(loop, tell)


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> bool:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return False
    return True


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():  # cancelled
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class Sender:
    """Hands sends to a producer on a thread of its own, and acknowledgements back to the loop, many at a time.

    A hop between threads costs more than a send, so all that piles up while one hop is made goes with the next.
    """

    def __init__(self, producer: Callable[[], Producer]) -> None:
        self._producer = producer
        self._loop = asyncio.get_running_loop()
        self._wanted: queue.SimpleQueue[tuple[asyncio.Future[RecordMetadata], tuple[Any, ...], dict[str, Any]] | None]
        self._wanted = queue.SimpleQueue()
        self._done: deque[tuple[asyncio.Future[RecordMetadata], RecordMetadata | None, BaseException | None]] = deque()
        self._telling = False
        self._thread = threading.Thread(target=self._work, name="flymq-send", daemon=True)
        self._thread.start()

    def send(self, *args: Any, **kwargs: Any) -> asyncio.Future[RecordMetadata]:
        """On the loop: the acknowledgement to come."""
        future: asyncio.Future[RecordMetadata] = self._loop.create_future()
        self._wanted.put((future, args, kwargs))
        return future

    def _work(self) -> None:
        while (wanted := self._wanted.get()) is not None:
            future, args, kwargs = wanted
            try:
                sent = self._producer().send(*args, **kwargs)
            except BaseException as error:
                self._acknowledge(future, None, error)
            else:
                sent.add_done_callback(partial(self._sent, future))

    def _sent(self, future: asyncio.Future[RecordMetadata], sent: SendFuture) -> None:
        try:
            self._acknowledge(future, sent.result(), None)
        except BaseException as error:
            self._acknowledge(future, None, error)

    def _acknowledge(
        self, future: asyncio.Future[RecordMetadata], result: RecordMetadata | None, error: BaseException | None
    ) -> None:
        """From any thread. One wake-up of the loop for all that is done by the time it runs."""
        self._done.append((future, result, error))
        if not self._telling:
            self._telling = True
            _tell(self._loop, self._resolve_all)

    def _resolve_all(self) -> None:
        self._telling = False  # before looking: whoever adds from here on wakes the loop again
        while self._done:
            _resolve(*self._done.popleft())

    def stop(self, timeout: float) -> None:
        """End the thread after the sends it already has. Blocks until then, for at most `timeout` seconds."""
        self._wanted.put(None)
        self._thread.join(timeout)
