"""A Python process of our own beside the broker: one line to it, many lines back.

`python -m` a module instead of multiprocessing, which would import a test's `__main__` once more. A thread waits for
it: asyncio's own subprocesses need a child watcher, which not every thread's loop has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from flymq.env.token import Token


class Child:
    """A process that was asked for. `done` completes with its exit code (negative: the signal), or an OSError where
    it could not be started, when the last line was told and it is gone.

    Its stdin stays open as long as we live: by its end the process learns of our death, whatever killed us.
    """

    def __init__(
        self,
        module: str,
        line: bytes,
        on_line: Callable[[bytes], None],
        call_threadsafe: Callable[..., None],
    ) -> None:
        self.done = Token()
        self._line = line
        self._on_line = on_line
        self._call_threadsafe = call_threadsafe
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._is_killed = False
        self._thread = threading.Thread(target=self._run, name=f"flymq-{module}", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """End it at once; `done` follows. Harmless when it is over."""
        self._is_killed = True
        process = self._process
        if process is not None:
            process.kill()

    def join(self) -> None:
        """Kill it and wait until it is gone (any thread)."""
        self.kill()
        self._thread.join()

    def _run(self) -> None:
        outcome: Any
        try:
            outcome = self._talk()
        except OSError as error:
            outcome = error
        self._call_threadsafe(self.done.complete, outcome)

    def _talk(self) -> int:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with subprocess.Popen(
            [sys.executable, "-P", "-m", self._module],  # what lies in our working folder is no module of ours
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        ) as process:
            self._process = process
            if self._is_killed:
                process.kill()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(self._line + b"\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # it is gone already: its exit code says why
            for line in process.stdout:
                self._call_threadsafe(self._on_line, line)
            return process.wait()
