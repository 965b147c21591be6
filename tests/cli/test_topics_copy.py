"""`flymq-cli topics copy`: here or to another broker; what it refuses; interrupted, or half done."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.messages import Message
from tests.cli.kit import Cli, finish, start


@pytest.fixture(scope="module")
def other() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture
def target(fresh_name: Callable[..., str]) -> str:
    return fresh_name("target")


def as_sent(message: Message[Any, Any]) -> tuple[Any, ...]:
    return message.partition, message.key, message.value, list(message.headers), message.timestamp


def sent(broker: EmbeddedBroker, topic: str) -> list[tuple[Any, ...]]:
    return [as_sent(message) for message in broker.records(topic)]


def values(broker: EmbeddedBroker, topic: str) -> bytes:
    return b"".join(message.value or b"" for message in broker.records(topic))


def test_on_one_broker(cli: Cli, broker: EmbeddedBroker, orders: str, target: str) -> None:
    broker.seed(orders, [
        {"key": b"\xff", "value": b"\xfe\n", "headers": [("a", b"1"), ("a", b"\xfd")], "partition": 1, "timestamp": 5},
        {"key": "gone", "value": None, "partition": 0, "timestamp": 6},
        {"key": None, "value": "", "partition": 0, "timestamp": 7},
    ])  # fmt: skip
    done = cli.ok("topics", "copy", orders, target)
    assert (done.stdout, done.err) == (b"", f"flymq-cli: 9 messages of {orders} copied to {target}\n")
    assert sent(broker, target) == sent(broker, orders)


def test_to_another_broker_with_the_settings(
    cli: Cli, broker: EmbeddedBroker, other: EmbeddedBroker, topic: str
) -> None:
    cli.ok("topics", "create", topic, "--partitions", "3", "-c", "retention.ms=-1", "-c", "segment.ms=60000")
    broker.seed(topic, [{"value": str(n), "partition": n % 3, "timestamp": n} for n in range(30)])
    cli.ok("topics", "copy", topic, "--to", other.bootstrap_servers)
    assert sent(other, topic) == sent(broker, topic)
    with FlyMQClient(other.bootstrap_servers) as client:
        found = client.topics.describe(topic)
    assert len(found.partitions) == 3
    assert {name: value.value for name, value in found.config.items()} == {"retention.ms": "-1", "segment.ms": "60000"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--offset", "-1"], b"df"),
        (["--offset", "1:3"], b"bcf"),
        (["--offset", "@2026-01-01T09:00:03Z"], b"def"),
        (["-p", "1"], b"ef"),
        (["-p", "0", "-o", "2"], b"cd"),
        (["--offset", "latest"], b""),
        (["--offset", "3:1"], b""),
    ],
)
def test_a_part(cli: Cli, broker: EmbeddedBroker, orders: str, target: str, options: list[str], found: bytes) -> None:
    cli.ok("topics", "copy", orders, target, *options)
    assert values(broker, target) == found


def test_a_target_that_has_messages(cli: Cli, broker: EmbeddedBroker, orders: str, target: str) -> None:
    cli.ok("topics", "copy", orders, target)
    said = cli.fails(6, "topics", "copy", orders, target)
    assert f"{target} has messages already: 6" in said
    assert "--append" in said
    assert values(broker, target) == b"abcdef"
    cli.ok("topics", "copy", orders, target, "--append")
    assert sorted(values(broker, target)) == sorted(b"abcdef" * 2)


def test_a_target_with_fewer_partitions(cli: Cli, broker: EmbeddedBroker, orders: str, target: str) -> None:
    broker.create_topics({target: 1})
    said = cli.fails(6, "topics", "copy", orders, target)
    assert f"{target} has 1 partition, {orders} has 2" in said
    assert "--ignore-partitions" in said
    assert broker.records(target) == []
    cli.ok("topics", "copy", orders, target, "--ignore-partitions")
    assert sorted(values(broker, target)) == list(b"abcdef")
    cli.ok("topics", "copy", orders, target, "-p", "0", "--append")  # what is to be copied would fit


@pytest.mark.parametrize("arguments", [[], ["same"]])
def test_onto_itself(cli: Cli, orders: str, arguments: list[str]) -> None:
    target = [orders for _ in arguments]
    assert "copy where to?\n  name another topic, or another broker with --to" in cli.fails(
        2, "topics", "copy", orders, *target
    )


def test_what_is_not_there(cli: Cli, orders: str, target: str) -> None:
    assert "there is no topic qqqq" in cli.fails(3, "topics", "copy", "qqqq", target)
    assert target not in cli.ok("topics", "list", "-O", "name").lines
    cli.fails(3, "topics", "copy", orders, target, "-p", "7")
    assert "nothing listens at 127.0.0.1:1" in cli.fails(4, "topics", "copy", orders, "--to", "127.0.0.1:1")


def test_a_message_that_cannot_be_sent_is_named(
    cli: Cli, broker: EmbeddedBroker, topic: str, target: str
) -> None:
    """kafka-python sends no header without a value, which others do."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(topic, value=b"fine", partition=0)
    producer.produce(topic, value=b"odd", partition=0, headers=[("null", None)])
    producer.flush()
    said = cli.fails(7, "topics", "copy", topic, target)
    assert f"{topic}-0 at offset 1" in said
    assert "1 message of" in said
    assert values(broker, target) == b"fine"


MUCH = 40_000


@pytest.fixture(scope="module")
def much(broker: EmbeddedBroker) -> str:
    """A topic that takes a while to copy."""
    broker.seed("much", [bytes(100)] * MUCH)
    return "much"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_many(
    client: FlyMQClient, broker: EmbeddedBroker, much: str, target: str, number: signal.Signals
) -> None:
    broker.create_topics({target: 1})
    with start("topics", "copy", much, target, servers=broker.bootstrap_servers) as process:
        while client.topics.offsets(target) == {0: 0}:
            assert process.poll() is None, finish(process)
        process.send_signal(number)
        done = finish(process)
    copied = client.topics.offsets(target)[0]
    assert 0 < copied < MUCH
    assert (done.code, done.err) == (
        130, f"flymq-cli: {copied:,} message{'s' * (copied > 1)} of {much} copied to {target}, then interrupted\n",
    )  # fmt: skip


def test_a_target_broker_that_dies_meanwhile(broker: EmbeddedBroker, much: str) -> None:
    """7, and how many arrived."""
    with BrokerProcess(None) as dying, FlyMQClient(dying.bootstrap_servers) as client:
        copying = ("topics", "copy", much, "--to", dying.bootstrap_servers, "--timeout", "2")
        client.create_topic(much)
        with start(*copying, servers=broker.bootstrap_servers) as process:
            while client.topics.offsets(much)[0] < MUCH // 10:  # some of which it knows by then
                assert process.poll() is None, finish(process)
            dying.kill()
            done = finish(process)
    assert done.code == 7, done
    assert f"of {much} copied to {much} before that" in done.err
    assert "Traceback" not in done.err
