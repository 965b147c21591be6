"""The storage contract: bytes and records, never Kafka requests.

Two stores, made by one engine:

* `LogStore` keeps record batches. Core assigns the offsets; a store writes what it is told, in
  order, and reports how far it is durable. The high watermark follows that report.
* `ShardStore` keeps everything else (topics, groups, offsets, producer ids) as keyed rows, in
  shards, written atomically.

A call returns at once (S) or returns a `Token` (T). A token of this contract completes with the
result, or with an instance of `StorageError`. All calls and all reports are on the loop thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from flymq.core.log.cleaning import CleaningTask
from flymq.core.log.plan import AppendPlan
from flymq.core.log.transactions import AbortedTransaction
from flymq.env import Token


class StorageError(Exception):
    """What a store reports instead of a result."""


class Fenced(StorageError):
    """The epoch is stale: nothing was changed, somebody else leads."""


class Unavailable(StorageError):
    """It may or may not have happened; re-open before going on."""


class DiskFull(StorageError):
    """There was no room; the store is as it was before."""


class Corrupt(StorageError):
    """Stored bytes are not what was written: names the file and the byte position."""


class EngineError(Exception):
    """An engine that cannot start: `args[0]` says what and where, `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class PartitionRef:
    """Names a partition for good: a re-created topic has another id."""

    topic: str
    topic_id: bytes  # 16 bytes
    index: int


class Chunk:
    """Whole record batches as one contiguous view, on loan: call `release` once they are sent."""

    __slots__ = ("_give_back", "data")

    def __init__(self, data: memoryview, give_back: Callable[[], None] | None = None) -> None:
        self.data = data
        self._give_back = give_back

    def release(self) -> None:
        """The view may be overwritten from now on. Calling it twice is harmless."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


@dataclass(slots=True)
class Segment:
    """A run of batches that is rolled, trimmed and cleaned as a whole."""

    base_offset: int
    end_offset: int  # one past the last record
    size_bytes: int
    first_timestamp: int  # of its first batch's max_timestamp, ms; -1 where empty
    max_timestamp: int  # the largest, ms; -1 where none


@dataclass(slots=True)
class Opened:
    """An open partition, as it was found.

    `batches` are the whole batches from the snapshot's offset to `end`, in order; without one all that are
    there, also below the log start: a producer outlives its records. Core rebuilds producer state from them
    with the code that runs live. They must be consumed before the first append.
    """

    log: Log
    log_start: int
    end: int
    epochs: list[tuple[int, int]]  # (leader epoch, its first offset), ascending, never empty
    segments: list[Segment]
    snapshot: tuple[int, bytes] | None = None  # (offset, what core gave to `Log.snapshot`)
    batches: Iterable[memoryview] = field(default_factory=tuple)


class Log(ABC):
    """One open partition. Its opener sets both hooks before the first append."""

    __slots__ = ()  # an idle partition is small: engines list their own

    on_durable: Callable[[int], None]
    """Called with the offset up to which (exclusive) all is as durable as was asked for; ascending.
    Engines that need not wait call it inside `append`."""

    on_offline: Callable[[StorageError], None]
    """Called once when the partition cannot go on (a failed fsync): every later call raises."""

    swaps: int = 0
    """How often cleaned segments took the place of others. What was read before may hold what an aborted transaction
    wrote, of which `aborted` does not tell any more."""

    clean_end: int
    """Compaction has gone through everything below this offset. Durable, 0 at first."""

    @abstractmethod
    def append(self, plan: AppendPlan) -> None:
        """(S) Write `plan.batch` at the end, rolling first where the plan says so.

        The bytes are written or copied on return. Raises `DiskFull` (nothing changed) or
        `Unavailable` (the partition is offline).
        """

    @abstractmethod
    def read(self, offset: int, end_offset: int, max_bytes: int, *, at_least_one: bool) -> Chunk | Token | None:
        """(S or T) Whole batches, beginning with the one that contains `offset`, all below `end_offset`.

        At most `max_bytes`, but one batch in any case with `at_least_one`; None where nothing fits.
        May stop early (a segment's end). A `Token` (of `Chunk`) where the bytes are not in memory.
        """

    @abstractmethod
    def readable_bytes(self, offset: int, end_offset: int, enough_bytes: int) -> int:
        """(S) About how many bytes `read` could give, from positions in memory only, counting no
        further than `enough_bytes` (a fetch's min_bytes)."""

    @abstractmethod
    def find_timestamp(self, timestamp: int, end_offset: int, offset: int = 0) -> Token:
        """(T) `Chunk | None`: the first batch with max_timestamp >= `timestamp` that begins below `end_offset`, from
        the one that holds `offset` on."""

    @abstractmethod
    def find_max_timestamp(self, end_offset: int) -> Token:
        """(T) `Chunk | None`: the earliest batch that has the largest max_timestamp, among those below `end_offset`."""

    @abstractmethod
    def add_aborted(self, aborted: AbortedTransaction) -> None:
        """(S) Remember it, as long as the segment that holds its marker is there. One that is known changes nothing.

        Called after the marker's append, in order; and while `Opened.batches` are consumed, for every abort in
        them: an engine that lost what it knew begins them early enough.
        """

    @abstractmethod
    def aborted(self, from_offset: int, to_offset: int) -> Iterator[AbortedTransaction]:
        """(S) All that overlap [from_offset, to_offset), in order of their markers: those whose marker is at or
        after `from_offset` and whose first batch is below `to_offset`. To be consumed at once."""

    @abstractmethod
    def snapshot(self, offset: int, data: bytes) -> None:
        """(S) Keep core's producer state as of `offset`, so that opening need not replay from the start."""

    @abstractmethod
    def segments(self) -> list[Segment]:
        """(S) Oldest first; the last one is active. Empty before the first append."""

    @abstractmethod
    def trim(self, before_offset: int) -> Token:
        """(T) Move the log start durably to `before_offset`; segments wholly below it are gone then.

        The active one is no exception: trimmed to its end, a log has no segments. Completes with None; the
        bytes are deleted behind it, once no read needs them.
        """

    @abstractmethod
    def clean(self, task: CleaningTask) -> Token:
        """(T) Compact the segments that begin below `task.end`, but for the active one: `Cleaned`.

        They are replaced by cleaned ones, oldest first, each replacement whole or not at all, whatever crashes;
        then `clean_end` moves. Reads in flight end on what they began with. `Corrupt` where a batch is damaged,
        `Unavailable` where the log was trimmed below or dropped meanwhile, or could not be written: what was
        replaced by then stays so. One cleaning of a log at a time.
        """


class LogStore(ABC):
    """All partition logs of a broker."""

    @abstractmethod
    def open(self, ref: PartitionRef, epoch: int) -> Token:
        """(T) `Opened`. `epoch` is the leader's; -1 lets a single-node engine keep its own."""

    @abstractmethod
    def drop(self, topic_id: bytes) -> Token:
        """(T) Close the topic's logs and delete their bytes. Reads in flight end first."""

    @abstractmethod
    def sweep(self, known_topic_ids: set[bytes]) -> Token:
        """(T) At load, once every topic row is known: delete the bytes of all other topics, in slices.

        A deletion that a crash cut short is finished here. The token completes with None.
        """

    @property
    @abstractmethod
    def is_backlogged(self) -> bool:
        """True while more than `flymq.unflushed.bytes.max` waits for the disk: stop reading producers."""

    on_relief: Callable[[], None] | None = None
    """Called when `is_backlogged` turns false."""


class ShardStore(ABC):
    """Keyed rows in named shards. Keys and values are text (values: JSON, readable by any SQLite tool)."""

    @abstractmethod
    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        """(S) Every row of the shard, ordered by key."""

    @abstractmethod
    def shards(self) -> list[str]:
        """(S) The names of all shards that hold rows."""

    @abstractmethod
    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        """(T) Apply all of it or nothing; None once it is durable. Writes complete in the order given."""


class Engine(ABC):
    """Both stores over one place, and who they belong to."""

    logs: LogStore
    shards: ShardStore
    cluster_id: str  # 22 characters of URL-safe base64
    location: str
    """Where the logs are: an absolute path, or `memory`."""

    @abstractmethod
    def disk_bytes(self) -> tuple[int, int]:
        """(S) (all, still free for us) on the disk of `location`; -1 each where that is not known."""

    @abstractmethod
    def close(self) -> Token:
        """(T) Flush, mark clean, release the place. No call may follow."""
