"""What ran, as a table: a row a client, a column a feature, FlyMQ beside Apache Kafka.

`pytest --runs FILE` adds to a file how tests ended; `python -m compat_tests.matrix FILE` prints the page of them all.

A test says where it belongs with `@pytest.mark.scenario(FEATURE, needs=[...])`, and `client=` where no driver runs it.
The mark may stand at the module, the class and the test: the closest feature counts, and what any of them needs.
"""

from __future__ import annotations

import json
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from compat_tests.drivers.catalog import CAPABILITIES
from compat_tests.drivers.clients import CLIENTS
from compat_tests.real_kafka import VERSION as KAFKA_VERSION
from compat_tests.targets import FLYMQ, KAFKA
from flymq.version import __version__

FEATURES = (
    "protocol", "produce", "fetch", "timestamps", "offsets", "groups", "groups KIP-848", "transactions", "admin",
    "configs", "streams",
)  # fmt: skip
NOT_COMPARED = "NOT COMPARED WITH APACHE KAFKA"  # what a test is skipped with; then why


def needs(node: Any) -> set[str]:
    """The capabilities that a scenario needs of a client."""
    wanted = {capability for mark in node.iter_markers("scenario") for capability in mark.kwargs.get("needs", ())}
    assert wanted <= CAPABILITIES, f"{node.name} needs what no client has: {sorted(wanted - CAPABILITIES)}"
    return wanted


class Run(NamedTuple):
    client: str
    feature: str
    target: str
    test: str
    outcome: str
    """passed, failed, skipped, or xfailed: a listed difference, which is there."""


def place(item: pytest.Item) -> tuple[str, str, str] | None:
    """(client, feature, broker) of a test that has one."""
    marks = list(item.iter_markers("scenario"))  # the closest first
    if not marks:
        return None
    feature = next(mark.args[0] for mark in marks if mark.args)
    assert feature in FEATURES, f"{item.nodeid}: no such feature: {feature}"
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "driver" in parameters:
        client = parameters["driver"].name
    else:
        client = next(mark.kwargs["client"] for mark in marks if "client" in mark.kwargs)
    return client, feature, parameters.get("target", FLYMQ)


class Recorder:
    """A plugin: which test of which client ended how on which broker; tests carry their `place` as "scenario"."""

    def __init__(self, path: Path | None) -> None:
        self.runs: list[Run] = []
        self.not_compared: str | None = None
        """That, and why."""
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        where = dict(report.user_properties).get("scenario")
        if where is None or not (report.when == "call" or (report.when == "setup" and not report.passed)):
            return
        if report.skipped and isinstance(report.longrepr, tuple) and NOT_COMPARED in report.longrepr[2]:
            self.not_compared = report.longrepr[2].removeprefix("Skipped: ")
            return
        outcome = "xfailed" if hasattr(report, "wasxfail") and report.skipped else report.outcome
        self.runs.append(Run(*where, report.nodeid, outcome))

    def pytest_sessionfinish(self) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.writelines(json.dumps(run) + "\n" for run in self.runs)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.runs:
            terminalreporter.write_line("\n".join(table(self.runs)))
        if self.not_compared:
            terminalreporter.write_line(self.not_compared, red=True, bold=True)


def recorded(path: Path) -> list[Run]:
    """What `Recorder` wrote; of a test that ran again, the last time."""
    runs = [Run(*json.loads(line)) for line in path.read_text().splitlines()]
    return list({run.test: run for run in runs}.values())


def table(runs: Iterable[Run]) -> list[str]:
    """Lines of Markdown. A cell is "passed/run on FlyMQ · passed/run on Kafka", "-" where none."""
    cells: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for run in runs:
        cells[run.client, run.feature, run.target].append(run.outcome)
    listed = [client.name for client in CLIENTS]
    seen = dict.fromkeys(client for client, _, _ in cells)
    clients = [name for name in listed if name in seen] + sorted(name for name in seen if name not in listed)
    features = [feature for feature in FEATURES if any(feature == of for _, of, _ in cells)]
    brokers = list(dict.fromkeys((FLYMQ, KAFKA, *(target for _, _, target in cells))))

    def cell(client: str, feature: str) -> str:
        counts = [_count(cells.get((client, feature, target))) for target in brokers]
        return "" if set(counts) == {"-"} else " · ".join(counts)

    lines = [f"| client | {' | '.join(features)} |", "|---" * (len(features) + 1) + "|"]
    return lines + [f"| {client} | {' | '.join(cell(client, feature) for feature in features)} |" for client in clients]


def _count(outcomes: list[str] | None) -> str:
    if not outcomes:
        return "-"
    return f"{outcomes.count('passed')}/{len(outcomes)}"


def page(runs: list[Run]) -> str:
    """COMPATIBILITY.md"""
    on = {target: [run for run in runs if run.target == target] for target in (FLYMQ, KAFKA)}
    scenarios = {run.test.partition("[")[0] for run in runs}
    lacking = [
        f"- **{client.name}**: {'; '.join(f'{what} ({why})' for what, why in client.lacks.items())}."
        for client in CLIENTS
        if client.lacks
    ]
    failing = [f"- {run.test}: {run.outcome}" for run in runs if run.outcome not in ("passed", "xfailed")]
    listed = [f"- {run.test}" for run in runs if run.outcome == "xfailed"]
    return "\n".join([
        "# Which clients work, measured",
        "",
        f"`make compat` wrote this page: {len(scenarios)} scenarios, {len(on[FLYMQ])} runs on FlyMQ {__version__} and"
        f" {len(on[KAFKA])} on Apache Kafka {KAFKA_VERSION}, with Python {platform.python_version()}.",
        "A cell is passed/run on FlyMQ · passed/run on Kafka; what is listed below as different counts as not passed.",
        "",
        *([] if on[KAFKA] else [f"**{NOT_COMPARED}**", ""]),
        *table(runs),
        "",
        "## What a client has no way to do",
        "",
        "Scenarios that need it are not run with that client.",
        "",
        *(lacking or ["Nothing."]),
        "",
        "## Listed differences",
        "",
        "Scenarios that are known to end otherwise on one of the two; `docs/deviations.md` and"
        " `compat_tests/known_gaps.toml` say why. One that no longer does fails the run.",
        "",
        *(listed or ["None."]),
        "",
        "## Failures",
        "",
        *(failing or ["None."]),
        "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(page(recorded(Path(sys.argv[1]))))
