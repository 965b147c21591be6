"""The client for asyncio, with the same names: `AsyncFlyMQClient`.

The same client runs behind worker threads: a few for requests, one for the sends of each producer, one for each
consumer. The event loop never blocks, and there is no second implementation that could differ from the first.
"""

from __future__ import annotations

import asyncio
import functools
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from flymq.client.admin.cluster import ClusterAdmin
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.client import FlyMQClient
from flymq.client.consumer import AnyPartition, Consumer
from flymq.client.errors import ClosedError
from flymq.client.messages import Message, Partition, RecordMetadata
from flymq.client.producer import Headers, Producer
from flymq.client.reader import Position
from flymq.client.threads import Sender, Worker

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


class AsyncProducer:
    """`Producer`, awaited: `send` returns when the broker has the record. Use it with `async with`.

    For many at once, send them from many tasks, or gather: they share batches.
    """

    def __init__(self, make: Callable[[], Producer], pool: ThreadPoolExecutor) -> None:
        self._make = make
        self._pool = pool
        self._sync: Producer | None = None
        self._sender: Sender | None = None
        self._closed = False

    def _producer(self) -> Producer:
        """On the sender's thread, or before it has anything to do: connects at the first call."""
        if self._sync is None:
            self._sync = self._make()
        return self._sync

    async def send(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp: int | datetime | None = None,
    ) -> RecordMetadata:
        """Write a record; where it is, once the broker has it. Arguments and errors as `Producer.send` has them."""
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._sender is None:
            self._sender = Sender(self._producer)
        return await self._sender.send(
            topic, value, key=key, partition=partition, headers=headers, timestamp=timestamp
        )

    async def _run(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def flush(self, timeout: float | None = None) -> None:
        """See `Producer.flush`; every `send` that is awaited is flushed anyway."""
        await self._run(lambda: self._producer().flush(timeout))

    def transaction(self) -> Any:
        """See `Producer.transaction`."""
        return Producer.transaction(self)  # type: ignore[arg-type]  # it needs nothing of it

    async def close(self, timeout: float = 5.0) -> None:
        """Flush for at most `timeout` seconds, and disconnect. Harmless a second time."""
        self._closed = True
        sender, self._sender = self._sender, None
        if sender is not None:
            await self._run(sender.stop)
        sync = self._sync
        if sync is not None:
            await self._run(lambda: sync.close(timeout))

    async def __aenter__(self) -> Self:
        await self._run(self._producer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


_END = object()


def _next_or_end(consumer: Consumer) -> Any:
    """The next message; a future can't carry StopIteration."""
    return next(consumer, _END)


class AsyncConsumer:
    """`Consumer`, awaited: `async with`, `async for`. What is here is handed out without a hop between threads.

    Cancelling a wait for a message loses nothing: the next wait gets it.
    """

    def __init__(self, sync: Consumer) -> None:
        self._sync = sync
        self._worker = Worker("flymq-consumer")
        self._pending: asyncio.Future[Any] | None = None  # the worker's next(), which may outlive who waited for it
        self._undelivered: Message[Any, Any] | None = None

    @property
    def group_id(self) -> str:
        return self._sync.group_id

    def __aiter__(self) -> Self:
        iter(self._sync)
        return self

    async def __anext__(self) -> Message[Any, Any]:
        if self._undelivered is not None:
            message, self._undelivered = self._undelivered, None
            self._sync.take_in_hand(message)
            return message
        if self._pending is None:
            if self._sync.at_hand():
                return next(self._sync)
            self._pending = self._worker.run(functools.partial(_next_or_end, self._sync))
        try:
            found = await asyncio.shield(self._pending)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._pending = None
            raise
        self._pending = None
        if found is _END:
            raise StopAsyncIteration
        return found  # type: ignore[no-any-return]

    async def _run(self, call: Callable[[], R]) -> R:
        """On the consumer's thread. A wait for a message that was given up is ended first; what it got is kept."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._sync.stop()
            found = (await asyncio.gather(pending, return_exceptions=True))[0]
            iter(self._sync)
            if isinstance(found, Message):
                self._undelivered = found
                self._sync.take_in_hand(None)
        return await self._worker.run(call)

    async def poll(self, timeout: float = 1.0, max_records: int = 500) -> list[Message[Any, Any]]:
        """See `Consumer.poll`."""
        found = await self._run(lambda: self._sync.poll(timeout, max_records))
        if self._undelivered is not None:
            found.insert(0, self._undelivered)
            self._undelivered = None
        return found

    async def batches(self, max_records: int = 500, timeout: float = 1.0) -> AsyncIterator[list[Message[Any, Any]]]:
        """See `Consumer.batches`."""
        batches = self._sync.batches(max_records, timeout)
        while (messages := await self._run(lambda: next(batches, None))) is not None:
            yield messages

    def stop(self) -> None:
        """See `Consumer.stop`."""
        self._sync.stop()

    def assignment(self) -> list[Partition]:
        """See `Consumer.assignment`."""
        return self._sync.assignment()

    def resumed_from(self) -> dict[Partition, int]:
        """See `Consumer.resumed_from`."""
        return self._sync.resumed_from()

    async def commit(self, message: Message[Any, Any] | None = None) -> None:
        """See `Consumer.commit`."""
        await self._run(lambda: self._sync.commit(message))

    async def position(self, partition: AnyPartition) -> int:
        """See `Consumer.position`."""
        return await self._run(lambda: self._sync.position(partition))

    async def committed(self, partition: AnyPartition) -> int | None:
        """See `Consumer.committed`."""
        return await self._run(lambda: self._sync.committed(partition))

    async def lag(self) -> dict[Partition, int]:
        """See `Consumer.lag`."""
        return await self._run(self._sync.lag)

    async def seek(self, partition: AnyPartition, offset: int) -> None:
        """See `Consumer.seek`."""
        await self._run(lambda: self._sync.seek(partition, offset))
        self._undelivered = None

    async def seek_to_beginning(self, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_beginning`."""
        await self._run(lambda: self._sync.seek_to_beginning(*partitions))
        self._undelivered = None

    async def seek_to_end(self, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_end`."""
        await self._run(lambda: self._sync.seek_to_end(*partitions))
        self._undelivered = None

    async def seek_to_time(self, when: datetime | int, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_time`."""
        await self._run(lambda: self._sync.seek_to_time(when, *partitions))
        self._undelivered = None

    async def pause(self, *partitions: AnyPartition) -> None:
        """See `Consumer.pause`."""
        await self._run(lambda: self._sync.pause(*partitions))

    async def resume(self, *partitions: AnyPartition) -> None:
        """See `Consumer.resume`."""
        await self._run(lambda: self._sync.resume(*partitions))

    async def close(self, commit: bool | None = None, timeout: float = 5.0) -> None:
        """See `Consumer.close`."""
        await self._finish(commit, timeout, failed=sys.exc_info()[1] is not None)

    async def _finish(self, commit: bool | None, timeout: float, *, failed: bool) -> None:
        await self._run(lambda: self._sync.finish(commit, timeout, failed=failed))
        self._worker.stop()

    async def __aenter__(self) -> Self:
        await self._run(self._sync.__enter__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._finish(None, 5.0, failed=kind is not None)


class AsyncFlyMQClient(_Behind[FlyMQClient]):
    """`FlyMQClient` for asyncio: the same arguments, the same names, awaited.

        async with AsyncFlyMQClient("localhost:9092") as client:
            await client.produce("orders", "two coffees", key="ada")
            async with client.consumer("orders", "kitchen") as consumer:
                async for message in consumer:
                    ...

    Belongs to the event loop that uses it first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pool = ThreadPoolExecutor(_REQUEST_THREADS, thread_name_prefix="flymq-client")
        super().__init__(FlyMQClient(*args, **kwargs), pool)
        self.topics = AsyncTopicAdmin(self._sync.topics, pool)
        self.groups = AsyncGroupAdmin(self._sync.groups, pool)
        self.cluster = AsyncClusterAdmin(self._sync.cluster, pool)
        self._shared = AsyncProducer(self._sync.producer, pool)

    ping = _awaited(FlyMQClient.ping)
    fetch = _awaited(FlyMQClient.fetch)
    produce_many = _awaited(FlyMQClient.produce_many)
    create_topic = _awaited(FlyMQClient.create_topic)
    delete_topic = _awaited(FlyMQClient.delete_topic)
    list_topics = _awaited(FlyMQClient.list_topics)

    async def produce(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp: int | datetime | None = None,
    ) -> RecordMetadata:
        """See `FlyMQClient.produce`."""
        return await self._shared.send(
            topic, value, key=key, partition=partition, headers=headers, timestamp=timestamp
        )

    async def read(
        self,
        topic: str,
        *,
        partitions: Sequence[int] | None = None,
        start: Position | Mapping[int, int] = "earliest",
        end: Position | Mapping[int, int] = "latest",
        isolation: str = "uncommitted",
    ) -> AsyncIterator[Message[Any, Any]]:
        """See `FlyMQClient.read`."""
        messages = self._sync.read(topic, partitions=partitions, start=start, end=end, isolation=isolation)
        while found := await self._run(lambda: list(islice(messages, _READ_AT_ONCE))):
            for message in found:
                yield message

    def consumer(
        self, topics: str | Sequence[str] | re.Pattern[str], group_id: str | None = None, **settings: Any
    ) -> AsyncConsumer:
        """See `FlyMQClient.consumer`; `on_assigned` and `on_revoked` are called on other threads than the loop's."""
        return AsyncConsumer(self._sync.consumer(topics, group_id, **settings))

    def producer(self, **kafka: Any) -> AsyncProducer:
        """See `FlyMQClient.producer`; connects when it is entered, or with the first record."""
        return AsyncProducer(functools.partial(self._sync.producer, **kafka), self._pool)

    async def close(self) -> None:
        """See `FlyMQClient.close`."""
        await self._shared.close()
        await self._run(self._sync.close)
        self._pool.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self._sync!r}"
