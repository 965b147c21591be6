"""A reader without a group gets every record from where it says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.driver import Driver, Record
from compat_tests.scenarios.steps import (
    consumer,
    fails,
    nothing_comes,
    numbered,
    produce,
    producer,
    reader,
    take,
    texts,
    until,
    values,
)
from flymq import FlyMQClient

pytestmark = [pytest.mark.compat, pytest.mark.scenario("fetch", needs=["send", "assign", "poll"])]


def test_what_comes_while_the_reader_waits(driver: Driver, topic: str) -> None:
    with reader(driver, topic) as name, producer(driver) as sender:
        nothing_comes(driver, name, wait_ms=300)
        for n in range(5):
            driver.send(sender, topic, values(str(n)))
            assert [record.offset for record in take(driver, name, 1)] == [n]


def test_from_an_offset(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(10))
    with reader(driver, topic, offset=7) as name:
        assert texts(take(driver, name, 3)) == ["7", "8", "9"]


def test_from_an_offset_inside_a_compressed_batch(driver: Driver, topic: str, client: FlyMQClient) -> None:
    """The broker gives the whole batch; what is before the offset is not the user's."""
    with client.producer(compression_type="gzip", linger_ms=1000) as sender:
        sender.send_many(topic, [str(n) for n in range(50)]).raise_for_errors()
    with reader(driver, topic, offset=42) as name:
        assert texts(take(driver, name, 8)) == [str(n) for n in range(42, 50)]


def test_only_what_is_new(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(3))
    with reader(driver, topic, reset="latest") as name:
        nothing_comes(driver, name)
        produce(driver, topic, values("new"))
        assert texts(take(driver, name, 1)) == ["new"]


@pytest.mark.scenario("fetch", needs=["reset none"])
def test_an_offset_beyond_the_end_without_a_reset(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(3))
    with reader(driver, topic, offset=100, reset="none") as name, fails("OFFSET_OUT_OF_RANGE"):
        until(lambda: driver.poll(name), "it is told")


def test_an_offset_beyond_the_end_is_reset(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(3))
    with reader(driver, topic, offset=100) as name:
        assert texts(take(driver, name, 3)) == ["0", "1", "2"]


def test_an_offset_before_the_log_start_is_reset(driver: Driver, topic: str, client: FlyMQClient) -> None:
    produce(driver, topic, numbered(5))
    client.topics.trim(topic, before=3)
    with reader(driver, topic, offset=0) as name:
        assert texts(take(driver, name, 2)) == ["3", "4"]


@pytest.mark.scenario("fetch", needs=["seek"])
def test_back_and_forth(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(10))
    with reader(driver, topic) as name:
        assert len(take(driver, name, 10)) == 10
        driver.call("seek", consumer=name, topic=topic, partition=0, offset=8)
        assert texts(take(driver, name, 2)) == ["8", "9"]
        driver.call("seek", consumer=name, topic=topic, partition=0, offset=0)
        assert texts(take(driver, name, 10)) == [str(n) for n in range(10)]


@pytest.mark.scenario("fetch", needs=["position"])
def test_the_position_is_the_next_records(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(10))
    with reader(driver, topic, offset=4) as name:
        take(driver, name, 6)
        assert driver.call("position", consumer=name, topic=topic, partition=0) == 10


@pytest.mark.scenario("fetch", needs=["pause"])
def test_a_paused_partition_gives_nothing(driver: Driver, topic3: str) -> None:
    with reader(driver, topic3, 2) as name:
        produce(driver, topic3, [Record(b"%d" % n, partition=n) for n in range(2)])
        take(driver, name, 2)
        driver.call("pause", consumer=name, partitions=[[topic3, 0]])
        produce(driver, topic3, [Record(b"again %d" % n, partition=n) for n in range(2)])
        assert texts(take(driver, name, 1)) == ["again 1"]
        nothing_comes(driver, name)
        driver.call("resume", consumer=name, partitions=[[topic3, 0]])
        assert texts(take(driver, name, 1)) == ["again 0"]


def test_many_partitions_of_many_topics(driver: Driver, make_topic: Callable[..., str]) -> None:
    topics = [make_topic(4) for _ in range(5)]
    with consumer(driver) as name:
        partitions = [(topic, partition) for topic in topics for partition in range(4)]
        driver.call("assign", consumer=name, offsets=[[*one, None] for one in partitions])
        for topic in topics:
            produce(driver, topic, [Record(topic.encode(), partition=partition) for partition in range(4)])
        got = take(driver, name, 20)
        assert sorted((record.topic, record.partition) for record in got) == sorted(partitions)
        assert all(record.value == record.topic.encode() for record in got)


def test_batches_larger_than_what_the_reader_takes_at_once(driver: Driver, topic: str) -> None:
    """It always gets one batch."""
    sent = [Record(b"%d" % n * 20_000) for n in range(10)]
    for record in sent:
        produce(driver, topic, [record])
    with reader(driver, topic, partition_fetch_bytes=1000) as name:
        assert [record.value for record in take(driver, name, 10)] == [record.value for record in sent]


def test_much_from_several_partitions(driver: Driver, topic3: str) -> None:
    produce(driver, topic3, [Record(b"%06d" % n * 500, partition=n % 3) for n in range(1500)])  # 4.5 MB
    with reader(driver, topic3, 3) as name:
        got = take(driver, name, 1500)
    for partition in range(3):
        numbers = [int((record.value or b"")[:6]) for record in got if record.partition == partition]
        assert numbers == list(range(partition, 1500, 3))


def test_a_reader_that_wants_many_bytes_waits_no_longer_than_it_says(driver: Driver, topic: str) -> None:
    produce(driver, topic, values("one"))
    with reader(driver, topic, fetch_min_bytes=1_000_000, fetch_wait_ms=200) as name:
        assert texts(take(driver, name, 1)) == ["one"]


def test_a_topic_that_is_deleted_and_made_anew(
    driver: Driver, client: FlyMQClient, fresh_name: Callable[..., str]
) -> None:
    """Nothing of the old one shows."""
    topic = fresh_name("reborn")
    client.create_topic(topic, partitions=1)
    produce(driver, topic, numbered(5))
    client.delete_topic(topic)
    client.create_topic(topic, partitions=1)
    client.produce(topic, "new")
    with reader(driver, topic) as name:
        got = take(driver, name, 1)
        assert [(record.offset, record.value) for record in got] == [(0, b"new")]
        nothing_comes(driver, name)


def test_two_readers_get_everything_each(driver: Driver, topic: str) -> None:
    produce(driver, topic, numbered(5))
    with reader(driver, topic) as first, reader(driver, topic) as second:
        for name in (first, second):
            assert texts(take(driver, name, 5)) == ["0", "1", "2", "3", "4"]
