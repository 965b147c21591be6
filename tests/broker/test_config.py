"""Loading settings: files, environment, flags, and what is said about mistakes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.broker.config import (
    ConfigError,
    _read_properties,
    _read_toml,
    environment_name,
    environment_warnings,
    listen_layer,
    load,
    read_environment,
    read_file,
    warnings_of,
)
from flymq.core.settings import BROKER_SETTINGS

KAFKAS_SERVER_PROPERTIES = """\
# The defaults that Apache Kafka 4 ships with, shortened.
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def test_a_flag_goes_before_the_environment_that_before_the_file_that_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_text("num.partitions=2\nlog.retention.hours=2\nlog.segment.bytes=2000000\n")
    loaded = load(
        file=str(file),
        environment={"FLYMQ_NUM_PARTITIONS": "3", "FLYMQ_LOG_RETENTION_HOURS": "3"},
        flags=["num.partitions=4"],
        defaults={"message.max.bytes": ("5", "flymq dev"), "log.segment.bytes": ("1500000", "flymq dev")},
    )
    values = ("num.partitions", "log.retention.hours", "log.segment.bytes", "message.max.bytes", "fetch.max.bytes")
    assert [(loaded.int(name), loaded.origin(name)) for name in values] == [
        (4, "--set"),
        (3, "environment FLYMQ_LOG_RETENTION_HOURS"),
        (2000000, f"{file}:3"),
        (5, "flymq dev"),
        (57671680, "default"),
    ]


def test_kafkas_own_server_properties_start_a_broker(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_text(KAFKAS_SERVER_PROPERTIES)
    loaded = load(file=str(file))
    assert [str(one) for one in loaded.listeners] == ["PLAINTEXT://:9092"]
    assert loaded.advertised == {"PLAINTEXT": ("localhost", 9092)}
    unused, exposed = warnings_of(loaded)
    assert unused.startswith("known to Kafka, without effect here: controller.quorum.bootstrap.servers (")
    assert f"num.io.threads ({file}:11)" in unused
    assert exposed.startswith("PLAINTEXT://:9092 takes anybody who can reach it: there is no authentication")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_loopback_needs_no_warning(host: str) -> None:
    assert warnings_of(load(overrides=[listen_layer(f"{host}:9092")])) == []


# -- files ----------------------------------------------------------------------------------------


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "flymq.toml"
    file.write_text(
        '"num.partitions" = 3\n'
        "auto.create.topics.enable = false  # dotted keys are tables too\n"
        "\n"
        "[log]\n"
        'cleanup.policy = [\n  "compact",\n  "delete",\n]\n'
        "[log.retention]\n"
        "ms = 5\n"
        '["flymq"]\n'
        'durability = "os"\n'
    )
    assert read_file(str(file)) == {
        "num.partitions": ("3", f"{file}:1"),
        "auto.create.topics.enable": ("false", f"{file}:2"),
        "log.cleanup.policy": ("compact,delete", f"{file}:5"),
        "log.retention.ms": ("5", f"{file}:10"),
        "flymq.durability": ("os", f"{file}:12"),
    }


def test_properties() -> None:
    text = (
        "! a comment\r\na=1\nb : 2\nc 3\nd\n  e.f = \\\n     x,\\\n     y \ng\\:h=\\u0041\\tb\\\\\na=4\ni=j=k\nl=tail\\"
    )
    assert _read_properties("p", text) == {
        "a": ("4", "p:10"),
        "b": ("2", "p:3"),
        "c": ("3", "p:4"),
        "d": ("", "p:5"),
        "e.f": ("x,y", "p:6"),
        "g:h": ("A\tb\\", "p:9"),
        "i": ("j=k", "p:11"),
        "l": ("tail", "p:12"),
    }


@given(st.dictionaries(st.sampled_from(sorted(BROKER_SETTINGS)), st.integers(), min_size=1))
def test_both_file_formats_say_the_same(values: dict[str, int]) -> None:
    toml = _read_toml("f", "".join(f'"{name}" = {value}\n' for name, value in values.items()))
    properties = _read_properties("f", "".join(f"{name}={value}\n" for name, value in values.items()))
    assert (
        toml == properties == {name: (str(value), f"f:{line}") for line, (name, value) in enumerate(values.items(), 1)}
    )


@given(st.text())
def test_any_properties_file_is_read(text: str) -> None:
    _read_properties("f", text)


@given(st.text())
def test_any_toml_file_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        _read_toml("f", text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"x = \n", "a.toml is not TOML: Invalid value"),
        ("a.toml", b"x = 2020-01-01\n", "a.toml:1: x is not a setting's value"),
        ("a.toml", b"x = [[1]]\n", "a.toml:1: x is not a setting's value"),
        ("a.properties", b"\xff", "a.properties is not a text file in UTF-8"),
        ("a.properties", b"\n\nnum.partition=1\n", "a.properties:3: there is no setting num.partition"),
        ("a.toml", b'"num.partitions" = "x"\n', 'a.toml:1: num.partitions can\'t be "x"'),
    ],
)
def test_bad_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(file=name)
    assert str(caught.value).startswith(message)
    assert caught.value.hint


