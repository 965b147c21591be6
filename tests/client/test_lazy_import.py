"""`import flymq` costs nothing: what it offers is imported when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import flymq

HEAVY = ["kafka", "construct", "rich", "click", "asyncio", "uvloop", "yaml", "flymq.client", "flymq.broker"]


def imported_by(code: str) -> set[str]:
    """Modules that a fresh Python has after it."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_flymq_imports_nothing_else() -> None:
    found = imported_by("import flymq")
    assert "flymq.version" in found
    assert found.isdisjoint(HEAVY)


def test_importing_the_client_s_name_does_not_import_kafka_python() -> None:
    found = imported_by("from flymq import FlyMQClient, AsyncFlyMQClient, FlyMQError")
    assert "flymq.client.client" in found
    assert found.isdisjoint({"kafka", "construct", "rich", "click", "flymq.broker"})


def test_making_a_client_imports_kafka_python_and_warns_of_nothing() -> None:
    assert "kafka" in imported_by("import flymq; flymq.FlyMQClient('localhost:9')")


@pytest.mark.parametrize("name", flymq.__all__)
def test_all_that_it_offers_is_there(name: str) -> None:
    assert getattr(flymq, name).__name__ == name if name != "__version__" else flymq.__version__


def test_what_it_does_not_have() -> None:
    with pytest.raises(AttributeError, match="module 'flymq' has no attribute 'FlyMqClient'"):
        _ = flymq.FlyMqClient
