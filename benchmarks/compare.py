"""FlyMQ beside Apache Kafka: the same client, pinned alike, the same bytes, round by round.

    python benchmarks/compare.py [--rounds 5] [--gb 0.5] [--only NAME ...] [--against HOST:PORT] [--json FILE]
                                 [--chart FILE.png] [--readme]

Brokers run on one CPU, clients on the other. Kafka has the heap and the collector of its own start script and its own
settings, but that deleted files go after a second. Both are warmed up with 1.5 GB and a round that is not counted.
Rounds alternate between the brokers; figures are medians. Every measure checks that what it sent arrived.

Guest memory that was never touched costs many times more than a broker: it is written to first.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]  # compat_tests, which know how to get Kafka

import measures as m  # noqa: E402
from brokers import CLIENT_CPU, FlyMQ, Given, Kafka  # noqa: E402
from measures import CPU_PER_GB, P50, P99, RATE, SPEED, Bench, Figures  # noqa: E402

from compat_tests.real_kafka import VERSION as KAFKA_VERSION  # noqa: E402

WARM_UP_GB = 1.5
OURS = "FlyMQ"
FSYNC = "FlyMQ, fsync"


class Goal(NamedTuple):
    """What the ratio to Kafka is to be."""

    figure: str
    at_least: bool
    ratio: float

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.ratio if self.at_least else ratio <= self.ratio

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.ratio:.2g}x"


Run = Callable[[Given, str], Figures]
"""Of a broker and a new topic's name."""


class Measure(NamedTuple):
    """`ours`: which of our brokers it is about."""

    name: str
    run: Run
    goals: tuple[Goal, ...] = ()
    ours: str = OURS


def more(figure: str, ratio: float) -> Goal:
    return Goal(figure, True, ratio)


def less(figure: str, ratio: float) -> Goal:
    return Goal(figure, False, ratio)


def measures(bench: Bench, gigabytes: float) -> list[Measure]:
    kb, hundred, text = m.values(1024), m.values(100), m.values(1024, text=True)

    def produce(batch_bytes: int, messages: list[bytes], gb: float, **config: object) -> Run:
        return lambda broker, topic: m.produce(broker, topic, gb, batch_bytes, messages, config)

    def consume(messages: list[bytes], gb: float) -> Run:
        def run(broker: Given, topic: str) -> Figures:
            m.produce(broker, topic, gb, 64 * 1024, messages, {})
            return bench.consume(broker, topic)

        return run

    def small(count: int, **how: int) -> Run:
        return lambda broker, topic: bench.small_produces(broker, topic, count, **how)

    fast = (more(SPEED, 2.5), less(CPU_PER_GB, 1 / 4))
    rows = [
        Measure("produce 1 KB, 64 KB batches", produce(64 * 1024, kb, gigabytes), fast),
        Measure("produce 1 KB, 1 MB batches", produce(1_000_000, kb, gigabytes),
                (more(SPEED, 2.5), less(CPU_PER_GB, 1 / 3))),
        Measure("produce 1 KB, idempotent", produce(64 * 1024, kb, gigabytes, **{"enable.idempotence": True}), fast),
        Measure("produce 1 KB, lz4", produce(64 * 1024, text, gigabytes, **{"compression.type": "lz4"}),
                (more(SPEED, 1.5), less(CPU_PER_GB, 1 / 3))),
        Measure("produce 100 B", produce(64 * 1024, hundred, gigabytes / 4),
                (more(SPEED, 1.8), less(CPU_PER_GB, 1 / 4))),
        Measure("produce 1 KB with fsync, Kafka without", produce(64 * 1024, kb, gigabytes), (more(SPEED, 1),), FSYNC),
        Measure("transactions", m.transactions),
        Measure("1,000 idle long polls", m.idle_polls),
    ]  # fmt: skip
    if bench.compiler is not None:
        rows += [
            Measure("consume 1 KB", consume(kb, gigabytes), (more(SPEED, 1.2), less(CPU_PER_GB, 0.6))),
            Measure("consume 100 B", consume(hundred, gigabytes / 4), (more(SPEED, 1.2), less(CPU_PER_GB, 0.6))),
            Measure("one message acknowledged", small(5_000), (less(P50, 0.5), less(P99, 0.4), more(RATE, 2.5))),
            Measure("one message, end to end", lambda broker, topic: bench.end_to_end(broker, topic, 3_000),
                    (less(P50, 0.7), less(P99, 0.2))),
            Measure("1 KB requests, 5 in flight", small(20_000, in_flight=5), (more(RATE, 4),)),
            Measure("1 KB requests, 100 in flight", small(30_000, in_flight=100), (more(RATE, 8),)),
            Measure("1 KB requests, 50 connections", small(30_000, connections=50), (more(RATE, 1.8),)),
            Measure("1 KB requests, 1,000 connections", small(30_000, connections=1000)),
            Measure("1 KB requests, 1,000 partitions", small(20_000, in_flight=5, partitions=1000)),
            Measure("offset commits, 5 in flight",
                    lambda broker, topic: bench.offset_commits(broker, topic, 10_000, connections=1, in_flight=5)),
        ]  # fmt: skip
    return rows


