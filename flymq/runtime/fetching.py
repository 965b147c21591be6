"""Fetch as the runtime sees it: what is asked of which partition, is there enough, and the reads.

Answering has two steps. `survey` looks at positions in memory only and says whether to answer now;
`read` gets the bytes. Between them a fetch may be parked until a partition has more, or its
deadline.

Source: ReplicaManager.fetchMessages, DelayedFetch, KIP-74, KIP-320, KIP-595 in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.core.log.transactions import AbortedTransaction
from flymq.env import Env, Timer, Token
from flymq.runtime.partitions import Partition, Partitions, Waiter
from flymq.runtime.waiting import Ended
from flymq.storage.api import Chunk, StorageError
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import iter_batches, parse_header

_LONG_WAIT_MS = 100


class FetchTarget:
    """What one fetch, or one fetch session, wants of one partition.

    Named by topic id (Fetch v13+) or, where that is None, by name. The `sent_*` fields are what a session told last.
    """

    __slots__ = (
        "error",
        "index",
        "is_known",
        "last_fetched_epoch",
        "leader_epoch",
        "max_bytes",
        "offset",
        "partition",
        "sent_high_watermark",
        "sent_log_start",
        "swaps",
        "topic",
        "topic_id",
    )

    def __init__(
        self,
        topic: str,
        topic_id: bytes | None,
        index: int,
        offset: int,
        max_bytes: int,
        leader_epoch: int,
        last_fetched_epoch: int,
    ) -> None:
        self.topic = topic
        self.topic_id = topic_id
        self.index = index
        self.offset = offset
        self.max_bytes = max_bytes
        self.leader_epoch = leader_epoch  # -1: the client does not say
        self.last_fetched_epoch = last_fetched_epoch  # -1: the client does not say
        self.partition: Partition | None = None
        self.error = 0  # of the last survey or read
        self.is_known = False  # the topic id once was a topic's
        self.sent_high_watermark = -1
        self.sent_log_start = -1
        self.swaps = 0  # the store's, at the last read

    def check(self, partitions: Partitions) -> int:
        """Find the partition and check the request against it; the error code, or 0.

        Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH,
        OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR.
        """
        partition = self.partition
        if partition is None or partition.is_closed:
            partition = self._resolve(partitions)
            if partition is None:
                return self.error
        log = partition.log
        error = partition.check_epoch(self.leader_epoch)
        if not error and not log.log_start <= self.offset <= log.end:
            error = ErrorCode.OFFSET_OUT_OF_RANGE
        self.error = error
        return error

    def _resolve(self, partitions: Partitions) -> Partition | None:
        if self.topic_id is not None:
            partition = partitions.find_by_id(self.topic_id, self.index)
            # As on Kafka, which keeps the name that it found: a wait or a session goes on under it.
            self.is_known = self.is_known or partition is not None or partitions.has_id(self.topic_id)
            self.error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if self.is_known else ErrorCode.UNKNOWN_TOPIC_ID
        else:
            partition = partitions.find(self.topic, self.index)
            self.error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        self.partition = partition
        return partition

    def diverging_epoch(self) -> tuple[int, int] | None:
        """(epoch, its end) where the client's log and ours part before its fetch offset (KIP-595)."""
        if self.last_fetched_epoch < 0 or self.partition is None:
            return None
        epoch, end = self.partition.log.epoch_end(self.last_fetched_epoch)
        if epoch < 0 or (epoch >= self.last_fetched_epoch and end >= self.offset):
            return None
        return epoch, end


def survey(targets: list[FetchTarget], partitions: Partitions, bytes_min: int, read_committed: bool) -> bool:
    """True where a fetch must be answered now: an error of a partition, or at least `bytes_min` to read.

    Partitions that are not there are told with what the others have, now only where no other is asked for: a client
    that goes on asking for a deleted one would else never wait.
    A fetch reads up to the high watermark, with `read_committed` up to the last stable offset.

    Leaves each target's error in it.
    """
    readable = missing = 0
    ready = False
    for target in targets:
        if target.check(partitions):
            if target.partition is None:
                missing += 1
            else:
                ready = True
            continue
        partition = target.partition
        assert partition is not None
        limit = partition.log.last_stable_offset if read_committed else partition.log.high_watermark
        if target.last_fetched_epoch >= 0 and target.diverging_epoch() is not None:
            ready = True
        elif target.offset < limit and not ready:
            if bytes_min <= 1:
                ready = True
            else:
                readable += partition.store.readable_bytes(target.offset, limit, bytes_min)
                ready = readable >= bytes_min
    return ready or bytes_min <= 0 or missing == len(targets)


