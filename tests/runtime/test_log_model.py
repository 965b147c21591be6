"""A partition over the files engine against a list of what was written: transactions, compaction, trims, restarts.

The oracle is the list. From it alone follows what readers get, committed or not, where committed reads stop, what
compaction has kept, and what becomes of a retry.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flymq.core.catalog import Topic
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.producers import WINDOW
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.runtime.compaction import Compaction
from flymq.runtime.fetching import aborted_in
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.timestamps import find_timestamp
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import CONTROL_BIT, TRANSACTIONAL_BIT, iter_batches, parse_header
from flymq_protocol.records.control import ABORT, control_type
from flymq_protocol.records.record import Record, build_batch, decode_batch
from tests.storage import cleaning
from tests.storage.batches import TOPIC_ID
from tests.storage.test_files_recovery import Folder

NOW = 1_700_000_000_000
DELETE_RETENTION_MS = 1000
PRODUCERS = st.integers(0, 2)
SIZES = st.sampled_from([10, 10, 10, 3000, 70_000])  # the largest alone is more than a start scans at leisure
BROKER = BrokerConfig()
TOPIC = TopicConfig.of(
    BROKER,
    {
        "cleanup.policy": "compact,delete",
        "min.cleanable.dirty.ratio": "0",
        "delete.retention.ms": str(DELETE_RETENTION_MS),
    },
)


class Written:
    """A batch, or a marker: then `commit` says how its producer's transaction ended."""

    def __init__(self, base: int, producer_id: int, epoch: int, sequence: int, batch: bytes, is_open: bool) -> None:
        self.base = base
        self.producer_id = producer_id
        self.epoch = epoch
        self.sequence = sequence
        self.batch = batch  # as it was sent
        self.records = [record._replace(offset=base + i) for i, record in enumerate(decode_batch(batch))]
        self.last = base + len(self.records) - 1
        self.is_open = is_open  # of a transaction that has not ended
        self.is_aborted = False


