"""The memory engine: nothing outlives the process. The oracle of every other engine's tests.

A log's bytes lie in chunks that are never resized, so a read is a view of a chunk: no copy, and no
care for who still holds it. A batch never straddles two chunks, hence a read ends at its chunk's end.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator

from flymq.core.log.cleaning import CleaningTask
from flymq.core.log.plan import AppendPlan
from flymq.core.log.retention import epochs_from
from flymq.core.log.transactions import AbortedTransaction
from flymq.env import Env, Token, completed
from flymq.storage.api import (
    Chunk,
    DiskFull,
    Engine,
    Fenced,
    Log,
    LogStore,
    Opened,
    PartitionRef,
    Segment,
    ShardStore,
    StorageError,
    Unavailable,
)
from flymq.storage.cluster_id import make_cluster_id
from flymq.storage.headers import BASE_OFFSET, MAX_TIMESTAMP, MAX_TIMESTAMP_AT, PLACE
from flymq_protocol.types import Buffer

_CHUNK_BYTES_MIN = 4096
_CHUNK_BYTES_MAX = 1 << 20


class _Piece:
    """One chunk and where its batches lie: `lasts[i]` is the last offset of the batch at `starts[i]`."""

    __slots__ = ("data", "lasts", "segment", "starts", "used", "view")

    def __init__(self, capacity: int, segment: Segment) -> None:
        self.data = memoryview(bytearray(capacity))
        self.view = self.data.toreadonly()
        self.used = 0
        self.lasts = array("q")
        self.starts = array("I")
        self.segment = segment

    def end_of(self, i: int) -> int:
        return self.starts[i + 1] if i + 1 < len(self.starts) else self.used

    def batch(self, i: int) -> memoryview:
        return self.view[self.starts[i] : self.end_of(i)]

    def base_offset(self, i: int) -> int:
        found: int = BASE_OFFSET.unpack_from(self.view, self.starts[i])[0]
        return found

    def max_timestamp(self, i: int) -> int:
        found: int = MAX_TIMESTAMP.unpack_from(self.view, self.starts[i] + MAX_TIMESTAMP_AT)[0]
        return found


def _ignore_durable(_: int) -> None:
    pass


def _ignore_offline(_: StorageError) -> None:
    pass


class MemoryLog(Log):
    """One partition in memory. `lasts[i]` is the last offset in `pieces[i]`."""

    __slots__ = (
        "_aborted",
        "_dropped",
        "_store",
        "clean_end",
        "end",
        "epochs",
        "lasts",
        "log_start",
        "on_durable",
        "on_offline",
        "pieces",
        "runs",
        "taken",
    )

    def __init__(self, store: MemoryLogStore) -> None:
        self._store = store
        self._dropped = False
        self._aborted: list[AbortedTransaction] = []  # by last offset
        self.log_start = 0
        self.end = 0
        self.clean_end = 0
        self.epochs = [(0, 0)]
        self.pieces: list[_Piece] = []
        self.lasts: list[int] = []
        self.runs: list[Segment] = []
        self.taken: tuple[int, bytes] | None = None
        self.on_durable: Callable[[int], None] = _ignore_durable
        self.on_offline: Callable[[StorageError], None] = _ignore_offline

    def append(self, plan: AppendPlan) -> None:
        epoch = self.epochs[-1][0]
        if plan.leader_epoch != epoch:
            if plan.leader_epoch < epoch:
                raise Fenced(f"leader epoch {plan.leader_epoch} is older than {epoch}")
            add_epoch(self.epochs, plan.leader_epoch, plan.base_offset)
        size = plan.size
        if plan.roll or not self.pieces or len(self.pieces[-1].data) - self.pieces[-1].used < size:
            piece = self._grow(plan)
        else:
            piece = self.pieces[-1]
        position = piece.used
        last = plan.last_offset
        timestamp = plan.max_timestamp
        piece.data[position : position + size] = plan.batch
        piece.used = position + size
        piece.lasts.append(last)
        piece.starts.append(position)
        self.lasts[-1] = last
        segment = piece.segment
        if not segment.size_bytes:
            segment.first_timestamp = timestamp
        segment.size_bytes += size
        segment.end_offset = self.end = last + 1
        if timestamp > segment.max_timestamp:
            segment.max_timestamp = timestamp
        self.on_durable(last + 1)

    def _grow(self, plan: AppendPlan) -> _Piece:
        """A new chunk for `plan`, in a new segment where it rolls."""
        if self._dropped:
            raise Unavailable("the topic was deleted")
        capacity = _CHUNK_BYTES_MIN
        if self.pieces:
            capacity = min(_CHUNK_BYTES_MAX, 2 * len(self.pieces[-1].data))
        self._store.take(max(capacity, plan.size))
        if not self.runs or (plan.roll and self.runs[-1].size_bytes):
            self.runs.append(Segment(plan.base_offset, plan.base_offset, 0, -1, -1))
        piece = _Piece(max(capacity, plan.size), self.runs[-1])
        self.pieces.append(piece)
        self.lasts.append(plan.last_offset)
        return piece

    def read(self, offset: int, end_offset: int, max_bytes: int, *, at_least_one: bool) -> Chunk | None:
        at = bisect_left(self.lasts, offset)
        if at == len(self.lasts):
            return None
        piece = self.pieces[at]
        lasts, starts = piece.lasts, piece.starts
        first = bisect_left(lasts, offset)
        start = starts[first]
        if lasts[-1] < end_offset:
            stop = piece.used
        else:
            after = bisect_left(lasts, end_offset)
            if after <= first:
                return None
            stop = starts[after]
        if stop - start > max_bytes:
            after = bisect_right(starts, start + max_bytes) - 1
            if after > first:
                stop = starts[after]
            elif at_least_one:
                stop = piece.end_of(first)
            else:
                return None
        return Chunk(piece.view[start:stop])

    def readable_bytes(self, offset: int, end_offset: int, enough_bytes: int) -> int:
        total = 0
        for piece in self.pieces[bisect_left(self.lasts, offset) :]:
            first = bisect_left(piece.lasts, offset)
            after = bisect_left(piece.lasts, end_offset)
            if after <= first:
                break
            total += piece.end_of(after - 1) - piece.starts[first]
            if total >= enough_bytes:
                return enough_bytes
        return total

    def find_timestamp(self, timestamp: int, end_offset: int, offset: int = 0) -> Token:
        for piece, i in self.batches(max(offset, self.log_start), end_offset):
            if piece.max_timestamp(i) >= timestamp:
                return completed(Chunk(piece.batch(i)))
        return completed(None)

    def find_max_timestamp(self, end_offset: int) -> Token:
        best: tuple[_Piece, int] | None = None
        largest = -1
        for piece, i in self.batches(self.log_start, end_offset):
            if piece.max_timestamp(i) > largest:
                best, largest = (piece, i), piece.max_timestamp(i)
        return completed(Chunk(best[0].batch(best[1])) if best else None)

    def batches(self, offset: int, end_offset: int) -> Iterator[tuple[_Piece, int]]:
        """Every batch that holds or follows `offset` and begins below `end_offset`, in order."""
        for piece in self.pieces[bisect_left(self.lasts, offset) :]:
            for i in range(bisect_left(piece.lasts, offset), len(piece.lasts)):
                if piece.base_offset(i) >= end_offset:
                    return
                yield piece, i

    def add_aborted(self, aborted: AbortedTransaction) -> None:
        if not self._aborted or aborted.last_offset > self._aborted[-1].last_offset:
            self._aborted.append(aborted)

    def aborted(self, from_offset: int, to_offset: int) -> Iterator[AbortedTransaction]:
        for at in range(bisect_left(self._aborted, from_offset, key=_last_offset), len(self._aborted)):
            if self._aborted[at].first_offset < to_offset:
                yield self._aborted[at]

    def snapshot(self, offset: int, data: bytes) -> None:
        self.taken = (offset, data)

    def segments(self) -> list[Segment]:
        return list(self.runs)

    def trim(self, before_offset: int) -> Token:
        self.log_start = max(self.log_start, before_offset)
        self.epochs = epochs_from(self.epochs, self.log_start)
        kept = [run for run in self.runs if run.end_offset > before_offset]
        if len(kept) < len(self.runs):
            gone = [piece for piece in self.pieces if piece.segment.end_offset <= before_offset]
            self._store.take(-sum(len(piece.data) for piece in gone))
            del self.pieces[: len(gone)]
            del self.lasts[: len(gone)]
            first = kept[0].base_offset if kept else self.log_start
            del self._aborted[: bisect_left(self._aborted, first, key=_last_offset)]
            self.runs = kept
        return completed(None)

    def clean(self, task: CleaningTask) -> Token:
        from flymq.storage.memory_cleaning import clean_in_slices

        return clean_in_slices(self._store.env, self, task)

    def cleaned_to(self, end: int) -> None:
        """Everything below is clean: nothing is left there of an aborted transaction."""
        self.clean_end = end
        del self._aborted[: bisect_left(self._aborted, end, key=_last_offset)]

    def replace(self, old: list[Segment], batches: list[Buffer]) -> bool:
        """Put these batches in the place of neighbouring runs; False where those are not all there any more."""
        places = [place for place, run in enumerate(self.runs) if any(run is one for one in old)]
        if len(places) < len(old):
            return False
        gone = [place for place, piece in enumerate(self.pieces) if any(piece.segment is one for one in old)]
        run = Segment(old[0].base_offset, old[-1].end_offset, 0, -1, -1)
        pieces = _pack(batches, run)
        self._store.take(-sum(len(self.pieces[place].data) for place in gone))
        self._store.take(sum(len(piece.data) for piece in pieces))
        self.pieces[gone[0] : gone[-1] + 1] = pieces
        self.lasts[gone[0] : gone[-1] + 1] = [piece.lasts[-1] for piece in pieces]
        self.runs[places[0] : places[-1] + 1] = [run] if pieces else []
        if not pieces and places[0]:
            self.runs[places[0] - 1].end_offset = run.end_offset
        return True

    def drop(self) -> None:
        """The topic is gone: free everything; a later append raises `Unavailable`."""
        self._store.take(-sum(len(piece.data) for piece in self.pieces))
        self.pieces, self.lasts, self.runs = [], [], []
        self._dropped = True

    def opened(self, epoch: int) -> Opened:
        """What `LogStore.open` answers; raises `Fenced` for an epoch older than the log's."""
        take_epoch(self.epochs, epoch, self.end)
        start = self.taken[0] if self.taken else 0
        return Opened(
            log=self,
            log_start=self.log_start,
            end=self.end,
            epochs=list(self.epochs),
            segments=list(self.runs),
            snapshot=self.taken,
            batches=(piece.batch(i) for piece, i in self.batches(start, self.end)),
        )


