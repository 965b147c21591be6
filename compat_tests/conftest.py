"""Fixtures of the tests that do the same on FlyMQ and on Apache Kafka: each runs on both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from compat_tests.real_kafka import RealKafka
from flymq import FlyMQClient

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=["flymq", "kafka"])
def bootstrap_servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of one broker of each kind, for all tests of a module."""
    folder = tmp_path_factory.mktemp("data")
    make: Callable[[], Any] = (
        (lambda: BrokerProcess(folder)) if request.param == "flymq" else (lambda: RealKafka(folder))
    )
    with make() as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="module")
def client(bootstrap_servers: str) -> Iterator[FlyMQClient]:
    with FlyMQClient(bootstrap_servers) as client:
        yield client


@pytest.fixture
def fresh_name() -> Callable[..., str]:
    return lambda prefix="t": f"{prefix}-{next(_numbers)}"


@pytest.fixture
def group(fresh_name: Callable[..., str]) -> str:
    return fresh_name("group")