# -- running --------------------------------------------------------------------------------------

Results = dict[tuple[str, str], dict[str, list[float]]]
"""(measure, figure) -> broker -> a value a round."""


class Notes:
    def __init__(self) -> None:
        self.results: Results = {}
        self.goals: dict[tuple[str, str], Goal] = {}

    def note(self, measure: str, broker: str, figures: Figures, goals: tuple[Goal, ...] = ()) -> None:
        for figure, value in figures.items():
            name = OURS if broker == FSYNC else broker
            self.results.setdefault((measure, figure), {}).setdefault(name, []).append(value)
        self.goals |= {(measure, goal.figure): goal for goal in goals}


def broker_of(folder: Path, name: str) -> Given:
    """Not begun yet."""
    data = folder / name.replace(", ", "-")
    data.mkdir(exist_ok=True)
    if name == "Kafka":
        return Kafka(data, settings={"log.segment.delete.delay.ms": 1000})
    durability = "fsync" if name == FSYNC else "os"
    port = 19094 if name == FSYNC else 19092
    return FlyMQ(["serve", "--data-dir", str(data), "--set", f"flymq.durability={durability}"], port, name)


def touch_memory(folder: Path, gigabytes: float) -> None:
    """Write and delete what the run will write, so that the page cache uses pages that the machine has."""
    block, path = os.urandom(1 << 20), folder / "touched"
    for _ in range(2):
        with path.open("wb") as file:
            for _ in range(int(gigabytes * m.GB / len(block))):
                file.write(block)
        path.unlink()


def run_starts(folder: Path, names: list[str], rounds: int, notes: Notes) -> None:
    goals = (less("ready ms", 1 / 18), less("idle RSS MB", 1 / 8))
    for number in range(rounds + 1):
        for name in names:
            with broker_of(folder, name) as broker:
                ready_ms = broker.ready_s * 1000
                time.sleep(2)
                if number:
                    notes.note("start", name, {"ready ms": ready_ms, "idle RSS MB": broker.rss_mb()}, goals)


def run_first_records(folder: Path, names: list[str], rounds: int, notes: Notes) -> None:
    """Each with its own defaults; beside them a broker in memory."""
    dev = FlyMQ(["dev"], 19096, "flymq dev")
    with ExitStack() as stack:
        for broker in [stack.enter_context(one) for one in (*(broker_of(folder, name) for name in names), dev)]:
            m.create_topic(broker, "first")
            m.produce_one(broker, "first")
            for number in range(rounds + 1):
                figures = m.first_record(broker, "first", f"group-{number}")
                if number:
                    notes.note("first record of a new group, aiokafka", broker.name, figures, (less("ms", 1 / 15),))


def run_measures(
    brokers: dict[str, Given], rows: list[Measure], rounds: int, gigabytes: float, notes: Notes
) -> None:
    kb = m.values(1024)
    for broker in brokers.values():
        m.produce(broker, "warm-up", gigabytes, 64 * 1024, kb, {})
        m.delete_topic(broker, "warm-up")
    for number in range(rounds + 1):
        for index, row in enumerate(rows):
            names = [name for name in brokers if name not in (OURS, FSYNC) or name == row.ours]
            for name in names if number % 2 else reversed(names):
                topic = f"t{index}-{number}"
                figures = row.run(brokers[name], topic)
                m.delete_topic(brokers[name], topic)
                if number:
                    notes.note(row.name, name, figures, row.goals)
                told = ", ".join(f"{value:.2f} {figure}" for figure, value in figures.items())
                say(f"round {number or 'of warming up'}: {row.name}: {name}: {told}")
    for name, broker in brokers.items():
        if name != FSYNC:
            notes.note("memory after all that", name, {"RSS MB": broker.rss_mb()}, (less("RSS MB", 1 / 12),))


# -- what it says ---------------------------------------------------------------------------------


