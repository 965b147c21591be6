"""Which messages a consumer is done with: what may be committed. No I/O, and no idea of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flymq.client.messages import Message, Partition


class Progress:
    """For each partition, the offset after the last message that is finished, and what of it is committed.

    A message in hand was yielded, and its turn of the loop is not over: `end_turn` finishes it.
    """

    def __init__(self) -> None:
        self.in_hand: Message[Any, Any] | None = None
        self._batch: dict[Partition, int] = {}  # in hand, too: for each partition, the offset after its last message
        self._finished: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._aside: dict[Partition, tuple[int, int | None]] = {}
        self._lost: set[Partition] = set()  # with something finished that nobody has committed

    def take_batch(self, messages: Iterable[Message[Any, Any]]) -> None:
        """They are in hand, together."""
        self._batch = {_partition_of(message): message.offset + 1 for message in messages}

    def end_turn(self) -> None:
        """What is in hand is finished, and with it what came before."""
        message, self.in_hand = self.in_hand, None
        batch, self._batch = self._batch, {}
        if message is not None:
            self.finish(_partition_of(message), message.offset + 1)
        else:
            self._finished.update(batch)

    def give_back(self) -> None:
        """What is in hand is not finished; what came before it is."""
        message, self.in_hand, self._batch = self.in_hand, None, {}
        if message is not None:
            self.finish(_partition_of(message), message.offset)

    def finish_up_to(self, message: Message[Any, Any]) -> None:
        """That one, and what came before it in its partition."""
        if self.in_hand is message:
            self.in_hand = None
        self.finish(_partition_of(message), message.offset + 1)

    def drop_in_hand(self, partitions: Iterable[Partition]) -> None:
        """What is in hand of them is neither finished nor given back."""
        for partition in partitions:
            self._batch.pop(partition, None)
            if self.in_hand is not None and _partition_of(self.in_hand) == partition:
                self.in_hand = None

    def finish(self, partition: Partition, offset_next: int) -> None:
        """Everything of the partition before `offset_next` is done with. After a seek it may go back."""
        self._finished[partition] = offset_next

    def finished(self) -> Mapping[Partition, int]:
        """Partition -> the offset to commit. A live view."""
        return self._finished

    def uncommitted(self, among: Iterable[Partition] | None = None) -> dict[Partition, int]:
        """What a commit would change, of these partitions or of all."""
        wanted = self._finished if among is None else [p for p in among if p in self._finished]
        return {p: self._finished[p] for p in wanted if self._committed.get(p) != self._finished[p]}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """The group has these offsets now. Of partitions that are somebody else's meanwhile, nothing is known."""
        self._committed.update({p: offset for p, offset in offsets.items() if p in self._finished})

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Somebody else's from here on."""
        partitions = list(partitions)
        self.drop_in_hand(partitions)
        self._lost.update(self.uncommitted(partitions))
        for partition in partitions:
            self._finished.pop(partition, None)
            self._committed.pop(partition, None)
            self._aside.pop(partition, None)

    def set_aside(self, partitions: Iterable[Partition]) -> None:
        """Perhaps somebody else's from here on: not to be committed."""
        partitions = list(partitions)
        self.drop_in_hand(partitions)
        for partition in partitions:
            if partition in self._finished:
                self._aside[partition] = self._finished.pop(partition), self._committed.pop(partition, None)

    def take_back(self, partitions: Iterable[Partition]) -> None:
        """They stayed ours; the others that were set aside did not."""
        for partition in partitions:
            if partition in self._aside:
                self._finished[partition], committed = self._aside[partition]
                if committed is not None:
                    self._committed[partition] = committed
                del self._aside[partition]
        self._lost.update(p for p, (finished, committed) in self._aside.items() if finished != committed)
        self._aside.clear()

    def take_lost(self) -> list[Partition]:
        """Those that were given up, since the last call, with something finished and not committed; sorted."""
        lost = sorted(self._lost)
        self._lost.clear()
        return lost


def _partition_of(message: Message[Any, Any]) -> Partition:
    return Partition(message.topic, message.partition)
