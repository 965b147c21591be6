"""Suites in a folder of their own, run as a user would run them: by a process of their own, without a conftest.

Not pytest's own `pytester`: in the end it forgets every module that was imported meanwhile, and brokers of this process
go on using theirs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

TIMEOUT_S = 300.0


class Suite:
    """`write` files into `path`, then `run` pytest there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(dedent(text), encoding="utf-8")

    def run(self, *args: str) -> pytest.RunResult:
        """pytest's output and outcomes."""
        # Hypothesis takes half of the time to start.
        without = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        return self.python("-m", "pytest", *without, "--rootdir", str(self.path), *args)

    def python(self, *args: str) -> pytest.RunResult:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, *args],
            cwd=self.path, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )
        sys.stdout.write(done.stdout)  # pytest shows it where the test fails
        sys.stderr.write(done.stderr)
        lines = done.stdout.splitlines(), done.stderr.splitlines()
        return pytest.RunResult(done.returncode, *lines, time.monotonic() - started)
