"""Three processes share three partitions; `python -m compat_tests.groups` runs it with a session of Kafka's size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests import groups
from compat_tests.clients import PYTHON_CLIENTS
from compat_tests.groups import Step

SESSION_MS = 2000


def test_a_killed_members_partition_moves_and_work_survives_the_broker(tmp_path: Path) -> None:
    result = groups.serve_and_run(tmp_path, PYTHON_CLIENTS, SESSION_MS)
    assert result.restarts == 2
    # The session, then the survivors hear of it at their heartbeats and join again: a second where nothing
    # else runs. Kafka's default session would take 45.
    assert result.moved_s <= SESSION_MS / 1000 + 8


# -- the check itself -----------------------------------------------------------------------------

ACKED = {(0, 0): "a", (0, 1): "b"}
RIGHT = [
    Step(0, "got", 1, (0, 0), "a"),
    Step(0, "committed", 2, (0, 1), "1"),
    Step(0, "got", 3, (0, 1), "b"),
    Step(1, "got", 4, (0, 1), "b"),
    Step(1, "committed", 5, (0, 2), "2"),
]


def test_a_record_whose_commit_was_not_answered_may_come_again() -> None:
    groups.check_steps(RIGHT, ACKED)


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (lambda steps: [*steps, Step(1, "got", 6, (0, 1), "b")], "below the committed"),
        (lambda steps: steps[:2], "missed"),
        (lambda steps: [steps[0], steps[1], Step(1, "got", 4, (0, 2), "c")], "was next"),
        (lambda steps: [*steps, Step(1, "got", 6, (0, 2), "c")], "nobody sent"),
    ],
)
def test_the_check_finds_planted_faults(planted: Callable[[list[Step]], list[Step]], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        groups.check_steps(planted(RIGHT), ACKED)
