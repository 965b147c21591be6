"""FlyMQ beside Apache Kafka: the same client, pinned alike, the same bytes, round by round.

    python benchmarks/compare.py [--rounds 5] [--gb 0.5] [--only NAME ...] [--against HOST:PORT] [--json FILE]
                                 [--chart FILE.png] [--pages] [--of FILE]

Brokers run on one CPU, clients on the other. Kafka has the heap and the collector of its own start script and its own
settings, but that deleted files go after a second. Both are warmed up with 1.5 GB and a round that is not counted.
Rounds alternate between the brokers; figures are medians. Every measure checks that what it sent arrived.

Beside requests of one record stands the floor: a server that does only what any broker must, so the kernel's share.

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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]  # compat_tests, which know how to get Kafka

import frames  # noqa: E402
import measures as m  # noqa: E402
from brokers import CLIENT_CPU, Floor, FlyMQ, Given, Kafka  # noqa: E402
from measures import Bench, Figures  # noqa: E402
from rows import FLOOR, FSYNC, OURS, Goal, Measure, less, measures, of_new_brokers  # noqa: E402

from compat_tests.real_kafka import VERSION as KAFKA_VERSION  # noqa: E402

WARM_UP_GB = 1.5
# Joining a group is timed by the first record of a new one, of brokers with their own defaults.
AT_ONCE: Mapping[str, object] = {"group.initial.rebalance.delay.ms": 0}
NONE: Mapping[str, object] = {}
NEW_BROKERS_MAX = 3  # whose memory is looked at: it hardly differs


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


def broker_of(folder: Path, name: str, settings: Mapping[str, object] = NONE) -> Given:
    """Not begun yet. `settings`: of Kafka's names, for whichever broker it is."""
    data = folder / name.replace(", ", "-")
    data.mkdir(parents=True, exist_ok=True)
    if name == "Kafka":
        return Kafka(data, settings={"log.segment.delete.delay.ms": 1000, **settings})
    durability = "fsync" if name == FSYNC else "os"
    port = 19094 if name == FSYNC else 19092
    flags = [f"--set={key}={value}" for key, value in {"flymq.durability": durability, **settings}.items()]
    return FlyMQ(["serve", "--data-dir", str(data), *flags], port, name, data)


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


def run_memory(folder: Path, names: list[str], rows: list[Measure], rounds: int, notes: Notes) -> None:
    """Each row of a broker that has done nothing before: one that has reuses memory, and seems to need none."""
    for _ in range(min(rounds, NEW_BROKERS_MAX)):
        for row in rows:
            for name in names:
                with broker_of(folder / "new", name, AT_ONCE) as broker:
                    figures = row.run(broker, "memory")
                shutil.rmtree(folder / "new")
                notes.note(row.name, name, figures, row.goals)
                say(f"{row.name}: {name}: {told(figures)}")


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
    bench: Bench, brokers: dict[str, Given], rows: list[Measure], rounds: int, gigabytes: float, notes: Notes
) -> None:
    bench.written_gb.clear()  # of brokers that were here before
    if bench.compiler is not None:
        for name in brokers.keys() - {FLOOR}:
            bench.write(brokers[name], gigabytes)
    for number in range(rounds + 1):
        for index, row in enumerate(rows):
            names = [name for name, broker in brokers.items() if row.is_about(broker)]
            for name in names if number % 2 else reversed(names):
                topic = f"t{index}-{number}"
                figures = row.run_on(brokers[name], topic)
                if number:
                    notes.note(row.name, name, figures, row.goals)
                say(f"round {number or 'of warming up'}: {row.name}: {name}: {told(figures)}")
    compared = [name for name in brokers if name not in (FSYNC, FLOOR)]
    least = min(bench.written_gb.get(name, 0.0) for name in compared)
    for name in compared:
        notes.note(f"memory after all that, {least:.1f} GB written", name, {"RSS MB": brokers[name].rss_mb()})


def told(figures: Figures) -> str:
    return ", ".join(f"{value:.2f} {figure}" for figure, value in figures.items())


# -- what it says ---------------------------------------------------------------------------------


def table(notes: Notes, against: str, *, only_goals: bool = False) -> list[str]:
    """Lines of Markdown. `only_goals`: of the figures for which there is a goal."""
    lines = [f"| measure | figure | FlyMQ | {against} | floor | ratio | goal |", "|---|---|---|---|---|---|---|"]
    for (measure, figure), by_broker in notes.results.items():
        goal = notes.goals.get((measure, figure))
        if goal is None and only_goals:
            continue
        columns = [_spread(by_broker.get(name, [])) for name in (OURS, against, FLOOR)]
        ratio = ratio_of(by_broker, against)
        columns.append("" if math.isnan(ratio) else f"{ratio:.2f}")
        columns.append(_verdict(goal, ratio, by_broker.get(OURS, [])))
        lines.append(" | ".join([f"| {measure}", figure, *columns]) + " |")
        for name in by_broker.keys() - {OURS, against, FLOOR}:
            lines.append(f"| {measure}, {name} | {figure} | {_spread(by_broker[name])} | | | | |")
    return lines


def _verdict(goal: Goal | None, ratio: float, ours: list[float]) -> str:
    if goal is None:
        return ""
    value = ratio if goal.is_ratio else statistics.median(ours or [math.nan])
    return "" if math.isnan(value) else f"{goal} {'met' if goal.is_met(value) else '**missed**'}"


