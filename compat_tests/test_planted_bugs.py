"""The bugs to plant are in places that are there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from compat_tests.matrix import FEATURES
from compat_tests.planted_bugs import BUGS, Bug

_ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.what)
def test_its_place_is_there(bug: Bug) -> None:
    assert (_ROOT / bug.path).read_text().count(bug.old) == 1
    assert bug.new not in bug.old


def test_there_are_two_an_area() -> None:
    areas = Counter(bug.area for bug in BUGS)
    assert set(areas) <= set(FEATURES)
    assert all(count >= 2 for count in areas.values())
