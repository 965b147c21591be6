"""What a consumer does with its place in each of its partitions: tell it, change it, hold it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from flymq.client.buffer import Buffer
from flymq.client.errors import InvalidArgumentError
from flymq.client.kafka_python import topic_partition
from flymq.client.messages import Partition, timestamp_ms
from flymq.client.offsets import Offsets
from flymq.client.progress import Progress
from flymq.client.subscribing import as_partition

AnyPartition = Partition | tuple[str, int]


class Positioned(ABC):
    """The part of `Consumer` that is about positions; it shares these with the rest."""

    _kafka: Any
    _offsets: Offsets
    _buffer: Buffer
    _progress: Progress
    _assigned: list[Partition]
    _began: dict[Partition, int]

    @abstractmethod
    def _start(self) -> None:
        """Be connected."""

    @abstractmethod
    def _join(self) -> None:
        """Be a member, or at least have tried."""

    def assignment(self) -> list[Partition]:
        """The partitions that are ours, sorted; those of a rebalance under way not yet."""
        return list(self._assigned)

    def position(self, partition: AnyPartition) -> int:
        """The offset of the partition's next message that the loop would get."""
        wanted = self._ours(partition)
        buffered = self._buffer.offset(wanted)
        return self._offsets.position(wanted) if buffered is None else buffered

    def committed(self, partition: AnyPartition) -> int | None:
        """What the group has committed for it; None for nothing."""
        self._start()
        wanted = as_partition(partition)
        return self._offsets.committed([wanted], patiently=True).get(wanted)

    def lag(self) -> dict[Partition, int]:
        """For each partition that is ours, how many offsets are between the loop and the end."""
        self._join()
        ends = self._offsets.ends(self._assigned)
        return {partition: max(0, end - self.position(partition)) for partition, end in ends.items()}

    def seek(self, partition: AnyPartition, offset: int) -> None:
        """Go on at this offset of a partition that is ours. The next commit covers what is before it."""
        wanted = self._ours(partition)
        if not isinstance(offset, int) or offset < 0:
            raise InvalidArgumentError(f"seek {wanted}: there is no offset {offset!r}", hint="offsets begin at 0")
        self._buffer.drop(wanted)
        self._kafka.seek(topic_partition(wanted), offset)
        self._progress.drop_in_hand([wanted])
        self._progress.finish(wanted, offset)
        self._began[wanted] = offset

    def seek_to_beginning(self, *partitions: AnyPartition) -> None:
        """Go back to the log start offset: of these, or of all that are ours."""
        for partition, offset in self._offsets.beginnings(self._ours_or_all(partitions)).items():
            self.seek(partition, offset)

    def seek_to_end(self, *partitions: AnyPartition) -> None:
        """Skip what is there: of these, or of all that are ours."""
        for partition, offset in self._offsets.ends(self._ours_or_all(partitions)).items():
            self.seek(partition, offset)

    def seek_to_committed(self, *partitions: AnyPartition) -> None:
        """Go back to what the group has committed, of these or of all that are ours: what came since comes again, as it
        has to after a transaction that was aborted. Without a commit: to where this consumer began.
        """
        wanted = self._ours_or_all(partitions)
        began = {partition: self._began[partition] for partition in wanted if partition in self._began}
        for partition, offset in (began | self._offsets.committed(wanted, patiently=True)).items():
            self.seek(partition, offset)

    def seek_to_time(self, when: datetime | int, *partitions: AnyPartition) -> None:
        """Go to the first message at or after `when` (aware datetime, or ms since the epoch); the end without one."""
        wanted = self._ours_or_all(partitions)
        for partition, offset in self._offsets.at_time(wanted, timestamp_ms(when)).items():
            self.seek(partition, offset)

    def pause(self, *partitions: AnyPartition) -> None:
        """No messages of these, or of any, until `resume`; the membership goes on."""
        for partition in self._ours_or_all(partitions):
            offset = self._buffer.offset(partition)
            self._buffer.drop(partition)
            self._kafka.pause(topic_partition(partition))
            if offset is not None:  # kafka-python is past what was buffered
                self._kafka.seek(topic_partition(partition), offset)

    def resume(self, *partitions: AnyPartition) -> None:
        """Undo `pause`."""
        self._kafka.resume(*map(topic_partition, self._ours_or_all(partitions)))

    def _ours(self, partition: AnyPartition) -> Partition:
        wanted = as_partition(partition)
        self._join()
        if wanted not in self._assigned:
            raise InvalidArgumentError(
                f"{wanted} is not assigned to this consumer",
                hint=f"it has {', '.join(map(str, self._assigned)) or 'no partitions now'}",
            )
        return wanted

    def _ours_or_all(self, partitions: Sequence[AnyPartition]) -> list[Partition]:
        self._join()
        return [self._ours(partition) for partition in partitions] if partitions else list(self._assigned)
