"""Apache Kafka itself, one node without ZooKeeper, from the jars that `java_tools` fetches.

`kafka_container` has it from its image.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from compat_tests import java_tools
from compat_tests.broker_process import environment, free_port

VERSION = "4.3.1"
STARTED = "Kafka Server started"  # the broker logs it last
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
# The one line of its log below a warning that we want.
_SAY_WHEN_STARTED = "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info"
_LOG_CHARACTERS_TOLD = 4000


def node_settings(host: str, port: int, controller_port: int, *, listen_on: str, data: object) -> dict[str, object]:
    """What one node must set: broker and controller in one process, that tells clients it is at `host` and `port`."""
    replicated = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://{listen_on}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        **{f"{topic}.replication.factor": 1 for topic in replicated},
        **{f"{topic}.min.isr": 1 for topic in replicated[1:]},
    }


QUICK: Mapping[str, object] = {
    "offsets.topic.num.partitions": 1,  # 50 take a second to create
    "transaction.state.log.num.partitions": 1,
    "group.initial.rebalance.delay.ms": 0,
}
"""What tests set besides, so that they do not wait."""


def format_storage(properties: Path) -> None:
    """Of the node that this file describes, for a new cluster."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # "=": an id may begin with a hyphen.
    java_tools.run(java_tools.STORAGE, "format", f"--cluster-id={cluster_id}", "-c", str(properties))


class RealKafka:
    """A broker and controller in one process, from `with` to its end; on loopback, at ports of its own.

    `folder` is for its files, which are deleted at the end. `settings`: by Kafka's names. `log` holds what it wrote.
    Raises AssertionError for settings that it refuses, RuntimeError where it does not start; both with what it said.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        host, port = "127.0.0.1", free_port()
        self.bootstrap_servers = f"{host}:{port}"
        self._data = folder / "kafka-data"
        self._properties = folder / "server.properties"
        node = node_settings(host, port, free_port(), listen_on=host, data=self._data)
        self._settings = {**node, **QUICK, **(settings or {})}
        self._lines: list[str] = []
        self._said = threading.Event()  # that it has started, or that it says no more
        self._started = False

    @property
    def log(self) -> str:
        return "".join(self._lines)

    def __enter__(self) -> Self:
        self._properties.parent.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings.items()))
        format_storage(self._properties)
        self._process = subprocess.Popen(
            java_tools.command(java_tools.BROKER, str(self._properties), java_options=[_SAY_WHEN_STARTED]),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read_log, name="kafka-log")
        self._reader.start()
        try:
            self._await_start()
        except BaseException:
            self._end()
            raise
        return self

    def _read_log(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            if STARTED in line:
                self._started = True
                self._said.set()
        self._said.set()

    def _await_start(self) -> None:
        said = self._said.wait(_START_TIMEOUT_S)
        if not self._started:
            what = "ended instead of starting" if said else f"has not started in {_START_TIMEOUT_S:g} s"
            raise RuntimeError(
                f"Apache Kafka {what}. It needs a JDK of version 17 or later (`java -version`), 512 MB of memory, and"
                f" whole jars (if in doubt, delete compat_tests/.cache). It said:\n{self.log[-_LOG_CHARACTERS_TOLD:]}"
            )

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        with self._process as process:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_TIMEOUT_S)
            process.kill()
            self._reader.join()
        shutil.rmtree(self._data, ignore_errors=True)
