"""Reading without a group: from an offset to an offset. Never commits, creates nothing, waits for nothing to come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flymq.client.arguments import ISOLATIONS, check_topic, one_of
from flymq.client.connection import Connection
from flymq.client.errors import (
    InvalidArgumentError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    RequestTimeoutError,
    TopicNotFoundError,
    did_you_mean,
    translate,
)
from flymq.client.kafka_python import kafka
from flymq.client.messages import FetchResult, Message, timestamp_ms

Position = int | str | datetime
_WAIT_MS = 500
# What one answer may hold: reading a large topic takes this much memory, and no more.
_FETCH_BYTES = 4 << 20
_RECORDS_MAX = 2000


class Reader:
    """A kafka-python consumer with partitions of one topic assigned by hand. Use it with `with`."""

    def __init__(self, connection: Connection, topic: str, *, isolation: str = "uncommitted") -> None:
        self.topic = check_topic(topic)
        self._timeout = connection.timeout
        self._kafka = connection.consumer(
            group_id=None,
            auto_offset_reset="none",
            isolation_level=one_of("isolation", isolation, ISOLATIONS),
            max_poll_records=_RECORDS_MAX,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_WAIT_MS,
            retry_backoff_ms=20,
        )

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._kafka.close(timeout_ms=1000)

    def partitions(self) -> list[int]:
        """The topic's. Raises `TopicNotFoundError`."""
        found = self._ask(lambda: self._kafka.partitions_for_topic(self.topic))
        if not found:
            known = self._ask(self._kafka.topics)
            hint = did_you_mean(self.topic, known) or f"create it: client.create_topic({self.topic!r})"
            raise TopicNotFoundError(f"there is no topic {self.topic}", hint=hint)
        return sorted(found)

    def check(self, wanted: Iterable[int]) -> list[int]:
        """The wanted partitions, if all exist. Raises `PartitionNotFoundError`, `TopicNotFoundError`."""
        if not isinstance(wanted, Iterable) or isinstance(wanted, str):
            raise InvalidArgumentError(f"partitions are {wanted!r}", hint="give several, such as [0, 1]")
        wanted = list(wanted)
        found = self.partitions()
        for partition in wanted:
            if partition not in found:
                raise PartitionNotFoundError(
                    f"{self.topic} has no partition {partition!r}: it has {len(found)}",
                    hint=f"give 0 to {len(found) - 1}",
                )
        return wanted

    def starts(self, partitions: Sequence[int]) -> dict[int, int]:
        """Log start offsets."""
        return self._offsets(self._kafka.beginning_offsets, partitions)

    def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """The offsets after the last message that may be read."""
        return self._offsets(self._kafka.end_offsets, partitions)

    def at(self, position: Position | Mapping[int, int], partitions: Sequence[int]) -> dict[int, int]:
        """The offset that a position is in each partition. A time: the first message then or later; a negative number:
        so many before the end.
        """
        if isinstance(position, Mapping):
            return self._of_each(position, partitions)
        if position == "earliest":
            return self.starts(partitions)
        if position == "latest":
            return self.ends(partitions)
        if isinstance(position, datetime):
            return self._at_time(timestamp_ms(position), partitions)
        if isinstance(position, int) and not isinstance(position, bool):
            return self._of_each(dict.fromkeys(partitions, position), partitions)
        near = did_you_mean(position, ("earliest", "latest")) if isinstance(position, str) else None
        raise InvalidArgumentError(
            f"{position!r} is no position", hint=near or 'give an offset, "earliest", "latest" or a datetime'
        )

    def _of_each(self, offsets: Mapping[int, int], partitions: Sequence[int]) -> dict[int, int]:
        for partition in partitions:
            offset = offsets.get(partition)
            if not isinstance(offset, int) or isinstance(offset, bool):
                raise InvalidArgumentError(
                    f"{offsets!r} has no offset for partition {partition}",
                    hint="give a number for each partition that is read, and say with partitions= which these are",
                )
        if all(offsets[partition] >= 0 for partition in partitions):
            return {partition: offsets[partition] for partition in partitions}
        ends = self.ends(partitions)
        return {p: offsets[p] if offsets[p] >= 0 else max(0, ends[p] + offsets[p]) for p in partitions}

    def _at_time(self, ms: int, partitions: Sequence[int]) -> dict[int, int]:
        # Negative ones have a meaning of their own to the broker.
        times = {self._key(partition): max(0, ms) for partition in partitions}
        found = self._ask(lambda: self._kafka.offsets_for_times(times))
        ends = self.ends(partitions)
        hits = {partition: found.get(self._key(partition)) for partition in partitions}
        return {partition: ends[partition] if hit is None else hit.offset for partition, hit in hits.items()}

    def read(self, start: Mapping[int, int], end: Mapping[int, int]) -> Iterator[list[Message[Any, Any]]]:
        """Messages of each partition from `start` up to before `end`, in lists of one partition each.

        Ends when every position is at its end: counting would not do, offsets have gaps.
        """
        open_partitions = {partition for partition in start if start[partition] < end[partition]}
        self._kafka.assign([self._key(partition) for partition in sorted(open_partitions)])
        for partition in open_partitions:
            self._kafka.seek(self._key(partition), start[partition])
        deadline = time.monotonic() + self._timeout
        while open_partitions:
            found = self._ask(lambda: self._kafka.poll(timeout_ms=_WAIT_MS))
            for key, records in found.items():
                messages = [Message.of_record(record) for record in records if record.offset < end[key.partition]]
                if messages:
                    yield messages
            for partition in [p for p in open_partitions if self._position(p) >= end[p]]:
                open_partitions.remove(partition)
                self._kafka.pause(self._key(partition))
            if found:
                deadline = time.monotonic() + self._timeout
            elif time.monotonic() > deadline:
                where = ", ".join(f"{self.topic}-{partition}" for partition in sorted(open_partitions))
                raise RequestTimeoutError(f"read {where}: nothing came for {self._timeout:g} s")

    def _position(self, partition: int) -> int:
        return int(self._ask(lambda: self._kafka.position(self._key(partition), timeout_ms=self._timeout * 1000)))

    def _key(self, partition: int) -> Any:
        return kafka().TopicPartition(self.topic, partition)

    def _offsets(self, ask: Callable[[list[Any]], Any], partitions: Sequence[int]) -> dict[int, int]:
        found = self._ask(lambda: ask([self._key(partition) for partition in partitions]))
        return {key.partition: offset for key, offset in found.items()}

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            raise translate(error, f"read {self.topic}") from error