def ratio_of(by_broker: dict[str, list[float]], against: str) -> float:
    """Median of the rounds' own ratios, so that what slows the machine for a while slows both."""
    pairs = zip(by_broker.get(OURS, []), by_broker.get(against, []), strict=False)
    ratios = [ours / theirs for ours, theirs in pairs if theirs and not math.isnan(theirs)]
    return statistics.median(ratios) if ratios else math.nan


def _spread(values: list[float]) -> str:
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


def as_json(notes: Notes, against: str, about: dict[str, object]) -> str:
    rows = [
        {"measure": measure, "figure": figure, "rounds": by_broker, "ratio": ratio_of(by_broker, against),
         "goal": notes.goals.get((measure, figure))}
        for (measure, figure), by_broker in notes.results.items()
    ]  # fmt: skip
    return json.dumps({"machine": about, "against": against, "results": rows}, indent=1) + "\n"


def from_json(text: str) -> tuple[Notes, str, dict[str, object]]:
    """What was measured before: the notes, against whom, on which machine."""
    whole = json.loads(text)
    notes = Notes()
    for row in whole["results"]:
        key = row["measure"], row["figure"]
        notes.results[key] = row["rounds"]
        if row["goal"] is not None:
            notes.goals[key] = Goal(*row["goal"])
    return notes, whole["against"], whole["machine"]


def draw(notes: Notes, against: str, path: Path) -> None:
    """One bar a figure that has a goal: how many times better than Kafka."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = []
    for (measure, figure), by_broker in notes.results.items():
        ratio = ratio_of(by_broker, against)
        if (measure, figure) in notes.goals and not math.isnan(ratio) and ratio > 0:
            is_better_high = (figure.endswith("/s") and "CPU" not in figure) or figure.startswith("share")
            bars.append((f"{measure}: {figure}", ratio if is_better_high else 1 / ratio))
    drawing, axes = pyplot.subplots(figsize=(9, 0.25 * len(bars) + 1))
    names, factors = zip(*reversed(bars), strict=True)
    colours = ["#2a7" if factor >= 1 else "#c44" for factor in factors]
    axes.barh(names, [factor - 1 for factor in factors], left=1, color=colours)
    for place, factor in enumerate(factors):
        axes.annotate(f" {factor:.2g}", (max(factor, 1), place), va="center", fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.margins(y=0.01)
    axes.set_xlabel(f"times better than {against} {KAFKA_VERSION if against == 'Kafka' else ''}")
    axes.tick_params(labelsize=8)
    drawing.tight_layout()
    drawing.savefig(path, dpi=110)


def write_pages(notes: Notes, against: str, about: dict[str, object]) -> None:
    """README.md gets what there is a goal for, docs/benchmark.md everything."""
    _put(ROOT / "README.md", table(notes, against, only_goals=True))
    machine_line = ", ".join(f"{name}: {value}" for name, value in about.items())
    _put(ROOT / "docs" / "benchmark.md", [f"{machine_line}.", "", *table(notes, against)])


def _put(page: Path, lines: list[str]) -> None:
    before, begin, rest = page.read_text().partition("<!-- benchmark -->\n")
    _, end, after = rest.partition("<!-- end of benchmark -->\n")
    assert end, f"{page} has no place for the table"
    page.write_text(before + begin + "\n".join(lines) + "\n" + end + after)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="flymq-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(options: argparse.Namespace) -> tuple[Notes, str, dict[str, object]]:
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
            say("No C compiler: most measures are left out. On Debian: apt install gcc")
        rows = [row for row in measures(bench, options.gb) if is_wanted(row.name)]
        startable = [OURS, *(name for name in others if name == "Kafka")]
        if is_wanted("start"):
            run_starts(folder, startable, options.rounds, notes)
        new = [row for row in of_new_brokers(bench) if is_wanted(row.name)]
        if rows or new:
            touch_memory(folder, 8 * options.gb)
        run_memory(folder, startable, new, options.rounds, notes)
        if is_wanted("first record"):
            run_first_records(folder, startable, options.rounds, notes)
        if rows:
            names = [OURS, *([FSYNC] if any(row.ours == FSYNC for row in rows) else []), *others]
            with ExitStack() as stack:
                brokers = {
                    name: stack.enter_context(
                        Given(name) if name == options.against else broker_of(folder, name, AT_ONCE)
                    )
                    for name in names
                }
                if any(row.floor for row in rows):
                    floor = Floor(bench.program("floor"), folder, frames.produce("t00-0").answer_bytes)
                    brokers[FLOOR] = stack.enter_context(floor)
                run_measures(bench, brokers, rows, options.rounds, min(WARM_UP_GB, 3 * options.gb), notes)
    return notes, against, machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gb", type=float, default=0.5, help="gigabytes a round of produce or consume")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measures whose name has one of these")
    parser.add_argument("--alone", action="store_true", help="FlyMQ alone")
    parser.add_argument("--against", metavar="HOST:PORT", help="a broker that runs already, in place of Kafka")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--pages", action="store_true", help="put the tables into README.md and docs/benchmark.md")
    parser.add_argument("--of", type=Path, metavar="FILE", help="measure nothing, tell what --json wrote")
    options = parser.parse_args()
    if options.of:
        notes, against, about = from_json(options.of.read_text())
    else:
        notes, against, about = run(options)
    print("\n".join(table(notes, against)))  # noqa: T201
    if options.json:
        options.json.write_text(as_json(notes, against, about))
    if options.chart:
        draw(notes, against, options.chart)
    if options.pages:
        write_pages(notes, against, about)


if __name__ == "__main__":
    main()
