"""Transactions of a partition over both engines: markers that fail, restarts, and crashes at any point.

Letters, of a restart over the files engine with a transaction that is open, or aborted, across it:
A. the snapshot is older than the transaction; B. it was taken inside it; C. after it; D. there is none;
E. a crash left segments without index files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flymq.core.catalog import Topic
from flymq.core.log.plan import AppendError, AppendPlan
from flymq.core.log.transactions import AbortedTransaction
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.waiting import Ended
from flymq.storage.api import StorageError
from flymq.storage.memory import MemoryEngine
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import iter_batches
from tests.storage.batches import TOPIC_ID, Runner
from tests.storage.test_files_recovery import Folder, folder  # noqa: F401
from tests.wire.batches import a_batch, now_ms
from tests.wire.transactions import ABORT, COMMIT, in_transaction

DAY_MS = 86_400_000
SEGMENT_BYTES = 1 << 20


def open_partition(run: Runner, logs: Any) -> Partition:
    partitions = Partitions(run.env, logs, DAY_MS)
    config = TopicConfig.of(BrokerConfig(), {"segment.bytes": str(SEGMENT_BYTES)})
    run.wait(partitions.open_topic(Topic("orders", TOPIC_ID, 1, {}), config))
    found = partitions.find("orders", 0)
    assert found is not None
    assert found.offline is None
    return found


def append(partition: Partition, producer_id: int, sequence: int, **fields: int) -> int:
    plan = partition.append(memoryview(bytearray(in_transaction(producer_id, sequence, **fields))), now_ms())
    assert isinstance(plan, AppendPlan), plan
    return plan.base_offset


def fill_a_segment(partition: Partition) -> None:
    """Plain batches until one begins a segment."""
    segments = len(partition.store.segments())
    while len(partition.store.segments()) == segments:
        plain = memoryview(bytearray(a_batch([b"x" * 200_000])))
        assert isinstance(partition.append(plain, now_ms()), AppendPlan)


def mark(run: Runner, partition: Partition, producer_id: int, commit: bool, *, epoch: int = 0) -> object:
    """Raises a `StorageError`."""
    return run.wait(partition.write_marker(producer_id, epoch, commit, 0, now_ms()))


@pytest.fixture
def run() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


@pytest.fixture
def partition(run: Runner) -> Partition:
    return open_partition(run, MemoryEngine(run.env).logs)


# -- write_marker -------------------------------------------------------------------------------------


def test_a_marker_ends_the_transaction(run: Runner, partition: Partition) -> None:
    append(partition, 7, 0, epoch=2)
    append(partition, 8, 0)
    assert partition.open_transactions() == {7: (2, 0), 8: (0, 1)}
    assert mark(run, partition, 7, ABORT, epoch=2) is None
    assert partition.open_transactions() == {8: (0, 1)}
    assert partition.log.last_stable_offset == 1
    assert list(partition.store.aborted(0, 3)) == [AbortedTransaction(7, 0, 2, 1)]
    assert mark(run, partition, 8, COMMIT) is None
    assert partition.log.last_stable_offset == 4


def test_a_stale_marker(run: Runner, partition: Partition) -> None:
    append(partition, 7, 0, epoch=2)
    refused = mark(run, partition, 7, ABORT, epoch=1)
    assert isinstance(refused, AppendError)
    assert (refused.code, partition.log.end) == (ErrorCode.INVALID_PRODUCER_EPOCH, 1)


def test_a_marker_that_the_store_refuses_leaves_the_transaction_open(
    run: Runner, partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(partition, 7, 0)

    def refuse(plan: AppendPlan) -> None:
        raise StorageError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(type(partition.store), "append", lambda log, plan: refuse(plan))
        refused = mark(run, partition, 7, ABORT)
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.KAFKA_STORAGE_ERROR
    assert (partition.open_transactions(), partition.log.last_stable_offset) == ({7: (0, 0)}, 0)
    assert list(partition.store.aborted(0, 9)) == []
    assert mark(run, partition, 7, ABORT) is None
    assert list(partition.store.aborted(0, 9)) == [AbortedTransaction(7, 0, 1, 2)]


def test_a_closed_or_offline_partition_takes_no_marker(run: Runner, partition: Partition) -> None:
    partition.offline = StorageError("gone")
    with pytest.raises(StorageError):
        mark(run, partition, 7, ABORT)
    partition.offline = None
    partition.close(Ended.DELETED)
    assert mark(run, partition, 7, ABORT) is Ended.DELETED


# -- restarts -----------------------------------------------------------------------------------------


class Restarts:
    """One partition of a data folder, through stops and crashes."""

    def __init__(self, folder: Folder) -> None:  # noqa: F811
        self.folder = folder
        self.start()

    def start(self) -> None:
        self.partition = open_partition(self.folder.run, self.folder.start().logs)

    def stop(self) -> None:
        self.partition.snapshot_producers()
        self.folder.stop()
        self.start()

    def stop_without_snapshot(self) -> None:
        self.folder.stop()
        self.start()

    def crash(self) -> None:
        """As `kill -9`, and a power cut that took every index file and what the row said about fsyncs."""
        self.folder.crash()
        self.folder.set_recovery_point(0)
        for path in self.folder.logs.glob("*.*index"):
            path.unlink()
        self.start()

    def crash_with_index_files(self) -> None:
        self.folder.crash()
        self.start()

    def mark(self, producer_id: int, commit: bool, **fields: int) -> None:
        assert mark(self.folder.run, self.partition, producer_id, commit, **fields) is None

    def state(self) -> Any:
        """Once all of it is durable."""
        self.folder.run.wait(self.partition.when_durable(self.partition.log.end - 1))
        producers = self.partition.log.producers
        transactions = producers.transactions
        windows = {key: (entry[0], entry[2]) for key, entry in producers.entries.items()}
        return (
            self.partition.log.end, self.partition.log.last_stable_offset, windows,
            list(transactions.open.items()), dict(transactions.coordinator_epochs),
            list(self.partition.store.aborted(0, self.partition.log.end)),
        )


@pytest.fixture
def one(folder: Folder) -> Restarts:  # noqa: F811
    return Restarts(folder)


WAYS = ["stop", "stop_without_snapshot", "crash", "crash_with_index_files"]


def again(one: Restarts, way: str) -> None:
    """Restart; nothing that transactions need may be lost."""
    before = one.state()
    getattr(one, way)()
    assert one.state() == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("taken", ["A", "B", "C", "D"])
def test_cases_a_to_d_a_restart_inside_a_transaction(one: Restarts, way: str, taken: str) -> None:
    def snapshot(case: str) -> None:
        if case == taken:
            one.partition.snapshot_producers()

    append(one.partition, 6, 0)
    one.mark(6, ABORT)
    snapshot("A")
    append(one.partition, 7, 0)
    append(one.partition, 8, 0, epoch=3)
    snapshot("B")
    append(one.partition, 7, 1)
    one.mark(8, ABORT, epoch=4)
    snapshot("C")
    again(one, way)
    assert one.partition.open_transactions() == {7: (0, 2)}
    assert one.partition.log.last_stable_offset == 2
    append(one.partition, 7, 2)
    append(one.partition, 8, 0, epoch=4)
    one.mark(7, ABORT)
    one.mark(8, COMMIT, epoch=4)
    again(one, way)
    assert one.partition.open_transactions() == {}
    assert [aborted.producer_id for aborted in one.partition.store.aborted(0, 100)] == [6, 8, 7]


@pytest.mark.parametrize("way", WAYS)
def test_case_e_a_transaction_over_many_segments(one: Restarts, way: str) -> None:
    append(one.partition, 7, 0)
    for round_ in range(4):
        append(one.partition, 8, round_)
        fill_a_segment(one.partition)
        one.mark(8, ABORT if round_ % 2 else COMMIT)
    assert len(one.partition.store.segments()) == 5
    again(one, way)
    one.mark(7, ABORT)
    again(one, way)
    again(one, way)
    assert [aborted.producer_id for aborted in one.partition.store.aborted(0, 100)] == [8, 8, 7]
    one.folder.stop()
    with_rows = [path for path in sorted(one.folder.logs.glob("*.txnindex")) if path.stat().st_size]
    assert [path.stat().st_size % 34 for path in with_rows] == [0] * len(with_rows)
    assert sum(path.stat().st_size // 34 for path in with_rows) == 3
    one.start()


def test_case_e_what_is_not_told_again_is_not_taken_for_whole(one: Restarts) -> None:
    """A start that ends before the batches were told must not write indexes without their aborted transactions."""
    append(one.partition, 8, 0)
    one.mark(8, ABORT)
    fill_a_segment(one.partition)
    before = one.state()
    one.folder.crash()
    one.folder.set_recovery_point(0)
    for path in one.folder.logs.glob("*.*index"):
        path.unlink()
    opened = one.folder.run.open(one.folder.start())
    assert opened.segments
    one.folder.stop()
    one.start()
    assert one.state() == before


@pytest.mark.parametrize("damage", [b"", b"\0" * 33, b"\0" * 34, b"\1" + b"\0" * 33])
def test_a_txnindex_of_other_bytes_is_made_anew(one: Restarts, damage: bytes) -> None:
    append(one.partition, 8, 0)
    one.mark(8, ABORT)
    fill_a_segment(one.partition)
    before = one.state()
    one.folder.stop()
    (path,) = one.folder.logs.glob("*.txnindex")
    path.write_bytes(path.read_bytes()[:-34] + damage)
    if not damage:
        path.with_suffix(".index").unlink()
    one.start()
    assert one.state() == before


def test_a_transaction_in_a_tail_that_was_cut_is_gone(one: Restarts) -> None:
    append(one.partition, 7, 0)
    one.mark(7, COMMIT)
    before = one.state()
    append(one.partition, 8, 0)
    one.mark(8, ABORT)
    one.folder.crash()
    one.folder.set_recovery_point(0)
    path = one.folder.segment(0)
    size = sum(len(view) for view in _batches(path)[:2])
    with open(path, "r+b") as file:
        file.truncate(size + 30)
    one.start()
    assert one.state() == before


def _batches(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[start:stop] for start, stop in iter_batches(data)]