def read(
    targets: list[FetchTarget], bytes_max: int, read_committed: bool
) -> tuple[list[Chunk | Token | None], list[Token]]:
    """What each target gets, in order, and those of it that have to come from the disk yet.

    `bytes_max` and each target's max_bytes bind, but the first partition with data gives one whole
    batch in any case. Targets in error get None.
    """
    found: list[Chunk | Token | None] = []
    cold: list[Token] = []
    left = bytes_max
    is_first = True
    for target in targets:
        chunk: Chunk | Token | None = None
        partition = target.partition
        if not target.error and partition is not None and (left > 0 or is_first):
            limit = partition.log.last_stable_offset if read_committed else partition.log.high_watermark
            diverges = target.last_fetched_epoch >= 0 and target.diverging_epoch() is not None
            if target.offset < limit and not diverges:
                size_max = target.max_bytes if target.max_bytes < left else left
                target.swaps = partition.store.swaps
                try:
                    chunk = partition.store.read(target.offset, limit, size_max, at_least_one=is_first)
                except StorageError:
                    target.error = ErrorCode.KAFKA_STORAGE_ERROR
                if isinstance(chunk, Chunk):
                    left -= len(chunk.data)
                    is_first = False
                elif isinstance(chunk, Token):
                    cold.append(chunk)
                    left -= size_max  # not known yet; what it may be at most
                    is_first = False
        found.append(chunk)
    return found, cold


def aborted_in(partition: Partition, offset: int, records: memoryview) -> list[AbortedTransaction]:
    """All aborted transactions that overlap `records`, read from `offset` on: also those that began before it."""
    store = partition.store
    if next(store.aborted(offset, partition.log.last_stable_offset), None) is None:
        return []  # the rule, and it spares looking for where the records end
    for start, _ in iter_batches(records):
        last = start
    return list(store.aborted(offset, parse_header(records, last).last_offset + 1))


class ParkedFetch(Waiter):
    """A fetch that waits for data. Its token completes with None (look again) or with `Ended`."""

    __slots__ = ("_bytes_min", "_parked_on", "_partitions", "_read_committed", "_targets", "_timer", "token")

    def __init__(
        self,
        env: Env,
        partitions: Partitions,
        targets: list[FetchTarget],
        bytes_min: int,
        wait_ms_max: int,
        read_committed: bool,
    ) -> None:
        self.token = Token()
        self._partitions = partitions
        self._targets = targets
        self._bytes_min = bytes_min
        self._read_committed = read_committed
        self._parked_on = [target.partition for target in targets if target.partition is not None]
        for partition in self._parked_on:
            partition.waiters[self] = None
        # Long polls by the thousand would else wake the loop for every one.
        call = env.call_about if wait_ms_max >= _LONG_WAIT_MS else env.call_in
        self._timer: Timer = call(wait_ms_max, self.token.complete, Ended.DEADLINE)
        # Also when the connection is lost, or the broker stops.
        self.token.then(self._leave)

    def wake(self) -> None:
        if not self.token.done and (self._needs_one_byte() or self._is_ready() or self._any_closed()):
            self.token.complete()

    def _needs_one_byte(self) -> bool:
        """Then whoever wakes it need not look. What is appended to a transaction is nothing for readers of
        committed records yet."""
        return self._bytes_min <= 1 and not self._read_committed

    def _is_ready(self) -> bool:
        return survey(self._targets, self._partitions, self._bytes_min, self._read_committed)

    def _any_closed(self) -> bool:
        return any(partition.is_closed for partition in self._parked_on)

    def _leave(self, _: object) -> None:
        self._timer.cancel()
        for partition in self._parked_on:
            partition.waiters.pop(self, None)
