"""Processes beside the broker: they talk in lines, and end with us."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flymq.env import Child, Env, Token


class Runner:
    """A loop with its Env. Close it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.env = Env(self.loop)

    def wait(self, token: Token) -> Any:
        """The token's result; an exception is raised."""
        future = self.loop.create_future()
        token.then(future.set_result)
        result = self.loop.run_until_complete(asyncio.wait_for(future, 30))
        if isinstance(result, BaseException):
            raise result
        return result

    def close(self) -> None:
        self.env.close()
        self.loop.close()


@pytest.fixture
def run() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.close()


def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> str:
    """A module of that source, which the process finds where we do."""
    (tmp_path / "spawned_for_a_test.py").write_text(source)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    return "spawned_for_a_test"


ECHO = "import sys\nline = sys.stdin.readline()\nprint(line, end='')\nprint('two')\nsys.exit(3)\n"
WAIT = "import sys\nprint('here', flush=True)\nsys.stdin.read()\nprint('end', flush=True)\n"


def test_lines_come_in_order_and_the_exit_code_last(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    child = run.env.spawn(module(tmp_path, monkeypatch, ECHO), b"one", told.append)
    child.done.then(told.append)
    run.wait(child.done)
    assert told == [b"one\n", b"two\n", 3]


def test_kill(run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bytes] = []
    child: Child

    def on_line(line: bytes) -> None:
        told.append(line)
        child.kill()

    child = run.env.spawn(module(tmp_path, monkeypatch, WAIT), b"", on_line)
    assert run.wait(child.done) < 0
    assert told == [b"here\n"]
    child.kill()


def test_a_process_that_cannot_start(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "no-such-python")
    with pytest.raises(FileNotFoundError):
        run.wait(run.env.spawn("json", b"", lambda _: None).done)


def test_closing_the_env_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner()
    child = runner.env.spawn(module(tmp_path, monkeypatch, WAIT), b"", lambda _: None)
    runner.close()
    assert child._process is not None
    assert child._process.returncode is not None
