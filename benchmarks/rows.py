"""What `compare.py` measures, and what is wanted of it: its rows, each a measure with goals for some of its figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cold
import connections
import groups
import measures as m
from brokers import Given
from measures import CPU_PER_GB, P50, P99, RATE, SPEED, Bench, Figures

OURS = "FlyMQ"
FSYNC = "FlyMQ, fsync"
FLOOR = "floor"

Run = Callable[[Given, str], Figures]
"""Of a broker and a new topic's name."""


class Goal(NamedTuple):
    """What the ratio to Kafka is to be, or our own figure."""

    figure: str
    at_least: bool
    value: float
    is_ratio: bool = True

    def is_met(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.value:.2g}{'x' if self.is_ratio else ''}"


class Measure(NamedTuple):
    """`ours`: which of our brokers it is about. `floor`: how the floor is asked the same, which has no topics.

    `needs_data`: the broker's folder must be known.
    """

    name: str
    run: Run
    goals: tuple[Goal, ...] = ()
    ours: str = OURS
    floor: Run | None = None
    needs_data: bool = False

    def is_about(self, broker: Given) -> bool:
        if broker.name == FLOOR:
            return self.floor is not None
        if self.needs_data and broker.data is None:
            return False
        return broker.name not in (OURS, FSYNC) or broker.name == self.ours

    def run_on(self, broker: Given, topic: str) -> Figures:
        if broker.name == FLOOR:
            assert self.floor is not None
            return self.floor(broker, topic)
        figures = self.run(broker, topic)
        m.delete_topic(broker, topic)
        return figures


def more(figure: str, ratio: float) -> Goal:
    return Goal(figure, True, ratio)


def less(figure: str, ratio: float) -> Goal:
    return Goal(figure, False, ratio)


def measures(bench: Bench, gigabytes: float) -> list[Measure]:
    """`gigabytes` are for each measure of throughput."""
    rows = [
        Measure("transactions", m.transactions),
        Measure("1,000 idle long polls", connections.idle_polls),
    ]
    if bench.compiler is not None:
        rows = [*_throughput(bench, gigabytes), *rows, *_requests(bench), *_groups(bench)]
        if connections.can_open(connections.MANY):
            rows.append(Measure(
                "one message beside 10,000 idle connections",
                lambda broker, topic: connections.beside_idle_ones(bench, broker, topic)
            ))  # fmt: skip
        rows.append(Measure(
            "a cold reader beside a producer",
            lambda broker, topic: cold.reader(bench, broker, topic, 2 * gigabytes),
            (Goal(cold.SHARE, True, 0.75, is_ratio=False),),
            needs_data=True,
        ))  # fmt: skip
    return rows


def of_new_brokers(bench: Bench) -> list[Measure]:
    """Of memory, each to be taken of a broker that has done nothing else."""
    rows = [Measure("memory of 5,000 groups", lambda broker, _: groups.memory(broker))]
    if connections.can_open(connections.MANY):
        rows.append(Measure("memory of 10,000 idle connections", lambda broker, _: connections.memory(broker)))
    if bench.compiler is not None:
        rows.append(Measure("memory after 3 GB were written", lambda broker, _: bench.memory_after(broker, 3),
                            (less("RSS MB", 1 / 12),)))  # fmt: skip
    return rows


def _throughput(bench: Bench, gigabytes: float) -> list[Measure]:
    kb, hundred, text = m.values(1024), m.values(100), m.values(1024, text=True)

    def produce(batch_bytes: int, messages: list[bytes], gb: float, **config: object) -> Run:
        return lambda broker, topic: bench.produce(broker, topic, gb, batch_bytes, messages, config)

    def consume(messages: list[bytes], gb: float) -> Run:
        def run(broker: Given, topic: str) -> Figures:
            bench.produce(broker, topic, gb, 64 * 1024, messages, {})
            return bench.consume(broker, topic)

        return run

    fast = (more(SPEED, 2.5), less(CPU_PER_GB, 1 / 4))
    return [
        Measure("produce 1 KB, 64 KB batches", produce(64 * 1024, kb, gigabytes), fast),
        Measure("produce 1 KB, 1 MB batches", produce(1_000_000, kb, gigabytes),
                (more(SPEED, 2.5), less(CPU_PER_GB, 1 / 3))),
        Measure("produce 1 KB, idempotent", produce(64 * 1024, kb, gigabytes, **{"enable.idempotence": "true"}), fast),
        Measure("produce 1 KB, lz4", produce(64 * 1024, text, gigabytes, **{"compression.type": "lz4"}),
                (more(SPEED, 1.5), less(CPU_PER_GB, 1 / 3))),
        Measure("produce 100 B", produce(64 * 1024, hundred, gigabytes / 2),
                (more(SPEED, 1.8), less(CPU_PER_GB, 1 / 4))),
        Measure("produce 1 KB with fsync, Kafka without", produce(64 * 1024, kb, gigabytes), (more(SPEED, 1),), FSYNC),
        Measure("consume 1 KB", consume(kb, gigabytes), (more(SPEED, 1.2), less(CPU_PER_GB, 0.6))),
        Measure("consume 100 B", consume(hundred, gigabytes / 2), (more(SPEED, 1.2), less(CPU_PER_GB, 0.6))),
    ]  # fmt: skip


def _requests(bench: Bench) -> list[Measure]:
    def small(name: str, goals: tuple[Goal, ...], count: int, partitions: int = 1, **how: int) -> Measure:
        return Measure(
            name,
            lambda broker, topic: bench.small_produces(broker, topic, count, partitions=partitions, **how),
            goals,
            floor=None if partitions > 1 else lambda floor, topic: bench.ask_to_produce(floor, topic, count, **how),
        )

    return [
        small("one message acknowledged", (less(P50, 0.5), less(P99, 0.4), more(RATE, 2.5)), 5_000),
        Measure("one message, end to end", lambda broker, topic: bench.end_to_end(broker, topic, 3_000),
                (less(P50, 0.7), less(P99, 0.2))),
        small("1 KB requests, 5 in flight", (more(RATE, 4),), 20_000, in_flight=5),
        small("1 KB requests, 100 in flight", (more(RATE, 8),), 30_000, in_flight=100),
        small("1 KB requests, 50 connections", (more(RATE, 1.8),), 30_000, connections=50),
        small("1 KB requests, 1,000 connections", (), 30_000, connections=1000),
        small("1 KB requests, 1,000 partitions", (), 20_000, partitions=1000, in_flight=5),
    ]  # fmt: skip


def _groups(bench: Bench) -> list[Measure]:
    return [
        Measure("offset commits, 5 in flight",
                lambda broker, topic: bench.offset_commits(broker, topic, 10_000, connections=1, in_flight=5)),
        Measure("heartbeats, 5 in flight", lambda broker, topic: groups.heartbeats(bench, broker, topic, 1)),
        Measure("heartbeats of 5,000 groups, 5 in flight",
                lambda broker, topic: groups.heartbeats(bench, broker, topic, groups.MANY)),
    ]  # fmt: skip
