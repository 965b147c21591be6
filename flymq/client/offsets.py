"""What a group and its topics say about offsets, by way of a KafkaConsumer; every error a `FlyMQError`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flymq.client.errors import translate
from flymq.client.kafka_python import commit_offsets, topic_partition
from flymq.client.messages import Partition

_RETRY_S = 0.02


class Offsets:
    """Asks, and waits for the answer for at most `timeout` seconds; `topics` is for the text of errors."""

    def __init__(self, kafka: Any, group_id: str, topics: str, timeout: float) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self._topics = topics
        self._timeout_ms = timeout * 1000

    def committed(self, partitions: Iterable[Partition], *, patiently: bool = False) -> dict[Partition, int]:
        """Those that have a commit. One request for all; kafka-python's public `committed` makes one for each.

        `patiently`: also wait for a broker that is away, at which kafka-python gives up here.
        """
        wanted = list(map(topic_partition, partitions))
        deadline = time.monotonic() + (self._timeout_ms / 1000 if patiently else 0)
        while True:
            left_ms = max(0.0, deadline - time.monotonic()) * 1000 if patiently else self._timeout_ms
            try:
                found = self._kafka._coordinator.fetch_committed_offsets(wanted, timeout_ms=left_ms)
                break
            except Exception as error:
                failure = translate(error, f"read the offsets of group {self._group_id}")
                if not failure.retriable or time.monotonic() >= deadline:
                    raise failure from error
            time.sleep(_RETRY_S)
        return {Partition(*partition): offset.offset for partition, offset in found.items() if offset.offset >= 0}

    def commit(self, offsets: Mapping[Partition, int], timeout: float | None = None) -> None:
        """Return when the group has them; `timeout` seconds instead of the usual ones."""
        timeout_ms = self._timeout_ms if timeout is None else timeout * 1000
        try:
            self._kafka.commit(commit_offsets(offsets), timeout_ms=timeout_ms)
        except Exception as error:
            raise translate(error, f"commit offsets of group {self._group_id}") from error

    def position(self, partition: Partition) -> int:
        """Where kafka-python goes on in a partition that is assigned to it."""
        try:
            position = self._kafka.position(topic_partition(partition), timeout_ms=self._timeout_ms)
        except Exception as error:
            raise translate(error, f"position in {partition}") from error
        if position is None:
            raise translate(TimeoutError("no answer in time"), f"position in {partition}")
        return int(position)

    def beginnings(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Log start offsets."""
        return self._look_up("beginning_offsets", partitions)

    def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The offsets after the last message that may be read."""
        return self._look_up("end_offsets", partitions)

    def at_time(self, partitions: Sequence[Partition], ms: int) -> dict[Partition, int]:
        """Of the first messages then or later; the end without one."""
        found = self._ask("offsets_for_times", dict.fromkeys(map(topic_partition, partitions), ms))
        ends = self.ends(partitions)
        hits = {partition: found.get(topic_partition(partition)) for partition in partitions}
        return {partition: ends[partition] if hit is None else hit.offset for partition, hit in hits.items()}

    def _look_up(self, method: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        if not partitions:
            return {}
        found = self._ask(method, list(map(topic_partition, partitions)))
        return {Partition(*partition): offset for partition, offset in found.items()}

    def _ask(self, method: str, about: Any) -> Any:
        try:
            return getattr(self._kafka, method)(about, timeout_ms=self._timeout_ms)
        except Exception as error:
            raise translate(error, f"look up offsets of {self._topics}") from error
