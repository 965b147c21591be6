"""`produce`: what goes out arrives as it is, and what can't go out says why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from confluent_kafka import Producer as ConfluentProducer

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.errors import (
    FlyMQError,
    InvalidArgumentError,
    InvalidTopicError,
    MessageTooLargeError,
    PartitionNotFoundError,
    SerializationError,
    TopicNotFoundError,
)
from flymq.client.messages import Message

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Of three partitions."""
    name = fresh_name("orders")
    client.create_topic(name, partitions=3)
    return name


def sent(client: FlyMQClient, topic: str, value: Any, **more: Any) -> Message[Any, Any]:
    """The record as it is in the log, found where `produce` says it is."""
    where = client.produce(topic, value, **more)
    (found,) = client.fetch(topic, partition=where.partition, offset=where.offset, count=1)
    assert where == (found.topic, found.partition, found.offset, found.timestamp)
    return found


# -- what arrives ---------------------------------------------------------------------------------


def test_it_returns_where_the_record_is(client: FlyMQClient, topic: str) -> None:
    assert client.produce(topic, "one", partition=1)[:3] == (topic, 1, 0)
    assert client.produce(topic, "two", partition=1)[:3] == (topic, 1, 1)
    assert client.produce(topic, "three", partition=2)[:3] == (topic, 2, 0)


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ("zwölf", "zwölf".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"tea"), b"tea"),
        (memoryview(b"tea"), b"tea"),
        ("", b""),
        (b"", b""),
    ],
)
def test_values_and_keys_are_bytes_or_text(client: FlyMQClient, topic: str, given: Any, arrives: bytes) -> None:
    found = sent(client, topic, given, key=given)
    assert (found.key, found.value) == (arrives, arrives)
    assert sent(client, topic, given).key is None


def test_none_with_a_key_is_a_tombstone(client: FlyMQClient, topic: str) -> None:
    found = sent(client, topic, None, key="ada")
    assert found.is_tombstone
    assert found.key == b"ada"


def test_headers_keep_their_order_and_repeat(client: FlyMQClient, topic: str) -> None:
    pairs = [("a", b"1"), ("b", "zwei"), ("a", b"\xff"), ("", b"")]
    assert list(sent(client, topic, "tea", headers=pairs).headers) == [
        ("a", b"1"), ("b", b"zwei"), ("a", b"\xff"), ("", b""),
    ]  # fmt: skip
    assert list(sent(client, topic, "tea", headers={"source": "web"}).headers) == [("source", b"web")]
    assert list(sent(client, topic, "tea", headers={}).headers) == []
    assert list(sent(client, topic, "tea", headers=[["a", "b"]]).headers) == [("a", b"b")]  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("given", "arrives"), [(1700000000123, 1700000000123), (0, 0), (-1, -1), (NOON, 1704110400000)]
)
def test_timestamps_are_milliseconds_or_datetimes(
    client: FlyMQClient, topic: str, given: Any, arrives: int
) -> None:
    assert sent(client, topic, "tea", timestamp=given).timestamp == arrives


def test_without_a_timestamp_it_is_now(client: FlyMQClient, topic: str) -> None:
    before = datetime.now(UTC).timestamp() * 1000
    found = sent(client, topic, "tea")
    assert before - 1 <= found.timestamp <= datetime.now(UTC).timestamp() * 1000


def test_what_was_read_can_be_written_as_it_is(client: FlyMQClient, topic: str) -> None:
    first = sent(client, topic, b"\xff", key=b"\xfe", headers=[("a", b"\xfd")], timestamp=5)
    again = sent(client, topic, first.value, key=first.key, headers=first.headers, timestamp=first.datetime)
    assert (again.value, again.key, list(again.headers), again.timestamp) == (
        first.value, first.key, list(first.headers), first.timestamp,
    )  # fmt: skip


# -- where it goes --------------------------------------------------------------------------------


def test_a_key_has_the_partition_that_other_clients_give_it(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str]
) -> None:
    ours, theirs = fresh_name("ours"), fresh_name("theirs")
    keys = [f"key-{n}".encode() * (n % 7 + 1) for n in range(500)] + [bytes([n, 255 - n]) for n in range(256)]
    for name in (ours, theirs):
        client.create_topic(name, partitions=7)
    client.produce_many(ours, [(key, "x") for key in keys]).raise_for_errors()
    other = ConfluentProducer({"bootstrap.servers": broker.bootstrap_servers, "partitioner": "murmur2_random"})
    for key in keys:
        other.produce(theirs, key=key, value=b"x")
    assert other.flush(20) == 0

    def placed(topic: str) -> dict[bytes, int]:
        return {message.key: message.partition for message in client.read(topic)}

    assert placed(ours) == placed(theirs)
    assert set(placed(ours).values()) == set(range(7))