def _pack(batches: list[Buffer], run: Segment) -> list[_Piece]:
    """Whole batches in chunks of about a megabyte; accounted in `run`."""
    pieces: list[_Piece] = []
    at = 0
    while at < len(batches):
        count = size = 0
        while at + count < len(batches) and (not count or size + len(batches[at + count]) <= _CHUNK_BYTES_MAX):
            size += len(batches[at + count])
            count += 1
        piece = _Piece(size, run)
        for batch in batches[at : at + count]:
            piece.starts.append(piece.used)
            piece.data[piece.used : piece.used + len(batch)] = batch
            base, _, delta = PLACE.unpack_from(batch)
            piece.lasts.append(base + delta)
            piece.used += len(batch)
            run.max_timestamp = max(run.max_timestamp, piece.max_timestamp(len(piece.starts) - 1))
        pieces.append(piece)
        at += count
    run.size_bytes = sum(piece.used for piece in pieces)
    run.first_timestamp = pieces[0].max_timestamp(0) if pieces else -1
    return pieces


def _last_offset(aborted: AbortedTransaction) -> int:
    return aborted.last_offset


def add_epoch(epochs: list[tuple[int, int]], epoch: int, start: int) -> None:
    """Leader epoch `epoch` begins at offset `start`: epochs under which nothing was written go."""
    while epochs and epochs[-1][1] >= start:
        epochs.pop()
    epochs.append((epoch, start))


