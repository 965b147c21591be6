"""The tests of tests/wire on two brokers: the same functions, another `address` below their `client`.

A test is a scenario if its fixtures lead to `address` and none is of the embedded broker's inside; the others are
counted in the summary. A test marked `deviates` must fail on Kafka.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from compat_tests.coordinators import await_coordinators
from compat_tests.targets import Target
from flymq.broker.handlers import HANDLERS
from tests.wire.client import Client
from tests.wire.conftest import client, other  # noqa: F401 - fixtures

from .features import CLIENT, feature_of

HERE = Path(__file__).parent
WIRE_TESTS = HERE.parents[1] / "tests" / "wire"
ADVERTISED = {
    (row.key, version) for row in HANDLERS.values() for version in range(row.min_version, row.max_version + 1)
}
INSIDE = {"broker", "disk", "ledger", "monkeypatch", "caplog"}
"""Fixtures that reach into the embedded broker."""
_left_out = pytest.StashKey[int]()
_passed = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def address(target: Target) -> tuple[str, int]:
    """Of a broker whose coordinators have loaded what they need."""
    host, port = target.bootstrap_servers.split(":")
    with Client(int(port), host=host) as asking:
        await_coordinators(asking)
    return host, int(port)


@pytest.fixture(scope="session")
def covered() -> dict[str, set[tuple[int, int]]]:
    """Broker -> (API key, version) of each answer in a scenario that passed."""
    return defaultdict(set)


@pytest.fixture(autouse=True)
def record(request: pytest.FixtureRequest, target: Target, covered: dict[str, set[tuple[int, int]]]) -> Iterator[None]:
    clients = [request.getfixturevalue(name) for name in ("client", "other") if name in request.fixturenames]
    yield
    if request.node.stash.get(_passed, False):
        for connected in clients:
            covered[target.name] |= connected.answered


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


class WireModule(pytest.Module):
    """A module of tests/wire, under this folder's path: with the fixtures and hooks of this folder."""

    def _getobj(self) -> ModuleType:
        return import_module(f"tests.wire.{self.name}")


class WireTests(pytest.Module):
    """Stands for the whole folder tests/wire."""

    def collect(self) -> Iterator[WireModule]:  # type: ignore[override]
        if "not compat" in self.config.option.markexpr:
            return  # each would be deselected: `make test` need not wait for it
        for name in sorted(path.stem for path in WIRE_TESTS.glob("test_*.py")):
            module: WireModule = WireModule.from_parent(
                self, path=self.path, name=name, nodeid=f"{self.nodeid}::{name}"
            )
            module.add_marker("compat")
            yield module


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if module_path == HERE / "test_scenarios.py":
        return WireTests.from_parent(parent, path=module_path)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if isinstance(item, pytest.Function) and isinstance(item.parent.parent, WireTests)]
    inside = [item for item in ours if INSIDE & set(item.fixturenames) or "client" not in item.fixturenames]
    config.stash[_left_out] = len({item.nodeid.rsplit("-", 1)[0] for item in inside})
    items[:] = [item for item in items if item not in set(inside)]
    for item in set(ours) - set(inside):
        assert isinstance(item, pytest.Function)
        key = item.callspec.params.get("key")
        module = item.parent.name
        item.add_marker(pytest.mark.scenario(feature_of(module, key), client=CLIENT))
        deviation = item.get_closest_marker("deviates")
        if deviation and item.callspec.params["target"] == "kafka":
            item.add_marker(pytest.mark.xfail(strict=True, reason=deviation.args[0]))
    items.sort(key=lambda item: item.path == HERE / "test_coverage.py")  # last


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if left_out := config.stash.get(_left_out, 0):
        terminalreporter.write_line(f"raw wire: {left_out} tests of tests/wire look into FlyMQ: not run on a broker")
