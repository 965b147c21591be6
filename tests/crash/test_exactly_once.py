"""Read, process, write, while the broker and the members are killed: each result is there once."""

from __future__ import annotations

from pathlib import Path

from compat_tests.broker_process import BrokerProcess
from compat_tests.exactly_once import Run


def test_each_result_is_there_once(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "data") as broker, open(tmp_path / "members.log", "w+b") as log:
        told = Run("librdkafka", records=1_500, kills=2, seed=3, log=log).run(broker)
    assert "broker killed 2 times, members killed 2 times" in told
