"""What a consumer has fetched and not yielded. No I/O."""

from __future__ import annotations

from collections import deque
from typing import Any

from flymq.client.messages import Message, Partition


class Buffer:
    """Messages in lists of one partition each; the head is the next one to yield."""

    __slots__ = ("_batch", "_next", "_waiting", "partition")

    def __init__(self) -> None:
        self.partition = Partition("", -1)
        """The head's."""
        self._batch: list[Message[Any, Any]] = []
        self._next = 0
        self._waiting: deque[tuple[Partition, list[Message[Any, Any]]]] = deque()

    def add(self, partition: Partition, messages: list[Message[Any, Any]]) -> None:
        """To the end; `messages` is not empty, and goes on where the partition's last ones ended."""
        self._waiting.append((partition, messages))

    def has_head(self) -> bool:
        """Whether the head is of the same partition as what was yielded last."""
        return self._next < len(self._batch)

    def ready(self) -> bool:
        """Whether there is a head; goes on to the next partition for one."""
        if self._next < len(self._batch):
            return True
        if not self._waiting:
            return False
        self.partition, self._batch = self._waiting.popleft()
        self._next = 0
        return True

    def head(self) -> Message[Any, Any]:
        return self._batch[self._next]

    def advance(self) -> None:
        """The head is yielded."""
        self._next += 1

    def offset(self, partition: Partition) -> int | None:
        """Of the partition's first message here; None without one."""
        if partition == self.partition and self._next < len(self._batch):
            return self._batch[self._next].offset
        return next((messages[0].offset for other, messages in self._waiting if other == partition), None)

    def drop(self, partition: Partition) -> None:
        """Its messages are not to be yielded."""
        if partition == self.partition:
            self._batch, self._next = [], 0
        self._waiting = deque(entry for entry in self._waiting if entry[0] != partition)
