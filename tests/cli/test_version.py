"""`flymq-cli version` and `--version`."""

from __future__ import annotations

import flymq
from tests.cli.kit import Cli


def test_the_same_in_both_ways(offline: Cli) -> None:
    assert offline.ok("version").out == f"flymq-cli {flymq.__version__}\n"
    assert offline.ok("--version").out == f"flymq-cli {flymq.__version__}\n"
