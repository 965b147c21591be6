"""Options, fixtures and the record of the tests that do the same on FlyMQ and on Apache Kafka.

pytest -m compat --on flymq                  on one of them only (both, unless told)
pytest -m compat --kafka jars                Kafka from its jars, also where Docker is (`docker`: never from them)
pytest -m compat --bootstrap HOST:PORT       on a broker that runs already
pytest -m compat --runs FILE                 add to a file how each scenario ended, for COMPATIBILITY.md
pytest -m compat --short                     of the clients' scenarios on Kafka only those of one client
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat_tests import matrix, targets
from compat_tests.driver import Driver
from compat_tests.drivers.clients import CLIENTS
from compat_tests.targets import Target
from flymq import FlyMQClient

_RUN = f"{time.time_ns() // 10**6:x}"
_numbers = itertools.count(1)
SMOKE = CLIENTS[0].name
"""The client whose scenarios run on Kafka also where there is little time."""


# -- which tests there are ------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("compat", "the same tests on FlyMQ and on Apache Kafka")
    group.addoption("--on", default="flymq,kafka", help="Brokers to start and test, by commas: flymq, kafka.")
    group.addoption("--kafka", choices=[targets.DOCKER, targets.JARS], help="How Kafka is run. Else: what is here.")
    group.addoption("--bootstrap", help="HOST:PORT of a broker that runs already; it is tested in place of those.")
    group.addoption("--short", action="store_true", help=f"Clients' scenarios run on Kafka with {SMOKE} only.")
    group.addoption("--runs", type=Path, metavar="FILE", help="File to add to how each scenario ended.")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # where several processes share the tests, the first one hears of all
        config.pluginmanager.register(matrix.Recorder(config.getoption("--runs")), "compat-table")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        given = metafunc.config.getoption("--bootstrap")
        names = [targets.GIVEN] if given else metafunc.config.getoption("--on").split(",")
        metafunc.parametrize("target", names, indirect=True, scope="session")
    if "driver" in metafunc.fixturenames:
        needs = matrix.needs(metafunc.definition)
        clients = [client for client in CLIENTS if not needs & set(client.lacks)]
        metafunc.parametrize("driver", clients, ids=[client.name for client in clients], indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = set()
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        client, target = parameters.get("driver"), parameters.get("target")
        # Where several processes share the tests, one has all of a client on a broker, or all of a file.
        item.add_marker(pytest.mark.xdist_group(f"{target} {client.name}" if client else item.path.stem))
        if client and config.getoption("--short") and target == targets.KAFKA and client.name != SMOKE:
            left_out.add(item)
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    where = matrix.place(item)
    if where is not None:
        item.user_properties.append(("scenario", where))


# -- brokers --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One broker of each kind, for all tests."""
    option = request.config.getoption
    way = option("--kafka")
    if request.param == targets.KAFKA and way is None:
        try:
            way = targets.way_to_kafka()
        except targets.NoKafka as why:
            pytest.skip(f"{matrix.NOT_COMPARED}: {why}")
    with targets.started(request.param, tmp_path_factory.mktemp("data"), option("--bootstrap"), way) as target:
        yield target


@pytest.fixture(scope="session")
def bootstrap_servers(target: Target) -> str:
    return target.bootstrap_servers


@pytest.fixture(scope="session")
def client(bootstrap_servers: str) -> Iterator[FlyMQClient]:
    with FlyMQClient(bootstrap_servers) as client:
        yield client


# -- clients of any language ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def group_coordinator(client: FlyMQClient) -> None:
    """It answers: Kafka's makes its topic and loads it when it is first asked, and not every client waits for that."""
    client.groups.offsets("nobody")


@pytest.fixture(scope="session")
def driver(request: pytest.FixtureRequest, target: Target, group_coordinator: None) -> Iterator[Driver]:
    """A process of the client's library, for all its scenarios."""
    with Driver(request.param, target.bootstrap_servers) as driver:
        yield driver


@pytest.fixture
def another(driver: Driver, target: Target) -> Iterator[Driver]:
    """A second process of the same library."""
    with Driver(driver.client, target.bootstrap_servers) as another:
        yield another


# -- names ----------------------------------------------------------------------------------------


@pytest.fixture
def fresh_name() -> Callable[..., str]:
    """Nobody has had it, also on a broker that ran already."""
    return lambda prefix="t": f"{prefix}-{_RUN}-{next(_numbers)}"


@pytest.fixture
def group(fresh_name: Callable[..., str]) -> str:
    return fresh_name("group")
