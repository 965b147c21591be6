"""A broker in a process of its own, through the real `flymq` command: to kill, to stop, to start again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

FLYMQ = str(Path(sys.executable).with_name("flymq"))
_START_TIMEOUT_S = 30.0


def free_port() -> int:
    """A free port outside the range that the kernel takes outgoing ports from.

    Inside it, a client that retries while the broker is down may connect to itself and keep the port.
    """
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def environment() -> dict[str, str]:
    """This process's, without settings for a broker."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("FLYMQ_", "KAFKA_"))}


class BrokerProcess:
    """`flymq serve` (or `flymq dev` where `data_dir` is None) on one port through all its restarts.

    `stderr` holds what it wrote there since the last start.
    """

    def __init__(self, data_dir: Path | None, settings: Mapping[str, object] | None = None) -> None:
        self.port = free_port()
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        where = ["dev"] if data_dir is None else ["serve", "--data-dir", str(data_dir)]
        self.command = [FLYMQ, *where, "--listen", self.bootstrap_servers]
        for name, value in {"group.initial.rebalance.delay.ms": 0, **(settings or {})}.items():
            self.command += ["--set", f"{name}={value}"]
        self._process: subprocess.Popen[str] | None = None
        self._stderr: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as this object

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()

    def start(self) -> float:
        """Return when it takes connections; the seconds since the process was started."""
        began = time.monotonic()
        self.spawn()
        assert self.await_ready_or_end(), f"the broker ended with {self.wait()} instead of starting: {self.stderr}"
        with socket.create_connection(("127.0.0.1", self.port), timeout=_START_TIMEOUT_S):
            return time.monotonic() - began

    def await_ready_or_end(self) -> bool:
        """After `spawn`: whether it became ready, instead of ending."""
        assert self._process is not None
        assert self._process.stdout is not None
        return any(line.startswith("ready in ") for line in self._process.stdout)

    def spawn(self) -> None:
        """Start the process, and don't wait for anything."""
        assert self._process is None, "it runs"
        self._stderr.seek(0)
        self._stderr.truncate()
        self._process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=self._stderr, text=True, env=environment()
        )

    def kill(self) -> None:
        """SIGKILL; return when it is gone."""
        self._end(signal.SIGKILL)

    def stop(self, timeout_s: float = 30) -> tuple[int, float]:
        """SIGTERM; (exit code, seconds until it was gone)."""
        began = time.monotonic()
        return self._end(signal.SIGTERM, timeout_s), time.monotonic() - began

    def wait(self, timeout_s: float = 30) -> int:
        """The exit code of a broker that ends by itself."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def _end(self, signum: int, timeout_s: float = 30) -> int:
        process, self._process = self._process, None
        assert process is not None, "it does not run"
        with process:
            process.send_signal(signum)
            return process.wait(timeout_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
        with contextlib.suppress(OSError):
            self._stderr.close()
