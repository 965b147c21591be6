"""`flymq-cli health`: 0 if a broker answers, 4 if none does. What it says of dead addresses is in test_errors.py."""

from __future__ import annotations

import signal
import socket
import time

import yaml

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker
from tests.cli.kit import Cli, finish, start


def test_a_broker_that_answers(cli: Cli, broker: EmbeddedBroker) -> None:
    assert cli.ok("health").out.startswith(f"{broker.bootstrap_servers} answers in ")
    found = cli.ok("health", "-O", "json").json
    assert (found["bootstrap_servers"], found["status"]) == (broker.bootstrap_servers, "ok")
    assert yaml.safe_load(cli.ok("health", "-O", "yaml").out)["status"] == "ok"
    assert cli.ok("health", "-O", "name").out == "ok\n"


def test_none_that_does(offline: Cli) -> None:
    assert "nothing listens at 127.0.0.1:1" in offline.fails(4, "health", "-b", "127.0.0.1:1")


def test_wait_until_it_is_up() -> None:
    with BrokerProcess(None) as broker:
        servers = broker.bootstrap_servers
        broker.kill()
        with start("health", "--wait", "60", servers=servers) as process:
            broker.start()
            done = finish(process)
    assert done.code == 0, done.err
    assert done.err == ""
    assert "answers in" in done.out


def test_wait_no_longer_than_that(offline: Cli) -> None:
    began = time.monotonic()
    assert "nothing listens" in offline.fails(4, "health", "--wait", "0.5", "-b", "127.0.0.1:1")
    assert 0.5 <= time.monotonic() - began < 20


def test_waiting_does_not_help_a_wrong_command_line(offline: Cli) -> None:
    assert "is not host:port" in offline.fails(2, "health", "--wait", "60", "-b", "nonsense:x")


def test_waiting_can_be_interrupted() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        start("health", "--wait", "60", servers=f"127.0.0.1:{silent.getsockname()[1]}") as process,
    ):
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            done = finish(process)
    assert (done.code, done.stdout, done.err) == (130, b"", "\n")
