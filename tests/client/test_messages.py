"""Messages, reports, times: what the client hands out. No broker here."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.client.errors import DeserializationError, InvalidArgumentError, SerializationError
from flymq.client.kafka_python import kafka, topic_partition
from flymq.client.messages import FetchResult, Message, Partition, ProduceReport, timestamp_ms

MS_MAX = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1000


def message(value: Any = b"two coffees", key: Any = b"ada", **fields: Any) -> Message[Any, Any]:
    return Message("orders", 2, 7, key, value, **fields)


def test_a_message_is_what_kafka_python_s_record_says() -> None:
    record = kafka().consumer.fetcher.ConsumerRecord(
        "orders", 2, 5, 7, 1700000000123, 1, b"ada", b"tea", [("a", b"1")], None, 3, 3, 2
    )
    found = Message.of_record(record)
    assert (found.topic, found.partition, found.offset, found.leader_epoch) == ("orders", 2, 7, 5)
    assert (found.key, found.value, list(found.headers)) == (b"ada", b"tea", [("a", b"1")])
    assert (found.timestamp, found.timestamp_type) == (1700000000123, 1)


def test_text_and_json_read_the_value() -> None:
    assert message("zwölf".encode()).text() == "zwölf"
    assert message(b'{"cups": 2}').json() == {"cups": 2}
    with pytest.raises(UnicodeDecodeError):
        message(b"\xff").text()
    with pytest.raises(ValueError, match="Expecting value"):
        message(b"two coffees").json()


def test_a_tombstone_has_no_text_and_no_json() -> None:
    tombstone = message(None)
    assert tombstone.is_tombstone
    assert not message(b"").is_tombstone
    assert tombstone.text() == ""
    assert tombstone.json() is None


def test_of_headers_with_one_name_the_last_counts() -> None:
    found = message(headers=[("a", b"1"), ("b", b"2"), ("a", b"3")])
    assert found.header("a") == b"3"
    assert found.header("c") is None
    assert found.header("c", b"none") == b"none"


def test_messages_are_equal_in_all_or_not_at_all() -> None:
    assert message() == message(headers=())
    assert len({message(), message()}) == 1
    assert message() != message(b"tea")
    assert message() != message(timestamp=1)
    assert message() != b"two coffees"
    assert repr(message()) == "Message(orders-2@7, key=b'ada', value=b'two coffees')"


def test_a_partition_is_kafka_python_s_and_the_plain_pair() -> None:
    assert Partition("orders", 2) == ("orders", 2) == topic_partition(Partition("orders", 2))
    assert {Partition("orders", 2): 1}[topic_partition(Partition("orders", 2))] == 1
    assert str(Partition("orders", 2)) == "orders-2"


# -- deserializing --------------------------------------------------------------------------------


def test_deserializers_see_bytes_and_never_none() -> None:
    seen: list[bytes] = []
    both = message(b"2", b"ada")
    both.deserialize(lambda key: seen.append(key) or key.decode(), json.loads)  # type: ignore[func-returns-value]
    assert (both.key, both.value, seen) == ("ada", 2, [b"ada"])
    neither = message(None, None)
    neither.deserialize(bytes.decode, json.loads)
    assert (neither.key, neither.value) == (None, None)


@pytest.mark.parametrize(("key", "value", "what"), [(b"\xff", b"1", "key"), (b"1", b"\xff", "value")])
def test_what_can_t_be_read_says_where_it_is_and_stays_as_it_was(key: bytes, value: bytes, what: str) -> None:
    found = message(value, key)
    with pytest.raises(DeserializationError, match=f"can't read the {what} of orders-2 at offset 7") as caught:
        found.deserialize(bytes.decode, bytes.decode)
    assert "seek(('orders', 2), 8)" in caught.value.hint
    assert isinstance(caught.value.__cause__, UnicodeDecodeError)
    assert (found.key, found.value) == (key, value)


# -- times ----------------------------------------------------------------------------------------


@given(st.integers(0, MS_MAX))
def test_a_time_comes_back_as_it_went(ms: int) -> None:
    when = message(timestamp=ms).datetime
    assert when is not None
    assert when.tzinfo is UTC
    assert timestamp_ms(when) == ms


def test_without_a_timestamp_there_is_no_time() -> None:
    assert message().timestamp == -1
    assert message().datetime is None
    assert message(timestamp=0).datetime == datetime(1970, 1, 1, tzinfo=UTC)


def test_times_are_milliseconds_or_say_where_they_are() -> None:
    assert timestamp_ms(1700000000123) == 1700000000123
    assert timestamp_ms(datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 1704067200000
    assert timestamp_ms(datetime(2024, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)) == 1704067200001
    with pytest.raises(InvalidArgumentError, match="has no time zone") as caught:
        timestamp_ms(datetime(2024, 1, 1))
    assert "datetime.now(UTC)" in caught.value.hint


@pytest.mark.parametrize("wrong", ["yesterday", 1.5, True, date(2024, 1, 1), None])
def test_what_is_no_time_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="is no time"):
        timestamp_ms(wrong)


# -- results --------------------------------------------------------------------------------------


def test_a_fetch_result_is_a_sequence() -> None:
    first, second = message(b"1"), message(b"2")
    result = FetchResult([first, second], next_offset=9, high_watermark=10, log_start=3)
    assert len(result) == 2
    assert list(result) == [first, second]
    assert (result[0], result[-1], list(result[1:])) == (first, second, [second])
    assert second in result
    assert (result.next_offset, result.high_watermark, result.log_start) == (9, 10, 3)
    assert repr(result) == "FetchResult(2 messages, next_offset=9, high_watermark=10, log_start=3)"
    assert not FetchResult([], next_offset=0, high_watermark=0, log_start=0)


def test_a_report_raises_its_first_failure() -> None:
    ProduceReport("orders", 1).raise_for_errors()
    assert ProduceReport("orders", 1).ok
    failure = SerializationError("no")
    report = ProduceReport("orders", 1, ((4, failure), (7, ValueError("also no"))))
    assert not report.ok
    with pytest.raises(SerializationError) as caught:
        report.raise_for_errors()
    assert caught.value is failure
