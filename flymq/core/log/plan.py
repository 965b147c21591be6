"""What the partition log decides about a batch: append it so, answer a duplicate, or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flymq.core.log.producers import Entry


class AppendPlan:
    """A batch with its place in the log; it stays reserved until `PartitionLog.abandon`.

    `batch` is the whole record batch v2, already stamped by the caller before the store gets it; it
    may be a view of a receive buffer that dies when the store's `append` returns.
    """

    __slots__ = (
        "base_offset",
        "batch",
        "last_offset",
        "leader_epoch",
        "max_timestamp",
        "producer",
        "roll",
        "size",
        "undo",
    )

    def __init__(
        self,
        batch: memoryview,
        base_offset: int,
        last_offset: int,
        leader_epoch: int,
        max_timestamp: int,
        size: int,
        roll: bool,
        producer: tuple[int, int, int, int] | None,
    ) -> None:
        self.batch = batch
        self.base_offset = base_offset
        self.last_offset = last_offset
        self.leader_epoch = leader_epoch
        self.max_timestamp = max_timestamp  # milliseconds; -1: the batch has none
        self.size = size  # bytes on disk
        self.roll = roll  # start a new segment at base_offset first
        self.producer = producer  # (producer id, epoch, first sequence, last sequence); None: not idempotent
        self.undo: Entry | None = None  # the producer as it was before, for `PartitionLog.abandon`


class Duplicate:
    """The batch was appended before: answer with the original's offset once that is durable."""

    __slots__ = ("base_offset", "last_offset", "timestamp")

    def __init__(self, base_offset: int, last_offset: int, timestamp: int) -> None:
        self.base_offset = base_offset
        self.last_offset = last_offset
        self.timestamp = timestamp


class AppendError:
    """The batch is refused: the wire's error code and a text for the user; nothing was reserved.

    `records`: (index in the batch, text) of those it is about, where that is known. `before_log`: no log was
    needed to say so, and the answer does not tell where it starts.
    """

    __slots__ = ("before_log", "code", "message", "records")

    def __init__(
        self, code: int, message: str, records: tuple[tuple[int, str], ...] = (), *, before_log: bool = False
    ) -> None:
        self.before_log = before_log
        self.code = code
        self.message = message
        self.records = records