def take_epoch(epochs: list[tuple[int, int]], epoch: int, end: int) -> None:
    """An opener's leader epoch (-1: keep ours) against the log's; raises `Fenced` where it is older."""
    if epoch < 0 or epoch == epochs[-1][0]:
        return
    if epoch < epochs[-1][0]:
        raise Fenced(f"leader epoch {epoch} is older than {epochs[-1][0]}")
    add_epoch(epochs, epoch, end)


class MemoryLogStore(LogStore):
    """All logs, by topic id and index; `bytes_max` bounds the chunks of all together."""

    is_backlogged = False

    def __init__(self, env: Env, bytes_max: int | None) -> None:
        self.env = env
        self._logs: dict[tuple[bytes, int], MemoryLog] = {}
        self._bytes_max = bytes_max
        self._bytes = 0

    def take(self, size: int) -> None:
        """Account for `size` bytes more (or fewer); raises `DiskFull` above the limit."""
        if size > 0 and self._bytes_max is not None and self._bytes + size > self._bytes_max:
            raise DiskFull(f"the memory engine's limit of {self._bytes_max} bytes is reached")
        self._bytes += size

    def open(self, ref: PartitionRef, epoch: int) -> Token:
        key = (ref.topic_id, ref.index)
        log = self._logs.get(key)
        if log is None:
            log = self._logs[key] = MemoryLog(self)
        try:
            return completed(log.opened(epoch))
        except Fenced as error:
            return completed(error)

    def drop(self, topic_id: bytes) -> Token:
        for key in [key for key in self._logs if key[0] == topic_id]:
            self._logs.pop(key).drop()
        return completed(None)

    def sweep(self, known_topic_ids: set[bytes]) -> Token:
        return completed(None)


class MemoryShardStore(ShardStore):
    """Shards as dicts."""

    def __init__(self) -> None:
        self._shards: dict[str, dict[str, str]] = {}

    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        return iter(sorted(self._shards.get(shard, {}).items()))

    def shards(self) -> list[str]:
        return sorted(name for name, rows in self._shards.items() if rows)

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        rows = self._shards.setdefault(shard, {})
        rows.update(puts)
        for key in deletes:
            rows.pop(key, None)
        return completed(None)


class MemoryEngine(Engine):
    """Both stores in memory. `bytes_max`: how many bytes all logs may take together; None: no limit."""

    logs: MemoryLogStore
    shards: MemoryShardStore

    def __init__(self, env: Env, *, cluster_id: str | None = None, bytes_max: int | None = None) -> None:
        self.logs = MemoryLogStore(env, bytes_max)
        self.shards = MemoryShardStore()
        self.cluster_id = cluster_id or make_cluster_id(env)
        self.location = "memory"

    def disk_bytes(self) -> tuple[int, int]:
        return -1, -1

    def close(self) -> Token:
        return completed(None)
