"""A few rounds of `kill -9` under load; `python -m compat_tests.crash` runs a hundred."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat_tests import crash


@pytest.mark.parametrize(("durability", "seed"), [("fsync", 1), ("os", 4)])
def test_no_acknowledged_record_is_lost_changed_or_there_twice(durability: str, seed: int, tmp_path: Path) -> None:
    outcome = crash.run(tmp_path, 3, durability, seed=seed)
    assert len(outcome.starts) == 3
    assert outcome.acked > 0


SENT = {(0, 0): b"0:0:a", (0, 1): b"0:1:b", (1, 0): b"1:0:c"}


def test_the_check_passes_what_is_right() -> None:
    crash.check(SENT, SENT)
    crash.check(SENT, {**SENT, (1, 1): b"1:1:not acknowledged"})


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({(0, 0): b"0:0:a", (1, 0): b"1:0:c"}, "lost"),
        ({**SENT, (0, 1): b"0:1:x"}, "changed"),
        ({**SENT, (1, 1): b"0:1:b"}, "twice"),
        ({**SENT, (0, 2): b"0:0:other"}, "out of order"),
    ],
)
def test_the_check_finds_planted_faults(found: dict[tuple[int, int], bytes], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        crash.check(SENT, found)
