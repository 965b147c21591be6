"""The rules of one log: what is planned, refused, recognised as a retry, and undone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.core.log.partition_log import PartitionLog
from flymq.core.log.plan import AppendError, AppendPlan, Duplicate
from flymq.core.log.producers import BadSnapshot, Producers
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import HEADER_SIZE, PREFIX_SIZE, write_crc
from flymq_protocol.records.compression import LZ4

from .logs import NOW, a_batch, a_log, planned


def append(log: PartitionLog, batch: memoryview, now_ms: int = NOW) -> AppendPlan:
    return planned(log, batch, now_ms)


def code(log: PartitionLog, batch: memoryview) -> int:
    answer = log.plan(batch, NOW)
    assert isinstance(answer, AppendError)
    return answer.code


def producing(sequence: int, count: int = 1, epoch: int = 0) -> memoryview:
    return a_batch(count, producer_id=7, producer_epoch=epoch, base_sequence=sequence)


def test_offsets_follow_each_other() -> None:
    log = a_log()
    assert (append(log, a_batch(3)).base_offset, append(log, a_batch(2)).base_offset) == (0, 3)
    assert log.end == 5
    assert log.high_watermark == 0


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ((8, b"\x00\x00\x00\x05"), ErrorCode.CORRUPT_MESSAGE),  # shorter than any batch
        ((8, b"\x7f\x00\x00\x00"), ErrorCode.INVALID_RECORD),  # cut short
        ((8, b"\x00\x00\x00\x35"), ErrorCode.INVALID_RECORD),  # something behind the batch
        ((16, b"\x03"), ErrorCode.CORRUPT_MESSAGE),  # unknown magic
        ((16, b"\x01"), ErrorCode.INVALID_RECORD),  # old magic
        ((0, b"\x00\x00\x00\x00\x00\x00\x00\x01"), ErrorCode.INVALID_RECORD),  # base offset
        ((17, b"\x00\x00\x00\x00"), ErrorCode.CORRUPT_MESSAGE),  # CRC
        ((60, b"\x09"), ErrorCode.CORRUPT_MESSAGE),  # count, and so the CRC
    ],
)
def test_a_damaged_batch_is_refused(patch: tuple[int, bytes], expected: ErrorCode) -> None:
    log = a_log()
    batch = a_batch(2)
    batch[patch[0] : patch[0] + len(patch[1])] = patch[1]
    assert code(log, batch) == expected
    assert log.end == 0


def test_truncated_batches_of_every_length_are_refused() -> None:
    log = a_log()
    batch = a_batch(2)
    for size in range(len(batch)):
        assert code(log, batch[:size]) in (ErrorCode.INVALID_RECORD, ErrorCode.CORRUPT_MESSAGE)
    assert log.end == 0


@pytest.mark.parametrize("transactional", [False, True])
def test_lz4_that_java_cannot_read_is_refused(transactional: bool) -> None:
    """Its frame says whether blocks are linked, or is none."""
    batch = a_batch(2, codec=LZ4, producer_id=7, producer_epoch=0, base_sequence=0, transactional=transactional)
    append(a_log(), batch)
    for flags in (0x40, 0x00, 0xE0):  # linked blocks, other versions
        batch[HEADER_SIZE + 4] = flags
        write_crc(batch)
        assert code(a_log(), batch) == ErrorCode.INVALID_RECORD
    cut = batch[: HEADER_SIZE + 4]
    cut[8:12] = (len(cut) - PREFIX_SIZE).to_bytes(4, "big")
    write_crc(cut)
    assert code(a_log(), cut) == ErrorCode.INVALID_RECORD


def test_what_clients_may_not_write() -> None:
    log = a_log()
    assert code(log, a_batch(control=True)) == ErrorCode.INVALID_RECORD
    assert code(log, a_batch(transactional=True)) == ErrorCode.INVALID_RECORD
    assert code(log, a_batch(producer_id=1, producer_epoch=0, base_sequence=-1)) == ErrorCode.INVALID_RECORD


def test_sizes_bind() -> None:
    assert code(a_log(max_message_bytes=100), a_batch(size=200)) == ErrorCode.MESSAGE_TOO_LARGE
    log = a_log(segment_bytes=1_048_576, max_message_bytes=10_000_000)
    assert code(log, a_batch(size=2_000_000)) == ErrorCode.RECORD_LIST_TOO_LARGE


def test_timestamps_bind() -> None:
    log = a_log(message_timestamp_before_max_ms=1000, message_timestamp_after_max_ms=2000)
    assert code(log, a_batch(timestamp=NOW + 2001)) == ErrorCode.INVALID_TIMESTAMP
    assert code(log, a_batch(timestamp=NOW - 1001)) == ErrorCode.INVALID_TIMESTAMP
    assert code(log, a_batch(timestamp_type=1)) == ErrorCode.INVALID_TIMESTAMP
    append(log, a_batch(timestamp=-1))
    append(log, a_batch(timestamp=NOW))


def test_log_append_time_takes_any_timestamp() -> None:
    log = a_log(message_timestamp_type="LogAppendTime")
    assert append(log, a_batch(timestamp=1)).max_timestamp == NOW


def test_rolls_by_size_and_by_time() -> None:
    log = a_log(segment_bytes=1_048_576, segment_ms=1000)
    assert not append(log, a_batch(size=600_000)).roll
    assert append(log, a_batch(size=600_000)).roll
    assert not append(log, a_batch(timestamp=NOW + 1000)).roll
    assert append(log, a_batch(timestamp=NOW + 1001)).roll


# -- idempotence, by the table of ProducerAppendInfo ------------------------------------------------


def test_a_retry_gets_the_original_offset() -> None:
    log = a_log()
    for i in range(7):
        append(log, producing(2 * i, 2))
    for i in range(2, 7):  # the last five
        answer = log.plan(producing(2 * i, 2), NOW)
        assert isinstance(answer, Duplicate)
        assert (answer.base_offset, answer.last_offset) == (2 * i, 2 * i + 1)
    assert code(log, producing(2, 2)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert log.end == 14


def test_gaps_and_overlaps_are_out_of_order() -> None:
    log = a_log()
    append(log, producing(0, 2))
    for sequence, count in ((1, 2), (3, 1), (0, 1), (0, 3)):
        assert code(log, producing(sequence, count)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    append(log, producing(2))


def test_epochs_fence_and_reset() -> None:
    log = a_log()
    append(log, producing(5, epoch=3))  # without state any sequence goes
    assert code(log, producing(6, epoch=2)) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert code(log, producing(6, epoch=4)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    append(log, producing(0, epoch=4))
    assert code(log, producing(5, epoch=4)) == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sequences_wrap_inside_a_batch() -> None:
    log = a_log()
    append(log, producing(2**31 - 2, 4))  # ..., 2^31 - 1, 0, 1
    append(log, producing(2))


def test_an_abandoned_append_leaves_nothing_behind() -> None:
    log = a_log()
    append(log, producing(0))
    first = planned(log, producing(1))
    second = planned(log, producing(2))
    log.abandon(second)
    log.abandon(first)
    assert log.end == 1
    # The retry is no duplicate: it was never written.
    assert append(log, producing(1)).base_offset == 1


def test_an_abandoned_first_batch_of_a_producer_leaves_no_state() -> None:
    log = a_log()
    log.abandon(planned(log, producing(9)))
    assert log.producers.entries == {}
    append(log, producing(0))


@given(
    entries=st.dictionaries(
        st.integers(0, 2**63 - 1),
        st.tuples(
            st.integers(0, 2**15 - 1),
            st.integers(0, 2**62),
            st.lists(
                st.tuples(*[st.integers(0, 2**31 - 1)] * 2, *[st.integers(-1, 2**63 - 1)] * 3), min_size=1, max_size=5
            ).map(tuple),
        ),
        max_size=5,
    ),
    data=st.data(),
)
def test_a_snapshot_brings_producers_back_or_is_refused(entries: Any, data: st.DataObject) -> None:
    producers, again = Producers(), Producers()
    producers.entries = entries
    snapshot = producers.snapshot()
    again.load(snapshot)
    assert again.entries == entries
    position = data.draw(st.integers(0, len(snapshot) - 1))
    damaged = bytearray(snapshot)
    damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadSnapshot):
        again.load(bytes(damaged))


def test_replaying_the_log_rebuilds_what_was_live() -> None:
    log, again = a_log(), a_log()
    for i in range(8):
        batch = producing(i)
        plan = append(log, batch)
        batch[0:8] = plan.base_offset.to_bytes(8, "big")
        again.apply(batch, NOW)
    assert again.producers.entries == log.producers.entries


def test_producers_expire() -> None:
    log = a_log()
    append(log, producing(0))
    log.producers.expire(NOW + 1)
    append(log, producing(100))


# -- leader epochs ----------------------------------------------------------------------------------


def test_epoch_ends() -> None:
    config = TopicConfig.of(BrokerConfig(), {})
    log = PartitionLog(config, 10, 100, [(2, 10), (4, 50), (5, 80)])
    assert log.epoch_end(5) == (5, 100)
    assert log.epoch_end(4) == (4, 80)
    assert log.epoch_end(3) == (2, 50)  # the largest known one below
    assert log.epoch_end(1) == (1, 10)
    assert log.epoch_end(6) == (-1, -1)
    assert [log.epoch_at(offset) for offset in (10, 49, 50, 79, 80, 99)] == [2, 2, 4, 4, 5, 5]
