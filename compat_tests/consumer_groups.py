"""librdkafka consumers of the protocols of KIP-848 and before, in one process; and how fast many of them settle.

    python -m compat_tests.consumer_groups                                 50 members, 200 partitions
    python -m compat_tests.consumer_groups --members 100 --bootstrap HOST:PORT     any broker, Apache Kafka too
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import click
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from compat_tests.clients import create_topic
from flymq import EmbeddedBroker

CONSUMER, CLASSIC = "consumer", "classic"
TIMEOUT_S = 30.0
# What a member may hear while the group moves; it commits again later.
_PASSING = {
    KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION, KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.UNKNOWN_MEMBER_ID, KafkaError._NO_OFFSET, KafkaError._WAIT_COORD,
}


class Member:
    """A consumer in a thread of its own. What it got it commits before it gives a partition up.

    `owned` are (topic, partition) pairs; `got` (topic, partition, offset), in order. Exits of `with` leave the group.
    """

    def __init__(
        self, bootstrap: str, group: str, topics: list[str], protocol: str = CONSUMER, **settings: str
    ) -> None:
        self.owned: set[tuple[str, int]] = set()
        self.got: list[tuple[str, int, int]] = []
        self.revocations = 0
        self.failures: list[BaseException] = []
        self.changed = threading.Condition()
        self._stopping = False
        config = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"} if protocol == CLASSIC else {}
        self._consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "group.protocol": protocol,
            "auto.offset.reset": "earliest", "enable.auto.commit": "false", **config,
            **{name.replace("_", "."): value for name, value in settings.items()},
        })
        self._consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Member:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the group."""
        self._stopping = True
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()
        if self.failures:
            raise self.failures[0]

    def _run(self) -> None:
        try:
            while not self._stopping:
                message = self._consumer.poll(0.1)
                if message is None:
                    continue
                if message.error() is not None:
                    # A classic member whose JoinGroup waits as the group becomes a consumer group; it joins again.
                    if message.error().code() == KafkaError.REBALANCE_IN_PROGRESS:
                        continue
                    raise KafkaException(message.error())
                with self.changed:
                    self.got.append((message.topic(), message.partition(), message.offset()))
            self._consumer.close()
        except BaseException as failure:
            self.failures.append(failure)

    def _assigned(self, consumer: Consumer, partitions: list[Any]) -> None:
        with self.changed:
            self.owned.update((partition.topic, partition.partition) for partition in partitions)

    def _revoked(self, consumer: Consumer, partitions: list[Any]) -> None:
        if partitions:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING:
                    raise
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[Any]) -> None:
        with self.changed:
            self.revocations += bool(partitions)
            self.owned.difference_update((partition.topic, partition.partition) for partition in partitions)


def until(condition: Callable[[], bool], what: Callable[[], str] = lambda: "", timeout_s: float = TIMEOUT_S) -> float:
    """Wait for a condition; seconds that it took."""
    started = time.monotonic()
    pause = threading.Event()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not so after {timeout_s:.0f} s: {what()}"
        pause.wait(0.02)
    return time.monotonic() - started


def is_shared(members: list[Member], partitions: set[tuple[str, int]]) -> bool:
    """Everything is owned, once, and nobody has two more than another."""
    owned = [partition for member in members for partition in member.owned]
    sizes = [len(member.owned) for member in members]
    return sorted(owned) == sorted(partitions) and max(sizes) - min(sizes) <= 1


def until_shared(members: list[Member], topic: str, partition_count: int) -> float:
    partitions = {(topic, number) for number in range(partition_count)}
    return until(lambda: is_shared(members, partitions), lambda: str([sorted(member.owned) for member in members]))


@contextlib.contextmanager
def producing(bootstrap: str, topic: str, partition_count: int) -> Iterator[Counter[int]]:
    """Records keep coming while the block runs; how many each partition got, complete at the end."""
    sent: Counter[int] = Counter()
    stopping = threading.Event()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": "1"})

    def acknowledged(error: Any, message: Any) -> None:
        assert error is None, error
        sent[message.partition()] += 1

    def run() -> None:
        number = 0
        while not stopping.wait(0.002):
            producer.produce(topic, b"%d" % number, partition=number % partition_count, on_delivery=acknowledged)
            producer.poll(0)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        stopping.set()
        thread.join()
        producer.flush(TIMEOUT_S)


def check_exactly_once(members: list[Member], topic: str, sent: Counter[int]) -> None:
    """Nothing is lost and nothing came twice."""
    got = Counter(record for member in members for record in member.got)
    wanted = {(topic, partition, offset) for partition, count in sent.items() for offset in range(count)}
    assert set(got) == wanted, f"{len(wanted - set(got))} lost, {len(set(got) - wanted)} nobody sent"
    twice = [record for record, times in got.items() if times > 1]
    assert not twice, f"{len(twice)} came twice, such as {twice[0]}"


def run_and_measure(bootstrap: str, member_count: int, partition_count: int) -> tuple[float, float, float]:
    """Seconds until all share: from the first member's start; after one more; after that one has left."""
    topic = f"consumer-groups-{time.time_ns()}"
    create_topic(bootstrap, topic, partition_count)
    group = f"group-of-{topic}"
    started = time.monotonic()
    members = [Member(bootstrap, group, [topic]) for _ in range(member_count)]
    try:
        until_shared(members, topic, partition_count)
        formed_s = time.monotonic() - started
        with Member(bootstrap, group, [topic]) as one_more:
            joined_s = until_shared([*members, one_more], topic, partition_count)
        left_s = until_shared(members, topic, partition_count)
    finally:
        for member in members:
            member.stop()
    return formed_s, joined_s, left_s


@click.command()
@click.option("--members", "member_count", default=50, show_default=True)
@click.option("--partitions", "partition_count", default=200, show_default=True)
@click.option("--bootstrap", help="A broker that runs already.")
@click.option("--heartbeat-ms", default=5000, show_default=True, help="Of the broker started here; 5000 is Kafka's.")
def main(member_count: int, partition_count: int, bootstrap: str | None, heartbeat_ms: int) -> None:
    with contextlib.ExitStack() as stack:
        if bootstrap is None:
            broker = stack.enter_context(EmbeddedBroker(config={
                "group.consumer.heartbeat.interval.ms": heartbeat_ms, "group.consumer.assignment.interval.ms": 1000,
            }))
            bootstrap = broker.bootstrap_servers
        formed_s, joined_s, left_s = run_and_measure(bootstrap, member_count, partition_count)
    click.echo(
        f"{member_count} members over {partition_count} partitions: all shared {formed_s:.1f} s after the first start; "
        f"{joined_s:.1f} s after one more came; {left_s:.1f} s after it left"
    )


if __name__ == "__main__":
    main()