def test_without_a_key_it_goes_anywhere(client: FlyMQClient, topic: str) -> None:
    assert {client.produce(topic, "x").partition for _ in range(60)} == {0, 1, 2}


def test_a_partition_wins_over_the_key(client: FlyMQClient, topic: str) -> None:
    assert [client.produce(topic, "x", key="ada", partition=p).partition for p in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("partition", [3, 99, -1])
def test_a_partition_that_is_not_there(client: FlyMQClient, topic: str, partition: int) -> None:
    with pytest.raises(PartitionNotFoundError, match=f"{topic} has no partition {partition}: it has 3") as caught:
        client.produce(topic, "x", partition=partition)
    assert "0 to 2" in caught.value.hint


# -- serializers ----------------------------------------------------------------------------------


def test_serializers_make_bytes_and_never_see_none(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> None:
    seen = []

    def to_json(value: Any) -> bytes:
        seen.append(value)
        return json.dumps(value).encode()

    with FlyMQClient(broker.bootstrap_servers, key_serializer=str.encode, value_serializer=to_json) as client:
        found = sent(client, fresh_name(), {"cups": 2}, key="ada")
        assert (found.key, found.json()) == (b"ada", {"cups": 2})
        assert sent(client, fresh_name(), None, key="ada").is_tombstone
        assert sent(client, fresh_name(), "tea").key is None
    assert seen == [{"cups": 2}, "tea"]


def test_a_serializer_that_fails_says_of_what(broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> None:
    def to_json(value: Any) -> bytes:
        return json.dumps(value).encode()

    def to_int(value: Any) -> Any:
        return 7

    with FlyMQClient(broker.bootstrap_servers, key_serializer=to_int, value_serializer=to_json) as client:
        with pytest.raises(SerializationError, match="value_serializer can't take set") as caught:
            client.produce(fresh_name(), {1, 2})
        assert isinstance(caught.value.__cause__, TypeError)
        with pytest.raises(SerializationError, match="a key is bytes or str, not int") as caught:
            client.produce(fresh_name(), "x", key="ada")
        assert caught.value.hint == "let the key_serializer return bytes"


# -- what is refused ------------------------------------------------------------------------------

BAD: list[tuple[dict[str, Any], type[FlyMQError], str]] = [
    ({"value": 5}, SerializationError, "value_serializer="),
    ({"value": {"cups": 2}}, SerializationError, "value_serializer="),
    ({"key": 5}, SerializationError, "key_serializer="),
    ({"value": None}, SerializationError, "say which key"),
    ({"headers": {"a": None}}, SerializationError, "encode it"),
    ({"headers": {"a": 1}}, SerializationError, "encode it"),
    ({"headers": {1: "a"}}, SerializationError, "encode it"),
    ({"headers": [("a", "b", "c")]}, SerializationError, "encode it"),
    ({"headers": "ab"}, SerializationError, "encode it"),
    ({"headers": 5}, SerializationError, "{name: value}"),
    ({"partition": "0"}, InvalidArgumentError, "a number from 0 on"),
    ({"partition": True}, InvalidArgumentError, "a number from 0 on"),
    ({"partition": 1.0}, InvalidArgumentError, "a number from 0 on"),
    ({"timestamp": "today"}, InvalidArgumentError, "ms since the epoch"),
    ({"timestamp": 1.5}, InvalidArgumentError, "ms since the epoch"),
    ({"timestamp": date(2030, 1, 1)}, InvalidArgumentError, "ms since the epoch"),
    ({"timestamp": datetime(2030, 1, 1)}, InvalidArgumentError, "datetime.now(UTC)"),
    ({"timestamp": -2}, InvalidArgumentError, "0 or more"),
    ({"timestamp": 1 << 63}, InvalidArgumentError, "0 or more"),
]


@pytest.mark.parametrize(("bad", "kind", "hint"), BAD, ids=lambda value: str(value) if type(value) is dict else "")
def test_bad_records_are_refused_with_a_hint_and_leave_no_trace(
    client: FlyMQClient, topic: str, bad: dict[str, Any], kind: type[FlyMQError], hint: str
) -> None:
    with pytest.raises(kind) as caught:
        client.produce(topic, **{"value": "x", **bad})
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert client.produce(topic, "good", partition=0).offset == 0
    assert len(list(client.read(topic))) == 1


@pytest.mark.parametrize("topic", ["a b", "", b"orders", ["orders"], None])
def test_bad_names_of_topics_are_refused(client: FlyMQClient, topic: Any) -> None:
    with pytest.raises(InvalidTopicError):
        client.produce(topic, "x")
    with pytest.raises(InvalidTopicError):
        client.produce_many(topic, iter(["x"]))


def test_too_large_for_the_client_or_for_the_topic(
    broker: EmbeddedBroker, client: FlyMQClient, fresh_name: Callable[..., str]
) -> None:
    with pytest.raises(MessageTooLargeError, match="max_request_size"):
        client.produce(fresh_name(), b"x" * 1_100_000)
    small = fresh_name("small")
    client.create_topic(small, config={"max.message.bytes": 1000})
    with pytest.raises(MessageTooLargeError, match=r"max\.message\.bytes is 1000") as caught:
        client.produce(small, b"x" * 2000)
    assert "raise max_request_size here" in caught.value.hint
    assert client.produce(small, b"x" * 100).offset == 0
    with FlyMQClient(broker.bootstrap_servers, max_request_size=2_000_000) as patient:
        large = fresh_name("large")
        client.create_topic(large, config={"max.message.bytes": 2_000_000})
        assert len(sent(patient, large, b"x" * 1_500_000).value) == 1_500_000


# -- topics that are missing ----------------------------------------------------------------------


def test_a_missing_topic_is_created(client: FlyMQClient, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("new")
    assert client.produce(name, "x").offset == 0
    assert name in client.list_topics()


def test_a_missing_topic_is_not_created_by_who_must_not(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str
) -> None:
    mistyped = topic.replace("orders", "ordres")
    with FlyMQClient(broker.bootstrap_servers, auto_create_topics=False) as careful:
        for produce in (lambda: careful.produce(mistyped, "x"), lambda: careful.produce_many(mistyped, ["x"])):
            with pytest.raises(TopicNotFoundError, match=f"there is no topic {mistyped}") as caught:
                produce()
            assert caught.value.hint.startswith("did you mean orders-")
        with pytest.raises(TopicNotFoundError) as caught:
            careful.produce("nothing.like.it", "x")
        assert caught.value.hint == "create it: client.create_topic('nothing.like.it')"
        assert careful.produce(topic, "x").topic == topic
    assert mistyped not in client.list_topics()
    assert "nothing.like.it" not in client.list_topics()


def test_a_broker_that_creates_none_is_told_apart_from_one_that_hangs() -> None:
    with (
        EmbeddedBroker(config={"auto.create.topics.enable": False}) as strict,
        FlyMQClient(strict.bootstrap_servers, timeout=1) as client,
        pytest.raises(TopicNotFoundError, match="no topic orders, and the broker does not create it"),
    ):
        client.produce("orders", "x")


def test_a_deleted_topic_does_not_come_back_with_the_next_one(
    client: FlyMQClient, fresh_name: Callable[..., str]
) -> None:
    """kafka-python asks for all topics that it ever sent to, and asking creates."""
    gone, other = fresh_name("gone"), fresh_name("other")
    client.produce(gone, "x")
    client.delete_topic(gone)
    client.produce(other, "x")
    assert other in client.list_topics()
    assert gone not in client.list_topics()
    assert client.produce(gone, "again").offset == 0


def test_a_deleted_topic_is_not_asked_after_for_ever() -> None:
    with (
        EmbeddedBroker(topics={"gone": 1, "other": 1}) as broker,
        FlyMQClient(broker.bootstrap_servers, auto_create_topics=False) as client,
        client.producer() as producer,
    ):
        producer.send("gone", "x").result()
        client.delete_topic("gone")
        producer.send("other", "x").result()
        client.create_topic("new")
        producer.send("new", "x").result()  # for which it looks at what there is
        asked = len(broker.requests("Metadata"))
        began = time.monotonic()
        while time.monotonic() < began + 0.3:
            producer.send("other", "x").result()
        assert len(broker.requests("Metadata")) <= asked + 1
