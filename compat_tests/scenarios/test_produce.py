"""Records arrive as they were sent, in order, or the client is told why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.driver import Driver, Record
from compat_tests.scenarios.steps import TOO_LARGE, fails, numbered, produce, producer, read, texts, values

pytestmark = pytest.mark.compat

ALL_BYTES = bytes(range(256))


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_keys_and_values_come_back_byte_for_byte(driver: Driver, topic: str) -> None:
    sent = [
        Record(b"value", b"key"),
        Record(ALL_BYTES, ALL_BYTES),
        Record(b"", b""),
        Record(b"no key"),
        Record(None, b"no value"),
    ]
    for number, record in enumerate(sent):
        assert produce(driver, topic, [record])[0][:2] == (0, number)
    got = read(driver, topic, len(sent))
    assert [(record.key, record.value) for record in got] == [(record.key, record.value) for record in sent]
    assert [(record.topic, record.partition, record.offset) for record in got] == [
        (topic, 0, n) for n in range(len(sent))
    ]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "headers"])
def test_headers_come_back_in_order(driver: Driver, topic: str) -> None:
    headers = (("a", b"1"), ("b", b""), ("a", ALL_BYTES), ("\u00fc", "\u00fc".encode()))
    produce(driver, topic, [Record(b"x", headers=headers), Record(b"y")])
    got = read(driver, topic, 2)
    assert [record.headers for record in got] == [headers, ()]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_many_records_keep_their_order(driver: Driver, topic: str) -> None:
    sent = produce(driver, topic, numbered(2000))
    assert [offset for _, offset, _ in sent] == list(range(2000))
    assert texts(read(driver, topic, 2000)) == [str(n) for n in range(2000)]


def compressed(driver: Driver, topic: str, codec: str) -> None:
    lines = [f"a line that is like every other line but for {n}" for n in range(300)]
    produce(driver, topic, values(*lines), codec=codec)
    assert texts(read(driver, topic, 300)) == lines


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "gzip"])
def test_gzip(driver: Driver, topic: str) -> None:
    compressed(driver, topic, "gzip")


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "snappy"])
def test_snappy(driver: Driver, topic: str) -> None:
    compressed(driver, topic, "snappy")


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "lz4"])
def test_lz4(driver: Driver, topic: str) -> None:
    compressed(driver, topic, "lz4")


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "zstd"])
def test_zstd(driver: Driver, topic: str) -> None:
    compressed(driver, topic, "zstd")


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "gzip"])
def test_the_broker_compresses_anew(driver: Driver, make_topic: Callable[..., str]) -> None:
    """To the topic's codec, in place of the producer's."""
    topic = make_topic(compression_type="lz4")
    produce(driver, topic, numbered(100), codec="gzip")
    assert texts(read(driver, topic, 100)) == [str(n) for n in range(100)]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_the_partition_is_the_senders_choice(driver: Driver, topic3: str) -> None:
    sent = produce(driver, topic3, [Record(b"%d" % n, partition=n % 3) for n in range(9)])
    assert [partition for partition, _, _ in sent] == [0, 1, 2] * 3
    got = read(driver, topic3, 9, partitions=3)
    assert {(record.partition, record.offset): record.value for record in got} == {
        (n % 3, n // 3): b"%d" % n for n in range(9)
    }


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_equal_keys_meet_in_one_partition(driver: Driver, topic3: str) -> None:
    sent = produce(driver, topic3, [Record(b"x", b"key %d" % (n % 5)) for n in range(25)])
    for n in range(5):
        assert len({partition for partition, _, _ in sent[n::5]}) == 1


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "acks 1"])
def test_acks_1(driver: Driver, topic: str) -> None:
    assert [offset for _, offset, _ in produce(driver, topic, numbered(3), acks="1")] == [0, 1, 2]
    assert texts(read(driver, topic, 3)) == ["0", "1", "2"]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "acks 0"])
def test_acks_0_arrives_without_a_word(driver: Driver, topic: str) -> None:
    assert {offset for _, offset, _ in produce(driver, topic, numbered(3), acks="0")} == {None}
    assert texts(read(driver, topic, 3)) == ["0", "1", "2"]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll", "idempotence"])
def test_an_idempotent_producer(driver: Driver, topic3: str) -> None:
    with producer(driver, idempotent=True) as name:
        for n in range(5):
            driver.send(name, topic3, numbered(20, partition=n % 3))
    got = read(driver, topic3, 100, partitions=3)
    for partition in range(3):
        of_one = [record for record in got if record.partition == partition]
        assert [record.offset for record in of_one] == list(range(len(of_one)))
        assert texts(of_one) == [str(n) for n in range(20)] * (len(of_one) // 20)


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_a_record_near_the_limit(driver: Driver, topic: str) -> None:
    value = ALL_BYTES * 3600  # 900 KiB
    produce(driver, topic, [Record(value)])
    assert read(driver, topic, 1)[0].value == value


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_a_record_over_the_topics_limit_is_refused_and_the_next_is_not(
    driver: Driver, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(max_message_bytes=10_000)
    with producer(driver) as name:
        with fails(*TOO_LARGE):
            driver.send(name, topic, [Record(bytes(20_000))])
        driver.send(name, topic, [Record(b"small")])
    assert texts(read(driver, topic, 1)) == ["small"]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_a_compacted_topic_wants_keys(driver: Driver, make_topic: Callable[..., str]) -> None:
    topic = make_topic(cleanup_policy="compact")
    # A client that is older than the code calls it unknown.
    with fails("INVALID_RECORD", "UNKNOWN_SERVER_ERROR", "UNKNOWN"):
        produce(driver, topic, [Record(b"no key")])
    produce(driver, topic, [Record(b"v", b"k")])
    assert texts(read(driver, topic, 1)) == ["v"]


@pytest.mark.scenario("produce", needs=["send", "assign", "poll"])
def test_two_producers_at_once(driver: Driver, another: Driver, topic: str) -> None:
    with producer(driver) as first, producer(another) as second:
        for n in range(10):
            driver.send(first, topic, values(f"a{n}"))
            another.send(second, topic, values(f"b{n}"))
    assert texts(read(driver, topic, 20)) == [f"{who}{n}" for n in range(10) for who in "ab"]
