"""`flymq-cli` for tests: in this process (`Cli`), or as a real one with pipes, signals or a terminal (`start`)."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from flymq_cli.main import run

TIMEOUT_S = 60.0
_AGAIN_S = 2.0
PROGRAM = str(Path(sys.executable).with_name("flymq-cli"))


class Outcome(NamedTuple):
    """What a run left: its exit code, stdout as bytes, stderr as text."""

    code: int
    stdout: bytes
    err: str

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


class Cli:
    """Calls `flymq-cli` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> None:
        self._monkeypatch = monkeypatch
        self._capture = capture

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        """Whatever it exits with."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capture.readouterr()
        code = run(list(arguments))
        out, err = self._capture.readouterr()
        return Outcome(code, out, err.decode())

    def ok(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        """It has to exit with 0."""
        outcome = self(*arguments, stdin=stdin)
        assert outcome.code == 0, outcome.err
        return outcome

    def fails(self, code: int, *arguments: str, stdin: bytes = b"") -> str:
        """It has to exit with this, say why on stderr without a traceback, and print no data. What it said."""
        outcome = self(*arguments, stdin=stdin)
        assert outcome.code == code, outcome
        assert outcome.err.startswith("flymq-cli: "), outcome.err
        assert "Traceback" not in outcome.err
        assert "bug" not in outcome.err
        return outcome.err


def environment(servers: str | None = None, **more: str) -> dict[str, str]:
    """This process's, with `servers` to connect to, and none of what else has a say."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLYMQ_", "KAFKA_", "_FLYMQ")) and name not in ("NO_COLOR", "PYTHONUNBUFFERED")
    }
    folder = str(Path(sys.executable).parent)
    kept["PATH"] = f"{folder}{os.pathsep}{kept.get('PATH', '')}"
    kept["FLYMQ_CONTEXTS"] = os.environ.get("FLYMQ_CONTEXTS", "/nonexistent/contexts.json")
    if servers is not None:
        kept["FLYMQ_BOOTSTRAP_SERVERS"] = servers
    return kept | more


@contextlib.contextmanager
def start(*arguments: str, servers: str | None = None, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A real `flymq-cli`, with pipes; killed at the end if it still runs."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    settings = {**pipes, "env": environment(servers), "bufsize": 0, **settings}  # unbuffered: `finish` reads on
    with subprocess.Popen([PROGRAM, *arguments], **settings) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[bytes]) -> Outcome:
    """Wait for its end."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Outcome(process.returncode, out, err.decode())


def shell(line: str, servers: str | None = None, **more: str) -> Outcome:
    """A line as somebody types it, `flymq-cli` and pipes included."""
    done = subprocess.run(
        ["bash", "-c", line], env=environment(servers, **more), stdin=subprocess.DEVNULL, capture_output=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def read_until(stream: IO[bytes], wanted: bytes) -> bytes:
    """Lines until one has `wanted`; that one included."""
    seen = b""
    while wanted not in seen:
        line = stream.readline()
        assert line, f"{wanted!r} never came, but {seen!r}"
        seen += line
    return seen


class Terminal:
    """A command line on a terminal of its own: what it shows, and what is typed."""

    def __init__(self, line: str, servers: str | None = None, columns: int = 200, **more: str) -> None:
        environ = environment(servers, COLUMNS=str(columns), LINES="50", TERM="xterm", **more)
        self._fd, child = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "-c", line], env=environ, stdin=child, stdout=child, stderr=child, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )  # fmt: skip
        os.close(child)
        self.shown = ""

    def read_until(self, wanted: str) -> None:
        """Raises AssertionError where it ends before."""
        while wanted not in self.shown:
            assert self._read(), f"{wanted!r} was not shown, but {self.shown!r}"

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def interrupt(self) -> Outcome:
        """Ctrl-C, and what comes of it. Again if nothing does: one that comes when Python is about to read is lost."""
        self.type("\x03")
        return self.finish("\x03")

    def finish(self, again: str = "") -> Outcome:
        """Everything that was shown counts as stdout: a terminal does not tell."""
        while True:
            if again and not select.select([self._fd], [], [], _AGAIN_S)[0]:
                self.type(again)
            if not self._read():
                break
        return Outcome(self._process.wait(TIMEOUT_S), self.shown.encode(), "")

    def _read(self) -> bool:
        assert select.select([self._fd], [], [], TIMEOUT_S)[0], f"nothing comes after {self.shown!r}"
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # what Linux says once the other side is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._fd)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again, for what nothing tells of."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {TIMEOUT_S:g} s"
        select.select([], [], [], 0.01)
