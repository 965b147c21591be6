"""Runs of sequences: drawn from a seed, replayed from a file, shrunk to what still shows the difference."""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from compat_tests.broker_process import BrokerProcess
from compat_tests.coordinators import await_coordinators
from compat_tests.differential.generate import draw
from compat_tests.differential.pair import Finding, Pair
from compat_tests.differential.requests import Step
from compat_tests.real_kafka import RealKafka
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.registry import API
from tests.wire.client import Client

SEEDS = Path(__file__).parent / "seeds"
SEQUENCE_STEPS = 80
_numbers = itertools.count(1)
_SETTINGS = {
    "group.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 1, "transaction.state.log.num.partitions": 1,
    "group.consumer.assignment.interval.ms": 0, "log.retention.check.interval.ms": 86_400_000,
    "offsets.retention.check.interval.ms": 86_400_000, "max.incremental.fetch.session.cache.slots": 1_000_000,
}  # fmt: skip
_FIRST: list[tuple[int, int, dict[str, object]]] = [
    (19, 7, {"topics": [{"name": name, "num_partitions": partitions, "replication_factor": 1, "assignments": [],
                         "configs": []} for name, partitions in (("@t0", 2), ("@t1", 1))],
             "timeout_ms": 30000, "validate_only": False}),
    (22, 5, {"transactional_id": "@x0", "transaction_timeout_ms": 60000, "producer_id": -1, "producer_epoch": -1}),
]  # fmt: skip
_LAST = {"topics": [{"name": name, "topic_id": {"hex": "00" * 16}} for name in ("@t0", "@t1", "@t2")],
         "timeout_ms": 30000}  # fmt: skip


class Brokers:
    """Both, with equal settings; what was asked of them."""

    def __init__(self, ports: tuple[int, int]) -> None:
        self.ports = ports
        self.seen: Counter[tuple[int, int, bool]] = Counter()
        self.seeds: list[int] = []
        """Of the sequences that were played."""
        self.not_again: list[tuple[int, Finding]] = []
        """(seed, what differed, but not when the same sequence was played again: a matter of time)"""
        with Client(ports[0]) as flymq, Client(ports[1]) as kafka:
            rows = [client.call(ApiVersionsRequest("differential", "1"), 4).api_keys for client in (flymq, kafka)]
            for client in (flymq, kafka):
                await_coordinators(client)
        ours, theirs = ({row.api_key: (row.min_version, row.max_version) for row in side} for side in rows)
        self.versions = {
            key: (max(low, theirs[key][0], API[key].version_min), min(high, theirs[key][1]))
            for key, (low, high) in ours.items()
            if key in theirs
        }
        """API key -> the versions that both advertise."""

    def pair(self) -> Pair:
        return Pair(self.ports, f"d{next(_numbers)}-", self.seen)

    def play(self, random: Random, steps_max: int = SEQUENCE_STEPS) -> Finding | None:
        """A drawn sequence, up to the first difference."""
        with self.pair() as pair:
            steps: list[Step] = []
            while len(steps) < steps_max and not pair.world.is_lost:
                if len(steps) < len(_FIRST):
                    key, version, fields = _FIRST[len(steps)]
                else:
                    key, version, fields = draw(pair.world, random, self.versions)
                connection = random.choice((1, 2)) if key in (11, 14) else 0
                if pair.is_parked(connection):
                    continue
                steps.append(Step(len(steps), connection, key, version, fields))
                differences = pair.run(steps[-1])
                if differences:
                    return Finding(steps, differences)
            pair.run(Step(len(steps), 0, 20, 6, _LAST))
        return None

    def replay(self, steps: list[Step]) -> list[str]:
        with self.pair() as pair:
            for step in steps:
                differences = pair.run(step)
                if differences:
                    return differences
        return []

    def shrink(self, finding: Finding, seconds: float = 15.0) -> Finding:
        """Drop requests, in halves and then fewer, while the same place differs."""
        place = finding.differences[0].partition(":")[0]
        best, until = finding, time.monotonic() + seconds
        size = len(best.steps) // 2
        while size and time.monotonic() < until:
            at = 0
            while at < len(best.steps) - 1 and time.monotonic() < until:
                shorter = best.steps[:at] + best.steps[at + size :]
                differences = self.replay(shorter) if shorter else []
                if differences and differences[0].partition(":")[0] == place:
                    best = Finding(shorter, differences)
                else:
                    at += size
            size //= 2
        return best

    def coverage(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]], list[tuple[int, int]]]:
        """All (API key, version) pairs; those asked; those that were answered without an error."""
        everything = [(key, v) for key, (low, high) in self.versions.items() for v in range(low, high + 1)]
        asked = {(key, version) for key, version, _ in self.seen}
        well = {(key, version) for key, version, was_good in self.seen if was_good}
        return everything, [p for p in everything if p in asked], [p for p in everything if p in well]


@contextlib.contextmanager
def both_brokers() -> Iterator[Brokers]:
    with (
        tempfile.TemporaryDirectory() as folder,
        BrokerProcess(Path(folder) / "flymq", {**_SETTINGS, "flymq.durability": "os"}) as flymq,
        RealKafka(Path(folder) / "kafka", _SETTINGS) as kafka,
    ):
        yield Brokers((flymq.port, int(kafka.bootstrap_servers.rpartition(":")[2])))


def search(
    brokers: Brokers, seed: int, requests: int, seconds: float, threads: int = 8, findings_max: int = 1
) -> list[tuple[int, Finding]]:
    """Play sequences of seeds `seed`, `seed` + 1, ... until so many requests, seconds or findings: those found, which
    differ also when they are played again."""
    seeds, found, until = itertools.count(seed), list[tuple[int, Finding]](), time.monotonic() + seconds
    enough = brokers.seen.total() + requests

    def work() -> None:
        while time.monotonic() < until and brokers.seen.total() < enough and len(found) < findings_max:
            number = next(seeds)
            brokers.seeds.append(number)
            finding = brokers.play(Random(number))
            if finding is not None:
                (found if brokers.replay(finding.steps) else brokers.not_again).append((number, finding))

    with ThreadPoolExecutor(threads) as pool:
        workers = [pool.submit(work) for _ in range(threads)]
    for worker in workers:
        worker.result()
    return found


def save(path: Path, finding: Finding) -> None:
    lines = ",\n".join(json.dumps(step) for step in finding.steps)
    path.write_text(f'{{"differed": {json.dumps(finding.differences)},\n"steps": [\n{lines}\n]}}\n')


def load(path: Path) -> list[Step]:
    return [Step(*row) for row in json.loads(path.read_text())["steps"]]
