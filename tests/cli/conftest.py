"""Fixtures for the tests of `flymq-cli`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import Cli

_VARIABLES = ("KAFKA_BOOTSTRAP_SERVERS", "FLYMQ_CONTEXT", "FLYMQ_SASL_PASSWORD", "NO_COLOR", "_FLYMQ_CLI_COMPLETE")


@pytest.fixture(autouse=True)
def nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither variables nor contexts of whoever runs the tests."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("FLYMQ_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("FLYMQ_CONTEXTS", str(tmp_path / "contexts.json"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Cli:
    """The command, told of no broker."""
    return Cli(monkeypatch, capsysbinary)


@pytest.fixture
def cli(broker: EmbeddedBroker, offline: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command, connecting to `broker`."""
    monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    return offline


@pytest.fixture
def client(broker: EmbeddedBroker) -> Iterator[FlyMQClient]:
    with FlyMQClient(broker.bootstrap_servers) as client:
        yield client


@pytest.fixture
def topic(fresh_name: Callable[..., str]) -> str:
    """A name that nobody uses; not created."""
    return fresh_name("topic")


@pytest.fixture
def group(fresh_name: Callable[..., str]) -> str:
    return fresh_name("group")


@pytest.fixture
def orders(broker: EmbeddedBroker, topic: str) -> str:
    """Two partitions: p0 has a, b, c, d, p1 has e, f; a second apart, from 09:00 on the first of January 2026 (UTC)."""
    broker.create_topics({topic: 2})
    begin = 1_767_258_000_000
    broker.seed(
        topic,
        [
            {"value": value, "key": "k", "partition": partition, "timestamp": begin + 1000 * n}
            for n, (partition, value) in enumerate([(0, "a"), (0, "b"), (0, "c"), (0, "d"), (1, "e"), (1, "f")])
        ],
    )
    return topic
