"""Exactly once, whatever is killed: each input's result is there once, and the offsets agree.

    python -m compat_tests.exactly_once                          every client, 50,000 records, 20 kills of each kind
    python -m compat_tests.exactly_once --client java --records 5000 --kills 3 --seed 7

Two members of a group read, transform and write in transactions, some of which they abort on purpose. The
broker and the members are killed (SIGKILL) again and again. At the end a reader of committed records counts.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO

import click
from confluent_kafka import Consumer, Producer, TopicPartition

from compat_tests import java_tools
from compat_tests.broker_process import BrokerProcess, environment
from compat_tests.clients import create_topic
from compat_tests.exactly_once_worker import GROUP, INPUT, OUTPUT, transformed
from compat_tests.real_kafka import RealKafka

CLIENTS = ("librdkafka", "java", "flymq")
PARTITIONS = 4
MEMBERS = 2
_POLL_S = 0.1
_STALLED_S = 60.0
_BETWEEN_KILLS_S = (0.3, 1.5)
_JAVA = Path(__file__).with_name("java") / "ExactlyOnce.java"


class Member:
    """A process of the pipeline, started again whenever it has ended."""

    def __init__(self, client: str, bootstrap: str, index: int, seed: int, log: IO[bytes]) -> None:
        self.starts = 0
        self._bootstrap = bootstrap
        self._client = client
        self._index = index
        self._seed = seed
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if self._process is None:
            self.starts += 1
            seed = self._seed * 1000 + self.starts * MEMBERS + self._index
            arguments = [self._bootstrap, str(self._index), str(seed)]
            if self._client == "java":
                command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp"]
                command += [java_tools.class_path(), str(_JAVA), *arguments]
            else:
                command = [sys.executable, "-m", "compat_tests.exactly_once_worker", self._client, *arguments]
            self._process = subprocess.Popen(
                command, stdout=self._log, stderr=self._log, cwd=Path(__file__).parents[1], env=environment()
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def fill(bootstrap: str, numbers: range) -> None:
    """Some of the input: record i has the key i."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all", "enable.idempotence": True})
    for i in numbers:
        producer.produce(INPUT, key=b"%d" % i, value=b"input %d" % i, partition=i % PARTITIONS)
        producer.poll(0)
    assert producer.flush(60) == 0


def committed(consumer: Consumer) -> int:
    """How many records the group has behind it, of all partitions; -1 where the broker doesn't tell."""
    try:
        places = consumer.committed([TopicPartition(INPUT, p) for p in range(PARTITIONS)], timeout=5)
    except Exception:  # the broker is being killed
        return -1
    return sum(max(0, place.offset) for place in places)


def results(bootstrap: str) -> Counter[tuple[bytes, bytes]]:
    """Every committed record of the output, as (key, value)."""
    reader = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "exactly-once-reader", "isolation.level": "read_committed",
        "enable.auto.commit": False, "enable.partition.eof": True,
    })  # fmt: skip
    reader.assign([TopicPartition(OUTPUT, p, 0) for p in range(PARTITIONS)])
    found: Counter[tuple[bytes, bytes]] = Counter()
    at_end: set[int] = set()
    give_up = time.monotonic() + _STALLED_S
    while len(at_end) < PARTITIONS:
        assert time.monotonic() < give_up, f"partitions at their end: {at_end}: the last stable offset does not move on"
        message = reader.poll(1)
        if message is None:
            continue
        partition = message.partition()
        assert partition is not None
        if message.error() is not None:
            at_end.add(partition)
            continue
        key, value = message.key(), message.value()
        assert key is not None
        assert value is not None
        found[key, value] += 1
    reader.close()
    return found


