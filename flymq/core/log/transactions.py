"""Transactions of one partition: which are open, which have just ended, how far readers of committed records may go.

Source: ProducerStateManager, CompletedTxn, AbortedTxn in Apache Kafka 4; KIP-98.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

NO_COORDINATOR = -1  # the epoch of a coordinator that has not written a marker yet


class AbortedTransaction(NamedTuple):
    """A transaction whose batches readers of committed records skip. Offsets are the partition's."""

    producer_id: int
    first_offset: int
    last_offset: int  # the marker's
    last_stable_offset: int  # once the marker is written: nothing that ends later begins below it


class Transactions:
    """By producer id; one producer has at most one open transaction in a partition."""

    __slots__ = ("coordinator_epochs", "ended", "open")

    def __init__(self) -> None:
        self.open: dict[int, int] = {}  # the first offset of its transaction, ascending
        self.ended: deque[tuple[int, int]] = deque()  # (first offset, marker's offset), by the latter
        self.coordinator_epochs: dict[int, int] = {}  # of its last marker

    def last_stable_offset(self, high_watermark: int) -> int:
        """Below it every transaction has ended, by a marker below `high_watermark`, which never falls."""
        self.settle(high_watermark)
        lowest = next(iter(self.open.values()), high_watermark)
        for first_offset, _ in self.ended:
            lowest = min(lowest, first_offset)
        return min(lowest, high_watermark)

    def settle(self, high_watermark: int) -> None:
        """Forget what has ended for every reader."""
        ended = self.ended
        while ended and ended[0][1] < high_watermark:
            ended.popleft()

    def end(self, producer_id: int, marker_offset: int, commit: bool) -> AbortedTransaction | None:
        """The producer's transaction ends, where one is open; what is to be remembered where that is an abort."""
        first_offset = self.open.pop(producer_id, None)
        if first_offset is None:
            return None
        self.ended.append((first_offset, marker_offset))
        if commit:
            return None
        stable = next(iter(self.open.values()), marker_offset + 1)
        return AbortedTransaction(producer_id, first_offset, marker_offset, stable)

    def reopen(self, producer_id: int, first_offset: int) -> None:
        """Undo the newest `end`."""
        self.ended.pop()
        self.replace_open({**self.open, producer_id: first_offset})

    def replace_open(self, first_offsets: dict[int, int]) -> None:
        """In place: the partition's log holds `open` itself."""
        in_order = sorted(first_offsets.items(), key=lambda item: item[1])
        self.open.clear()
        self.open.update(in_order)

    def load(self, first_offsets: dict[int, int], coordinator_epochs: dict[int, int]) -> None:
        """What a snapshot says."""
        self.replace_open(first_offsets)
        self.ended.clear()
        self.coordinator_epochs = coordinator_epochs
