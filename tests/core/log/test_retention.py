"""What retention takes: the letters are those of `new_log_start`."""

from __future__ import annotations

from bisect import bisect_left

import pytest

from flymq.core.log.partition_log import PartitionLog
from flymq.core.log.plan import AppendPlan
from flymq.core.log.retention import epochs_from, new_log_start
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.storage.api import Segment
from flymq_protocol.records.record import Record, build_batch

NOW = 1_700_000_000_000
DAY = 86_400_000


def segments(*rows: tuple[int, int], base: int = 0) -> list[Segment]:
    """Of ten offsets each: (bytes, how old the newest record is in ms)."""
    return [
        Segment(base + 10 * i, base + 10 * i + 10, size, NOW - age - 5, NOW - age) for i, (size, age) in enumerate(rows)
    ]


def config(**settings: object) -> TopicConfig:
    return TopicConfig.of(BrokerConfig(), {name.replace("_", "."): str(value) for name, value in settings.items()})


def start(found: list[Segment], settings: TopicConfig, *, log_start: int = 0, high_watermark: int = 1000) -> int | None:
    return new_log_start(found, log_start, high_watermark, settings, NOW)


def test_case_a_what_lies_below_the_log_start_goes_whatever_the_policy() -> None:
    found = segments((100, 0), (100, 0), (100, 0))
    for policy in ("compact", "delete", ""):
        assert start(found, config(cleanup_policy=policy), log_start=20) == 20
        assert start(found, config(cleanup_policy=policy), log_start=25) == 25
        assert start(found, config(cleanup_policy=policy), log_start=30) == 30
        assert start(found, config(cleanup_policy=policy), log_start=9) is None


@pytest.mark.parametrize(("limit", "expected"), [
    (-1, None), (300, None), (299, None), (201, None), (200, 10), (101, 10), (100, 20), (1, 20), (0, 30),
])
def test_case_b_by_size(limit: int, expected: int | None) -> None:
    found = segments((100, 0), (100, 0), (100, 0))
    assert start(found, config(retention_bytes=limit)) == expected
    assert start(found, config(retention_bytes=limit, cleanup_policy="compact")) is None


def test_case_b_stops_at_the_first_segment_that_is_too_large_to_go() -> None:
    assert start(segments((500, 0), (10, 0), (10, 0)), config(retention_bytes=100)) is None
    assert start(segments((10, 0), (500, 0), (10, 0)), config(retention_bytes=100)) == 10


@pytest.mark.parametrize(("limit", "expected"), [(-1, None), (DAY, 20), (4 * DAY, None), (0, 30), (1, 30), (3, 20)])
def test_case_c_by_age(limit: int, expected: int | None) -> None:
    found = segments((100, 3 * DAY), (100, 2 * DAY), (100, 2))
    assert start(found, config(retention_ms=limit)) == expected
    assert start(found, config(retention_ms=limit, cleanup_policy="compact")) is None
    assert start(found, config(retention_ms=limit, cleanup_policy="compact,delete")) == expected


def test_case_c_a_younger_segment_keeps_those_behind_it() -> None:
    assert start(segments((100, DAY), (100, 0), (100, DAY)), config(retention_ms=1000)) == 10


def test_case_c_a_time_ahead_and_no_time_at_all_are_not_old() -> None:
    assert start(segments((100, -DAY), (100, DAY)), config(retention_ms=0)) is None
    assert start(segments((100, NOW + 1), (100, DAY)), config(retention_ms=0)) is None


def test_the_reasons_add_up() -> None:
    found = segments((100, 3 * DAY), (100, 3 * DAY), (100, 2 * DAY), (100, 0))
    assert start(found, config(retention_bytes=250, retention_ms=DAY), log_start=10) == 30


@pytest.mark.parametrize(("high_watermark", "expected"), [(30, 30), (29, 20), (20, 20), (19, 10), (9, None)])
def test_nothing_above_the_high_watermark(high_watermark: int, expected: int | None) -> None:
    old = segments((100, DAY), (100, DAY), (100, DAY))
    assert start(old, config(retention_ms=0), high_watermark=high_watermark) == expected
    assert start(old, config(retention_bytes=0), high_watermark=high_watermark) == expected


def test_an_empty_log_has_nothing() -> None:
    assert start([], config(retention_ms=0, retention_bytes=0), log_start=7) is None


@pytest.mark.parametrize(("log_start", "left"), [
    (0, [(0, 0), (3, 10), (5, 20)]), (9, [(0, 9), (3, 10), (5, 20)]), (10, [(3, 10), (5, 20)]),
    (19, [(3, 19), (5, 20)]), (99, [(5, 99)]),
])
def test_leader_epochs_of_what_is_left(log_start: int, left: list[tuple[int, int]]) -> None:
    assert epochs_from([(0, 0), (3, 10), (5, 20)], log_start) == left


def append(log: PartitionLog, now_ms: int, *, sequence: int = -1) -> AppendPlan:
    producer = {"producer_id": 7, "producer_epoch": 0, "base_sequence": sequence} if sequence >= 0 else {}
    plan = log.plan(memoryview(build_batch([Record(0, now_ms, None, b"x")], **producer)), now_ms)
    assert isinstance(plan, AppendPlan)
    log.high_watermark = log.end
    return plan


def test_a_log_emptied_to_its_end_begins_a_segment_and_knows_its_producers() -> None:
    log = PartitionLog(config(segment_ms=1000), 0, 0, [(4, 0)])
    append(log, NOW, sequence=0)
    log.move_start(1)
    assert (log.log_start, log.epochs) == (1, [(4, 1)])
    assert not append(log, NOW + 5000, sequence=1).roll  # there is none to roll
    assert not append(log, NOW + 5500, sequence=2).roll
    assert append(log, NOW + 6001, sequence=3).roll


def test_segment_jitter_is_part_of_segment_ms_and_differs() -> None:
    def rolls_at(first_ms: int) -> int:
        def has_rolled(age_ms: int) -> bool:
            log = PartitionLog(config(segment_ms=1000, segment_jitter_ms=500), 0, 0, [(0, 0)])
            append(log, first_ms)
            return append(log, first_ms + age_ms, sequence=1).roll

        return bisect_left(range(2000), True, key=has_rolled)

    ages = {rolls_at(first_ms) for first_ms in range(NOW, NOW + 20)}
    assert 500 < min(ages) < max(ages) <= 1001
    assert len(ages) > 5


def test_a_compacted_topic_rolls_in_time_for_max_compaction_lag() -> None:
    log = PartitionLog(config(cleanup_policy="compact", max_compaction_lag_ms=1000), 0, 0, [(0, 0)])
    append(log, NOW)
    assert not append(log, NOW + 1000).roll
    assert append(log, NOW + 1001).roll
