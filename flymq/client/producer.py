"""`Producer`: records, encoded and sent in batches; and the futures of their acknowledgements."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from flymq.client.arguments import check_topic
from flymq.client.connection import METADATA_RETRY_MS, Connection
from flymq.client.errors import (
    ClosedError,
    FlyMQError,
    InvalidArgumentError,
    MessageTooLargeError,
    PartitionNotFoundError,
    RequestTimeoutError,
    SerializationError,
    TopicNotFoundError,
    TransactionError,
    did_you_mean,
    translate,
)
from flymq.client.kafka_python import forget_deleted_topics, survive_refusals
from flymq.client.messages import NO_TIMESTAMP, ProduceReport, RecordMetadata, timestamp_ms
from flymq.client.transactions import Coordination, Transaction, settings_of
from flymq_protocol.errors import ErrorCode

Serializer = Callable[[Any], bytes]
Headers = Mapping[str, bytes | str] | Sequence[tuple[str, bytes | str]]

# A topic that is to be created by writing to it is there at once, or not at all.
_TOPIC_WAIT_S = 5.0
# `send_many` waits for the oldest acknowledgement when as many are outstanding.
_OUTSTANDING_MAX = 10_000
# How soon kafka-python asks again for a topic that it has met and that is gone: it does that for ever.
_METADATA_RETRY_MS = 100
_FIELDS = frozenset(("value", "key", "partition", "headers", "timestamp"))
_TIMESTAMP_MAX = (1 << 63) - 2  # the difference of any two, -1 among them, fits in 64 bits
_ACKS = (0, 1, -1, "all")


class SendFuture:
    """The acknowledgement to come of one record; used like a `concurrent.futures.Future`."""

    __slots__ = ("_future", "_topic", "_unacknowledged")

    def __init__(self, future: Any, topic: str, *, unacknowledged: bool = False) -> None:
        self._future = future
        self._topic = topic
        self._unacknowledged = unacknowledged

    def done(self) -> bool:
        """Whether it was acknowledged, or has failed."""
        return bool(self._future.is_done)

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Where the record is, once the broker has it. Raises what `exception` returns.

        Raises `RequestTimeoutError` after `timeout` seconds; the record may still arrive.
        """
        try:
            found = self._future.get(timeout)
        except Exception as error:
            raise _failure(error, self._topic) from error
        # With acks=0 kafka-python counts from 0, as if it knew.
        offset = -1 if self._unacknowledged else found.offset
        return RecordMetadata(found.topic, found.partition, offset, found.timestamp)

    def exception(self, timeout: float | None = None) -> FlyMQError | None:
        """Why it failed, or None; waits as `result` does."""
        try:
            self.result(timeout)
        except FlyMQError as error:
            return error
        return None

    def add_done_callback(self, call: Callable[[SendFuture], object]) -> None:
        """`call(self)` when it is done, on kafka-python's thread, or now if it is."""
        self._future.add_both(lambda _: call(self))


def _failure(error: Exception, topic: str) -> FlyMQError:
    return translate(error, f"produce to {topic}")


