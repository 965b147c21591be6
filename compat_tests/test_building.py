"""Several processes that share the tests make what they need once."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from compat_tests.drivers import building


def test_one_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(building, "CACHE", tmp_path)
    with building.alone("of/both") as folder:
        assert folder == tmp_path / "of" / "both"
        with open(tmp_path / "of" / "both.lock", "w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with building.alone("of/both"):
        pass
