"""The client for asyncio, with the same names: `AsyncFlyMQClient`.

The same client runs behind worker threads: a few for requests, one for the sends of each producer, one for each
consumer. The event loop never blocks, and there is no second implementation that could differ from the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from flymq.client.admin.cluster import ClusterAdmin
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.admin.transactions import TransactionAdmin
from flymq.client.client import Deserializer, FlyMQClient
from flymq.client.consumer import Consumer
from flymq.client.errors import ClosedError, InvalidArgumentError, TransactionError
from flymq.client.messages import Message, Partition, ProduceReport, RecordMetadata
from flymq.client.positions import AnyPartition
from flymq.client.producer import Headers, Producer, Serializer
from flymq.client.reader import Position
from flymq.client.threads import RequestThreads, Sender, Worker, aside
from flymq.client.transactions import Transaction

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# Requests that are under way at once; more wait their turn.
_REQUEST_THREADS = 4
_READ_AT_ONCE = 500


class _Behind(Generic[T]):
    """Something synchronous, and the threads that its calls run on."""

    def __init__(self, sync: T, threads: RequestThreads) -> None:
        self._sync = sync
        self._threads = threads

    async def _run(self, call: Callable[[], R]) -> R:
        return await self._threads.run(call)


def _awaited(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]:
    """The method of the same name, parameters and text that is awaited."""

    @functools.wraps(method)
    async def call(self: _Behind[Any], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._run(partial(method, self._sync, *args, **kwargs))

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
    set_config = _awaited(TopicAdmin.set_config)
    unset_config = _awaited(TopicAdmin.unset_config)
    add_partitions = _awaited(TopicAdmin.add_partitions)
    trim = _awaited(TopicAdmin.trim)


class AsyncGroupAdmin(_Behind[GroupAdmin]):
    """`GroupAdmin`, awaited."""

    list = _awaited(GroupAdmin.list)
    describe = _awaited(GroupAdmin.describe)
    lag = _awaited(GroupAdmin.lag)
    offsets = _awaited(GroupAdmin.offsets)
    members = _awaited(GroupAdmin.members)
    reset = _awaited(GroupAdmin.reset)
    delete = _awaited(GroupAdmin.delete)
    delete_offsets = _awaited(GroupAdmin.delete_offsets)


class AsyncClusterAdmin(_Behind[ClusterAdmin]):
    """`ClusterAdmin`, awaited."""

    info = _awaited(ClusterAdmin.info)
    brokers = _awaited(ClusterAdmin.brokers)
    api_versions = _awaited(ClusterAdmin.api_versions)


class AsyncTransactionAdmin(_Behind[TransactionAdmin]):
    """`TransactionAdmin`, awaited."""

    list = _awaited(TransactionAdmin.list)
    describe = _awaited(TransactionAdmin.describe)
    producers = _awaited(TransactionAdmin.producers)
    find_hanging = _awaited(TransactionAdmin.find_hanging)
    abort = _awaited(TransactionAdmin.abort)


class AsyncProducer:
    """`Producer`, awaited: `send` returns when the broker has the record. Use it with `async with`.

    For many at once, send them from many tasks, or gather: they share batches. Cancelling a `send` does not take the
    record back.
    """

    def __init__(
        self,
        make: Callable[[], Producer],
        threads: RequestThreads,
        on_close: Callable[[AsyncProducer], None] | None = None,
    ) -> None:
        self._make = make
        self._threads = threads
        self._on_close = on_close
        self._making = threading.Lock()
        self._sync: Producer | None = None
        self._sender: Sender | None = None
        self._closed = False

    def _producer(self) -> Producer:
        """On any thread but the loop's: connects at the first call."""
        with self._making:
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
        self._check_open()
        if self._sender is None:
            self._sender = Sender(self._producer)
        return await self._sender.send(
            topic, value, key=key, partition=partition, headers=headers, timestamp=timestamp
        )

    async def send_many(self, topic: str, items: Iterable[Any]) -> ProduceReport:
        """See `Producer.send_many`; the items are taken on another thread than the loop's."""
        return await self._run(lambda: self._producer().send_many(topic, items))

    async def _run(self, call: Callable[[], R]) -> R:
        self._check_open()
        return await self._threads.run(call)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the producer is closed")

    async def flush(self, timeout: float | None = None) -> None:
        """See `Producer.flush`; every `send` that is awaited is flushed anyway."""
        await self._run(lambda: self._producer().flush(timeout))

    def transaction(self) -> AsyncTransaction:
        """See `Producer.transaction`; the errors come when it is entered."""
        return AsyncTransaction(lambda: self._producer().transaction(), self._run)

    async def close(self, timeout: float = 5.0) -> None:
        """See `Producer.close`."""
        if self._closed:
            return
        self._closed = True
        if self._on_close is not None:
            self._on_close(self)
        await aside(lambda: self._end(timeout))

    def _end(self, timeout: float) -> None:
        """Sends that are not with kafka-python by the end of the time fail: its producer is closed then."""
        deadline = time.monotonic() + timeout
        if self._sender is not None:
            self._sender.stop(timeout)
        if self._sync is not None:
            self._sync.close(max(0.0, deadline - time.monotonic()))

    async def __aenter__(self) -> Self:
        await self._run(self._producer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncTransaction:
    """`Transaction`, awaited: `async with producer.transaction() as transaction`."""

    def __init__(
        self, make: Callable[[], Transaction], run: Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
    ) -> None:
        self._make = make
        self._run = run
        self._sync: Transaction | None = None

    def _entered(self) -> Transaction:
        if self._sync is None:
            raise TransactionError("the transaction is not open", hint="use it within its `async with`")
        return self._sync

    async def send_offsets(self, consumer: AsyncConsumer) -> None:
        """See `Transaction.send_offsets`."""
        await consumer._run(lambda: self._entered().send_offsets(consumer._sync))

    async def abort(self) -> None:
        """See `Transaction.abort`."""
        await self._run(self._entered().abort)

    async def __aenter__(self) -> Self:
        entering = asyncio.ensure_future(self._run(self._enter))
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:  # nobody else would end what it begins
            await asyncio.wait([entering])
            if entering.exception() is None:
                await self.abort()
            raise
        return self

    def _enter(self) -> None:
        self._sync = self._make()
        self._sync.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._run(lambda: self._entered().__exit__(kind, error, trace))


_END = object()


def _next_or_end(consumer: Consumer) -> Any:
    """The next message; a future can't carry StopIteration."""
    return next(consumer, _END)


def _messages(found: Any) -> list[Message[Any, Any]]:
    """Those in the outcome of a call."""
    if isinstance(found, list):
        return [one for one in found if isinstance(one, Message)]
    return [found] if isinstance(found, Message) else []


def _put_back(consumer: Consumer, messages: Sequence[Message[Any, Any]]) -> None:
    """Nobody saw these: go back to the first of each partition. What is another member's by now, that one reads."""
    first: dict[Partition, int] = {}
    for message in messages:
        first.setdefault(Partition(message.topic, message.partition), message.offset)
    for partition, offset in first.items():
        with contextlib.suppress(InvalidArgumentError):
            consumer.seek(partition, offset)


class AsyncConsumer:
    """`Consumer`, awaited: `async with`, `async for`. What is here is handed out without a hop between threads.

    Cancelling a wait for messages loses nothing: the next wait gets them, and no commit covers them before.
    """

    def __init__(self, sync: Consumer, on_close: Callable[[AsyncConsumer], None] | None = None) -> None:
        self._sync = sync
        self._on_close = on_close
        self._worker = Worker("flymq-consumer")
        self._wait: asyncio.Future[Any] | None = None  # what the worker does; may outlive who asked for it
        self._waits_for_one = False
        self._closed = False

    @property
    def group_id(self) -> str:
        return self._sync.group_id

    def __aiter__(self) -> Self:
        iter(self._sync)
        return self

    async def __anext__(self) -> Message[Any, Any]:
        if self._wait is None or not self._waits_for_one:
            await self._ready()
            if self._sync.at_hand():
                return next(self._sync)
            self._wait = self._worker.run(partial(_next_or_end, self._sync))
            self._waits_for_one = True
        found = await self._outcome(self._wait)
        if found is _END:
            raise StopAsyncIteration
        return found  # type: ignore[no-any-return]

    async def _outcome(self, wait: asyncio.Future[R]) -> R:
        """What came of it. Cancelled, it goes on: whoever comes next has it, or sees to its end."""
        await asyncio.wait([wait])
        if self._wait is wait:
            self._wait = None
        return wait.result()

    async def _ready(self) -> None:
        """Nothing else is under way on the consumer's thread. A wait that was given up is ended, its messages kept."""
        if self._closed:
            raise ClosedError("the consumer is closed", hint="make a new one: client.consumer(...)")
        while (wait := self._wait) is not None:
            self._waits_for_one = False  # it ends because of us, and not the iteration
            self._sync.stop()
            await asyncio.wait([wait])
            self._sync.unstop()  # that was not meant for who comes next
            if self._wait is wait:
                messages = [] if wait.exception() else _messages(wait.result())
                self._wait = self._worker.run(partial(_put_back, self._sync, messages)) if messages else None

    async def _run(self, call: Callable[[], R]) -> R:
        await self._ready()
        wait = self._wait = self._worker.run(call)
        self._waits_for_one = False
        return await self._outcome(wait)

    async def poll(self, timeout: float = 1.0, max_records: int = 500) -> list[Message[Any, Any]]:
        """See `Consumer.poll`."""
        return await self._run(lambda: self._sync.poll(timeout, max_records))

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

    async def seek_to_beginning(self, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_beginning`."""
        await self._run(lambda: self._sync.seek_to_beginning(*partitions))

    async def seek_to_end(self, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_end`."""
        await self._run(lambda: self._sync.seek_to_end(*partitions))

    async def seek_to_committed(self, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_committed`."""
        await self._run(lambda: self._sync.seek_to_committed(*partitions))

    async def seek_to_time(self, when: datetime | int, *partitions: AnyPartition) -> None:
        """See `Consumer.seek_to_time`."""
        await self._run(lambda: self._sync.seek_to_time(when, *partitions))

    async def pause(self, *partitions: AnyPartition) -> None:
        """See `Consumer.pause`."""
        await self._run(lambda: self._sync.pause(*partitions))

    async def resume(self, *partitions: AnyPartition) -> None:
        """See `Consumer.resume`."""
        await self._run(lambda: self._sync.resume(*partitions))

    async def close(self, commit: bool | None = None, timeout: float = 5.0) -> None:
        """See `Consumer.close`. A task that waits for a message then is at the end of its iteration."""
        await self._finish(commit, timeout, failed=not commit)

    async def _finish(self, commit: bool | None, timeout: float, *, failed: bool) -> None:
        if self._closed:
            return
        await self._ready()
        self._closed = True
        try:
            await self._worker.run(lambda: self._sync.finish(commit, timeout, failed=failed))
        finally:
            self._worker.stop()
            if self._on_close is not None:
                self._on_close(self)

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

    def __init__(
        self,
        bootstrap_servers: str | Iterable[str] = "localhost:9092",
        *,
        client_id: str = "flymq-client",
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        auto_create_topics: bool = True,
        sasl: tuple[str, str, str] | None = None,
        tls: bool | str | os.PathLike[str] | ssl.SSLContext | None = None,
        key_serializer: Serializer | None = None,
        value_serializer: Serializer | None = None,
        key_deserializer: Deserializer | None = None,
        value_deserializer: Deserializer | None = None,
        **kafka: Any,
    ) -> None:
        sync = FlyMQClient(
            bootstrap_servers,
            client_id=client_id,
            timeout=timeout,
            connect_timeout=connect_timeout,
            auto_create_topics=auto_create_topics,
            sasl=sasl,
            tls=tls,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            key_deserializer=key_deserializer,
            value_deserializer=value_deserializer,
            **kafka,
        )
        threads = RequestThreads(_REQUEST_THREADS)
        super().__init__(sync, threads)
        self.topics = AsyncTopicAdmin(sync.topics, threads)
        self.groups = AsyncGroupAdmin(sync.groups, threads)
        self.cluster = AsyncClusterAdmin(sync.cluster, threads)
        self.transactions = AsyncTransactionAdmin(sync.transactions, threads)
        self._open: set[AsyncConsumer | AsyncProducer] = set()
        self._shared = self.producer()
        self._closed = False

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
        self._check_open()
        return await self._shared.send(
            topic, value, key=key, partition=partition, headers=headers, timestamp=timestamp
        )

    async def read(
        self,
        topic: str,
        *,
        partitions: Iterable[int] | None = None,
        start: Position | Mapping[int, int] = "earliest",
        end: Position | Mapping[int, int] = "latest",
        isolation: str = "uncommitted",
    ) -> AsyncIterator[Message[Any, Any]]:
        """See `FlyMQClient.read`."""
        messages = self._sync.read(topic, partitions=partitions, start=start, end=end, isolation=isolation)
        try:
            while found := await self._run(lambda: list(islice(messages, _READ_AT_ONCE))):
                for message in found:
                    yield message
        finally:
            with contextlib.suppress(ValueError):  # it runs, for who was cancelled: the end of that closes it
                await aside(messages.close)

    def consumer(
        self,
        topics: str | Sequence[str] | re.Pattern[str],
        group_id: str | None = None,
        *,
        auto_offset_reset: str = "latest",
        auto_commit: bool = True,
        auto_commit_interval: float = 5.0,
        idle_timeout: float | None = None,
        isolation: str = "uncommitted",
        on_assigned: Callable[[list[Any]], object] | None = None,
        on_revoked: Callable[[list[Any]], object] | None = None,
        key_deserializer: Deserializer | None = None,
        value_deserializer: Deserializer | None = None,
        **kafka: Any,
    ) -> AsyncConsumer:
        """See `FlyMQClient.consumer`; `on_assigned` and `on_revoked` are called on other threads than the loop's."""
        sync = self._sync.consumer(
            topics,
            group_id,
            auto_offset_reset=auto_offset_reset,
            auto_commit=auto_commit,
            auto_commit_interval=auto_commit_interval,
            idle_timeout=idle_timeout,
            isolation=isolation,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
            key_deserializer=key_deserializer,
            value_deserializer=value_deserializer,
            **kafka,
        )
        consumer = AsyncConsumer(sync, self._open.discard)
        self._open.add(consumer)
        return consumer

    def producer(
        self, *, transactional_id: str | None = None, transaction_timeout: float = 60.0, **kafka: Any
    ) -> AsyncProducer:
        """See `FlyMQClient.producer`; connects when it is entered, or with the first record."""
        make = partial(
            self._sync.producer, transactional_id=transactional_id, transaction_timeout=transaction_timeout, **kafka
        )
        producer = AsyncProducer(make, self._threads, self._open.discard)
        self._open.add(producer)
        return producer

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")

    async def close(self) -> None:
        """See `FlyMQClient.close`."""
        if self._closed:
            return
        self._closed = True
        async with contextlib.AsyncExitStack() as stack:  # one that fails does not keep the others open
            stack.callback(self._threads.stop)
            stack.push_async_callback(aside, self._sync.close)
            for one in list(self._open):
                stack.push_async_callback(one.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self._sync!r}"