class Run:
    """One client's run; `broker_kills` and `member_kills` say how many there were."""

    def __init__(self, client: str, *, records: int, kills: int, seed: int, log: IO[bytes]) -> None:
        self.broker_kills = self.member_kills = 0
        self._client = client
        self._records = records
        self._to_kill = ["broker", "member"] * kills
        self._random = random.Random(seed)
        self._seed = seed
        self._log = log

    def run(self, broker: BrokerProcess | RealKafka) -> str:
        """What happened, as a line. AssertionError where a result is missing, wrong or there twice."""
        began = time.monotonic()
        bootstrap = broker.bootstrap_servers
        create_topic(bootstrap, INPUT, PARTITIONS)
        create_topic(bootstrap, OUTPUT, PARTITIONS)
        members = [Member(self._client, bootstrap, index, self._seed, self._log) for index in range(MEMBERS)]
        try:
            self._work(broker, members)
        finally:
            for member in members:
                member.kill()
        found = results(bootstrap)
        expected = Counter({(b"%d" % i, transformed(b"input %d" % i)): 1 for i in range(self._records)})
        wrong = (expected - found) + (found - expected)
        assert not wrong, f"{len(wrong)} results are missing, wrong or there twice: {wrong.most_common(5)}"
        starts = sum(member.starts for member in members)
        return (
            f"{self._client}: {self._records:,} results, each once, in {time.monotonic() - began:.0f} s; broker killed "
            f"{self.broker_kills} times, members killed {self.member_kills} times, started {starts} times"
        )

    def _work(self, broker: BrokerProcess | RealKafka, members: list[Member]) -> None:
        watcher = Consumer({
            "bootstrap.servers": broker.bootstrap_servers, "group.id": GROUP, "reconnect.backoff.max.ms": 100,
            "metadata.recovery.strategy": "none", "log_level": 0,
        })  # fmt: skip
        kill_at = time.monotonic() + 2.0
        shares = len(self._to_kill) + 1  # one is written after each kill: so every one meets work
        share = -(-self._records // shares)
        filled = 0
        progress, progress_at = 0, time.monotonic()
        while progress < self._records:
            if filled < min(share * (shares - len(self._to_kill)), self._records):
                fill(broker.bootstrap_servers, range(filled, min(filled + share, self._records)))
                filled += share
            for member in members:
                member.keep_running()
            time.sleep(_POLL_S)
            done = committed(watcher)
            if done > progress:
                progress, progress_at = done, time.monotonic()
            assert time.monotonic() - progress_at < _STALLED_S, f"nothing was committed for a minute after {progress}"
            if time.monotonic() >= kill_at and self._to_kill and progress:
                self._kill(broker, members)
                kill_at = time.monotonic() + self._random.uniform(*_BETWEEN_KILLS_S)
        watcher.close()

    def _kill(self, broker: BrokerProcess | RealKafka, members: list[Member]) -> None:
        """The broker or a member, as chance has it, until each has had its share. (Apache Kafka lives.)"""
        what = self._random.choice(self._to_kill)
        self._to_kill.remove(what)
        if what == "member":
            self.member_kills += 1
            self._random.choice(members).kill()
        elif isinstance(broker, BrokerProcess):
            self.broker_kills += 1
            broker.kill()
            broker.start()


@click.command()
@click.option("--client", type=click.Choice(CLIENTS), multiple=True, default=CLIENTS)
@click.option("--records", default=50_000)
@click.option("--kills", default=20, help="Of the broker, and as many of the members.")
@click.option("--seed", default=1)
@click.option("--kafka", is_flag=True, help="On Apache Kafka beside us; only members are killed.")
def main(client: tuple[str, ...], records: int, kills: int, seed: int, kafka: bool) -> None:
    """Run the pipeline with each client."""
    for name in client:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            log = stack.enter_context(open(f"{folder}/members.log", "w+b"))
            place = Path(folder) / "data"
            broker = stack.enter_context(RealKafka(place) if kafka else BrokerProcess(place))
            try:
                click.echo(Run(name, records=records, kills=kills, seed=seed, log=log).run(broker))
            except AssertionError:
                log.seek(0)
                click.echo(log.read()[-5000:], err=True)
                raise


if __name__ == "__main__":
    main()
