"""A live member of a group, for tests that look at it: kafka-python's consumer, polled on a thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from flymq.client.kafka_python import kafka
from flymq.client.subscribing import keep_joining

TIMEOUT_S = 20.0


class LiveMember:
    """Polls until it is stopped, and commits nothing. `got`: (partition, offset) of the records so far."""

    def __init__(self, bootstrap_servers: str, topic: str, group: str, client_id: str, **settings: Any) -> None:
        self._consumer = kafka().KafkaConsumer(
            topic, bootstrap_servers=bootstrap_servers, group_id=group, client_id=client_id,
            auto_offset_reset="earliest", enable_auto_commit=False, heartbeat_interval_ms=100, **settings,
        )  # fmt: skip
        self.got: list[tuple[int, int]] = []
        self.assigned: set[int] = set()
        self._said = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            keep_joining(self._consumer)
            polled = self._consumer.poll(timeout_ms=50)
            with self._said:
                self.assigned = {partition.partition for partition in self._consumer.assignment()}
                self.got += [(record.partition, record.offset) for records in polled.values() for record in records]
                self._said.notify_all()

    def wait_for(self, *wanted: tuple[int, int], times: int = 1) -> None:
        """Until it got these (partition, offset), each so many times."""
        with self._said:
            came = self._said.wait_for(lambda: all(self.got.count(one) >= times for one in wanted), TIMEOUT_S)
        assert came, f"wanted {wanted} {times} times, got {self.got}"

    def wait_to_share(self, partitions: set[int], *others: LiveMember) -> None:
        """Until it and the others have these, each of them at least one. A first assignment may well be empty."""

        def shared() -> bool:
            parts = [self.assigned, *(other.assigned for other in others)]
            return all(parts) and sorted(partitions) == sorted(one for part in parts for one in part)

        with self._said:
            came = self._said.wait_for(shared, TIMEOUT_S)
        assert came, f"{partitions} are shared as {[self.assigned, *(other.assigned for other in others)]}"

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close(autocommit=False)


@contextlib.contextmanager
def live_member(
    bootstrap_servers: str, topic: str, group: str, client_id: str, **settings: Any
) -> Iterator[LiveMember]:
    member = LiveMember(bootstrap_servers, topic, group, client_id, **settings)
    try:
        yield member
    finally:
        member.stop()
