"""Brokers to be measured: child processes pinned to one CPU, their CPU time and memory read from outside.

`with FlyMQ(...)`, `with Kafka(...)` run from exec to SIGTERM; `ready_s` is from exec to the line that says it is ready.
Clients are to be pinned to CLIENT_CPU: where broker and client share a CPU, their figures say nothing.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

CLIENT_CPU, BROKER_CPU = 0, 1
# What Kafka's own start script gives it.
KAFKA_JVM = (
    "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
)  # fmt: skip


class Given:
    """A broker that runs already: nothing is known of its process."""

    def __init__(self, bootstrap: str) -> None:
        self.name = bootstrap
        self.bootstrap = bootstrap
        self.ready_s = math.nan
        self.data: Path | None = None  # its folder, where that is known

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of all its threads so far."""
        return math.nan

    def rss_mb(self) -> float:
        return math.nan

    def read_bytes(self) -> float:
        """What the disk read for it so far."""
        return math.nan


class _Child(Given):
    def __init__(self, name: str, bootstrap: str, command: Sequence[str], ready: re.Pattern[str]) -> None:
        super().__init__(bootstrap)
        self.name = name
        self._command = command
        self._ready = ready

    def __enter__(self) -> Self:
        started = time.perf_counter()
        # Whoever installs a package has its bytecode: a start is not to be timed with a compiler in it.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._child = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
            preexec_fn=_pin_to_its_cpu,
        )  # fmt: skip
        assert self._child.stdout is not None
        said = []
        for line in self._child.stdout:
            said.append(line)
            if self._ready.search(line):
                break
        else:
            raise RuntimeError(f"{self.name} did not start. It said:\n{''.join(said)[-4000:]}")
        self.ready_s = time.perf_counter() - started
        self.process = psutil.Process(self._child.pid)
        threading.Thread(target=self._child.stdout.read, daemon=True).start()  # a full pipe would stop it
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait(60)

    def cpu_s(self) -> float:
        if sys.platform == "linux":
            return time.clock_gettime(~self.process.pid << 3 | 2)  # clock_getcpuclockid(3): not in ticks of 10 ms
        times = self.process.cpu_times()
        return times.user + times.system

    def rss_mb(self) -> float:
        return self.process.memory_info().rss / 1e6

    def read_bytes(self) -> float:
        return float(self.process.io_counters().read_bytes)


class FlyMQ(_Child):
    """`flymq ARGS`; `data` is the folder that they name."""

    def __init__(self, args: Sequence[str], port: int = 19092, name: str = "FlyMQ", data: Path | None = None) -> None:
        bootstrap = f"127.0.0.1:{port}"
        command = [str(Path(sys.executable).with_name("flymq")), *args, "--listen", bootstrap]
        super().__init__(name, bootstrap, command, re.compile(r"ready in (\d+) ms"))
        self.data = data


class Kafka(_Child):
    """Apache Kafka, one node, from its jars: with its own defaults, but for `settings` and what one node must set."""

    def __init__(self, folder: Path, port: int = 19192, settings: Mapping[str, object] | None = None) -> None:
        from compat_tests import java_tools
        from compat_tests.real_kafka import STARTED, format_storage, node_settings

        host, data, file = "127.0.0.1", folder / "kafka", folder / "server.properties"
        properties = {**node_settings(host, port, port + 1, listen_on=host, data=data), **(settings or {})}
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        if not data.exists():
            format_storage(file)
        logs = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka.server=info"
        command = ["java", *KAFKA_JVM, *logs, "-cp", java_tools.class_path(), java_tools.BROKER, str(file)]
        super().__init__("Kafka", f"{host}:{port}", command, re.compile(STARTED))
        self.data = data


class Floor(_Child):
    """`load/floor.c`: what a broker cannot do without. It knows no topics."""

    def __init__(self, program: Path, folder: Path, answer_bytes: int, port: int = 19292) -> None:
        command = [str(program), str(port), str(folder / "floor.log"), str(answer_bytes)]
        super().__init__("floor", f"127.0.0.1:{port}", command, re.compile("ready"))


def _pin_to_its_cpu() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {BROKER_CPU})
