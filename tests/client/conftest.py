"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from flymq import EmbeddedBroker, FlyMQClient


@pytest.fixture
def client(broker: EmbeddedBroker) -> Iterator[FlyMQClient]:
    with FlyMQClient(broker.bootstrap_servers) as client:
        yield client


@pytest.fixture
def group(fresh_name: Callable[..., str]) -> str:
    return fresh_name("group")
