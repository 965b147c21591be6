"""The pytest plugin: fixtures that give a test a broker. It comes with the package; no conftest needed.

Loaded by every pytest run where flymq is installed, so nothing is imported before a fixture needs it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from flymq.testing.topics import checked_topics

if TYPE_CHECKING:
    from flymq.client.client import FlyMQClient
    from flymq.testing.embedded import EmbeddedBroker
    from flymq.testing.external import ExternalBroker

_VARIABLE = "FLYMQ_TEST_BOOTSTRAP"
_SETTINGS = "flymq_config"
_MARKER = (
    "flymq(topics={name: partitions}, partitions=1, config={setting: value}): "
    "topics that the test's broker begins with, partitions of flymq_topic, settings of flymq_isolated"
)
_MARKED = {"topics", "partitions", "config"}
_NAME_MAX = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("flymq").addoption(
        "--flymq-bootstrap",
        metavar="HOST:PORT",
        default=os.environ.get(_VARIABLE),
        help=f"Run the tests that use flymq's fixtures on this cluster instead of embedded brokers. [${_VARIABLE}]",
    )
    parser.addini(_SETTINGS, "Settings of the broker that tests share, name=value, one a line", "linelist")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A marker that is wrong fails its test: an error at collection would take down a run of xdist's."""
    for marker in item.iter_markers("flymq"):
        if wrong := _wrong_in(marker):
            pytest.fail(f"{wrong}: the marker is {_MARKER.partition('):')[0]})", pytrace=False)


def _wrong_in(marker: pytest.Mark) -> str | None:
    if marker.args:
        return f"flymq({', '.join(map(repr, marker.args))}) has arguments without a name"
    if unknown := sorted(marker.kwargs.keys() - _MARKED):
        return f"there is no {', '.join(unknown)}"
    try:
        checked_topics(marker.kwargs.get("topics"), "topics")
    except TypeError as error:
        return str(error)
    partitions, config = marker.kwargs.get("partitions", 1), marker.kwargs.get("config", {})
    if not isinstance(partitions, int):
        return f"partitions is a number, not {partitions!r:.60}"
    return None if isinstance(config, Mapping) else f"config is {{setting: value}}, not {config!r:.60}"


def _marked(request: pytest.FixtureRequest, name: str, default: Any = None) -> Any:
    marker = request.node.get_closest_marker("flymq")
    return default if marker is None else marker.kwargs.get(name, default)


def _need_embedded(request: pytest.FixtureRequest, fixture: str) -> None:
    if request.config.getoption("flymq_bootstrap"):
        pytest.skip(f"{fixture} makes brokers of its own, which --flymq-bootstrap has none of")


@pytest.fixture(scope="session")
def flymq_broker(request: pytest.FixtureRequest) -> Iterator[EmbeddedBroker | ExternalBroker]:
    """One broker for the run, or for the xdist worker: shared, so use topics and groups of your own."""
    address = request.config.getoption("flymq_bootstrap")
    if address:
        yield from _external(request.session, address)
        return
    from flymq.core.settings import SettingError
    from flymq.testing.embedded import EmbeddedBroker

    lines = [line.partition("=") for line in request.config.getini(_SETTINGS)]
    try:
        broker = EmbeddedBroker(config={name.strip(): value.strip() for name, _, value in lines})
    except SettingError as error:
        raise _give_up(request.session, f"{_SETTINGS}: {error.whole}") from None
    with broker:
        yield broker


def _external(session: pytest.Session, address: str) -> Iterator[ExternalBroker]:
    from flymq.client.errors import FlyMQError
    from flymq.testing.external import ExternalBroker

    broker = ExternalBroker(address)
    try:
        broker.connect()
    except FlyMQError as error:
        raise _give_up(session, f"--flymq-bootstrap={address}: {error}\n  {error.hint}") from None
    try:
        yield broker
    finally:
        broker.close()


def _give_up(session: pytest.Session, why: str) -> BaseException:
    """No test that needs the broker can pass: fail this one, and end the run; an xdist worker's, too."""
    session.shouldfail = "there is no broker to test with"
    return pytest.fail.Exception(why, pytrace=False)


@pytest.fixture
def flymq(
    request: pytest.FixtureRequest, flymq_broker: EmbeddedBroker | ExternalBroker
) -> EmbeddedBroker | ExternalBroker:
    """The run's broker, wiped: no topics but the marker's, no groups, no offsets."""
    if _marked(request, "config"):
        pytest.fail(
            "the marker's config is for flymq_isolated: the broker of flymq is there already, for all tests. "
            f"Use flymq_isolated, or set {_SETTINGS} in pytest's configuration for all",
            pytrace=False,
        )
    from flymq.testing.external import ExternalBroker

    if not isinstance(flymq_broker, ExternalBroker) and not flymq_broker.running:  # an earlier test stopped it
        flymq_broker.start()
    flymq_broker.wipe()
    flymq_broker.create_topics(_marked(request, "topics", {}))
    return flymq_broker


@pytest.fixture
def flymq_bootstrap_servers(flymq: EmbeddedBroker | ExternalBroker) -> str:
    """`host:port` of the wiped broker, for any client."""
    return flymq.bootstrap_servers


@pytest.fixture
def flymq_client(flymq: EmbeddedBroker | ExternalBroker) -> Iterator[FlyMQClient]:
    """A `FlyMQClient` of the wiped broker, closed in the end."""
    from flymq.client.client import FlyMQClient

    with FlyMQClient(flymq.bootstrap_servers) as client:
        yield client


@pytest.fixture
def flymq_topic(request: pytest.FixtureRequest, flymq: EmbeddedBroker | ExternalBroker) -> str:
    """The name of an empty topic, named after the test, with one partition or as many as the marker says."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name)[:_NAME_MAX].strip("-.") or "topic"
    if request.config.getoption("flymq_bootstrap"):
        name += f"-{os.urandom(4).hex()}"  # it is not alone there
    flymq.create_topics({name: _marked(request, "partitions", 1)})
    return name


@pytest.fixture
def flymq_isolated(request: pytest.FixtureRequest) -> Iterator[EmbeddedBroker]:
    """A broker for this test alone, with the marker's topics and config."""
    _need_embedded(request, "flymq_isolated")
    from flymq.testing.embedded import EmbeddedBroker

    with EmbeddedBroker(_marked(request, "topics"), _marked(request, "config")) as broker:
        yield broker


@pytest.fixture
def flymq_factory(request: pytest.FixtureRequest) -> Iterator[Callable[..., EmbeddedBroker]]:
    """Makes started brokers, `flymq_factory(topics=..., config=..., data_dir=...)`; the end of the test stops them."""
    _need_embedded(request, "flymq_factory")
    from flymq.testing.embedded import EmbeddedBroker

    with ExitStack() as made:
        yield lambda *args, **kwargs: made.enter_context(EmbeddedBroker(*args, **kwargs))