def table(notes: Notes, against: str) -> list[str]:
    """Lines of Markdown."""
    lines = [f"| measure | figure | FlyMQ | {against} | ratio | goal |", "|---|---|---|---|---|---|"]
    for (measure, figure), by_broker in notes.results.items():
        ours, theirs = (_told(by_broker.get(name, [])) for name in (OURS, against))
        ratio = ratio_of(by_broker, against)
        goal = notes.goals.get((measure, figure))
        verdict = "" if goal is None or math.isnan(ratio) else f"{goal} {'met' if goal.is_met(ratio) else '**missed**'}"
        lines.append(f"| {measure} | {figure} | {ours} | {theirs} | {'' if math.isnan(ratio) else f'{ratio:.2f}'} |"
                     f" {verdict} |")  # fmt: skip
        for name in by_broker.keys() - {OURS, against}:
            lines.append(f"| {measure}, {name} | {figure} | {_told(by_broker[name])} | | | |")
    return lines


def ratio_of(by_broker: dict[str, list[float]], against: str) -> float:
    """Median of the rounds' own ratios, so that what slows the machine for a while slows both."""
    pairs = zip(by_broker.get(OURS, []), by_broker.get(against, []), strict=False)
    ratios = [ours / theirs for ours, theirs in pairs if theirs and not math.isnan(theirs)]
    return statistics.median(ratios) if ratios else math.nan


def _told(values: list[float]) -> str:
    if not values or math.isnan(values[0]):
        return ""
    return f"{_figure(statistics.median(values))} ({_figure(min(values))}-{_figure(max(values))})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, object]:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": [*names, platform.processor()][0],
        "cpus": os.cpu_count(),
        "memory GB": round(psutil.virtual_memory().total / 1e9),
        "system": platform.platform(),
        "python": platform.python_version(),
        "Kafka": KAFKA_VERSION,
    }


def as_json(notes: Notes, against: str) -> str:
    rows = [
        {"measure": measure, "figure": figure, "rounds": by_broker, "ratio": ratio_of(by_broker, against),
         "goal": str(notes.goals.get((measure, figure), ""))}
        for (measure, figure), by_broker in notes.results.items()
    ]  # fmt: skip
    return json.dumps({"machine": machine(), "results": rows}, indent=1) + "\n"


def draw(notes: Notes, against: str, path: Path) -> None:
    """One bar a figure: how many times better than Kafka."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = []
    for (measure, figure), by_broker in notes.results.items():
        ratio = ratio_of(by_broker, against)
        if not math.isnan(ratio) and ratio > 0:
            is_rate = figure.endswith("/s") and "CPU" not in figure
            bars.append((f"{measure}: {figure}", ratio if is_rate else 1 / ratio))
    figure, axes = pyplot.subplots(figsize=(9, 0.28 * len(bars) + 1))
    names, factors = zip(*reversed(bars), strict=True)
    axes.barh(names, factors, color=["#2a7" if factor >= 1 else "#c44" for factor in factors])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"times better than {against} {KAFKA_VERSION if against == 'Kafka' else ''}")
    axes.tick_params(labelsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def write_readme(lines: list[str]) -> None:
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text().partition("<!-- benchmark -->\n")
    _, end, after = rest.partition("<!-- end of benchmark -->\n")
    assert end, "README.md has no place for the table"
    readme.write_text(before + begin + "\n".join(lines) + "\n" + end + after)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="flymq-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gb", type=float, default=0.5, help="gigabytes a round of produce or consume")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measures whose name has one of these")
    parser.add_argument("--alone", action="store_true", help="FlyMQ alone")
    parser.add_argument("--against", metavar="HOST:PORT", help="a broker that runs already, in place of Kafka")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CLIENT_CPU})
    against = options.against or "Kafka"
    others = [] if options.alone else [against]
    notes = Notes()

    def is_wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    with scratch() as folder:
        bench = Bench(folder)
        if bench.compiler is None:
            say("No C compiler: small requests and consuming are left out. On Debian: apt install gcc")
        rows = [row for row in measures(bench, options.gb) if is_wanted(row.name)]
        startable = [OURS, *(name for name in others if name == "Kafka")]
        if is_wanted("start"):
            run_starts(folder, startable, options.rounds, notes)
        if is_wanted("first record"):
            run_first_records(folder, startable, options.rounds, notes)
        if rows:
            touch_memory(folder, 4 * options.gb)
            names = [OURS, *([FSYNC] if any(row.ours == FSYNC for row in rows) else []), *others]
            with ExitStack() as stack:
                brokers = {
                    name: stack.enter_context(Given(name) if name == options.against else broker_of(folder, name))
                    for name in names
                }
                run_measures(brokers, rows, options.rounds, min(WARM_UP_GB, 3 * options.gb), notes)
    lines = table(notes, against)
    print("\n".join(lines))  # noqa: T201
    if options.json:
        options.json.write_text(as_json(notes, against))
    if options.chart:
        draw(notes, against, options.chart)
    if options.readme:
        write_readme(lines)


if __name__ == "__main__":
    main()
