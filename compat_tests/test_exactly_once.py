"""Read, process, write, exactly once: bounded here; `make soak` and `python -m compat_tests.exactly_once` do more."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat_tests.broker_process import BrokerProcess
from compat_tests.exactly_once import CLIENTS, Run

pytestmark = pytest.mark.compat


def run(client: str, folder: Path, *, records: int, kills: int) -> None:
    with BrokerProcess(folder / "data") as broker, open(folder / "members.log", "w+b") as log:
        try:
            told = Run(client, records=records, kills=kills, seed=1, log=log).run(broker)
        except AssertionError as failure:
            log.seek(0)
            failure.add_note(log.read()[-5000:].decode(errors="replace"))
            raise
    assert f"broker killed {kills} times, members killed {kills} times" in told


@pytest.mark.parametrize("client", CLIENTS)
def test_each_result_is_there_once(client: str, tmp_path: Path) -> None:
    run(client, tmp_path, records=4_000, kills=3)


@pytest.mark.soak
@pytest.mark.parametrize("client", CLIENTS)
def test_each_of_many_results_is_there_once(client: str, tmp_path: Path) -> None:
    run(client, tmp_path, records=50_000, kills=20)
