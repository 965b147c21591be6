"""Global options: before the command and after it, what they say, and who has the last word."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable

import pytest

from flymq import EmbeddedBroker
from flymq_cli.app import App
from flymq_cli.options import typed
from tests.cli.kit import Cli, Terminal, shell, start


@pytest.mark.parametrize("arguments", ["-O name topics list", "topics -O name list", "topics list -O name"])
def test_before_and_after_the_command(cli: Cli, orders: str, arguments: str) -> None:
    assert orders in cli.ok(*arguments.split()).lines


def test_the_last_one_wins(cli: Cli, orders: str) -> None:
    assert orders in cli.ok("-O", "json", "topics", "-O", "table", "list", "-O", "name").lines


def test_long_names(cli: Cli, broker: EmbeddedBroker, orders: str) -> None:
    servers = ["--bootstrap-servers", broker.bootstrap_servers]
    assert orders in cli.ok("topics", "list", "--output", "name", *servers, "--timeout", "10").lines


def test_servers_of_the_environment(offline: Cli, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    live, dead = broker.bootstrap_servers, "127.0.0.1:1"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", live)
    offline.ok("health")
    monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", dead)
    offline.fails(4, "health")
    offline.ok("health", "-b", live)
    monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", "")
    offline.ok("health")


def test_localhost_9092_where_nothing_is_said() -> None:
    assert App().servers() == "localhost:9092"


# -- -X -------------------------------------------------------------------------------------------


def test_a_setting_of_kafka_python(cli: Cli, broker: EmbeddedBroker, fresh_name: Callable[..., str]) -> None:
    name = fresh_name("client")
    cli.ok("topics", "list", "-X", f"client.id={name}", "-X", "request_timeout_ms=5000")
    assert broker.requests("Metadata", client_id=name)


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("foo", "-X foo is not KEY=VALUE"),
        ("=1", "-X =1 is not KEY=VALUE"),
        ("foo=bar", "there is no setting foo"),
        ("reqest_timeout_ms=5", "did you mean request_timeout_ms?"),
        ("request_timeout_ms=abc", "does not take these settings"),
        ("bootstrap_servers=h:1", "give -b HOST:PORT"),
        ("bootstrap.servers=h:1", "give -b HOST:PORT"),
        ("timeout=5", "give --timeout SECONDS"),
        ("sasl=x", "give --sasl-username NAME"),
        ("tls=true", "give --tls"),
        ("key_deserializer=5", "give bytes as they are"),
        ("auto_create_topics=false", "give --create or --no-create"),
        ("sasl_plain_password=geheim", "other users of this machine see arguments\n  set FLYMQ_SASL_PASSWORD"),
        ("ssl.password=geheim", "other users of this machine see arguments\n  set FLYMQ_SASL_PASSWORD"),
    ],
)
def test_nonsense_settings(cli: Cli, orders: str, setting: str, what: str) -> None:
    said = cli.fails(2, "consume", orders, "-X", setting)
    assert what in said
    assert "geheim" not in said


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("1.5", 1.5), ("true", True), ("False", False), ("none", None), ("null", None), ("a", "a"), ("", "")],
)
def test_types_of_settings(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


# -- who we are -----------------------------------------------------------------------------------


def test_a_user_without_a_password(cli: Cli) -> None:
    said = cli.fails(2, "topics", "list", "--sasl-username", "ada")
    assert "no password for ada\n  set FLYMQ_SASL_PASSWORD" in said
    assert "--sasl-mechanism needs a user" in cli.fails(2, "topics", "list", "--sasl-mechanism", "PLAIN")


def test_a_mechanism_that_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYMQ_SASL_PASSWORD", "x")
    said = cli.fails(2, "topics", "list", "--sasl-username", "ada", "--sasl-mechanism", "FOO")
    assert "there is no mechanism FOO" in said
    assert "SCRAM-SHA-512" in said


def test_the_password_is_asked_for_at_a_terminal(broker: EmbeddedBroker) -> None:
    """And not shown. This broker knows no users, and says so."""
    with Terminal("exec flymq-cli topics list --sasl-username ada", broker.bootstrap_servers) as terminal:
        terminal.read_until("Password for ada: ")
        terminal.type("geheim\n")
        done = terminal.finish()
    assert done.code != 0
    assert "geheim" not in done.out
    assert "Traceback" not in done.out


def test_what_comes_after_the_password_is_left_for_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages, for `produce`. Asked once, though two brokers want to know it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"geheim\r\nfirst\nsecond\n")))
    app = App()
    settings = {"sasl_username": "ada", "sasl_password_stdin": True}
    assert app._sasl(settings) == ("PLAIN", "ada", "geheim")
    assert app._sasl(settings) == ("PLAIN", "ada", "geheim")
    assert sys.stdin.buffer.read() == b"first\nsecond\n"


def test_tls(cli: Cli) -> None:
    assert "it does not speak TLS\n  leave --tls out" in cli.fails(4, "topics", "list", "--tls")
    assert "can't read /nope" in cli.fails(2, "topics", "list", "--tls-ca", "/nope")


# -- how much is said -----------------------------------------------------------------------------


def test_quiet_and_verbose(cli: Cli, topic: str) -> None:
    assert cli.ok("produce", topic, "x", "-q").err == ""
    assert "kafka" not in cli.ok("produce", topic, "x").err
    some, all_ = (cli.ok("produce", topic, "x", option).err for option in ("-v", "-vv"))
    assert "kafka." in some
    assert len(all_) > len(some)
    assert "kafka" not in cli.ok("produce", topic, "x").err  # and nothing is left behind


def test_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        with start("topics", "list", "--timeout", "0.3", servers=where) as process:
            assert "did not answer within 0.3 s" in process.communicate(timeout=60)[1].decode()
        assert process.returncode == 4


def test_variables_do_not_get_in_the_way_of_each_other(broker: EmbeddedBroker) -> None:
    assert shell("flymq-cli health -q", broker.bootstrap_servers, NO_COLOR="1", TERM="dumb").code == 0
