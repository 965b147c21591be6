"""`fetch`: a few messages of one partition, what is there now, and nothing is changed by looking."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.errors import (
    ClosedError,
    DeserializationError,
    InvalidArgumentError,
    InvalidTopicError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    TopicNotFoundError,
)
from flymq.client.messages import FetchResult

COUNT = 15


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Two partitions: "0" to "14", a second apart from 1970 on, and nothing."""
    name = fresh_name("orders")
    client.create_topic(name, partitions=2, config={"retention.ms": -1})
    client.produce_many(
        name, [{"value": str(n), "partition": 0, "timestamp": n * 1000} for n in range(COUNT)]
    ).raise_for_errors()
    return name


def at(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def values(result: FetchResult) -> list[int]:
    return [int(message.text()) for message in result]


def test_the_first_ten_unless_asked_otherwise(client: FlyMQClient, topic: str) -> None:
    result = client.fetch(topic)
    assert values(result) == list(range(10))
    assert (result.next_offset, result.high_watermark, result.log_start) == (10, COUNT, 0)
    assert (result[3].topic, result[3].partition, result[3].offset, result[3].timestamp) == (topic, 0, 3, 3000)


@pytest.mark.parametrize(
    ("offset", "count", "found", "next_offset"),
    [
        (3, 2, [3, 4], 5),
        (0, 0, [], 0),
        (5, 0, [], 5),
        (10, 5, [10, 11, 12, 13, 14], COUNT),
        (10, 100, [10, 11, 12, 13, 14], COUNT),
        (COUNT, 10, [], COUNT),
        (-1, 10, [14], COUNT),
        (-3, 2, [12, 13], 14),
        (-COUNT, 1, [0], 1),
        (-100, 1, [0], 1),
        ("earliest", 1, [0], 1),
        ("latest", 10, [], COUNT),
        (at(12), 10, [12, 13, 14], COUNT),
        (at(11.5), 1, [12], 13),
        (at(100), 10, [], COUNT),
        (at(-1), 1, [0], 1),
    ],
)
def test_from_an_offset_on(
    client: FlyMQClient, topic: str, offset: Any, count: int, found: list[int], next_offset: int
) -> None:
    result = client.fetch(topic, offset=offset, count=count)
    assert values(result) == found
    assert result.next_offset == next_offset


def test_next_offset_goes_through_all_of_it(client: FlyMQClient, topic: str) -> None:
    seen: list[int] = []
    offset = 0
    while found := client.fetch(topic, offset=offset, count=4):
        seen += values(found)
        offset = found.next_offset
    assert seen == list(range(COUNT))


@pytest.mark.parametrize("offset", [0, "earliest", "latest", -1, at(5)])
def test_an_empty_partition_has_nothing_and_says_so(client: FlyMQClient, topic: str, offset: Any) -> None:
    result = client.fetch(topic, partition=1, offset=offset)
    assert list(result) == []
    assert (result.next_offset, result.high_watermark, result.log_start) == (0, 0, 0)


@pytest.mark.parametrize(("partition", "told"), [(0, "it holds 0 to 14"), (1, "it is empty")])
def test_beyond_the_end_is_an_error(client: FlyMQClient, topic: str, partition: int, told: str) -> None:
    with pytest.raises(OffsetOutOfRangeError, match=f"{topic}-{partition} has no offset 16: {told}") as caught:
        client.fetch(topic, partition=partition, offset=16)
    assert caught.value.hint == f"the next message will be at {(COUNT, 0)[partition]}"


def trim(broker: EmbeddedBroker, topic: str, log_start: int) -> None:
    """As retention does."""

    async def move_log_start(running: Any) -> None:
        running._broker.services.partitions.find(topic, 0).trim(log_start)

    broker._on_loop(move_log_start)


def test_what_was_deleted_is_passed_over(broker: EmbeddedBroker, client: FlyMQClient, topic: str) -> None:
    trim(broker, topic, 7)
    result = client.fetch(topic, count=2)
    assert values(result) == [7, 8]
    assert (result.log_start, result.next_offset, result.high_watermark) == (7, 9, COUNT)
    assert values(client.fetch(topic, offset=-100, count=1)) == [7]
    assert [int(message.text()) for message in client.read(topic, start=3)] == list(range(7, COUNT))
    trim(broker, topic, COUNT)
    result = client.fetch(topic)
    assert (list(result), result.next_offset, result.log_start) == ([], COUNT, COUNT)
    with pytest.raises(OffsetOutOfRangeError, match="it is empty"):
        client.fetch(topic, offset=COUNT + 1)


def test_a_large_message_comes_whatever_its_size(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("large")
    client.create_topic(name)
    client.produce_many(name, [b"x" * 900_000] * 6).raise_for_errors()
    result = client.fetch(name, count=6)
    assert [len(message.value) for message in result] == [900_000] * 6


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"offset": "erliest"}, "did you mean earliest?"),
        ({"offset": None}, 'an offset, "earliest", "latest" or a datetime'),
        ({"offset": 1.5}, 'an offset, "earliest", "latest" or a datetime'),
        ({"offset": True}, 'an offset, "earliest", "latest" or a datetime'),
        ({"offset": datetime(2024, 1, 1)}, "datetime.now(UTC)"),
        ({"count": -1}, "0 or more"),
        ({"count": "3"}, "0 or more"),
        ({"count": None}, "0 or more"),
        ({"isolation": "comitted"}, "did you mean committed?"),
    ],
)
def test_what_can_t_be_meant_is_refused_with_a_hint(
    client: FlyMQClient, topic: str, wrong: dict[str, Any], hint: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.fetch(topic, **wrong)
    assert hint in caught.value.hint


def test_a_mistyped_topic_is_found_and_not_created(client: FlyMQClient, topic: str) -> None:
    mistyped = topic.replace("orders", "ordres")
    with pytest.raises(TopicNotFoundError, match=f"there is no topic {mistyped}") as caught:
        client.fetch(mistyped)
    assert "did you mean orders-" in caught.value.hint
    with pytest.raises(TopicNotFoundError) as caught:
        client.fetch("quite.another")
    assert caught.value.hint == "create it: client.create_topic('quite.another')"
    assert {mistyped, "quite.another"}.isdisjoint(client.list_topics())


@pytest.mark.parametrize("partition", [2, -1, "0", None])
def test_a_partition_that_is_not_there(client: FlyMQClient, topic: str, partition: Any) -> None:
    with pytest.raises(PartitionNotFoundError, match=f"{topic} has no partition {partition!r}: it has 2") as caught:
        client.fetch(topic, partition=partition)
    assert caught.value.hint == "give 0 to 1"


def test_what_is_no_name_of_a_topic(client: FlyMQClient) -> None:
    with pytest.raises(InvalidTopicError, match="is a str, not bytes") as caught:
        client.fetch(b"orders")  # type: ignore[arg-type]
    assert "without the b" in caught.value.hint


def test_looking_changes_nothing() -> None:
    with EmbeddedBroker(topics={"orders": 1}) as broker, FlyMQClient(broker.bootstrap_servers) as client:
        broker.seed("orders", ["one", "two"])
        client.fetch("orders")
        list(client.read("orders"))
        with pytest.raises(LookupError):
            client.fetch("ordres")
        with pytest.raises(LookupError):
            list(client.read("ordres"))
        asked = {request.api for request in broker.requests(client_id="flymq-client")}
        assert asked.isdisjoint({"OffsetCommit", "JoinGroup", "FindCoordinator", "CreateTopics"})
        assert client.list_topics() == ["orders"]
        assert client.groups.list() == []


def test_deserializers_are_used(broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name()
    client.produce_many(topic, [("ada", '{"cups": 2}'), ("ada", "no JSON"), ("ada", None)]).raise_for_errors()
    with FlyMQClient(
        broker.bootstrap_servers, key_deserializer=bytes.decode, value_deserializer=json.loads
    ) as reading:
        (found,) = reading.fetch(topic, count=1)
        assert (found.key, found.value) == ("ada", {"cups": 2})
        (tombstone,) = reading.fetch(topic, offset=2)
        assert tombstone.is_tombstone
        with pytest.raises(DeserializationError, match=f"can't read the value of {topic}-0 at offset 1"):
            reading.fetch(topic)


def test_a_closed_client_says_so(broker: EmbeddedBroker) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    client.close()
    with pytest.raises(ClosedError, match="the client is closed"):
        client.fetch("orders")
    with pytest.raises(ClosedError, match="the client is closed"):
        next(client.read("orders"))
