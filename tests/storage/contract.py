"""What every storage engine promises, as one test class: subclasses only make the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flymq.core.log.plan import AppendPlan
from flymq.core.log.transactions import AbortedTransaction
from flymq.storage.api import Corrupt, Engine, Fenced, PartitionRef, Unavailable
from flymq_protocol.records.control import ABORT

from . import cleaning
from .batches import REF, TOPIC_ID, Runner, make_batch, make_plan, offsets


class StorageContract:
    def make_engine(self, run: Runner, path: Path) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    def run(self) -> Iterator[Runner]:
        runner = Runner()
        yield runner
        runner.close()

    @pytest.fixture
    def engine(self, run: Runner, tmp_path: Path) -> Iterator[Engine]:
        engine = self.make_engine(run, tmp_path / "data")
        yield engine
        run.wait(engine.close())

    @pytest.fixture
    def log(self, run: Runner, engine: Engine) -> Any:
        return run.open(engine).log

    # -- the place --------------------------------------------------------------------------------

    def test_the_place_and_its_disk(self, engine: Engine) -> None:
        size, free = engine.disk_bytes()
        if engine.location == "memory":
            assert (size, free) == (-1, -1)
        else:
            assert Path(engine.location).is_absolute()
            assert Path(engine.location).is_dir()
            assert 0 < free <= size

    # -- open and append --------------------------------------------------------------------------

    def test_a_new_log_is_empty(self, run: Runner, engine: Engine) -> None:
        opened = run.open(engine)
        assert (opened.log_start, opened.end, opened.epochs) == (0, 0, [(0, 0)])
        assert opened.segments == opened.log.segments() == list(opened.batches) == []
        assert run.read(opened.log, 0, 0) == b""

    def test_bytes_come_back_as_written(self, run: Runner, log: Any) -> None:
        log.append(make_plan(0, 3))
        log.append(make_plan(3, 1, size=5000))
        log.append(make_plan(4, 2))
        expected = make_batch(0, 3) + make_batch(3, 1, size=5000) + make_batch(4, 2)
        assert b"".join(run.read(log, at, 6) for at in (0,))[:100] == expected[:100]
        assert run.read_all(log, 0, 6) == [(0, 2), (3, 3), (4, 5)]

    def test_durable_is_reported_in_order(self, run: Runner, log: Any) -> None:
        reported: list[int] = []
        log.on_durable = reported.append
        for base in range(5):
            log.append(make_plan(base))
        run.wait_durable(log, 5, reported)
        assert reported == sorted(set(reported))
        assert reported[-1] == 5

    def test_an_older_leader_epoch_is_fenced(self, run: Runner, engine: Engine) -> None:
        log = run.open(engine, epoch=3).log
        with pytest.raises(Fenced):
            log.append(make_plan(0, epoch=2))
        assert log.segments() == []
        log.append(make_plan(0, epoch=3))
        with pytest.raises(Fenced):
            run.open(engine, epoch=2)
        reopened = run.open(engine, epoch=4)
        assert reopened.epochs == [(3, 0), (4, 1)]

    def test_opening_again_shows_what_is_there(self, run: Runner, engine: Engine, log: Any) -> None:
        for base in range(3):
            log.append(make_plan(base, roll=base == 2))
        opened = run.open(engine)
        assert opened.end == 3
        assert [(s.base_offset, s.end_offset) for s in opened.segments] == [(0, 2), (2, 3)]
        assert [offsets(view) for view in opened.batches] == [[(0, 0)], [(1, 1)], [(2, 2)]]

    def test_a_snapshot_spares_the_batches_before_it(self, run: Runner, engine: Engine, log: Any) -> None:
        log.append(make_plan(0))
        log.append(make_plan(1))
        log.snapshot(1, b"producers")
        opened = run.open(engine)
        assert opened.snapshot == (1, b"producers")
        assert [offsets(view) for view in opened.batches] == [[(1, 1)]]

    # -- read -------------------------------------------------------------------------------------

    def test_a_read_begins_with_the_batch_that_holds_the_offset(self, run: Runner, log: Any) -> None:
        for base in range(0, 500, 5):
            log.append(make_plan(base, 5, size=150))
        for offset in (0, 4, 5, 7, 251, 499):
            assert offsets(run.read(log, offset, 500))[0][0] == offset // 5 * 5

    def test_a_read_stays_below_the_end_offset(self, run: Runner, log: Any) -> None:
        for base in range(0, 500, 5):
            log.append(make_plan(base, 5, size=150))
        assert run.read_all(log, 0, 252)[-1] == (245, 249)
        assert run.read_all(log, 0, 250)[-1] == (245, 249)
        assert run.read(log, 250, 250) == b""
        assert run.read(log, 250, 252) == b""

    def test_max_bytes_cuts_at_a_batch(self, run: Runner, log: Any) -> None:
        for base in range(300):
            log.append(make_plan(base, size=100 + base))
        for max_bytes in (100, 300, 5000, 20000):
            data = run.read(log, 0, 300, max_bytes)
            assert 0 < len(data) <= max_bytes
            assert offsets(data)[0] == (0, 0)
        assert run.read(log, 200, 300, 299, at_least_one=False) == b""
        assert offsets(run.read(log, 200, 300, 299)) == [(200, 200)]
        assert run.read_all(log, 0, 300, 7777) == [(base, base) for base in range(300)]

    def test_reads_cross_segments(self, run: Runner, log: Any) -> None:
        for base in range(60):
            log.append(make_plan(base, roll=base % 7 == 0))
        assert run.read_all(log, 0, 60) == [(base, base) for base in range(60)]
        assert run.read_all(log, 13, 15) == [(13, 13), (14, 14)]
        assert len(log.segments()) == 9

    def test_a_chunk_outlives_later_appends(self, run: Runner, log: Any) -> None:
        log.append(make_plan(0))
        chunk = run.wait(log.read(0, 1, 1000, at_least_one=True))
        before = bytes(chunk.data)
        for base in range(1, 200):
            log.append(make_plan(base))
        assert bytes(chunk.data) == before
        chunk.release()
        chunk.release()

    def test_readable_bytes(self, run: Runner, log: Any) -> None:
        assert log.readable_bytes(0, 0, 100) == 0
        for base in range(100):
            log.append(make_plan(base, size=200, roll=base == 50))
        assert log.readable_bytes(0, 100, 1) >= 1
        assert log.readable_bytes(99, 100, 1) >= 1
        assert log.readable_bytes(100, 100, 1) == 0
        assert log.readable_bytes(0, 100, 1 << 30) == 20000
        run.read_all(log, 0, 100)
        assert log.readable_bytes(50, 100, 1 << 30) == 10000

    # -- segments ---------------------------------------------------------------------------------

    def test_segments_are_accounted(self, run: Runner, log: Any) -> None:
        log.append(make_plan(0, 2, size=100, timestamp=50))
        log.append(make_plan(2, 1, size=100, timestamp=90))
        log.append(make_plan(3, 1, size=300, timestamp=70, roll=True))
        first, second = log.segments()
        assert (first.base_offset, first.end_offset, first.size_bytes) == (0, 3, 200)
        assert (first.first_timestamp, first.max_timestamp) == (50, 90)
        assert (second.base_offset, second.end_offset, second.size_bytes) == (3, 4, 300)
        assert (second.first_timestamp, second.max_timestamp) == (70, 70)

    def test_trim_deletes_whole_segments_below(self, run: Runner, engine: Engine, log: Any) -> None:
        for base in range(30):
            log.append(make_plan(base, roll=base % 10 == 0))
        run.wait(log.trim(15))
        assert [s.base_offset for s in log.segments()] == [10, 20]
        assert run.read_all(log, 15, 30) == [(base, base) for base in range(15, 30)]
        opened = run.open(engine)
        assert opened.log_start == 15
        assert [offsets(view)[0][0] for view in opened.batches] == list(range(10, 30))  # what is there
        run.wait(log.trim(29))
        assert [s.base_offset for s in log.segments()] == [20]

    def test_trimmed_to_its_end_a_log_is_empty_and_goes_on(self, run: Runner, engine: Engine, log: Any) -> None:
        for base in range(20):
            log.append(make_plan(base, roll=base == 10))
        log.snapshot(20, b"producers")
        run.wait(log.trim(20))
        assert log.segments() == []
        assert run.read(log, 20, 20) == b""
        assert run.wait(log.find_timestamp(0, 20)) is None
        opened = run.open(engine)
        assert (opened.log_start, opened.end, opened.segments, list(opened.batches)) == (20, 20, [], [])
        assert opened.snapshot == (20, b"producers")
        log.append(make_plan(20, 2, size=100))
        log.append(make_plan(22, 1, size=100, roll=True))
        assert [(s.base_offset, s.end_offset) for s in log.segments()] == [(20, 22), (22, 23)]
        assert run.read_all(log, 20, 23) == [(20, 21), (22, 22)]
        run.wait(log.trim(10))
        assert run.open(engine).log_start == 20

    def test_trim_forgets_the_leader_epochs_below(self, run: Runner, engine: Engine, log: Any) -> None:
        for base, epoch in ((0, 0), (5, 2), (8, 4)):
            log.append(make_plan(base, 3, epoch=epoch))
        run.wait(log.trim(6))
        assert run.open(engine).epochs == [(2, 6), (4, 8)]
        run.wait(log.trim(11))
        assert run.open(engine).epochs == [(4, 11)]

    def test_find_timestamp(self, run: Runner, log: Any) -> None:
        stamps = [10, 30, 20, 50, 40, 50, 60]
        for base, stamp in enumerate(stamps):
            log.append(make_plan(base, timestamp=stamp, size=3000, roll=base == 4))
        for wanted in (0, 10, 11, 25, 31, 50, 51, 60):
            chunk = run.wait(log.find_timestamp(wanted, 7))
            first = next(base for base, stamp in enumerate(stamps) if stamp >= wanted)
            assert offsets(chunk.data) == [(first, first)]
        assert run.wait(log.find_timestamp(61, 7)) is None
        assert run.wait(log.find_timestamp(50, 3)) is None
        run.wait(log.trim(4))
        assert offsets(run.wait(log.find_timestamp(0, 7)).data) == [(4, 4)]

    def test_find_max_timestamp(self, run: Runner, log: Any) -> None:
        assert run.wait(log.find_max_timestamp(0)) is None
        for base, stamp in enumerate([10, 50, 20, 50, 40, 60, 60]):
            log.append(make_plan(base, timestamp=stamp, roll=base == 3))
        for end, expected in ((7, 5), (6, 5), (5, 1), (4, 1), (2, 1), (1, 0)):
            assert offsets(run.wait(log.find_max_timestamp(end)).data) == [(expected, expected)]

    # -- compaction -------------------------------------------------------------------------------

    def test_cleaning_keeps_the_newest_of_each_key(self, run: Runner, engine: Engine, log: Any) -> None:
        cleaning.fill(log, [20, 20, 20, 5])
        before = cleaning.records(run, log)
        cleaned = cleaning.clean(run, log)
        assert cleaned.end == log.clean_end == 180
        assert cleaned.bytes_written < cleaned.bytes_read / 5
        after = cleaning.records(run, log)
        assert [record.offset for record in after] == [*range(173, 180), *range(180, 195)]
        assert set(after) <= set(before)
        assert cleaning.newest(after) == cleaning.newest(before)
        assert [(s.base_offset, s.end_offset) for s in log.segments()] == [(0, 180), (180, 195)]
        assert run.open(engine).log.clean_end == 180

    def test_the_first_cleaning_of_each_segment_by_itself(self, run: Runner, log: Any) -> None:
        """Groups of one: the first two have nothing left, and go."""
        cleaning.fill(log, [20, 20, 20, 5])
        cleaning.clean(run, log, segment_bytes=1)
        assert [(s.base_offset, s.end_offset) for s in log.segments()] == [(120, 180), (180, 195)]
        assert cleaning.newest(cleaning.records(run, log, 0))[b"key-0"] == 189
        assert [record.offset for record in cleaning.records(run, log, 5)][:3] == [173, 174, 175]

    def test_reads_and_look_ups_over_gaps(self, run: Runner, log: Any) -> None:
        cleaning.fill(log, [9, 9, 9], keys=1000)
        cleaning.fill(log, [30, 2], keys=50)
        whole = cleaning.records(run, log)
        cleaning.clean(run, log, segment_bytes=2500)
        left = cleaning.records(run, log)
        assert 0 < len(left) < len(whole)
        for start in range(log.end):
            for max_bytes in (1, 700):
                assert cleaning.records(run, log, start, max_bytes) == [r for r in left if r.offset >= start]
            assert log.readable_bytes(start, log.end, 1) >= 1
        for record in whole[::5]:
            chunk = run.wait(log.find_timestamp(record.timestamp, log.end))
            expected = next(one for one in left if one.timestamp >= record.timestamp)
            base, last = offsets(chunk.data)[0]
            assert base <= expected.offset <= last
        base, last = offsets(run.wait(log.find_max_timestamp(log.end)).data)[0]
        assert base <= left[-1].offset <= last

    def test_a_chunk_outlives_a_cleaning(self, run: Runner, log: Any) -> None:
        cleaning.fill(log, [20, 20, 5])
        chunk = run.wait(log.read(0, 60, 1 << 20, at_least_one=True))
        before = bytes(chunk.data)
        cleaning.clean(run, log)
        cleaning.records(run, log)
        assert bytes(chunk.data) == before
        chunk.release()

    def test_a_full_map_cleans_in_several_passes(self, run: Runner, log: Any) -> None:
        cleaning.fill(log, [20, 20, 20, 5], keys=30)
        newest = cleaning.newest(cleaning.records(run, log))
        ends = [0]
        while ends[-1] < 180:
            ends.append(cleaning.clean(run, log, keys_max=10).end)
            assert cleaning.newest(cleaning.records(run, log)) == newest
        assert ends == sorted(set(ends))
        assert len(ends) > 3
        assert [record.offset for record in cleaning.records(run, log)] == [*range(150, 180), *range(180, 195)]

    def test_a_tombstone_goes_at_its_horizon(self, run: Runner, log: Any) -> None:
        log.append(cleaning.keyed_plan(0, [b"a", b"b"]))
        log.append(cleaning.keyed_plan(2, [b"a"], value=None, roll=True))
        log.append(cleaning.keyed_plan(3, [b"c"], roll=True))
        cleaning.clean(run, log)
        assert [record.offset for record in cleaning.records(run, log)] == [1, 2, 3]
        cleaning.clean(run, log, now_ms=10_999)
        assert [record.offset for record in cleaning.records(run, log)] == [1, 2, 3]
        cleaning.clean(run, log, now_ms=11_000)
        assert [record.offset for record in cleaning.records(run, log)] == [1, 3]

    def test_the_index_of_aborted_transactions_is_cleaned_too(self, run: Runner, engine: Engine, log: Any) -> None:
        """Two that are over below the clean end, one that is above: the last one is remembered."""
        for start, roll in ((0, False), (3, True), (6, True)):
            log.append(cleaning.keyed_plan(start, [b"a"], roll=roll and start > 0, producer_id=5))
            log.append(cleaning.keyed_plan(start + 1, [b"b"]))
            log.append(cleaning.marker_plan(start + 2, 5, ABORT))
            log.add_aborted(AbortedTransaction(5, start, start + 2, start + 3))
        cleaned = cleaning.clean(run, log)
        assert cleaned.end == 6
        assert [one.last_offset for one in log.aborted(0, 9)] == [8]
        assert [record.offset for record in cleaning.records(run, log)] == [2, 4, 5, 6, 7, 8]
        log.append(cleaning.keyed_plan(9, [b"c"], roll=True))
        cleaning.clean(run, log)
        assert list(log.aborted(0, 10)) == []

    def test_appends_and_a_roll_while_cleaning(self, run: Runner, log: Any) -> None:
        cleaning.fill(log, [20, 20, 5])
        token = log.clean(cleaning.task(log))
        cleaning.fill(log, [5, 5])
        run.wait(token)
        assert log.clean_end == 120
        assert [record.offset for record in cleaning.records(run, log)] == [*range(113, 120), *range(120, 165)]
        assert [s.base_offset for s in log.segments()] == [0, 120, 135, 150]

    def test_a_trim_while_cleaning(self, run: Runner, log: Any) -> None:
        cleaning.fill(log, [20, 20, 20, 5])
        token = log.clean(cleaning.task(log, segment_bytes=1))
        trimmed = log.trim(130)
        run.wait(trimmed)
        with contextlib.suppress(Unavailable):
            run.wait(token)
        left = [record.offset for record in cleaning.records(run, log)]
        assert left in ([*range(130, 195)], [*range(173, 195)])
        cleaning.clean(run, log)
        assert [record.offset for record in cleaning.records(run, log)] == [*range(173, 195)]

    def test_a_damaged_batch_stops_a_cleaning(self, run: Runner, log: Any) -> None:
        cleaning.fill(log, [20])
        bad = bytearray(make_batch(log.end))
        bad[-1] ^= 1
        log.append(AppendPlan(memoryview(bad), log.end, log.end, 0, 1000, len(bad), False, None))
        cleaning.fill(log, [5])
        with pytest.raises(Corrupt):
            cleaning.clean(run, log)
        assert log.clean_end == 0
        assert len(log.segments()) == 2
    # -- aborted transactions ---------------------------------------------------------------------

    def test_aborted_transactions_that_overlap_a_range(self, run: Runner, log: Any) -> None:
        """Offsets 0-59 in six segments. Producers 1-4: within one segment, over two, over five, and last."""
        aborted = {
            12: AbortedTransaction(1, 11, 12, 3),
            25: AbortedTransaction(2, 14, 25, 3),
            47: AbortedTransaction(3, 3, 47, 48),
            58: AbortedTransaction(4, 50, 58, 59),
        }
        assert list(log.aborted(0, 100)) == []
        for base in range(60):
            log.append(make_plan(base, roll=base > 0 and base % 10 == 0))
            if base in aborted:
                log.add_aborted(aborted[base])
        for start in range(61):
            for end in range(start + 1, 62):
                expected = [one for one in aborted.values() if one.last_offset >= start and one.first_offset < end]
                assert list(log.aborted(start, end)) == expected

    def test_aborted_transactions_are_told_once(self, run: Runner, log: Any) -> None:
        rows = [AbortedTransaction(1, 0, 1, 2), AbortedTransaction(2, 2, 3, 4)]
        for base in range(4):
            log.append(make_plan(base, roll=base == 2))
        for aborted in (*rows, *rows):
            log.add_aborted(aborted)
        assert list(log.aborted(0, 4)) == rows

    def test_aborted_transactions_go_with_their_markers_segment(self, run: Runner, engine: Engine, log: Any) -> None:
        for base in range(30):
            log.append(make_plan(base, roll=base > 0 and base % 10 == 0))
            if base % 10 == 9:
                log.add_aborted(AbortedTransaction(base, base - 8, base, base + 1))
        run.wait(log.trim(20))
        kept = [AbortedTransaction(29, 21, 29, 30)]
        assert list(log.aborted(0, 30)) == kept
        assert list(run.open(engine).log.aborted(0, 30)) == kept

    # -- deletion ---------------------------------------------------------------------------------

    def test_a_topic_dropped_while_it_is_cleaned_is_gone(self, run: Runner, engine: Engine, log: Any) -> None:
        cleaning.fill(log, [20, 20, 20, 5])
        token = log.clean(cleaning.task(log))
        run.wait(engine.logs.drop(TOPIC_ID))
        with contextlib.suppress(Unavailable):
            run.wait(token)
        assert run.open(engine).end == 0

    def test_a_dropped_topic_is_gone(self, run: Runner, engine: Engine, log: Any) -> None:
        other = PartitionRef("orders", b"another topic id", 0)
        log.append(make_plan(0))
        run.open(engine, other).log.append(make_plan(0))
        run.wait(engine.logs.drop(TOPIC_ID))
        with pytest.raises(Unavailable):
            log.append(make_plan(1))
        assert run.open(engine).end == 0
        assert run.open(engine, other).end == 1

    def test_dropping_what_is_not_there(self, run: Runner, engine: Engine) -> None:
        run.wait(engine.logs.drop(b"never was a id.."))

    def test_a_sweep_keeps_what_is_known(self, run: Runner, engine: Engine, log: Any) -> None:
        log.append(make_plan(0))
        run.wait(engine.logs.sweep({TOPIC_ID}))
        assert run.read_all(log, 0, 1) == [(0, 0)]

    # -- shards -----------------------------------------------------------------------------------

    def test_rows_are_ordered_and_the_later_write_wins(self, run: Runner, engine: Engine) -> None:
        shards = engine.shards
        tokens = [
            shards.write("groups", [("b", "1"), ("a", "2")]),
            shards.write("groups", [("b", "3"), ("c", "4")], ["a"]),
            shards.write("topics", [("t", "5")]),
        ]
        assert list(shards.load("groups")) == [("b", "3"), ("c", "4")]
        for token in tokens:
            assert run.wait(token) is None
        assert list(shards.load("groups")) == [("b", "3"), ("c", "4")]
        assert shards.shards() == ["groups", "topics"]

    def test_an_emptied_shard_is_not_listed(self, run: Runner, engine: Engine) -> None:
        run.wait(engine.shards.write("groups", [("a", "1")]))
        token = engine.shards.write("groups", [], ["a"])
        assert engine.shards.shards() == []
        run.wait(token)
        assert engine.shards.shards() == []
        assert list(engine.shards.load("groups")) == list(engine.shards.load("never")) == []

    def test_writes_complete_in_order(self, run: Runner, engine: Engine) -> None:
        done: list[int] = []
        tokens = [engine.shards.write(f"s{i % 3}", [(str(i), "x")]) for i in range(500)]
        for i, token in enumerate(tokens):
            token.then(lambda _, i=i: done.append(i))
        run.wait(tokens[-1])
        assert done == list(range(500))

    def test_the_cluster_id_looks_like_kafkas(self, engine: Engine) -> None:
        assert len(engine.cluster_id) == 22
        assert not engine.cluster_id.startswith("-")


__all__ = ["REF", "StorageContract"]
