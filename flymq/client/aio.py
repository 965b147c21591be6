"""`AsyncFlyMQClient`: the client for asyncio, with the same names.

The same client runs behind worker threads: a few for requests, one for the sends of each producer, one for each
consumer. The event loop never blocks, and there is no second implementation that could differ from the first.
"""

from __future__ import annotations

import asyncio
import functools
import queue
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from flymq.client.admin.cluster import ClusterAdmin
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.messages import RecordMetadata
from flymq.client.producer import Producer, SendFuture

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Requests that are under way at once; more wait their turn.
_REQUEST_THREADS = 4
_READ_AT_ONCE = 500


class _Behind(Generic[T]):
    """Something synchronous, and the threads that its calls run on."""

    def __init__(self, sync: T, pool: ThreadPoolExecutor) -> None:
        self._sync = sync
        self._pool = pool

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _awaited(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The method of the same name, parameters and text that is awaited."""

    @functools.wraps(method)
    async def call(self: _Behind[Any], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(functools.partial(method, self._sync, *args, **kwargs))

    return call  # type: ignore[return-value]  # wraps keeps the method's own type


class AsyncTopicAdmin(_Behind[TopicAdmin]):
    """`TopicAdmin`, awaited."""

    list = _awaited(TopicAdmin.list)
    names = _awaited(TopicAdmin.names)
    describe = _awaited(TopicAdmin.describe)
    create = _awaited(TopicAdmin.create)
    delete = _awaited(TopicAdmin.delete)
    offsets = _awaited(TopicAdmin.offsets)
    config = _awaited(TopicAdmin.config)


class AsyncGroupAdmin(_Behind[GroupAdmin]):
    """`GroupAdmin`, awaited."""

    list = _awaited(GroupAdmin.list)
    describe = _awaited(GroupAdmin.describe)
    lag = _awaited(GroupAdmin.lag)
    offsets = _awaited(GroupAdmin.offsets)
    members = _awaited(GroupAdmin.members)
    reset = _awaited(GroupAdmin.reset)
    delete = _awaited(GroupAdmin.delete)


class AsyncClusterAdmin(_Behind[ClusterAdmin]):
    """`ClusterAdmin`, awaited."""

    info = _awaited(ClusterAdmin.info)
    brokers = _awaited(ClusterAdmin.brokers)
    api_versions = _awaited(ClusterAdmin.api_versions)


class _Sender:
    """Hands sends to a producer on a thread of its own, and acknowledgements back to the loop, many at a time.

    A hop between threads costs more than a send; so what has piled up while one hop was made goes with the next.
    """

    def __init__(self, producer: Callable[[], Producer]) -> None:
        self._producer = producer
        self._loop = asyncio.get_running_loop()
        self._wanted: queue.SimpleQueue[tuple[asyncio.Future[RecordMetadata], tuple[Any, ...], dict[str, Any]] | None]
        self._wanted = queue.SimpleQueue()
        self._done: deque[tuple[asyncio.Future[RecordMetadata], RecordMetadata | BaseException]] = deque()
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
                self._tell(future, error)
            else:
                sent.add_done_callback(functools.partial(self._acknowledged, future))

    def _acknowledged(self, future: asyncio.Future[RecordMetadata], sent: SendFuture) -> None:
        self._tell(future, sent.exception() or sent.result())

    def _tell(self, future: asyncio.Future[RecordMetadata], outcome: RecordMetadata | BaseException) -> None:
        """From any thread. One wake-up of the loop for all that is done by the time it runs."""
        self._done.append((future, outcome))
        if not self._telling:
            self._telling = True
            try:
                self._loop.call_soon_threadsafe(self._resolve)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._done.clear()

    def _resolve(self) -> None:
        self._telling = False  # before looking: whoever adds from here on wakes the loop again
        while self._done:
            future, outcome = self._done.popleft()
            if future.done():  # cancelled
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def stop(self) -> None:
        """End the thread after the sends it already has. Blocks until then."""
        self._wanted.put(None)
        self._thread.join()
