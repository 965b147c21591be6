"""What compaction keeps, against a plain model: a dict of key -> newest value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flymq.core.log.cleaner import Cleaner, digest, map_keys
from flymq.core.log.cleaning import CleaningTask
from flymq_protocol.errors import ProtocolError
from flymq_protocol.records.batch import BatchHeader, crc_ok, write_crc
from flymq_protocol.records.control import ABORT, COMMIT, build_marker, control_type
from flymq_protocol.records.record import Record, build_batch, decode_batch

NOW = 1_000_000
RETENTION = 1000
TASK = CleaningTask(0, 2**62, 0, NOW, RETENTION, 1 << 30, 10**6, 1 << 30, 1e308)


def run(log: list[bytes], task: CleaningTask = TASK) -> tuple[list[bytes], int]:
    """One cleaning of a whole log: what is left, and the clean end."""
    cleaner = Cleaner(task)

    def batches(offset: int) -> Iterator[memoryview]:
        return (memoryview(batch) for batch in log if BatchHeader(batch).last_offset >= offset)

    for _ in map_keys(cleaner, batches):
        pass
    left = [cleaner.clean(memoryview(batch)) for batch in log]
    return [bytes(batch) for batch in left if batch is not None], cleaner.end


def records(log: list[bytes]) -> list[Record]:
    return [record for batch in log if not BatchHeader(batch).control for record in decode_batch(batch)]


@dataclass
class Writer:
    """A log in the making, with producers: (producer id) -> next sequence."""

    log: list[bytes] = field(default_factory=list)
    end: int = 0
    sequences: dict[int, int] = field(default_factory=dict)
    lasts: dict[int, tuple[int, int]] = field(default_factory=dict)

    def write(
        self,
        entries: list[tuple[bytes | None, bytes | None]],
        *,
        codec: int = 0,
        producer_id: int = -1,
        transactional: bool = False,
        append_time: bool = False,
    ) -> None:
        listed = [
            Record(self.end + i, 500_000 + 7 * self.end + i % 3, key, value, (("h", b"x"),) if i % 2 else ())
            for i, (key, value) in enumerate(entries)
        ]
        sequence = self.sequences.get(producer_id, 0) if producer_id >= 0 else -1
        self.log.append(
            bytes(
                build_batch(
                    listed,
                    base_offset=self.end,
                    leader_epoch=3,
                    codec=codec,
                    producer_id=producer_id,
                    producer_epoch=0 if producer_id >= 0 else -1,
                    base_sequence=sequence,
                    transactional=transactional,
                    timestamp_type=int(append_time),
                )
            )
        )
        self.end += len(entries)
        if producer_id >= 0:
            self.sequences[producer_id] = sequence + len(entries)
            self.lasts[producer_id] = (0, self.end - 1)

    def mark(self, producer_id: int, type_: int) -> None:
        self.log.append(bytes(build_marker(type_, producer_id, 0, 5, 500_000 + 7 * self.end, self.end)))
        self.end += 1

    @property
    def task(self) -> CleaningTask:
        return replace(TASK, last_batches=self.lasts)


KEYS = st.sampled_from([b"a", b"b", b"c", b"a key of more than 16 bytes", b"another such key, yet longer", b"", None])
VALUES = st.one_of(st.none(), st.binary(max_size=300))
BATCHES = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=6)


@st.composite
def logs(draw: st.DrawFn) -> Writer:
    """Batches of plain, idempotent and transactional producers, in each codec; every transaction ends."""
    writer = Writer()
    open_: set[int] = set()
    for _ in range(draw(st.integers(1, 25))):
        codec = draw(st.integers(0, 4))
        kind = draw(st.sampled_from(["plain", "idempotent", "transactional", "end"]))
        if kind == "end" and open_:
            producer_id = draw(st.sampled_from(sorted(open_)))
            open_.discard(producer_id)
            writer.mark(producer_id, draw(st.sampled_from([ABORT, COMMIT])))
        elif kind == "transactional":
            producer_id = draw(st.sampled_from([20, 21]))
            open_.add(producer_id)
            writer.write(draw(BATCHES), codec=codec, producer_id=producer_id, transactional=True)
        else:
            producer_id = draw(st.sampled_from([10, 11])) if kind == "idempotent" else -1
            writer.write(draw(BATCHES), codec=codec, producer_id=producer_id, append_time=draw(st.booleans()))
    for producer_id in sorted(open_):
        writer.mark(producer_id, draw(st.sampled_from([ABORT, COMMIT])))
    return writer


def readable(log: list[bytes]) -> list[Record]:
    """As a read_committed consumer sees it."""
    fate: dict[int, int] = {}  # index of a batch -> how its transaction ended
    waiting: dict[int, list[int]] = {}
    for i, batch in enumerate(log):
        header = BatchHeader(batch)
        if header.control and header.record_count:
            type_ = control_type(decode_batch(batch)[0].key)
            fate.update(dict.fromkeys(waiting.pop(header.producer_id, []), type_))
        elif header.transactional and not header.control:
            waiting.setdefault(header.producer_id, []).append(i)
    return records([batch for i, batch in enumerate(log) if fate.get(i) != ABORT])


def newest(log: list[bytes]) -> dict[bytes, Record]:
    return {record.key: record for record in readable(log) if record.key is not None}


def check_batches(before: list[bytes], after: list[bytes]) -> None:
    """Each is one that was there, with the same place, sequences, codec and epoch; in order; not damaged."""
    known = {BatchHeader(batch).base_offset: BatchHeader(batch) for batch in before}
    offsets = [BatchHeader(batch).base_offset for batch in after]
    assert offsets == sorted(set(offsets))
    for batch in after:
        assert crc_ok(batch)
        now = BatchHeader(batch)
        then = known[now.base_offset]
        for name in ("last_offset", "producer_id", "producer_epoch", "base_sequence", "leader_epoch", "control",
                     "transactional", "log_append_time"):  # fmt: skip
            assert getattr(now, name) == getattr(then, name), name
        assert now.codec == (then.codec if now.record_count else 0)
        left = decode_batch(batch)
        assert now.record_count == len(left)
        if left and not now.log_append_time:
            assert now.max_timestamp == max(record.timestamp for record in left)


@settings(max_examples=300, deadline=None)
@given(writer=logs(), keys_max=st.sampled_from([1, 3, 10**6]))
def test_against_the_model(writer: Writer, keys_max: int) -> None:
    """Cleaned as often as a map of so many keys takes, then before the horizon, and after it."""
    log = writer.log
    expected = newest(log)
    content = {record.offset: record for record in records(log)}
    task = writer.task
    end = 0
    while end < writer.end:
        left, reached = run(log, replace(task, first_dirty=end, keys_max=keys_max))
        assert reached > end, "no progress"
        check_batches(log, left)
        log, end = left, reached
        assert newest(log) == expected, "a reader in the middle of several passes"
    # Same offset, same content; of each key only the newest; nothing aborted; no record without a key.
    left_records = records(log)
    assert [content[record.offset] for record in left_records] == left_records
    assert left_records == sorted(expected.values(), key=lambda record: record.offset)
    # Every producer's last sequence is there.
    for producer_id, (_, last) in writer.lasts.items():
        assert any(
            BatchHeader(batch).producer_id == producer_id and BatchHeader(batch).last_offset == last for batch in log
        )
    # Just before the horizon nothing more goes; at it, tombstones do, and values stay.
    again, _ = run(log, replace(task, now_ms=NOW + RETENTION - 1))
    assert records(again) == left_records
    check_batches(writer.log, again)
    later, _ = run(again, replace(task, now_ms=NOW + RETENTION))
    check_batches(writer.log, later)
    assert records(later) == [record for record in left_records if record.value is not None]
    # A second time changes nothing, and nothing of a transaction without records is left but last batches.
    latest, _ = run(later, replace(task, now_ms=NOW + 10 * RETENTION))
    assert records(latest) == records(later)
    kept_last = {(producer_id, last) for producer_id, (_, last) in writer.lasts.items()}
    for batch in latest:
        header = BatchHeader(batch)
        assert header.record_count or (header.producer_id, header.last_offset) in kept_last


def test_a_clean_batch_is_kept_as_it_is() -> None:
    writer = Writer()
    writer.write([(b"a", b"1"), (b"b", b"2")], codec=4)
    assert run(writer.log)[0] == writer.log


def test_the_horizon_is_the_base_timestamp_and_timestamps_stay() -> None:
    writer = Writer()
    writer.write([(b"a", b"1"), (b"a", None)])
    (batch,) = run(writer.log)[0]
    header = BatchHeader(batch)
    assert (header.delete_horizon, header.base_timestamp) == (True, NOW + RETENTION)
    assert decode_batch(batch) == decode_batch(writer.log[0])[1:]
    (again,) = run([batch], replace(TASK, now_ms=NOW + 500))[0]
    assert again == batch, "the horizon does not move"
    assert run([batch], replace(TASK, now_ms=NOW + RETENTION))[0] == []


def test_a_horizon_beyond_time_is_the_end_of_time() -> None:
    writer = Writer()
    writer.write([(b"a", None)])
    (batch,) = run(writer.log, replace(TASK, delete_retention_ms=2**63 - 1))[0]
    assert BatchHeader(batch).base_timestamp == 2**63 - 1
    assert decode_batch(batch) == decode_batch(writer.log[0])


def test_a_marker_goes_after_its_data_and_its_horizon() -> None:
    writer = Writer()
    writer.write([(b"a", b"aborted")], producer_id=20, transactional=True)
    writer.mark(20, ABORT)
    writer.write([(b"b", b"1")], producer_id=21, transactional=True)
    writer.mark(21, COMMIT)
    first, _ = run(writer.log)
    assert [BatchHeader(batch).base_offset for batch in first] == [1, 2, 3]
    assert first[0] == writer.log[1]
    second, _ = run(first, replace(TASK, first_dirty=4))
    assert BatchHeader(second[0]).base_timestamp == NOW + RETENTION
    assert decode_batch(second[0]) == decode_batch(writer.log[1])
    assert second[1:] == first[1:], "a committed transaction with records keeps its marker"
    third, _ = run(second, replace(TASK, first_dirty=4, now_ms=NOW + RETENTION))
    assert third == second[1:]


def test_the_last_batch_of_a_producer_stays_though_empty() -> None:
    writer = Writer()
    writer.write([(b"a", b"1")], producer_id=10, codec=1)
    writer.write([(b"a", b"2")])
    left, _ = run(writer.log, writer.task)
    header = BatchHeader(left[0])
    assert (header.record_count, header.base_sequence, header.producer_id, header.last_offset) == (0, 0, 10, 0)
    assert header.max_timestamp == BatchHeader(writer.log[0]).max_timestamp
    writer.write([(b"c", b"1")], producer_id=10)
    left, _ = run([*left, *writer.log[2:]], writer.task)
    assert [BatchHeader(batch).base_offset for batch in left] == [1, 2]


def test_a_marker_that_is_all_a_producer_wrote_stays() -> None:
    writer = Writer()
    writer.mark(20, ABORT)
    task = replace(TASK, last_batches={20: (0, -1)})
    log = writer.log
    for now_ms in (NOW, NOW + RETENTION, NOW + 2 * RETENTION):
        log, _ = run(log, replace(task, now_ms=now_ms))
        assert len(log) == 1
    assert BatchHeader(log[0]).record_count == 0
    assert run(log)[0] == [], "the producer is forgotten"


def test_an_open_transaction_and_all_behind_it_stay() -> None:
    writer = Writer()
    writer.write([(b"a", b"0")])
    writer.write([(b"a", b"1"), (b"b", b"1")])
    writer.write([(b"b", b"2")], producer_id=20, transactional=True)
    writer.write([(b"a", b"3")])
    left, end = run(writer.log)
    assert end == 3
    assert [BatchHeader(batch).base_offset for batch in left] == [1, 3, 4]
    assert left[1:] == writer.log[2:]
    assert [(record.key, record.value) for record in records(left)] == [(b"b", b"1"), (b"b", b"2"), (b"a", b"3")]


def test_a_marker_beyond_the_task_decides() -> None:
    writer = Writer()
    writer.write([(b"a", b"0")])
    writer.write([(b"a", b"1")], producer_id=20, transactional=True)
    writer.write([(b"b", b"1")], producer_id=21, transactional=True)
    writer.mark(20, COMMIT)
    writer.mark(21, ABORT)
    left, end = run(writer.log, replace(TASK, end=3))
    assert end == 3
    assert [(record.key, record.value) for record in records(left)] == [(b"a", b"1")]
    assert left[1:] == writer.log[3:]


def test_below_the_log_start_everything_goes() -> None:
    writer = Writer()
    writer.write([(b"a", b"0")])
    writer.write([(b"b", b"0")], producer_id=10)
    writer.write([(b"c", b"0")])
    left, _ = run(writer.log, replace(writer.task, log_start=2, first_dirty=2))
    assert [(BatchHeader(batch).base_offset, BatchHeader(batch).record_count) for batch in left] == [(1, 0), (2, 1)]


def test_damage_is_not_copied() -> None:
    writer = Writer()
    writer.write([(b"a", b"0")])
    damaged = bytearray(writer.log[0])
    damaged[-2] ^= 1
    with pytest.raises(ProtocolError, match="damaged"):
        run([bytes(damaged)])


def test_records_that_are_malformed_under_a_right_crc() -> None:
    good = build_batch([Record(0, 0, b"k", b"v")])
    for payload in (good[61:-1], good[61:] + b"\0", b"\xff" * 12):
        header = bytearray(good[:61])
        header[8:12] = (49 + len(payload)).to_bytes(4, "big")
        batch = header + payload
        write_crc(batch)
        with pytest.raises(ProtocolError, match="malformed"):
            run([bytes(batch)])


def test_digests_differ_by_length() -> None:
    long = b"a key of many more bytes than sixteen"
    assert len(digest(long)) == 16
    assert digest(b"short") == b"short"
    assert len(digest(digest(long))) == 16
    assert digest(digest(long)) != digest(long), "a key that is the digest of another one is not taken for it"
