"""A broker as a child process, pinned to one CPU, with its CPU time and memory read from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

CLIENT_CPU, BROKER_CPU = 0, 1

_READY = re.compile(r"ready in (\d+) ms")


class BrokerProcess:
    """`flymq ARGS` from exec to SIGTERM. `ready_s` is from exec to the ready line, seen from outside."""

    def __init__(self, args: Sequence[str], port: int = 19092) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self._args = [str(Path(sys.executable).with_name("flymq")), *args, "--listen", self.bootstrap]
        self.ready_s = 0.0

    def __enter__(self) -> Self:
        started = time.perf_counter()
        self._child = subprocess.Popen(self._args, stdout=subprocess.PIPE, text=True)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._child.pid, {BROKER_CPU})
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if _READY.search(line):
                break
        else:
            raise RuntimeError("the broker did not start")
        self.ready_s = time.perf_counter() - started
        self.process = psutil.Process(self._child.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.terminate()
        self._child.wait(20)
        if self._child.stdout is not None:
            self._child.stdout.close()

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of all its threads so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def rss_mb(self) -> float:
        return self.process.memory_info().rss / 1e6
