"""`read`: a stream over partitions, from one place to another, that ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import FlyMQClient
from flymq.client.errors import InvalidArgumentError, PartitionNotFoundError, TopicNotFoundError
from flymq.client.kafka_python import kafka

PARTITIONS = 3
COUNT = 5


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """In partition p, offsets 0 to 4 at 10, 11 ... 14 seconds after 1970, plus 100 * p."""
    name = fresh_name("orders")
    client.create_topic(name, partitions=PARTITIONS, config={"retention.ms": -1})
    client.produce_many(
        name,
        [
            {"value": f"{partition}/{n}", "partition": partition, "timestamp": (10 + n + 100 * partition) * 1000}
            for n in range(COUNT)
            for partition in range(PARTITIONS)
        ],
    ).raise_for_errors()
    return name


def read(client: FlyMQClient, topic: str, **where: Any) -> dict[int, list[int]]:
    """Offsets by partition, in the order in which they came."""
    found: dict[int, list[int]] = {}
    for message in client.read(topic, **where):
        assert message.text() == f"{message.partition}/{message.offset}"
        found.setdefault(message.partition, []).append(message.offset)
    return found


def every(offsets: range) -> dict[int, list[int]]:
    return {partition: list(offsets) for partition in range(PARTITIONS)} if offsets else {}


def seconds(after: float) -> datetime:
    return datetime.fromtimestamp(after, UTC)


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, every(range(5))),
        ({"start": "earliest", "end": "latest"}, every(range(5))),
        ({"start": 2}, every(range(2, 5))),
        ({"end": 2}, every(range(2))),
        ({"start": 1, "end": 3}, every(range(1, 3))),
        ({"start": 3, "end": 3}, {}),
        ({"start": 4, "end": 2}, {}),
        ({"start": 100}, {}),
        ({"end": 100}, every(range(5))),
        ({"start": -2}, every(range(3, 5))),
        ({"end": -2}, every(range(3))),
        ({"start": -100, "end": -4}, every(range(1))),
        ({"start": "latest"}, {}),
        ({"partitions": [2]}, {2: [0, 1, 2, 3, 4]}),
        ({"partitions": (0, 1), "start": 4}, {0: [4], 1: [4]}),
        ({"partitions": [1, 1], "start": 4}, {1: [4]}),
        ({"partitions": []}, {}),
        ({"start": {0: 3, 1: 4, 2: 5}}, {0: [3, 4], 1: [4]}),
        ({"start": {0: 3, 1: -1, 2: 5}, "end": {0: 4, 1: 5, 2: 5}}, {0: [3], 1: [4]}),
        ({"start": {1: 3}, "partitions": [1]}, {1: [3, 4]}),
        ({"start": seconds(113)}, {1: [3, 4], 2: [0, 1, 2, 3, 4]}),
        ({"start": seconds(12.5), "end": seconds(14)}, {0: [3]}),
        ({"end": seconds(11)}, {0: [0]}),
        ({"start": seconds(999)}, {}),
    ],
    ids=str,
)
def test_from_here_to_there(
    client: FlyMQClient, topic: str, where: dict[str, Any], found: dict[int, list[int]]
) -> None:
    assert read(client, topic, **where) == found


def test_it_ends_where_the_end_was_when_it_began(client: FlyMQClient, topic: str) -> None:
    messages = client.read(topic)
    first = next(messages)
    client.produce_many(topic, [{"value": "later", "partition": p} for p in range(PARTITIONS)]).raise_for_errors()
    assert len([first, *messages]) == PARTITIONS * COUNT


def test_many_more_than_one_answer_holds(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name()
    client.create_topic(topic, partitions=2)
    client.produce_many(topic, [{"value": str(n) * 100, "partition": n % 2} for n in range(8000)]).raise_for_errors()
    seen: dict[int, list[int]] = {0: [], 1: []}
    for message in client.read(topic):
        seen[message.partition].append(message.offset)
    assert seen == {0: list(range(4000)), 1: list(range(4000))}


def test_an_empty_topic_is_over_at_once(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name()
    client.create_topic(topic, partitions=PARTITIONS)
    assert list(client.read(topic)) == []


@pytest.mark.parametrize(
    ("wrong", "kind", "hint"),
    [
        ({"partitions": [0, 7]}, PartitionNotFoundError, "give 0 to 2"),
        ({"partitions": 0}, InvalidArgumentError, "such as [0, 1]"),
        ({"partitions": "01"}, InvalidArgumentError, "such as [0, 1]"),
        ({"start": "lates"}, InvalidArgumentError, "did you mean latest?"),
        ({"end": None}, InvalidArgumentError, "an offset"),
        ({"start": {0: 1}}, InvalidArgumentError, "partitions="),
        ({"end": {0: 1, 1: "x", 2: 1}}, InvalidArgumentError, "a number for each"),
        ({"end": datetime(2024, 1, 1)}, InvalidArgumentError, "datetime.now(UTC)"),
    ],
)
def test_what_can_t_be_meant_is_refused_with_a_hint(
    client: FlyMQClient, topic: str, wrong: dict[str, Any], kind: type[Exception], hint: str
) -> None:
    with pytest.raises(kind) as caught:
        list(client.read(topic, **wrong))
    assert hint in caught.value.hint  # type: ignore[attr-defined]


def test_a_mistyped_topic(client: FlyMQClient, topic: str) -> None:
    with pytest.raises(TopicNotFoundError) as caught:
        list(client.read(topic.replace("orders", "ordres")))
    assert "did you mean orders-" in caught.value.hint


def test_one_that_is_given_up_leaves_nothing_open() -> None:
    with BrokerProcess(None) as broker, FlyMQClient(broker.bootstrap_servers) as client:
        client.produce_many("orders", ["one", "two"])
        before = psutil.Process().num_fds()
        messages = client.read("orders")
        next(messages)
        assert psutil.Process().num_fds() > before
        messages.close()
        assert psutil.Process().num_fds() <= before


def test_gaps_do_not_make_it_wait(client: FlyMQClient, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offsets may hold no message, the last one too, as after a transaction or a compaction: whoever counts waits for
    ever. FlyMQ makes none yet, so they are made where kafka-python would leave them out."""
    consumer = kafka().KafkaConsumer
    poll = consumer.poll

    def poll_with_gaps(self: Any, **settings: Any) -> Any:
        found = poll(self, **settings)
        return {key: kept for key, records in found.items() if (kept := [r for r in records if r.offset in (0, 2)])}

    monkeypatch.setattr(consumer, "poll", poll_with_gaps)
    assert read(client, topic) == every(range(0, 4, 2))
    result = client.fetch(topic, count=3)
    assert [message.offset for message in result] == [0, 2]
    assert result.next_offset == result.high_watermark == COUNT
    assert client.fetch(topic, count=2).next_offset == 3
    assert client.fetch(topic, offset=3).next_offset == COUNT
