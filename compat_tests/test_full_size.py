"""The acceptance jobs at full size, kcat among the clients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compat_tests import crash, groups, main_job
from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import CLIENTS, CODECS, PYTHON_CLIENTS
from compat_tests.real_lines import real_lines

pytestmark = [
    pytest.mark.compat,
    # kafka-python reads its message definitions in a way that Python 3.11 deprecates.
    pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning"),
]

SESSION_MS = 6000


def test_every_client_with_every_codec(tmp_path: Path) -> None:
    lines = real_lines(5000)
    with BrokerProcess(tmp_path) as broker:
        for producer in CLIENTS:
            for codec in CODECS:
                list(main_job.run_job(broker.bootstrap_servers, lines, producer, codec, CLIENTS))
        code, _ = broker.stop()
        assert code == 0, broker.stderr


@pytest.mark.soak
def test_a_million_real_lines(tmp_path: Path) -> None:
    lines = real_lines(1_000_000)
    with BrokerProcess(tmp_path) as broker:
        for producer, codec in main_job.FULL_SIZE_JOBS:
            list(main_job.run_job(broker.bootstrap_servers, lines, producer, codec, CLIENTS))
        code, _ = broker.stop()
        assert code == 0, broker.stderr


@pytest.mark.parametrize("clients", [PYTHON_CLIENTS, *((client,) * 3 for client in PYTHON_CLIENTS)], ids=",".join)
def test_groups_lose_a_member_and_the_broker_and_no_record(clients: tuple[str, ...], tmp_path: Path) -> None:
    result = groups.serve_and_run(tmp_path, clients, SESSION_MS)
    assert result.restarts == 2
    assert result.moved_s <= SESSION_MS / 1000 + 8  # they hear of it at their next heartbeats, and join again


@pytest.mark.soak
@pytest.mark.parametrize(("durability", "seed"), [("fsync", 1), ("os", 4)])
def test_a_hundred_kills(durability: str, seed: int, tmp_path: Path) -> None:
    outcome = crash.run(tmp_path, 100, durability, seed=seed)
    assert len(outcome.starts) == 100
    assert max(outcome.starts) <= crash.START_S_MAX


@pytest.mark.soak
def test_two_gigabytes_in_200_000_keys_are_compacted() -> None:
    """The benchmark's own checks: nothing lost, order kept, tombstones gone, a reader undisturbed."""
    benchmark = Path(__file__).parent.parent / "benchmarks" / "compaction.py"
    subprocess.run([sys.executable, str(benchmark), "--gb", "2", "--rate", "10"], check=True, timeout=1800)
