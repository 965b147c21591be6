"""A producer of one's own: futures, callbacks, acks, flushing, closing, and what a lost broker does to it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.errors import (
    ClosedError,
    FlyMQError,
    InvalidArgumentError,
    MessageTooLargeError,
    RequestTimeoutError,
    TopicNotFoundError,
)
from flymq.client.producer import SendFuture

TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Where a broker is that opens and closes nothing in this process."""
    with BrokerProcess(None) as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("orders")
    client.create_topic(name)
    return name


def values(client: FlyMQClient, topic: str) -> list[str]:
    return [message.text() for message in client.read(topic)]


# -- futures --------------------------------------------------------------------------------------


def test_a_future_is_done_when_the_broker_has_the_record(client: FlyMQClient, topic: str) -> None:
    with client.producer() as producer:
        future = producer.send(topic, "one", key="ada")
        assert future.result(TIMEOUT_S)[:3] == (topic, 0, 0)
        assert future.done()
        assert future.exception() is None
        assert future.result() == future.result()
    assert values(client, topic) == ["one"]


def test_a_future_waits_no_longer_than_it_is_told(client: FlyMQClient, topic: str) -> None:
    with client.producer(linger_ms=60_000) as producer:
        future = producer.send(topic, "one")
        assert not future.done()
        with pytest.raises(RequestTimeoutError, match=f"produce to {topic}"):
            future.result(0.01)
        assert isinstance(future.exception(0.01), RequestTimeoutError)
        producer.flush()
        assert future.done()
        assert future.result().offset == 0


def test_callbacks_come_for_good_and_bad_and_for_what_is_done_already(
    client: FlyMQClient, fresh_name: Callable[..., str]
) -> None:
    topic = fresh_name()
    client.create_topic(topic, config={"max.message.bytes": 1000})
    called: list[SendFuture] = []
    both = threading.Semaphore(0)

    def call(future: SendFuture) -> None:
        called.append(future)
        both.release()

    with client.producer() as producer:
        good = producer.send(topic, "x")
        good.add_done_callback(call)
        assert both.acquire(timeout=TIMEOUT_S)
        bad = producer.send(topic, b"x" * 5000)
        bad.add_done_callback(call)
        assert both.acquire(timeout=TIMEOUT_S)
        assert called == [good, bad]
        good.add_done_callback(call)
        assert called == [good, bad, good]
        assert isinstance(bad.exception(), MessageTooLargeError)


def test_a_callback_that_fails_harms_nobody(client: FlyMQClient, topic: str) -> None:
    with client.producer(linger_ms=1000) as producer:
        first = producer.send(topic, "one")
        first.add_done_callback(lambda _: 1 / 0)
        second = producer.send(topic, "two")
        producer.flush(TIMEOUT_S)
        assert (first.result().offset, second.result().offset) == (0, 1)
        assert producer.send(topic, "three").result(TIMEOUT_S).offset == 2


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("acks", [1, "all", -1])
def test_with_acks_the_offset_is_known(client: FlyMQClient, topic: str, acks: Any) -> None:
    with client.producer(acks=acks) as producer:
        producer.send(topic, "one").result(TIMEOUT_S)
        assert producer.send(topic, "two").result(TIMEOUT_S).offset == 1


def test_without_acks_nobody_knows_the_offset(broker: EmbeddedBroker, client: FlyMQClient, topic: str) -> None:
    client.produce(topic, "before")
    with client.producer(acks=0) as producer:
        assert [producer.send(topic, value).result(TIMEOUT_S).offset for value in ("one", "two")] == [-1, -1]
    broker.expect(topic, ["before", "one", "two"], timeout=TIMEOUT_S)
    with FlyMQClient(broker.bootstrap_servers, acks=0) as careless:
        assert careless.produce(topic, "three").offset == -1
        report = careless.produce_many(topic, ["four"])
        assert (report.sent, report.offsets) == (1, {0: (-1, -1)})


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed(client: FlyMQClient, topic: str, compression: str) -> None:
    with client.producer(compression_type=compression, linger_ms=5) as producer:
        assert producer.send_many(topic, [f"order {n}" for n in range(300)]).sent == 300
    assert values(client, topic) == [f"order {n}" for n in range(300)]


def test_it_has_the_client_s_serializers_or_its_own(broker: EmbeddedBroker, topic: str) -> None:
    with FlyMQClient(broker.bootstrap_servers, value_serializer=lambda value: f"<{value}>".encode()) as client:
        with client.producer() as producer:
            producer.send(topic, 1).result(TIMEOUT_S)
        with client.producer(value_serializer=lambda value: f"[{value}]".encode()) as producer:
            producer.send(topic, 2).result(TIMEOUT_S)
        assert values(client, topic) == ["<1>", "[2]"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lingerms": 5}, "did you mean linger_ms?"),
        ({"acks": 7}, '0, 1, "all"'),
        ({"acks": "none"}, '0, 1, "all"'),
        ({"linger_ms": "5"}, "milliseconds"),
        ({"compression_type": "lz5"}, "lz5"),
        ({"enable_idempotence": True, "acks": 0}, "incompatible"),
    ],
)
def test_settings_that_can_t_be_are_refused_and_leave_nothing_open(
    elsewhere: str, settings: dict[str, Any], told: str
) -> None:
    with FlyMQClient(elsewhere) as client:
        client.ping()
        before = psutil.Process().num_fds()
        with pytest.raises(InvalidArgumentError) as caught:
            client.producer(**settings)
        assert told in f"{caught.value} {caught.value.hint}"
        assert psutil.Process().num_fds() <= before


