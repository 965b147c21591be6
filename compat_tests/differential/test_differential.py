"""The sequences that once differed are answered alike by FlyMQ and by Apache Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compat_tests.differential.run import SEEDS, Brokers, both_brokers, load

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def brokers() -> Iterator[Brokers]:
    with both_brokers() as brokers:
        yield brokers


def test_there_are_seeds() -> None:
    assert list(SEEDS.glob("*.json"))


@pytest.mark.parametrize("name", sorted(path.stem for path in SEEDS.glob("*.json")))
def test_a_seed(brokers: Brokers, name: str) -> None:
    assert brokers.replay(load(SEEDS / f"{name}.json")) == []