class Producer:
    """Sends records, many at a time. Any thread may use it. Close it, or use `with`: that flushes.

    `settings` are kafka-python's, such as linger_ms, batch_size, compression_type, acks. Connects when it is made:
    raises `BrokerUnavailableError`, `InvalidArgumentError`.

    With a `transactional_id`, it sends in transactions only: see `transaction`. When it is made, an earlier producer of
    the same id is fenced, and what that one left open is aborted. The broker aborts a transaction that takes longer
    than `transaction_timeout` seconds.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        key_serializer: Serializer | None = None,
        value_serializer: Serializer | None = None,
        transactional_id: str | None = None,
        transaction_timeout: float = 60.0,
        on_close: Callable[[Producer], None] | None = None,
        **settings: Any,
    ) -> None:
        if "transaction_timeout_ms" in settings:
            raise InvalidArgumentError(
                "transaction_timeout_ms is not for a producer of FlyMQ", hint="use transaction_timeout, in seconds"
            )
        if transactional_id is not None:
            settings = {**settings_of(transactional_id, transaction_timeout), **settings}
        if settings.get("acks", -1) not in _ACKS:
            raise InvalidArgumentError(f"acks is {settings['acks']!r}", hint='it is one of 0, 1, "all"')
        self._connection = connection
        self._key_serializer = key_serializer
        self._value_serializer = value_serializer
        self._on_close = on_close
        self._known: set[str] = set()
        self._closed = False
        settings.setdefault("max_block_ms", int(min(connection.timeout, _TOPIC_WAIT_S) * 1000))
        # kafka-python wants it to be at least the sum of these two.
        linger_ms = settings.get("linger_ms", 0)
        if not isinstance(linger_ms, int | float):
            raise InvalidArgumentError(f"linger_ms is {linger_ms!r}", hint="give milliseconds")
        settings.setdefault("delivery_timeout_ms", int(connection.timeout * 1000 + linger_ms))
        self._kafka = connection.producer(**settings)
        forget_deleted_topics(self._kafka)
        survive_refusals(self._kafka)
        self._metadata = self._kafka._metadata
        self._metadata.config["retry_backoff_ms"] = _METADATA_RETRY_MS
        self._unacknowledged = self._kafka.config["acks"] == 0
        self._transactions: Coordination | None = None
        if transactional_id is not None:
            try:
                self._transactions = Coordination(self._kafka, connection.timeout)
            except BaseException:
                self._abandon()
                raise

    def send(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        partition: int | None = None,
        headers: Headers | None = None,
        timestamp: int | datetime | None = None,
    ) -> SendFuture:
        """Give a record on its way; `result()` of what comes back waits for the broker.

        `value`, `key`: bytes, str (as UTF-8), None, or what the serializer takes. A value of None is a tombstone, and
        needs a key. Without `partition`, records of a key share one, the same as with every Kafka client.
        `headers`: a mapping or pairs, of str to bytes or str. `timestamp`: ms since the epoch, or an aware datetime.

        Raises `SerializationError`, `InvalidArgumentError`, `InvalidTopicError`, `TopicNotFoundError`,
        `PartitionNotFoundError`, `MessageTooLargeError`, `TransactionError`; what happens later is in the future, and
        makes the end of its transaction, if it is in one, fail.
        """
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._transactions is not None and not self._transactions.open:
            raise TransactionError(f"produce to {topic}: no transaction of this producer is open")
        if not isinstance(topic, str) or topic not in self._known:
            self._meet(topic)
        if partition is not None and (not isinstance(partition, int) or isinstance(partition, bool)):
            raise InvalidArgumentError(f"partition is {partition!r}", hint="give a number from 0 on, or none")
        key_bytes = _encoded(key, self._key_serializer, "key")
        value_bytes = _encoded(value, self._value_serializer, "value")
        if value_bytes is None and key_bytes is None:
            raise SerializationError(
                f"produce to {topic}: a record needs a value or a key", hint="None as a value deletes: say which key"
            )
        try:
            future = self._kafka.send(
                topic,
                value=value_bytes,
                key=key_bytes,
                headers=_encoded_headers(headers) if headers else [],
                partition=partition,
                timestamp_ms=None if timestamp is None else _record_timestamp(timestamp),
            )
        except FlyMQError:
            raise
        except Exception as error:
            if partition is not None and isinstance(error, ValueError) and self._has_grown(topic, partition):
                return self.send(topic, value, key=key, partition=partition, headers=headers, timestamp=timestamp)
            raise self._send_failure(error, topic, partition) from error
        return SendFuture(future, topic, unacknowledged=self._unacknowledged)

    def send_many(self, topic: str, items: Iterable[Any]) -> ProduceReport:
        """Send all items, wait for their acknowledgements, and say what became of them. Memory stays flat.

        An item is a value, a (key, value) pair, or a mapping with value, key, partition, headers, timestamp. A bad one
        is in the report and does not stop the others; a topic that can't be had, or a broker that is away, does.

        Raises what `send` raises of the topic, `InvalidArgumentError` for items that are a single value.
        """
        check_topic(topic)
        tally = _Tally(topic, self._connection.timeout)
        for index, item in enumerate(_several(items)):
            try:
                tally.add(index, self.send(topic, **_as_record(item)))
            except (SerializationError, InvalidArgumentError, PartitionNotFoundError, MessageTooLargeError) as error:
                tally.failed.append((index, error))
        return tally.report()

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was sent is acknowledged or has failed. `timeout` in seconds: `RequestTimeoutError`."""
        if self._closed:
            raise ClosedError("the producer is closed")
        try:
            self._kafka.flush(timeout)
        except Exception as error:
            raise translate(error, "flush the producer") from error

    def transaction(self) -> Transaction:
        """All or nothing: what is sent within `with producer.transaction()`, from whatever thread. See `Transaction`.

        Raises `TransactionError` for a producer without a transactional_id.
        """
        if self._closed:
            raise ClosedError("the producer is closed")
        if self._transactions is None:
            raise TransactionError(
                "the producer has no transactional_id",
                hint='client.producer(transactional_id="..."): a name that stays the same from run to run',
            )
        return Transaction(self._transactions)

    def close(self, timeout: float = 5.0) -> None:
        """Flush for at most `timeout` seconds, and disconnect. Harmless a second time. Aborts an open transaction.

        Raises `RequestTimeoutError` where something was not acknowledged in time: it has failed, or is lost.
        """
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + timeout
        if self._transactions is not None:
            self._transactions.close(timeout)
        try:
            self._kafka.close(timeout=max(0.0, deadline - time.monotonic()))
        except Exception as error:
            self._abandon()
            raise translate(error, "close the producer") from error
        finally:
            if self._on_close is not None:
                self._on_close(self)

    def _abandon(self) -> None:
        """End its thread and sockets, and fail what is outstanding: `close` of kafka-python gives up before that."""
        self._kafka._sender.force_close()
        with contextlib.suppress(Exception):
            self._kafka.close(timeout=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- topics -----------------------------------------------------------------------------------

    def _meet(self, topic: str) -> None:
        """The first record for a topic: find its partitions, so that a missing one is told soon and as what it is."""
        check_topic(topic)
        if not self._connection.auto_create_topics:
            self._check_exists(topic)
        self._metadata.config["retry_backoff_ms"] = METADATA_RETRY_MS
        try:
            self._drop_deleted()
            self._kafka.partitions_for(topic)
        except Exception as error:
            failure = _failure(error, topic)
            if isinstance(failure, RequestTimeoutError):
                self._check_exists(topic, "and the broker does not create it")
            raise failure from error
        finally:
            self._metadata.config["retry_backoff_ms"] = _METADATA_RETRY_MS
        self._known.add(topic)

    def _drop_deleted(self) -> None:
        """Forget topics that were deleted: asking for all that it knows, kafka-python would create them again."""
        known = set(self._known)
        if not known:
            return
        asked = threading.Event()
        self._metadata.config["allow_auto_create_topics"] = False
        try:
            answer = self._metadata.request_update()
            answer.add_both(lambda _: asked.set())
            asked.wait(self._connection.timeout)
        finally:
            self._metadata.config["allow_auto_create_topics"] = self._connection.auto_create_topics
        if answer.succeeded() or getattr(answer.exception, "errno", None) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            for gone in known - self._metadata.topics(exclude_internal_topics=False):
                self._known.discard(gone)
                self._metadata._topics.discard(gone)

    def _has_grown(self, topic: str, partition: int) -> bool:
        """Whether the topic has that partition now, and had not when we looked last."""
        if partition in self._kafka.partitions_for(topic):
            return False
        self._drop_deleted()
        return topic in self._known and partition in self._kafka.partitions_for(topic)

    def _check_exists(self, topic: str, more: str = "") -> None:
        try:
            known = self._connection.admin().list_topics()
        except FlyMQError:
            raise
        except Exception as error:
            raise _failure(error, topic) from error
        if topic not in known:
            hint = did_you_mean(topic, known) or f"create it: client.create_topic({topic!r})"
            raise TopicNotFoundError(", ".join(filter(None, (f"there is no topic {topic}", more))), hint=hint)

    def _send_failure(self, error: Exception, topic: str, partition: int | None) -> FlyMQError:
        if self._transactions is not None and (failed := self._transactions.failure(f"produce to {topic}")):
            return failed
        failure = _failure(error, topic)
        if isinstance(failure, RequestTimeoutError):  # the topic may have been deleted since we met it
            self._known.discard(topic)
            self._check_exists(topic)
        elif isinstance(error, ValueError) and partition is not None:
            count = len(self._kafka.partitions_for(topic))
            return PartitionNotFoundError(
                f"{topic} has no partition {partition}: it has {count}", hint=f"give 0 to {count - 1}, or none"
            )
        return failure


class _Tally:
    """Counts acknowledgements, with a bounded number of them outstanding."""

    def __init__(self, topic: str, timeout: float) -> None:
        self._topic = topic
        self._timeout = timeout
        self._outstanding: deque[tuple[int, SendFuture]] = deque()
        self._sent = 0
        self._offsets: dict[int, tuple[int, int]] = {}
        self.failed: list[tuple[int, Exception]] = []

    def add(self, index: int, future: SendFuture) -> None:
        self._outstanding.append((index, future))
        if len(self._outstanding) > _OUTSTANDING_MAX:
            self._settle_oldest()

    def _settle_oldest(self) -> None:
        index, future = self._outstanding.popleft()
        try:
            _, partition, offset, _ = future.result(self._timeout)
        except FlyMQError as error:
            self.failed.append((index, error))
            return
        self._sent += 1
        first, last = self._offsets.get(partition, (offset, offset))
        self._offsets[partition] = (min(first, offset), max(last, offset))

    def report(self) -> ProduceReport:
        while self._outstanding:
            self._settle_oldest()
        self.failed.sort(key=lambda entry: entry[0])
        return ProduceReport(self._topic, self._sent, tuple(self.failed), self._offsets)


def _several(items: Iterable[Any]) -> Iterable[Any]:
    """Not a string, of which each character would be a record, nor one mapping, of which each name would be."""
    if isinstance(items, str | bytes | bytearray | memoryview | Mapping) or not isinstance(items, Iterable):
        raise InvalidArgumentError(
            f"many items, and not one {type(items).__name__}: {items!r:.60}", hint="put it in a list"
        )
    return items


def _as_record(item: Any) -> dict[str, Any]:
    """An item of `send_many` as arguments of `send`."""
    if isinstance(item, Mapping) and "value" in item and item.keys() <= _FIELDS:
        return dict(item)
    if isinstance(item, tuple) and len(item) == 2:
        return {"key": item[0], "value": item[1]}
    return {"value": item}


def _encoded(value: Any, serializer: Serializer | None, what: str) -> bytes | None:
    if value is None:
        return None
    if serializer is not None:
        try:
            value = serializer(value)
        except Exception as error:
            raise SerializationError(
                f"the {what}_serializer can't take {type(value).__name__}: {error}", hint="see the cause below"
            ) from error
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    hint = (
        f"give bytes or str, or FlyMQClient({what}_serializer=lambda {what}: json.dumps({what}).encode())"
        if serializer is None
        else f"let the {what}_serializer return bytes"
    )
    raise SerializationError(f"a {what} is bytes or str, not {type(value).__name__}: {value!r:.60}", hint=hint)


def _record_timestamp(when: int | datetime) -> int:
    ms = timestamp_ms(when)
    if not NO_TIMESTAMP <= ms <= _TIMESTAMP_MAX:  # kafka-python would choke on it later, and on all that came with it
        raise InvalidArgumentError(f"timestamp is {when!r}", hint="give ms since 1970, 0 or more")
    return ms


def _encoded_headers(headers: Headers) -> list[tuple[str, bytes]]:
    if not isinstance(headers, Mapping | Sequence):
        raise SerializationError(f"headers are a mapping or pairs, not {headers!r:.50}", hint="give {name: value}")
    return list(_header_pairs(headers.items() if isinstance(headers, Mapping) else headers))


def _header_pairs(pairs: Iterable[Any]) -> Iterator[tuple[str, bytes]]:
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise SerializationError(f"a header is a pair of str and bytes, not {pair!r:.50}", hint="encode it")
        name, value = pair
        if not isinstance(value, bytes | str):
            raise SerializationError(
                f"the value of header {name!r} is bytes or str, not {type(value).__name__}", hint="encode it"
            )
        yield name, value if isinstance(value, bytes) else value.encode()