# -- after a refusal ------------------------------------------------------------------------------


def test_a_record_that_the_broker_refuses_does_not_stop_those_after_it(
    client: FlyMQClient, fresh_name: Callable[..., str]
) -> None:
    """An idempotent producer of kafka-python would refuse everything from then on."""
    topic, other = fresh_name(), fresh_name()
    client.create_topic(topic, partitions=3, config={"max.message.bytes": 1000})
    with client.producer() as producer:
        futures = {
            n: producer.send(topic, b"x" * 5000 if n % 97 == 50 else str(n), partition=n % 3) for n in range(600)
        }
        failed = {n for n, future in futures.items() if future.exception(TIMEOUT_S) is not None}
        assert failed == {n for n in futures if n % 97 == 50}
        assert producer.send(other, "later").result(TIMEOUT_S).offset == 0
    assert sorted(values(client, topic), key=int) == [str(n) for n in futures if n not in failed]


# -- flushing and closing -------------------------------------------------------------------------


def test_a_flush_is_over_when_all_is_acknowledged(client: FlyMQClient, topic: str) -> None:
    with client.producer(linger_ms=60_000) as producer:
        futures = [producer.send(topic, str(n)) for n in range(100)]
        producer.flush()
        assert all(future.done() for future in futures)
        producer.flush()


def test_closing_flushes(client: FlyMQClient, topic: str) -> None:
    producer = client.producer(linger_ms=60_000)
    future = producer.send(topic, "one")
    producer.close()
    producer.close()
    assert future.result().offset == 0
    assert values(client, topic) == ["one"]


def test_closing_the_client_closes_its_producers(broker: EmbeddedBroker, topic: str) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    producer = client.producer(linger_ms=60_000)
    future = producer.send(topic, "one")
    client.close()
    client.close()
    assert future.result().offset == 0
    with pytest.raises(ClosedError):
        producer.send(topic, "two")


def test_a_closed_one_says_so(client: FlyMQClient, topic: str) -> None:
    with client.producer() as producer:
        pass
    for use in (
        lambda: producer.send(topic, "x"),
        lambda: producer.send_many(topic, ["x"]),
        lambda: producer.flush(),
    ):
        with pytest.raises(ClosedError, match="the producer is closed"):
            use()


def test_many_threads_may_send(client: FlyMQClient, topic: str) -> None:
    with client.producer() as producer, ThreadPoolExecutor(8) as pool:
        futures = list(pool.map(lambda n: producer.send(topic, str(n)), range(2000)))
        assert sorted(future.result(TIMEOUT_S).offset for future in futures) == list(range(2000))


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


def test_nothing_is_left_behind(elsewhere: str) -> None:
    before, open_before = threads(), psutil.Process().num_fds()
    for _ in range(3):
        with FlyMQClient(elsewhere) as client:
            client.produce("orders", "one")
            client.list_topics()
            with client.producer() as producer:
                producer.send("orders", "two")
    for thread in threads() - before:
        thread.join(TIMEOUT_S)
    assert threads() <= before
    assert psutil.Process().num_fds() <= open_before


# -- a broker that is away ------------------------------------------------------------------------


def test_a_broker_that_hangs_is_given_up_on(fresh_name: Callable[..., str]) -> None:
    """Within the client's time-out a send fails; closing takes no longer than it is told, and leaves no thread."""
    with BrokerProcess(None) as broker:
        before = threads()
        client = FlyMQClient(broker.bootstrap_servers, timeout=1)
        client.produce("orders", "before")
        producer = client.producer(delivery_timeout_ms=60_000)
        producer.send("orders", "before").result(TIMEOUT_S)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            with pytest.raises(RequestTimeoutError) as caught:
                client.produce("orders", "x")
            assert caught.value.retriable
            lost = producer.send("orders", "x")
            with pytest.raises(RequestTimeoutError):
                producer.flush(0.1)
            with pytest.raises(RequestTimeoutError, match="close the producer"):
                producer.close(0.1)
            assert isinstance(lost.exception(TIMEOUT_S), FlyMQError)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        assert client.produce("orders", "after").offset >= 2
        client.close()
        for thread in threads() - before:
            thread.join(TIMEOUT_S)
        assert threads() <= before


def test_one_that_does_not_close_does_not_keep_the_others_open(broker: EmbeddedBroker, topic: str) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    producers = [client.producer(linger_ms=60_000) for _ in range(3)]
    futures = [producer.send(topic, "x") for producer in producers]

    def fail(timeout: float = 5.0) -> None:
        raise RequestTimeoutError("no")

    real, producers[1].close = producers[1].close, fail  # type: ignore[method-assign]
    with pytest.raises(RequestTimeoutError):
        client.close()
    real()
    assert all(future.result().offset >= 0 for future in futures)
    for other in (producers[0], producers[2]):
        with pytest.raises(ClosedError):
            other.send(topic, "x")
    with pytest.raises(ClosedError):
        client.ping()


def test_a_topic_that_is_gone_is_named(broker: EmbeddedBroker, client: FlyMQClient, topic: str) -> None:
    with FlyMQClient(broker.bootstrap_servers, auto_create_topics=False, timeout=1) as careful:
        careful.produce(topic, "x")
        client.delete_topic(topic)
        with pytest.raises((RequestTimeoutError, TopicNotFoundError)):
            careful.produce(topic, "x")
        with pytest.raises(TopicNotFoundError, match=f"there is no topic {topic}"):
            careful.produce(topic, "x")
