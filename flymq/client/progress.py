"""Which messages a consumer is done with: what may be committed. No I/O, and no idea of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flymq.client.messages import Partition


class Progress:
    """For each partition, the offset after the last message that is finished, and what of it is committed.

    A message in hand (yielded, and its turn of the loop not over) is not here yet: `finish` is what ends a turn.
    """

    def __init__(self) -> None:
        self._finished: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}

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
        """The group has these offsets now."""
        self._committed.update(offsets)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Somebody else's from here on."""
        for partition in partitions:
            self._finished.pop(partition, None)
            self._committed.pop(partition, None)
