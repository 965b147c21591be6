"""When a partition is cleaned, how far, and which segments become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from flymq.core.log.cleaning import Dirt, group, survey
from flymq.core.settings import BrokerConfig, TopicConfig


@dataclass
class View:
    base_offset: int
    end_offset: int
    size_bytes: int = 100
    first_timestamp: int = 1000
    max_timestamp: int = 1000


def config(**overrides: str) -> TopicConfig:
    named = {name.replace("_", "."): value for name, value in overrides.items()}
    return TopicConfig.of(BrokerConfig(), {"cleanup.policy": "compact", **named})


TENS = [View(base, base + 10) for base in range(0, 50, 10)]  # 40 is active


def look(clean_end: int = 0, log_start: int = 0, stable_end: int = 50, now_ms: int = 10_000, **overrides: Any) -> Dirt:
    return survey(TENS, clean_end, log_start, stable_end, config(**overrides), now_ms)


def test_an_empty_log_is_clean() -> None:
    assert survey([], 0, 0, 0, config(), 0) == Dirt(0, 0, 0, 0, False)
    assert not survey([], 0, 0, 0, config(), 0).is_due(config())


def test_all_but_the_active_segment_is_dirty_at_first() -> None:
    assert look() == Dirt(0, 40, 0, 400, False)
    assert look().ratio == 1


def test_the_ratio_is_by_bytes_and_must_be_exceeded() -> None:
    half = look(clean_end=20)
    assert (half.clean_bytes, half.dirty_bytes, half.ratio) == (200, 200, 0.5)
    assert not half.is_due(config())
    assert half.is_due(config(min_cleanable_dirty_ratio="0.49"))
    assert look(clean_end=10).is_due(config())
    assert not look(clean_end=40).is_due(config(min_cleanable_dirty_ratio="0"))


def test_nothing_is_cleaned_at_or_above_the_last_stable_offset() -> None:
    assert look(stable_end=30) == Dirt(0, 30, 0, 300, False)
    assert look(stable_end=25) == Dirt(0, 25, 0, 200, False)
    assert look(clean_end=20, stable_end=15) == Dirt(20, 20, 200, 0, False)


def test_records_younger_than_the_min_lag_stay() -> None:
    young = [View(0, 10, max_timestamp=100), View(10, 20, max_timestamp=9_500), View(20, 40), TENS[4]]
    lag = config(min_compaction_lag_ms="1000")
    assert survey(young, 0, 0, 50, lag, 10_000).end == 10
    assert survey(young, 0, 0, 50, lag, 10_501).end == 40
    assert survey(young, 0, 0, 50, config(), 10_000).end == 40


def test_the_max_lag_forces_a_cleaning() -> None:
    lag = config(max_compaction_lag_ms="5000")
    dirt = survey(TENS, 30, 0, 50, lag, 6_001)
    assert dirt.ratio == 0.25
    assert dirt.is_due(lag)
    assert not survey(TENS, 30, 0, 50, lag, 6_000).is_due(lag)
    assert not survey(TENS, 40, 0, 50, lag, 60_000).is_due(lag), "nothing dirty"


@pytest.mark.parametrize(("clean_end", "log_start"), [(5, 10), (99, 10)])
def test_a_clean_end_outside_the_log_counts_from_its_start(clean_end: int, log_start: int) -> None:
    assert look(clean_end=clean_end, log_start=log_start).first_dirty == log_start


def bases(groups: list[list[View]]) -> list[list[int]]:
    return [[one.base_offset for one in some] for some in groups]


def test_neighbours_become_one_up_to_segment_bytes() -> None:
    assert bases(group(TENS, 40, 200)) == [[0, 10], [20, 30]]
    assert bases(group(TENS, 40, 399)) == [[0, 10, 20], [30]]
    assert bases(group(TENS, 40, 50)) == [[0], [10], [20], [30]]
    assert bases(group(TENS, 15, 1000)) == [[0, 10]]
    assert group(TENS, 0, 1000) == []


def test_a_segment_spans_no_more_offsets_than_an_index_can_tell() -> None:
    far = [View(0, 10), View(2**31 - 10, 2**31 - 1), View(2**31 - 1, 2**31), View(2**31, 2**31 + 5)]
    assert bases(group(far, 2**40, 1000)) == [[0, 2**31 - 10], [2**31 - 1, 2**31]]
