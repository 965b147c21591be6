"""`FlyMQClient`: what people use first."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from flymq.client.admin.cluster import ClusterAdmin
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.admin.transactions import TransactionAdmin
from flymq.client.connection import Connection
from flymq.client.consumer import Consumer
from flymq.client.errors import ClosedError
from flymq.client.kafka_python import describe_cluster
from flymq.client.messages import FetchResult, Message, ProduceReport, RecordMetadata
from flymq.client.producer import Headers, Producer, Serializer
from flymq.client.reader import Position, Reader, fetch

Deserializer = Callable[[bytes], Any]


class FlyMQClient:
    """A thin client over kafka-python, for FlyMQ or any Kafka.

        with FlyMQClient("localhost:9092") as client:
            client.produce("orders", "two coffees", key="ada")
            for message in client.fetch("orders"):
                print(message.text())

    Connects on the first call, and says what is wrong with an address within `connect_timeout` seconds.

    `bootstrap_servers`: "host:port", several with commas or as a list. `timeout`: seconds for a request.
    `auto_create_topics`: whether writing to a missing topic, or subscribing to one, creates it, where the broker
    allows it. `sasl`: (mechanism, user, password). `tls`: True, the file of an authority, or an SSLContext.
    Serializers make bytes of what is produced, deserializers something of the bytes that are read; neither sees None.
    Every other keyword is a setting of kafka-python by its name.

    Any thread may use it. Every error is a `FlyMQError`. Raises `InvalidArgumentError` for a bad argument.
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
        self.connection = Connection(
            bootstrap_servers,
            client_id=client_id,
            timeout=timeout,
            connect_timeout=connect_timeout,
            auto_create_topics=auto_create_topics,
            sasl=sasl,
            tls=tls,
            extra=kafka,
        )
        self._serializers = {"key_serializer": key_serializer, "value_serializer": value_serializer}
        self._key_deserializer = key_deserializer
        self._value_deserializer = value_deserializer
        self._lock = threading.Lock()
        self._shared: Producer | None = None
        self._open: weakref.WeakSet[Consumer | Producer] = weakref.WeakSet()
        self._closed = False

    def ping(self) -> float:
        """Seconds that a broker took to answer. Raises `BrokerUnavailableError`, `RequestTimeoutError`."""

        def timed(admin: Any) -> float:
            started = time.monotonic()
            describe_cluster(admin)
            return time.monotonic() - started

        return float(self.cluster._ask("ping", timed))

    # -- reading ----------------------------------------------------------------------------------

    def fetch(
        self,
        topic: str,
        *,
        partition: int = 0,
        offset: Position = 0,
        count: int = 10,
        isolation: str = "uncommitted",
    ) -> FetchResult:
        """Up to `count` messages of one partition, from `offset` on; what is there now, without waiting for more.

        `offset`: a number; negative from the end (-1 is the last message); "earliest", "latest", or an aware datetime:
        the first message then or later. Where messages were deleted, it begins with the first that is left.
        `isolation` "committed": no open or aborted transactions. Commits nothing and creates nothing.

        Raises `TopicNotFoundError`, `PartitionNotFoundError`, `OffsetOutOfRangeError` beyond the end.
        """
        self._check_open()
        result = fetch(self.connection, topic, partition, offset, count, isolation)
        for message in result:
            self._deserialize(message)
        return result

    def read(
        self,
        topic: str,
        *,
        partitions: Iterable[int] | None = None,
        start: Position | Mapping[int, int] = "earliest",
        end: Position | Mapping[int, int] = "latest",
        isolation: str = "uncommitted",
    ) -> Generator[Message[Any, Any], None, None]:
        """A stream of all messages from `start` up to before `end`, as they are now; in order for each partition.

        `start`, `end`: offsets (one for all partitions, or a mapping; negative from the end), "earliest", "latest", or
        an aware datetime: the first message then or later. All partitions unless `partitions` says which. Memory stays
        flat. Commits nothing and creates nothing; ends by itself. Errors come with the first message.

        Raises `TopicNotFoundError`, `PartitionNotFoundError`.
        """
        self._check_open()
        with Reader(self.connection, topic, isolation=isolation) as reader:
            chosen = reader.partitions() if partitions is None else reader.check(partitions)
            first, last = reader.starts(chosen), reader.ends(chosen)
            starts, ends = reader.at(start, chosen), reader.at(end, chosen)
            yield from map(
                self._deserialize,
                (
                    message
                    for messages in reader.read(
                        {p: max(first[p], starts[p]) for p in chosen}, {p: min(last[p], ends[p]) for p in chosen}
                    )
                    for message in messages
                ),
            )

    def _deserialize(self, message: Message[Any, Any]) -> Message[Any, Any]:
        if self._key_deserializer is not None or self._value_deserializer is not None:
            message.deserialize(self._key_deserializer, self._value_deserializer)
        return message

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
    ) -> Consumer:
        """A member of a group that shares the topics' partitions; without `group_id`, of a group of its own.

        `auto_offset_reset`: where the group begins if it has no commit: "latest", "earliest", or "committed", which
        raises `NoCommittedOffsetError`. `auto_commit`: see `Consumer`. `idle_timeout`: seconds without a message after
        which iteration ends. `topics`: a name, several, or a pattern. The rest is for kafka-python's KafkaConsumer.
        """
        self._check_open()
        consumer = Consumer(
            self.connection,
            topics,
            group_id,
            auto_offset_reset=auto_offset_reset,
            auto_commit=auto_commit,
            auto_commit_interval=auto_commit_interval,
            idle_timeout=idle_timeout,
            isolation=isolation,
            on_assigned=on_assigned,
            on_revoked=on_revoked,
            key_deserializer=key_deserializer or self._key_deserializer,
            value_deserializer=value_deserializer or self._value_deserializer,
            on_close=self._open.discard,
            **kafka,
        )
        self._open.add(consumer)
        return consumer

    # -- writing ----------------------------------------------------------------------------------

    def produce(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp: Any = None,
    ) -> RecordMetadata:
        """Write a record, and return where it is once the broker has it. See `Producer.send` for the arguments.

        Raises what `Producer.send` raises, and `RequestTimeoutError` after `timeout` seconds.
        """
        sent = self._shared_producer().send(
            topic, value, key=key, partition=partition, headers=headers, timestamp=timestamp
        )
        return sent.result(self.connection.timeout)

    def produce_many(self, topic: str, items: Iterable[Any]) -> ProduceReport:
        """Write all items: values, (key, value) pairs, or mappings. See `Producer.send_many`."""
        return self._shared_producer().send_many(topic, items)

    def producer(
        self, *, transactional_id: str | None = None, transaction_timeout: float = 60.0, **kafka: Any
    ) -> Producer:
        """A producer of its own, with kafka-python's settings. See `Producer`; `Producer.transaction` needs a
        `transactional_id`.
        """
        self._check_open()
        producer = Producer(
            self.connection,
            transactional_id=transactional_id,
            transaction_timeout=transaction_timeout,
            on_close=self._open.discard,
            **{**self._serializers, **kafka},
        )
        self._open.add(producer)
        return producer

    def _shared_producer(self) -> Producer:
        if self._shared is None:
            with self._lock:
                if self._shared is None:
                    self._shared = self.producer()
        self._check_open()
        return self._shared

    # -- administration ---------------------------------------------------------------------------

    @cached_property
    def topics(self) -> TopicAdmin:
        """List, describe, create and delete topics."""
        return TopicAdmin(self.connection)

    @cached_property
    def groups(self) -> GroupAdmin:
        """List and describe groups, their lag and offsets; reset and delete them."""
        return GroupAdmin(self.connection)

    @cached_property
    def cluster(self) -> ClusterAdmin:
        """The brokers, and what they can do."""
        return ClusterAdmin(self.connection)

    @cached_property
    def transactions(self) -> TransactionAdmin:
        """List and describe transactions; find those that hang, and abort them."""
        return TransactionAdmin(self.connection)

    def create_topic(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        config: Mapping[str, Any] | None = None,
        exist_ok: bool = False,
    ) -> None:
        """`topics.create`."""
        self.topics.create(
            name, partitions=partitions, replication_factor=replication_factor, config=config, exist_ok=exist_ok
        )

    def delete_topic(self, name: str, *, missing_ok: bool = False) -> None:
        """`topics.delete`."""
        self.topics.delete(name, missing_ok=missing_ok)

    def list_topics(self) -> list[str]:
        """Names, sorted, internal topics left out."""
        return self.topics.names()

    # -- the end ----------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")

    def close(self) -> None:
        """Close every consumer and producer that it made and that is still open, and disconnect."""
        with self._lock:
            self._closed = True
        with contextlib.ExitStack() as stack:  # one that fails does not keep the others open
            stack.callback(self.connection.close)
            for one in list(self._open):
                stack.callback(one.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FlyMQClient({','.join(map(str, self.connection.addresses))!r})"
