"""Fixtures for all tests: one broker for whoever only needs a live one, and names nobody else uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from flymq import EmbeddedBroker

# A busy machine is no failure.
settings.register_profile("flymq", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("flymq")

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    """Shared by a module's tests: use topics and groups of your own, and leave no setting behind.

    Not by the whole run: its helpers' client has a thread that would be there in everybody's tests.
    """
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture
def fresh_name() -> Callable[..., str]:
    """Makes a name for a topic or group that no other test has."""
    return lambda prefix="t": f"{prefix}-{next(_numbers)}"