def test_a_missing_file() -> None:
    with pytest.raises(ConfigError, match=r"^cannot read no/such/file: No such file or directory$"):
        load(file="no/such/file")


# -- environment and flags ------------------------------------------------------------------------


def test_environment_names() -> None:
    assert environment_name("log.retention.ms") == "FLYMQ_LOG_RETENTION_MS"
    assert environment_name("flymq.durability") == "FLYMQ_DURABILITY"
    names = [environment_name(name) for name in BROKER_SETTINGS]
    assert len(set(names)) == len(names)


def test_the_environment() -> None:
    assert read_environment(
        {
            "FLYMQ_NUM_PARTITIONS": "1",
            "KAFKA_NUM_PARTITIONS": "2",
            "KAFKA_LOG_RETENTION_MS": "3",
            "FLYMQ_DURABILITY": "os",
            "KAFKA_NUM_IO_THREADS": "8",
            "FLYMQ_BOOTSTRAP_SERVERS": "of the client",
            "KAFKA_HEAP_OPTS": "of the JVM",
        }
    ) == {
        "num.partitions": ("1", "environment FLYMQ_NUM_PARTITIONS"),
        "log.retention.ms": ("3", "environment KAFKA_LOG_RETENTION_MS"),
        "flymq.durability": ("os", "environment FLYMQ_DURABILITY"),
        "num.io.threads": ("8", "environment KAFKA_NUM_IO_THREADS"),
    }


def test_a_misspelt_variable_is_told() -> None:
    assert environment_warnings(
        {"FLYMQ_NUM_PARTITION": "1", "FLYMQ_BOOTSTRAP_SERVERS": "a:1", "FLYMQ_NODE_ID": "1"}
    ) == ["FLYMQ_NUM_PARTITION sets nothing: did you mean FLYMQ_NUM_PARTITIONS?"]


@given(st.sampled_from(sorted(BROKER_SETTINGS)), st.text())
def test_every_setting_can_come_from_the_environment(name: str, text: str) -> None:
    variable = environment_name(name)
    assert read_environment({variable: text}) == {name: (text, f"environment {variable}")}


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("num.partitions", '--set "num.partitions" has no value'),
        ("num.partition=1", "--set: there is no setting num.partition"),
        ("num.partitions=0", '--set: num.partitions can\'t be "0"'),
    ],
)
def test_bad_flags(flag: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags=[flag])
    assert str(caught.value) == message


def test_listen() -> None:
    assert listen_layer("0.0.0.0:9092") == {"listeners": ("PLAINTEXT://0.0.0.0:9092", "--listen")}
    assert listen_layer("[::1]:0") == {"listeners": ("PLAINTEXT://[::1]:0", "--listen")}
    for address in ("9092", "localhost", "localhost:x", "::1:9092"):
        with pytest.raises(ConfigError, match="--listen has"):
            listen_layer(address)
