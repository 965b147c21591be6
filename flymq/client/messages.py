"""What the client hands out and takes: messages, acknowledgements, reports. No I/O here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar, overload

from flymq.client.errors import DeserializationError, InvalidArgumentError

K = TypeVar("K")
V = TypeVar("V")

CREATE_TIME = 0
LOG_APPEND_TIME = 1
NO_TIMESTAMP = -1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Partition(NamedTuple):
    """A partition of a topic. Equal to kafka-python's `TopicPartition`, and to the plain pair."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class Message(Generic[K, V]):
    """One record of a partition. Immutable by custom.

    `key`, `value`: bytes or None, or what the deserializers made of them. `headers`: (name, bytes) pairs in the
    order they were sent; names repeat. `timestamp`: ms since the epoch, -1 without one; `timestamp_type`: 0 set
    by the producer (CreateTime), 1 by the broker (LogAppendTime). `leader_epoch`: -1 where unknown.
    """

    __slots__ = (
        "headers", "key", "leader_epoch", "offset", "partition", "timestamp", "timestamp_type", "topic", "value"
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: K,
        value: V,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int = NO_TIMESTAMP,
        timestamp_type: int = CREATE_TIME,
        leader_epoch: int = -1,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
        self.timestamp_type = timestamp_type
        self.leader_epoch = leader_epoch

    def deserialize(self, of_key: Callable[[bytes], Any] | None, of_value: Callable[[bytes], Any] | None) -> None:
        """Make of key and value what these functions make of their bytes: both or, on `DeserializationError`, none."""
        key: Any = self.key
        value: Any = self.value
        what = "key"
        try:
            if key is not None and of_key is not None:
                key = of_key(key)
            what = "value"
            if value is not None and of_value is not None:
                value = of_value(value)
        except Exception as error:
            raise DeserializationError(
                f"can't read the {what} of {self.topic}-{self.partition} at offset {self.offset}: {error}",
                hint=f"a consumer gets past it with seek(({self.topic!r}, {self.partition}), {self.offset + 1})",
            ) from error
        self.key, self.value = key, value

    def text(self) -> str:
        """The value as UTF-8; "" for a tombstone. UnicodeDecodeError where it is not."""
        value = self.value
        if value is None:
            return ""
        return value.decode() if isinstance(value, bytes) else str(value)

    def json(self) -> Any:
        """The value, parsed as JSON; None for a tombstone. ValueError where it is not JSON."""
        return None if self.value is None else json.loads(self.text())

    def header(self, name: str, default: bytes | None = None) -> bytes | None:
        """The last header of this name: a later one overrides, as with Kafka's `lastHeader`."""
        for found, value in reversed(self.headers):
            if found == name:
                return value
        return default

    @property
    def datetime(self) -> datetime | None:
        """The timestamp, aware, in UTC; None without one."""
        return None if self.timestamp < 0 else _EPOCH + self.timestamp * _MS

    @property
    def is_tombstone(self) -> bool:
        """Whether it deletes its key from a compacted topic: no value."""
        return self.value is None

    @classmethod
    def of_record(cls, record: Any) -> Message[Any, Any]:
        """From kafka-python's ConsumerRecord."""
        topic, partition, epoch, offset, timestamp, timestamp_type, key, value, headers, *_ = record
        return Message(topic, partition, offset, key, value, headers, timestamp, timestamp_type, epoch)

    def _fields(self) -> tuple[Any, ...]:
        return (
            self.topic, self.partition, self.offset, self.key, self.value, list(self.headers),
            self.timestamp, self.timestamp_type, self.leader_epoch,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((self.topic, self.partition, self.offset))

    def __repr__(self) -> str:
        return f"Message({self.topic}-{self.partition}@{self.offset}, key={self.key!r}, value={self.value!r})"


def timestamp_ms(when: datetime | int) -> int:
    """Milliseconds since the epoch, the rest of a datetime's microseconds dropped.

    Raises `InvalidArgumentError` for a datetime that does not say where it is, and for what is no time.
    """
    if isinstance(when, int) and not isinstance(when, bool):
        return int(when)
    if not isinstance(when, datetime):
        raise InvalidArgumentError(f"{when!r} is no time", hint="give ms since the epoch, as an int, or a datetime")
    if when.tzinfo is None:
        raise InvalidArgumentError(
            f"{when!r} has no time zone", hint="say which: datetime.now(UTC), or when.astimezone() for local time"
        )
    return (when - _EPOCH) // _MS  # when.timestamp() is a float, and a millisecond off now and then


class RecordMetadata(NamedTuple):
    """Where an acknowledged record is. `offset` is -1 with acks=0; `timestamp` is ms since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class FetchResult(Sequence[Message[Any, Any]]):
    """What `FlyMQClient.fetch` read from one partition: a sequence of messages, in offset order, and

    `next_offset`: where to go on; `high_watermark`: the offset after the last readable message;
    `log_start`: the offset of the first.
    """

    def __init__(
        self, messages: Sequence[Message[Any, Any]], *, next_offset: int, high_watermark: int, log_start: int
    ) -> None:
        self._messages = tuple(messages)
        self.next_offset = next_offset
        self.high_watermark = high_watermark
        self.log_start = log_start

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message[Any, Any]]:
        return iter(self._messages)

    @overload
    def __getitem__(self, index: int) -> Message[Any, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Message[Any, Any]]: ...
    def __getitem__(self, index: int | slice) -> Message[Any, Any] | Sequence[Message[Any, Any]]:
        return self._messages[index]

    def __repr__(self) -> str:
        return (
            f"FetchResult({len(self)} messages, next_offset={self.next_offset}, "
            f"high_watermark={self.high_watermark}, log_start={self.log_start})"
        )


@dataclass(frozen=True, slots=True)
class ProduceReport:
    """What became of the items of `produce_many`. `failed`: (index of the item, why), in their order;
    `offsets`: for each partition written to, the first and last offset.
    """

    topic: str
    sent: int
    failed: Sequence[tuple[int, Exception]] = ()
    offsets: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every item was acknowledged."""
        return not self.failed

    def raise_for_errors(self) -> None:
        """Raise the first failure, if there is one."""
        if self.failed:
            raise self.failed[0][1]
