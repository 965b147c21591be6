"""Steps that many scenarios take."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from compat_tests.driver import Driver, DriverError, Got, Record

PATIENCE_S = 60.0  # what has not come by then never comes
TOO_LARGE = ("MESSAGE_TOO_LARGE", "RECORD_TOO_LARGE")  # Kafka's name of the code, and its exception's


def values(*texts: str, **fields: Any) -> list[Record]:
    return [Record(text.encode(), **fields) for text in texts]


def numbered(count: int, **fields: Any) -> list[Record]:
    """ "0", "1", ..."""
    return values(*map(str, range(count)), **fields)


def texts(got: Iterable[Got]) -> list[str]:
    return [(record.value or b"").decode() for record in got]


def produce(
    driver: Driver, topic: str, records: Iterable[Record], **settings: Any
) -> list[tuple[int, int | None, int | None]]:
    """With a producer for this alone."""
    with producer(driver, **settings) as name:
        return driver.send(name, topic, records)


@contextlib.contextmanager
def producer(driver: Driver, **settings: Any) -> Iterator[str]:
    with _opened(driver, "producer", settings) as name:
        yield name


@contextlib.contextmanager
def consumer(driver: Driver, topics: Sequence[str] = (), **settings: Any) -> Iterator[str]:
    """From the beginning unless told otherwise; subscribed to `topics`."""
    with _opened(driver, "consumer", {"reset": "earliest", **settings}) as name:
        if topics:
            driver.call("subscribe", consumer=name, topics=list(topics))
        yield name


@contextlib.contextmanager
def reader(
    driver: Driver, topic: str, partitions: int = 1, offset: int | None = None, **settings: Any
) -> Iterator[str]:
    """A consumer without a group, assigned the topic's first partitions."""
    with consumer(driver, **settings) as name:
        driver.call("assign", consumer=name, offsets=[[topic, partition, offset] for partition in range(partitions)])
        yield name


@contextlib.contextmanager
def _opened(driver: Driver, what: str, settings: dict[str, Any]) -> Iterator[str]:
    name = f"{what}-{time.monotonic_ns()}"
    driver.call(f"open_{what}", **{what: name}, **settings)
    try:
        yield name
    except BaseException:
        if driver.is_running:
            with contextlib.suppress(DriverError):  # the first failure counts
                driver.call(f"close_{what}", **{what: name})
        raise
    driver.call(f"close_{what}", **{what: name})


def take(driver: Driver, consumer: str, count: int) -> list[Got]:
    """So many records, and no more."""
    got: list[Got] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(got) < count:
        assert time.monotonic() < deadline, f"{len(got)} of {count} came: {texts(got)}"
        got += driver.poll(consumer)
    assert len(got) == count, f"more came than {count}: {texts(got)}"
    return got


def read(driver: Driver, topic: str, count: int, partitions: int = 1, **settings: Any) -> list[Got]:
    """A topic's records from its beginning."""
    with reader(driver, topic, partitions, **settings) as name:
        return take(driver, name, count)


def nothing_comes(driver: Driver, consumer: str, wait_ms: int = 1000) -> None:
    assert driver.poll(consumer, wait_ms=wait_ms) == []


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first answer of `condition` that is true."""
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not so after {PATIENCE_S:g} s: {what}"
        pause.wait(0.02)
    return answer


def once_known(call: Callable[[], Any]) -> Any:
    """Its answer, of a topic that the broker has made: Kafka says yes to it before it answers for it."""

    def answer() -> list[Any]:
        try:
            return [call()]
        except DriverError as failure:
            if failure.code != "UNKNOWN_TOPIC_OR_PARTITION":
                raise
            return []

    return until(answer, "the topic is known")[0]


Member = tuple[Driver, str]


def poll_all(members: Sequence[Member]) -> list[list[Got]]:
    """All poll at once, and on until each has: the poll of one that joins may wait until all others poll."""
    polled = [threading.Event() for _ in members]

    def poll(member: Member, has: threading.Event) -> list[Got]:
        driver, name = member
        got: list[Got] = []
        try:
            while True:
                got += driver.poll(name)
                has.set()
                if all(other.is_set() for other in polled):
                    return got
        finally:
            has.set()

    with ThreadPoolExecutor(len(members)) as pool:
        return list(pool.map(poll, members, polled))


def assignments(members: Sequence[Member]) -> list[list[tuple[str, int]]]:
    return [
        sorted((topic, partition) for topic, partition in driver.call("assignment", consumer=name))
        for driver, name in members
    ]


def is_shared(owned: Sequence[Sequence[tuple[str, int]]], sizes: Sequence[int]) -> bool:
    """Nothing is owned twice."""
    different = {partition for partitions in owned for partition in partitions}
    return sorted(map(len, owned)) == sorted(sizes) and len(different) == sum(sizes)


def settle(members: Sequence[Member], sizes: Sequence[int]) -> list[Got]:
    """Poll until the members own so many partitions, in any order; what came meanwhile."""
    got: list[Got] = []
    deadline = time.monotonic() + PATIENCE_S
    while not is_shared(owned := assignments(members), sizes):
        assert time.monotonic() < deadline, f"not shared as {sizes}: {owned}"
        for records in poll_all(members):
            got += records
    return got


@contextlib.contextmanager
def fails(*codes: str) -> Iterator[None]:
    """With one of these codes."""
    with pytest.raises(DriverError) as failure:
        yield
    assert failure.value.code in codes, failure.value
