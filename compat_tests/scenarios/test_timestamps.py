"""A record's time is the sender's or the log's, and offsets are found by it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from compat_tests.driver import Driver, Record
from compat_tests.scenarios.steps import fails, produce, read, values

pytestmark = pytest.mark.compat

NOON = 1_577_880_000_000  # 2020-01-01 12:00 UTC; topics here keep records of any age
DAY = 24 * 3600 * 1000


@pytest.fixture
def old(make_topic: Callable[..., str]) -> str:
    """A topic whose records may be of any time."""
    return make_topic(retention_ms=-1)


@pytest.mark.scenario("timestamps", needs=["send", "assign", "poll"])
def test_the_senders_clock(driver: Driver, topic: str) -> None:
    before = time.time_ns() // 10**6
    produce(driver, topic, values("now"))
    after = time.time_ns() // 10**6
    assert before - 1 <= read(driver, topic, 1)[0].timestamp <= after + 1


@pytest.mark.scenario("timestamps", needs=["send", "assign", "poll", "timestamps"])
def test_the_senders_choice(driver: Driver, old: str) -> None:
    times = [NOON, NOON + 5, NOON - 7, 1, time.time_ns() // 10**6]
    produce(driver, old, [Record(b"x", timestamp=at) for at in times])
    assert [record.timestamp for record in read(driver, old, len(times))] == times


@pytest.mark.scenario("timestamps", needs=["send", "assign", "poll", "timestamps", "append time"])
def test_the_logs_own_time(driver: Driver, make_topic: Callable[..., str]) -> None:
    topic = make_topic(message_timestamp_type="LogAppendTime")
    before = time.time_ns() // 10**6
    produce(driver, topic, [Record(b"x", timestamp=NOON)])
    assert before - 1 <= read(driver, topic, 1)[0].timestamp <= time.time_ns() // 10**6 + 1


@pytest.mark.scenario("timestamps", needs=["send", "assign", "poll", "timestamps"])
@pytest.mark.parametrize(
    ("setting", "away"), [("message_timestamp_before_max_ms", -1), ("message_timestamp_after_max_ms", 1)]
)
def test_a_time_too_far_from_now_is_refused(
    driver: Driver, make_topic: Callable[..., str], setting: str, away: int
) -> None:
    topic = make_topic(**{setting: DAY})
    now = time.time_ns() // 10**6
    with fails("INVALID_TIMESTAMP"):
        produce(driver, topic, [Record(b"x", timestamp=now + 2 * away * DAY)])
    produce(driver, topic, [Record(b"y", timestamp=now + away * DAY // 2)])
    assert [record.value for record in read(driver, topic, 1)] == [b"y"]


@pytest.mark.scenario("offsets", needs=["list_offsets"])
def test_the_ends_of_an_empty_topic(driver: Driver, topic3: str) -> None:
    for at in ("earliest", "latest"):
        assert sorted(driver.call("list_offsets", topic=topic3, at=at)) == [[0, 0], [1, 0], [2, 0]]
    assert sorted(driver.call("list_offsets", topic=topic3, at=NOON)) == [[0, None], [1, None], [2, None]]


@pytest.mark.scenario("offsets", needs=["list_offsets", "send"])
def test_the_ends_of_a_log(driver: Driver, topic3: str) -> None:
    produce(driver, topic3, [Record(b"x", partition=1)] * 4)
    assert sorted(driver.call("list_offsets", topic=topic3, at="earliest")) == [[0, 0], [1, 0], [2, 0]]
    assert sorted(driver.call("list_offsets", topic=topic3, at="latest")) == [[0, 0], [1, 4], [2, 0]]


@pytest.mark.scenario("offsets", needs=["list_offsets", "send", "timestamps"])
def test_the_first_record_that_is_not_older(driver: Driver, old: str) -> None:
    produce(driver, old, [Record(b"x", timestamp=NOON + after) for after in (0, 10, 10, 5, 30)])
    for at, offset in (
        (NOON - 1, 0),
        (NOON, 0),
        (NOON + 1, 1),
        (NOON + 10, 1),
        (NOON + 11, 4),
        (NOON + 30, 4),
        (NOON + 31, None),
    ):
        assert driver.call("list_offsets", topic=old, at=at) == [[0, offset]]


@pytest.mark.scenario("offsets", needs=["list_offsets", "send", "timestamps"])
def test_times_in_batches_of_their_own(driver: Driver, old: str) -> None:
    for number in range(6):
        produce(driver, old, [Record(b"x", timestamp=NOON + 10 * number)])
    for number in range(6):
        assert driver.call("list_offsets", topic=old, at=NOON + 10 * number - 9) == [[0, number]]
