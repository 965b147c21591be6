"""`kill -9` under load, again and again: no acknowledged record lost, changed or there twice.

    python -m compat_tests.crash                       100 rounds with each durability
    python -m compat_tests.crash --rounds 20 --durability os --seed 7

Three idempotent producers with acks=all write unique records to six partitions, each with a codec of its
own and in segments of 1 MiB, while the broker is killed and started again. The codecs and the instants
follow from the seed; some kills come while the broker is starting.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import CODECS, create_topic

TOPIC = "crash"
PARTITIONS = 6
PRODUCERS = 3
START_S_MAX = 2.0
_SEGMENT_BYTES = 1024 * 1024
_IN_FLIGHT = 100
_REFILL_S = 0.02
_ACKS_A_ROUND = 200
_PROGRESS_TIMEOUT_S = 60.0


class Load(threading.Thread):
    """A producer that never stops asking, and what the broker promised it: `acked`."""

    def __init__(self, bootstrap: str, index: int, codec: str) -> None:
        super().__init__(name=f"producer-{index}")
        self.acked: dict[tuple[int, int], bytes] = {}
        self.errors: list[str] = []
        self.sent = 0
        self._index = index
        self._stopping = threading.Event()
        self._random = random.Random(index)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": codec,
                "linger.ms": 2,
                "batch.num.messages": 50,
                "message.timeout.ms": 0,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 100,
                "log_level": 0,
                "error_cb": self._failed,
            }
        )

    def run(self) -> None:
        while not self._stopping.is_set() and not self.errors:
            while len(self._producer) < _IN_FLIGHT:
                value = b"%d:%d:%s" % (self._index, self.sent, self._random.randbytes(600).hex().encode())
                self._producer.produce(
                    TOPIC, value, partition=self._random.randrange(PARTITIONS), on_delivery=self._delivered
                )
                self.sent += 1
            self._producer.poll(0)
            self._stopping.wait(_REFILL_S)
        unsent = self._producer.flush(_PROGRESS_TIMEOUT_S)
        if unsent and not self.errors:
            self.errors.append(f"{unsent} records were never answered")

    def finish(self) -> None:
        self._stopping.set()
        self.join()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.errors.append(f"{self.name}: {error}")
            return
        place: Any = message.partition(), message.offset()
        value = message.value()
        assert value is not None
        if place in self.acked:
            self.errors.append(f"{self.name}: two records were acknowledged at {place}")
        self.acked[place] = value

    def _failed(self, error: KafkaError) -> None:
        if error.fatal():
            self.errors.append(f"{self.name}: {error}")


@dataclass
class Outcome:
    """Of one run."""

    acked: int = 0
    records: int = 0
    starts: list[float] = field(default_factory=list)
    kills_at_start: int = 0
    checks: int = 0

    def __str__(self) -> str:
        return (
            f"{len(self.starts)} starts: median {statistics.median(self.starts):.2f} s, "
            f"longest {max(self.starts):.2f} s; "
            f"{self.kills_at_start} more kills while starting; {self.acked:,} records acknowledged, "
            f"read back {self.checks} times: none lost, changed or twice"
        )


def read_all(bootstrap: str) -> dict[tuple[int, int], bytes]:
    """Every record of the topic, from the first offset to the present end, checksums checked."""
    found: dict[tuple[int, int], bytes] = {}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "never-joined",
            "enable.auto.commit": False,
            "check.crcs": True,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )
    try:
        partitions = [TopicPartition(TOPIC, index, 0) for index in range(PARTITIONS)]
        ends = [consumer.get_watermark_offsets(partition, _PROGRESS_TIMEOUT_S)[1] for partition in partitions]
        missing = sum(ends)
        consumer.assign(partitions)
        deadline = time.monotonic() + _PROGRESS_TIMEOUT_S
        while missing:
            assert time.monotonic() < deadline, f"{missing} records of {sum(ends)} could not be read"
            for message in consumer.consume(2000, 1):
                assert message.error() is None, message.error()
                place = message.partition(), message.offset()
                assert place not in found, f"read twice: {place}"
                if message.offset() < ends[message.partition()]:
                    found[place] = message.value()
                    missing -= 1
    finally:
        consumer.close()
    return found


def check(acked: dict[tuple[int, int], bytes], found: dict[tuple[int, int], bytes]) -> None:
    """AssertionError unless what was acknowledged is there, as it was sent, and every record only once."""
    for place, value in acked.items():
        assert place in found, f"lost: {value[:30]!r}, acknowledged at partition, offset {place}"
        assert found[place] == value, f"changed at {place}: {value[:30]!r} is now {found[place][:30]!r}"
    seen: dict[bytes, tuple[int, int]] = {}
    last: dict[tuple[int, bytes], int] = {}
    for place in sorted(found):
        value = found[place]
        assert value not in seen, f"{value[:30]!r} is there twice: at {seen[value]} and at {place}"
        seen[value] = place
        producer, number, _ = value.split(b":")
        assert last.get((place[0], producer), -1) < int(number), f"out of order at {place}: {value[:30]!r}"
        last[place[0], producer] = int(number)


def run(
    folder: Path,
    rounds: int,
    durability: str,
    *,
    seed: int = 1,
    check_every: int = 10,
    tell: Callable[[str], object] = lambda _: None,
) -> Outcome:
    """AssertionError where a promise is broken. Leaves the data folder behind, stopped cleanly."""
    chance = random.Random(seed)
    outcome = Outcome()
    settings = {"flymq.durability": durability, "log.segment.bytes": _SEGMENT_BYTES}
    with BrokerProcess(folder, settings) as broker:
        create_topic(broker.bootstrap_servers, TOPIC, PARTITIONS)
        codecs = [CODECS[(seed + index) % len(CODECS)] for index in range(PRODUCERS)]
        loads = [Load(broker.bootstrap_servers, index, codec) for index, codec in enumerate(codecs)]
        for load in loads:
            load.start()
        try:
            for number in range(1, rounds + 1):
                await_acks(loads)
                chance_s = chance.uniform(0, 0.2)
                time.sleep(chance_s)  # the instant of the kill is what is being varied
                broker.kill()
                if chance.random() < 0.2:
                    broker.spawn()
                    time.sleep(chance.uniform(0, 0.4))  # anywhere in the start
                    broker.kill()
                    outcome.kills_at_start += 1
                outcome.starts.append(broker.start())
                if number % check_every == 0:
                    acked = acked_by(loads)
                    check(acked, read_all(broker.bootstrap_servers))
                    outcome.checks += 1
                    tell(f"round {number}: {len(acked):,} acknowledged, all there")
        finally:
            for load in loads:
                load.finish()
        for load in loads:
            assert not load.errors, load.errors
        acked = acked_by(loads)
        outcome.acked = len(acked)
        found = read_all(broker.bootstrap_servers)
        check(acked, found)
        outcome.records = len(found)
        assert len(found) == sum(load.sent for load in loads), "the producers had every record acknowledged"
        code, _ = broker.stop()
        assert code == 0, broker.stderr
        broker.start()
        assert read_all(broker.bootstrap_servers) == found, "a clean stop and start changed something"
        outcome.checks += 2
        code, _ = broker.stop()
        assert code == 0, broker.stderr
    return outcome


def acked_by(loads: list[Load]) -> dict[tuple[int, int], bytes]:
    return {place: value for load in loads for place, value in load.acked.copy().items()}


def await_acks(loads: list[Load]) -> None:
    """Until every producer made progress."""
    targets = [len(load.acked) + _ACKS_A_ROUND for load in loads]
    deadline = time.monotonic() + _PROGRESS_TIMEOUT_S
    for load, target in zip(loads, targets, strict=True):
        while len(load.acked) < target:
            assert not load.errors, load.errors
            assert time.monotonic() < deadline, f"{load.name} gets no answers"
            time.sleep(0.005)


@click.command()
@click.option("--rounds", default=100, show_default=True)
@click.option("--durability", "only", multiple=True, type=click.Choice(["fsync", "os"]), help="[default: both]")
@click.option("--seed", default=1, show_default=True)
def main(rounds: int, only: tuple[str, ...], seed: int) -> None:
    """Kill the broker again and again under acks=all load, and look for what it promised."""
    for durability in only or ("fsync", "os"):
        # Three further on: the two runs have all five codecs between them.
        first = seed + (3 if durability == "os" else 0)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(Path(folder), rounds, durability, seed=first, tell=click.echo)
        click.echo(f"{durability}: {outcome}; {time.monotonic() - began:.0f} s")
        assert max(outcome.starts) <= START_S_MAX, f"a start took {max(outcome.starts):.2f} s"


if __name__ == "__main__":
    main()