class LogModel(RuleBasedStateMachine):
    @initialize(durability=st.sampled_from(["os", "fsync"]), is_cold=st.booleans())
    def start(self, durability: str, is_cold: bool) -> None:
        self.path = tempfile.mkdtemp(prefix="flymq-model-")
        self.folder = Folder(Path(self.path))
        self.run = self.folder.run
        self.now = NOW
        self.run.env.now_ms = lambda: self.now  # type: ignore[method-assign]
        if is_cold:
            self.run.env.files.read_cached = lambda fd, buffer, position: -1  # type: ignore[method-assign]
        cleaning.without_processes(self.run.env)
        self.durability = durability
        self.written: list[Written] = []
        self.end = 0
        self.log_start = 0
        self.clean_end = 0
        self.horizons: dict[int, int] = {}  # offset of a tombstone that was cleaned once -> until when it stays
        self.last_cleaned_at = 0
        self.next: dict[int, tuple[int, int]] = {}  # producer id -> (epoch, next sequence)
        self.forgettable = 0  # below it compaction took batches before a restart: retries of them may be refused
        self.open()

    def open(self) -> None:
        engine = self.folder.start(durability=self.durability, index_interval_bytes=500, open_files_max=3)
        self.partitions = Partitions(self.run.env, engine.logs, 86_400_000)
        self.run.wait(self.partitions.open_topic(Topic("orders", TOPIC_ID, 1, {}), TOPIC))
        found = self.partitions.find("orders", 0)
        assert found is not None
        assert found.offline is None
        self.partition: Partition = found
        self.compaction = Compaction(self.run.env, self.partitions, BROKER)

    # -- what happens -----------------------------------------------------------------------------

    def roll(self) -> None:
        self.partition.log._segment_bytes = max(1, self.partition.log._segment_bytes)
        if self.partition.store.segments():
            self.partition.log._segment_bytes = TOPIC.segment_bytes  # full

    def send(self, batch: bytes) -> Any:
        return self.partition.append(memoryview(bytearray(batch)), self.now)

    def is_open(self, producer_id: int) -> bool:
        return any(one.is_open and one.producer_id == producer_id for one in self.written)

    @rule(
        producer=PRODUCERS,
        transactional=st.booleans(),
        keys=st.lists(st.sampled_from([b"a", b"b", b"c", b"a key of more than sixteen bytes"]), min_size=1, max_size=3),
        size=SIZES,
        is_tombstone=st.booleans(),
        codec=st.sampled_from([0, 0, 1]),
        roll=st.booleans(),
    )
    def produce(
        self, producer: int, transactional: bool, keys: list[bytes], size: int, is_tombstone: bool, codec: int,
        roll: bool,
    ) -> None:
        epoch, sequence = self.next.get(producer, (0, 0))
        is_open = self.is_open(producer)
        transactional = transactional or is_open
        value = None if is_tombstone else b"%d" % self.end + b"v" * size
        self.now += 1
        batch = bytes(
            build_batch(
                [Record(i, self.now, key, value) for i, key in enumerate(keys)], codec=codec, producer_id=producer,
                producer_epoch=epoch, base_sequence=sequence, transactional=transactional,
            )
        )
        if roll:
            self.roll()
        plan = self.send(batch)
        assert isinstance(plan, AppendPlan), plan.message
        assert plan.base_offset == self.end
        self.written.append(Written(self.end, producer, epoch, sequence, batch, transactional))
        self.end += len(keys)
        self.next[producer] = (epoch, sequence + len(keys))

    @rule(producer=PRODUCERS, commit=st.booleans(), bump=st.booleans(), roll=st.booleans())
    def mark(self, producer: int, commit: bool, bump: bool, roll: bool) -> None:
        if producer not in self.next:
            return
        epoch = self.next[producer][0] + bump
        if bump:
            self.next[producer] = epoch, 0
        if roll:
            self.roll()
        assert self.run.wait(self.partition.write_marker(producer, epoch, commit, 0, self.now)) is None
        for one in self.written:
            if one.producer_id == producer and one.is_open:
                one.is_open, one.is_aborted = False, not commit
        self.end += 1

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Of any batch: known while it is one of its producer's last five at its epoch."""
        one = data.draw(st.sampled_from(self.written[-12:]))
        epoch, _ = self.next[one.producer_id]
        own = [other for other in self.written if other.producer_id == one.producer_id and other.epoch == epoch]
        answer = self.send(one.batch)
        if one in own[-WINDOW:] and (one is own[-1] or one.base >= self.forgettable):
            assert isinstance(answer, Duplicate), answer
            assert (answer.base_offset, answer.last_offset) == (one.base, one.last)
        elif isinstance(answer, Duplicate):
            assert (answer.base_offset, answer.last_offset) == (one.base, one.last)
        else:
            assert isinstance(answer, AppendError)
            codes = {ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.INVALID_PRODUCER_EPOCH}
            assert answer.code in codes

    @rule(producer=PRODUCERS)
    def gap(self, producer: int) -> None:
        if producer not in self.next:
            return
        epoch, sequence = self.next[producer]
        if not any(one.epoch == epoch and one.producer_id == producer for one in self.written):
            return  # of its epoch there may be only an old marker, which compaction may take
        answer = self.send(
            bytes(
                build_batch(
                    [Record(0, self.now, b"gap", None)], producer_id=producer, producer_epoch=epoch,
                    base_sequence=sequence + 1, transactional=self.is_open(producer),
                )
            )
        )
        assert isinstance(answer, AppendError), answer
        assert answer.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    @rule(ms=st.sampled_from([1, DELETE_RETENTION_MS, 5 * DELETE_RETENTION_MS]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(data=st.data(), whole=st.sampled_from([False, False, False, True]))
    def trim(self, data: st.DataObject, whole: bool) -> None:
        self.flush()
        before = self.end if whole else data.draw(st.integers(self.log_start, self.end))
        if before > self.log_start:
            assert self.run.wait(self.partition.trim(before)) is None
            self.log_start = before

    @rule(meanwhile=st.lists(st.tuples(PRODUCERS, st.sampled_from(["produce", "commit", "abort"])), max_size=4))
    def compact(self, meanwhile: list[tuple[int, str]]) -> None:
        running = self.compaction.run_now()
        began_at = self.now
        for _ in range(4):  # until it has looked at the partition
            self.run.turn()
        for producer, action in meanwhile:
            if action == "produce":
                self.produce(producer, True, [b"a", b"b"], 10, False, 0, roll=producer == 0)
            else:
                self.mark(producer, action == "commit", bump=False, roll=False)
            self.run.turn()
        for cleaned in self.run.wait(running):
            self.clean_end = cleaned.end
            self.last_cleaned_at = began_at
            newest = self.newest()
            for one in self.written:
                for record in one.records:
                    if record.value is None and not one.is_aborted and newest.get(record.key) == record.offset:
                        self.horizons.setdefault(record.offset, began_at + DELETE_RETENTION_MS)

    @rule()
    def restart(self) -> None:
        self.partitions.close()
        self.folder.stop()
        self.forgettable = self.clean_end
        self.open()

    @rule()
    def crash(self) -> None:
        store: Any = self.partition.store
        self.run.wait(store.idle())  # a killed process has no threads that go on
        self.folder.crash()
        self.forgettable = self.clean_end
        self.open()

    def flush(self) -> None:
        assert self.folder.engine is not None
        self.run.wait(self.folder.engine.logs.flusher.flush_all())

    # -- what must be -----------------------------------------------------------------------------

    def newest(self) -> dict[bytes | None, int]:
        """Of each key in what is clean, of what counts."""
        found = {}
        for one in self.written:
            for record in one.records:
                if not one.is_aborted and record.offset < self.clean_end:
                    found[record.key] = record.offset
        return found

    def expected(self, committed: bool) -> list[tuple[int, bytes | None, bytes | None, int]]:
        newest = self.newest()
        found = []
        for one in self.written:
            for record in one.records:
                offset = record.offset
                if offset < self.log_start:
                    continue
                if offset < self.clean_end:
                    if one.is_aborted or newest[record.key] != offset:
                        continue
                    if record.value is None and self.horizons[offset] <= self.last_cleaned_at:
                        continue
                if committed and (one.is_aborted or offset >= self.stable_end()):
                    continue
                found.append((offset, record.key, record.value, record.timestamp))
        return found

    def stable_end(self) -> int:
        first = min((one.base for one in self.written if one.is_open), default=self.end)
        return max(first, self.log_start)

    def read(self, committed: bool, max_bytes: int) -> list[tuple[int, bytes | None, bytes | None, int]]:
        """As a client reads: batch after batch, what was aborted left out."""
        log = self.partition.log
        limit = log.last_stable_offset if committed else log.high_watermark
        offset = log.log_start
        found = []
        while offset < limit:
            data = self.run.read(self.partition.store, offset, limit, max_bytes)
            if not data:
                break
            aborted = aborted_in(self.partition, offset, memoryview(data)) if committed else []
            aborted.sort(key=lambda one: one.first_offset)
            skipped = set()
            for start, stop in iter_batches(data):
                batch = data[start:stop]
                header = parse_header(batch)
                while aborted and aborted[0].first_offset <= header.last_offset:
                    skipped.add(aborted.pop(0).producer_id)
                records = decode_batch(batch)
                if header.attributes & CONTROL_BIT:
                    if records and control_type(records[0].key) == ABORT:
                        skipped.discard(header.producer_id)
                elif not (header.attributes & TRANSACTIONAL_BIT and header.producer_id in skipped):
                    found += [(r.offset, r.key, r.value, r.timestamp) for r in records if r.offset >= offset]
                assert header.last_offset >= offset
            offset = header.last_offset + 1
        return found

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        if not hasattr(self, "partition"):
            return
        self.flush()
        log = self.partition.log
        assert (log.log_start, log.end, log.high_watermark) == (self.log_start, self.end, self.end)
        assert self.partition.store.clean_end == self.clean_end
        assert log.last_stable_offset == self.stable_end()
        for max_bytes in (1, 1 << 20):
            assert self.read(False, max_bytes) == self.expected(False)
            assert self.read(True, max_bytes) == self.expected(True)

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def find_by_time(self, data: st.DataObject) -> None:
        """The first record of that time or later; a marker, or what was aborted, will do."""
        at = data.draw(st.sampled_from(self.written)).records[0].timestamp
        later = [offset for offset, _, _, timestamp in self.expected(True) if timestamp >= at]
        stable = self.partition.log.last_stable_offset
        found = self.run.wait(find_timestamp(self.run.env, self.partition, at, stable, 1 << 20))
        if later:
            assert found is not None
            assert found[0] <= later[0]
        if found is not None:
            assert found[1] >= at

    def teardown(self) -> None:
        if hasattr(self, "partition"):
            self.folder.stop()
            self.run.close()
            shutil.rmtree(self.path)


LogModel.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLogModel = LogModel.TestCase


def test_producers_are_known_where_all_before_a_marker_that_begins_a_segment_is_trimmed() -> None:
    """Found by the model: the segment's snapshot held the marker already, and a start could not use it."""
    state = LogModel()
    state.start(durability="os", is_cold=False)
    try:
        for producer, transactional in ((2, True), (0, False)):
            state.produce(producer, transactional, [b"a", b"b"], 10, False, 0, roll=False)
        state.mark(0, commit=False, bump=False, roll=True)
        assert state.run.wait(state.partition.trim(4)) is None
        state.log_start = 4
        state.crash()
        state.all_is_as_it_should_be()
        assert state.partition.log.last_stable_offset == 4  # producer 2's transaction is open still
        state.gap(0)
    finally:
        state.teardown()
