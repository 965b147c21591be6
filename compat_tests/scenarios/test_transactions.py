"""All or nothing, over partitions and a group's offsets, as a reader of what is committed sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from compat_tests.driver import Driver, Record
from compat_tests.scenarios.steps import (
    consumer,
    fails,
    nothing_comes,
    produce,
    producer,
    read,
    reader,
    take,
    texts,
    until,
    values,
)

pytestmark = [
    pytest.mark.compat,
    pytest.mark.scenario("transactions", needs=["send", "transactions", "assign", "poll", "read_committed"]),
]


@contextlib.contextmanager
def writer(driver: Driver, transactional_id: str) -> Iterator[str]:
    with producer(driver, transactional_id=transactional_id, idempotent=True) as name:
        driver.call("init_transactions", producer=name)
        yield name


@contextlib.contextmanager
def transaction(driver: Driver, name: str, *, abort: bool = False) -> Iterator[None]:
    driver.call("begin", producer=name)
    yield
    driver.call("abort_transaction" if abort else "commit_transaction", producer=name)


@pytest.fixture
def transactional_id(fresh_name: Callable[..., str]) -> str:
    return fresh_name("writer")


def test_a_commit_is_seen(driver: Driver, topic3: str, transactional_id: str) -> None:
    with writer(driver, transactional_id) as name, transaction(driver, name):
        for partition in range(3):
            driver.send(name, topic3, values("a", "b", partition=partition))
    got = read(driver, topic3, 6, partitions=3, isolation="read_committed")
    assert sorted((record.partition, record.value) for record in got) == [
        (n, v) for n in range(3) for v in (b"a", b"b")
    ]


def test_an_abort_is_not_seen(driver: Driver, topic3: str, transactional_id: str) -> None:
    with writer(driver, transactional_id) as name:
        with transaction(driver, name, abort=True):
            driver.send(name, topic3, [Record(b"aborted", partition=partition) for partition in range(3)])
        with transaction(driver, name):
            driver.send(name, topic3, [Record(b"committed", partition=partition) for partition in range(3)])
    with reader(driver, topic3, 3, isolation="read_committed") as name:
        assert texts(take(driver, name, 3)) == ["committed"] * 3
        nothing_comes(driver, name)


def test_whoever_wants_sees_what_was_aborted(driver: Driver, topic: str, transactional_id: str) -> None:
    with writer(driver, transactional_id) as name:
        with transaction(driver, name, abort=True):
            driver.send(name, topic, values("aborted"))
        with transaction(driver, name):
            driver.send(name, topic, values("committed"))
    got = read(driver, topic, 2, isolation="read_uncommitted")
    assert [(record.offset, record.value) for record in got] == [(0, b"aborted"), (2, b"committed")]  # 1: a marker


def test_nobody_sees_an_open_transaction(driver: Driver, topic: str, transactional_id: str) -> None:
    """Nor what came after it."""
    with writer(driver, transactional_id) as name, reader(driver, topic, isolation="read_committed") as committed:
        with transaction(driver, name):
            driver.send(name, topic, values("open"))
            produce(driver, topic, values("later"))
            nothing_comes(driver, committed)
            with reader(driver, topic, isolation="read_uncommitted") as anything:
                assert texts(take(driver, anything, 2)) == ["open", "later"]
        assert texts(take(driver, committed, 2)) == ["open", "later"]


def test_many_transactions_of_one_producer(driver: Driver, topic: str, transactional_id: str) -> None:
    with writer(driver, transactional_id) as name:
        for n in range(20):
            with transaction(driver, name, abort=n % 3 == 2):
                driver.send(name, topic, values(str(n)))
    kept = [str(n) for n in range(20) if n % 3 != 2]
    assert texts(read(driver, topic, len(kept), isolation="read_committed")) == kept


def test_two_producers_interleaved(driver: Driver, topic: str, fresh_name: Callable[..., str]) -> None:
    with writer(driver, fresh_name("one")) as one, writer(driver, fresh_name("two")) as two:
        for name in (one, two):
            driver.call("begin", producer=name)
        for n in range(5):
            driver.send(one, topic, values(f"one {n}"))
            driver.send(two, topic, values(f"two {n}"))
        driver.call("abort_transaction", producer=one)
        driver.call("commit_transaction", producer=two)
    assert texts(read(driver, topic, 5, isolation="read_committed")) == [f"two {n}" for n in range(5)]


def test_the_next_of_the_same_id_ends_what_the_last_left_open(
    driver: Driver, another: Driver, topic: str, transactional_id: str
) -> None:
    """It may be dead; its records are not seen, and it can do no more."""
    with writer(driver, transactional_id) as zombie:
        driver.call("begin", producer=zombie)
        driver.send(zombie, topic, values("zombie"))
        with writer(another, transactional_id) as name, transaction(another, name):
            another.send(name, topic, values("alive"))
        with fails("PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "FENCED"):
            driver.send(zombie, topic, values("zombie again"))
            driver.call("commit_transaction", producer=zombie)
    with reader(driver, topic, isolation="read_committed") as name:
        assert texts(take(driver, name, 1)) == ["alive"]
        nothing_comes(driver, name)


@pytest.mark.scenario(needs=["send_offsets", "group_offsets"])
def test_offsets_are_committed_with_the_records(
    driver: Driver, topic: str, topic3: str, group: str, transactional_id: str
) -> None:
    with writer(driver, transactional_id) as name, transaction(driver, name):
        driver.send(name, topic, values("result"))
        driver.call("send_offsets", producer=name, group=group, offsets=[[topic3, 0, 5], [topic3, 2, 7]])
        assert driver.call("group_offsets", group=group) == []
    # Kafka answers before the offsets are there, and old clients read what is.
    until(
        lambda: sorted(driver.call("group_offsets", group=group)) == [[topic3, 0, 5], [topic3, 2, 7]],
        "the offsets are committed",
    )


@pytest.mark.scenario(needs=["send_offsets", "group_offsets"])
def test_offsets_are_aborted_with_the_records(
    driver: Driver, topic: str, topic3: str, group: str, transactional_id: str
) -> None:
    with writer(driver, transactional_id) as name:
        with transaction(driver, name):
            driver.call("send_offsets", producer=name, group=group, offsets=[[topic3, 0, 5]])
        with transaction(driver, name, abort=True):
            driver.send(name, topic, values("result"))
            driver.call("send_offsets", producer=name, group=group, offsets=[[topic3, 0, 9], [topic3, 1, 1]])
    until(lambda: driver.call("group_offsets", group=group) == [[topic3, 0, 5]], "the first one's offset is there")


@pytest.mark.scenario(needs=["send_offsets", "subscribe"])
def test_read_process_write(driver: Driver, make_topic: Callable[..., str], group: str, transactional_id: str) -> None:
    source, results = make_topic(), make_topic()
    produce(driver, source, values(*map(str, range(30))))
    with writer(driver, transactional_id) as name:
        for abort in (True, False):
            with consumer(driver, [source], group=group, isolation="read_committed") as member:
                got = take(driver, member, 30)
                with transaction(driver, name, abort=abort):
                    driver.send(name, results, values(*(f"<{text}>" for text in texts(got))))
                    driver.call("send_offsets", producer=name, group=group, offsets=[[source, 0, 30]])
    with consumer(driver, [source], group=group) as member:
        produce(driver, source, values("new"))
        assert texts(take(driver, member, 1)) == ["new"]
    assert texts(read(driver, results, 30, isolation="read_committed")) == [f"<{n}>" for n in range(30)]


@pytest.mark.scenario(needs=["list_offsets"])
def test_markers_take_an_offset(driver: Driver, topic: str, transactional_id: str) -> None:
    with writer(driver, transactional_id) as name, transaction(driver, name):
        driver.send(name, topic, values("a", "b"))
    # Kafka says that a transaction is committed before it writes the markers.
    until(lambda: driver.call("list_offsets", topic=topic, at="latest") == [[0, 3]], "the marker has offset 2")
    produce(driver, topic, values("c"))
    assert [record.offset for record in read(driver, topic, 3)] == [0, 1, 3]


@pytest.mark.scenario(needs=["gzip"])
def test_compressed_records_in_a_transaction(driver: Driver, topic: str, transactional_id: str) -> None:
    with producer(driver, transactional_id=transactional_id, idempotent=True, codec="gzip") as name:
        driver.call("init_transactions", producer=name)
        with transaction(driver, name):
            driver.send(name, topic, values(*map(str, range(100))))
    assert texts(read(driver, topic, 100, isolation="read_committed")) == [str(n) for n in range(100)]
