"""`produce_many`: all that can be written is, and the report says what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flymq import FlyMQClient
from flymq.client.errors import (
    InvalidArgumentError,
    MessageTooLargeError,
    PartitionNotFoundError,
    SerializationError,
)


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Of three partitions."""
    name = fresh_name("orders")
    client.create_topic(name, partitions=3)
    return name


def test_many_are_values_pairs_and_mappings(client: FlyMQClient, topic: str) -> None:
    report = client.produce_many(
        topic,
        (
            item
            for item in [
                "one",
                b"two",
                ("ada", "three"),
                {"value": "four", "key": "bob", "partition": 2, "headers": {"a": "b"}, "timestamp": 9},
                {"value": None, "key": "ada"},
                ("ada", None),
            ]
        ),
    )
    assert report.ok
    assert (report.topic, report.sent, report.failed) == (topic, 6, ())
    found = {message.value: message for message in client.read(topic) if message.value}
    assert set(found) == {b"one", b"two", b"three", b"four"}
    assert found[b"three"].key == b"ada"
    four = found[b"four"]
    assert (four.partition, four.key, list(four.headers), four.timestamp) == (2, b"bob", [("a", b"b")], 9)


def test_the_report_says_which_offsets(client: FlyMQClient, topic: str) -> None:
    client.produce(topic, "before", partition=1)
    report = client.produce_many(topic, [{"value": "x", "partition": n % 2} for n in range(10)])
    assert report.offsets == {0: (0, 4), 1: (1, 5)}
    assert client.produce_many(topic, []).offsets == {}


def test_bad_ones_are_in_the_report_and_the_others_arrive(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name()
    client.create_topic(topic, config={"max.message.bytes": 1000})
    report = client.produce_many(
        topic,
        [
            "good",
            5,
            {"value": "x", "partition": 7},
            {"value": "x", "hedaers": {}},
            {"value": "x", "timestamp": "today"},
            {"value": "x", "partition": "0"},
            b"x" * 2_000_000,
            None,
            "good too",
        ],
    )
    assert [(index, type(error)) for index, error in report.failed] == [
        (1, SerializationError),
        (2, PartitionNotFoundError),
        (3, SerializationError),
        (4, InvalidArgumentError),
        (5, InvalidArgumentError),
        (6, MessageTooLargeError),
        (7, SerializationError),
    ]
    assert (report.sent, report.ok) == (2, False)
    assert [message.value for message in client.read(topic)] == [b"good", b"good too"]
    with pytest.raises(SerializationError, match="not int"):
        report.raise_for_errors()


def test_those_that_the_broker_refuses_are_in_the_report(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name()
    client.create_topic(topic, config={"max.message.bytes": 1000})
    report = client.produce_many(topic, ["good", b"x" * 5000, "good too"])
    assert [(index, type(error)) for index, error in report.failed] == [(1, MessageTooLargeError)]
    assert [message.value for message in client.read(topic)] == [b"good", b"good too"]


@pytest.mark.parametrize("items", ["two coffees", b"tea", {"value": "x"}, None, 5])
def test_one_value_is_not_many(client: FlyMQClient, topic: str, items: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="many items, and not one") as caught:
        client.produce_many(topic, items)
    assert caught.value.hint == "put it in a list"
    assert list(client.read(topic)) == []


def test_an_error_of_the_items_own_is_theirs(client: FlyMQClient, topic: str) -> None:
    def items() -> Iterator[str]:
        yield "one"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.produce_many(topic, items())


def test_more_than_it_keeps_outstanding(client: FlyMQClient, topic: str) -> None:
    report = client.produce_many(topic, (str(n) for n in range(25_000)))
    assert report.sent == 25_000
    assert sum(last - first + 1 for first, last in report.offsets.values()) == 25_000


def test_many_threads_may_produce(client: FlyMQClient, topic: str) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            client.produce(topic, f"{number}-{turn}", key=str(number))
        client.produce_many(topic, [(str(number), f"{number}-{turn}") for turn in range(20, 40)]).raise_for_errors()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    found: dict[bytes, list[str]] = {}
    for message in client.read(topic):
        found.setdefault(message.key, []).append(message.text())
    assert found == {str(n).encode(): [f"{n}-{turn}" for turn in range(40)] for n in range(8)}