def fetch(
    connection: Connection, topic: str, partition: int, offset: Position, count: int, isolation: str
) -> FetchResult:
    """See `FlyMQClient.fetch`."""
    if not isinstance(count, int) or count < 0:
        raise InvalidArgumentError(f"count is {count!r}", hint="give 0 or more")
    with Reader(connection, topic, isolation=isolation) as reader:
        reader.check([partition])
        log_start, end = reader.starts([partition])[partition], reader.ends([partition])[partition]
        position = _absolute(reader, partition, offset, log_start, end)
        messages: list[Message[Any, Any]] = []
        for found in reader.read({partition: position}, {partition: end if count else position}):
            messages += found
            if len(messages) >= count:
                break
        del messages[count:]
        went_through = len(messages) < count
        next_offset = end if went_through and count else messages[-1].offset + 1 if messages else position
    return FetchResult(messages, next_offset=next_offset, high_watermark=end, log_start=log_start)


def _absolute(reader: Reader, partition: int, offset: Position, log_start: int, end: int) -> int:
    """The offset that is meant. What was deleted is passed over; beyond the end is an error."""
    position = reader.at(offset, [partition])[partition]
    if position > end:
        raise OffsetOutOfRangeError(
            f"{reader.topic}-{partition} has no offset {offset}: it holds {log_start} to {end - 1}"
            if end > log_start
            else f"{reader.topic}-{partition} has no offset {offset}: it is empty",
            hint=f"the next message will be at {end}",
        )
    return max(position, log_start)
