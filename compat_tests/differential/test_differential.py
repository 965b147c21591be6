"""The sequences that once differed are answered alike by FlyMQ and by Apache Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compat_tests.differential.run import SEEDS, Brokers, both_brokers, load, search

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


def test_drawn_sequences(brokers: Brokers) -> None:
    before = brokers.seen.total()
    found = search(brokers, seed=1, requests=4_000, seconds=60)
    assert not found, f"python -m compat_tests.differential --seed {found[0][0]}: {found[0][1].differences}"
    assert brokers.seen.total() >= before + 4_000
