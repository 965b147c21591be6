"""What goes wrong in operation, through the real command: one clear line, a hint, the right exit code."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from compat_tests import crash
from compat_tests.broker_process import FLYMQ, BrokerProcess, environment, free_port
from compat_tests.clients import create_topic

OPERATION = 1
USAGE = 2
STOP_S_MAX = 8


def refused(*arguments: str, code: int) -> str:
    """The one line that `flymq` writes to stderr, before one with a hint, when it ends with `code`."""
    done = subprocess.run([FLYMQ, *arguments], capture_output=True, text=True, timeout=20, env=environment())
    assert done.returncode == code, done.stderr
    assert "ready in" not in done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith("flymq: warning: ")]
    assert len(lines) == 2, done.stderr
    wrong, hint = lines
    assert wrong.startswith("flymq: ")
    assert hint.startswith("  ")
    assert hint.strip()
    return wrong + hint


def serve(data_dir: Path | str, *settings: str, port: int | None = None) -> list[str]:
    sets = [word for setting in settings for word in ("--set", setting)]
    return ["serve", "--data-dir", str(data_dir), "--listen", f"127.0.0.1:{port or free_port()}", *sets]


def test_port_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused(*serve(tmp_path, port=port), code=OPERATION)
    with BrokerProcess(tmp_path):
        pass  # the attempt left the folder as it should be


def test_no_such_address(tmp_path: Path) -> None:
    said = refused("serve", "--data-dir", str(tmp_path), "--listen", "192.0.2.1:9092", code=OPERATION)
    assert "192.0.2.1" in said


def _unwritable() -> Iterator[str]:
    yield "a file/data"
    if sys.platform == "linux":
        yield "/proc/flymq"
    if os.geteuid() != 0:
        yield "read only/data"


@pytest.mark.parametrize("folder", list(_unwritable()))
def test_data_folder_cannot_be_written(folder: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("in the way")
    (tmp_path / "read only").mkdir(mode=0o500)
    path = tmp_path / folder
    assert str(path) in refused(*serve(path), code=OPERATION)


def test_data_folder_in_use(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as first:
        said = refused(*serve(tmp_path), code=OPERATION)
        assert str(tmp_path) in said
        assert str(first.pid) in said
        create_topic(first.bootstrap_servers, "still-served", 1)
        first.kill()
        first.start()  # a lock whose owner is dead holds nobody up


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--set", "num.partitoins=3"], "num.partitions"),
        (["--set", "num.partitions=many"], "num.partitions"),
        (["--set", "num.partitions=0"], "num.partitions"),
        (["--set", "flymq.durability=perhaps"], "fsync"),
        (["--set", "num.partitions"], "num.partitions"),
        (["--set", "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"], "authorizer"),
        (["--config", "no-such-file.toml"], "no-such-file.toml"),
        (["--listen", "127.0.0.1:port"], "127.0.0.1:port"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_settings_are_wrong(arguments: list[str], expected: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert expected in refused("serve", "--data-dir", str(data), *arguments, code=USAGE)
    assert not data.exists()


def test_a_data_folder_of_another_node(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path) as broker:
        broker.stop()
    assert "node" in refused(*serve(tmp_path, "node.id=7"), code=OPERATION)


def never_reads(port: int) -> socket.socket:
    """A client that asked until the broker stopped listening to it, and reads none of the answers."""
    api_versions = struct.pack(">ihhih", 10, 18, 0, 1, -1)
    client = socket.socket()
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        client.setsockopt(socket.SOL_SOCKET, buffer, 4096)
    client.connect(("127.0.0.1", port))
    client.settimeout(0.5)
    while True:
        try:
            client.sendall(api_versions * 1000)
        except TimeoutError:
            return client


@pytest.mark.parametrize(("durability", "is_deaf"), [("fsync", True), ("os", False)])
def test_sigterm_under_load(durability: str, is_deaf: bool, tmp_path: Path) -> None:
    """It ends with 0 in time, with parked fetches and with a client that reads no answer; nothing is lost."""
    with BrokerProcess(tmp_path, {"flymq.durability": durability}) as broker:
        create_topic(broker.bootstrap_servers, crash.TOPIC, crash.PARTITIONS)
        loads = [crash.Load(broker.bootstrap_servers, index, "none") for index in range(crash.PRODUCERS)]
        for load in loads:
            load.start()
        follower = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "follower", "log_level": 0})
        deaf = never_reads(broker.port) if is_deaf else None
        try:
            follower.subscribe([crash.TOPIC])
            assert follower.poll(20) is not None  # from here on it fetches by itself
            crash.await_acks(loads)
            code, seconds = broker.stop()
            said = broker.stderr
            broker.start()
        finally:
            for load in loads:
                load.finish()
            follower.close()
            if deaf is not None:
                deaf.close()
        assert code == 0
        assert seconds <= STOP_S_MAX
        assert said == ""
        for load in loads:
            assert not load.errors, load.errors
        crash.check(crash.acked_by(loads), crash.read_all(broker.bootstrap_servers))
