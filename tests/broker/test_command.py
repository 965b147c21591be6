"""The `flymq` command: what it prints, how it fails, how fast it starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flymq import __version__
from flymq.broker.command import run
from flymq.core.settings import BROKER_SETTINGS, TOPIC_SETTINGS

FLYMQ = [sys.executable, "-c", "from flymq.broker.command import main; main()"]


@pytest.fixture(autouse=True)
def _own_folder_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("FLYMQ_", "KAFKA_")):
            monkeypatch.delenv(name)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out == f"flymq {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["sserve"], "No such command 'sserve'.", "`flymq --help` lists what there is"),
        (["serve", "--datadir", "x"], "No such option '--datadir'.", "`flymq serve --help` lists what there is"),
        (["dev", "--data-dir", "x"], "No such option '--data-dir'.", "`flymq dev --help` lists what there is"),
        (["serve", "--listen", "9092"], '--listen has "9092"', "write it as host:port, with a port from 0 to 65535"),
        (["serve", "--config", "x.toml"], "cannot read x.toml: No such file or directory", "give the path of"),
        (["dev", "--set", "num.partition=3"], "--set: there is no setting num.partition", "did you mean num.part"),
        (["serve", "--set", "log.dirs=a,b"], "--set: log.dirs has 2 folders, and FlyMQ keeps one", "give one folder"),
        (["serve", "--set", "listeners=SSL://a:1"], "--set: listeners asks for SSL on SSL://a:1", "PLAINTEXT only"),
        (["config", "explain", "retention"], "there is no setting retention", "did you mean retention.ms"),
    ],
)
def test_mistakes_are_two_lines_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str, hint: str
) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr()
    first, second = printed.err.splitlines()
    assert first.startswith(f"flymq: {message}")  # newer versions of click add a suggestion
    assert second.startswith("  ")
    assert hint in second
    assert printed.out == ""


def test_without_a_command_it_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "serve" in capsys.readouterr().err


# -- config ---------------------------------------------------------------------------------------


def test_config_show_says_where_values_come_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("flymq.toml").write_text('"log.retention.ms" = 5\n')
    monkeypatch.setenv("KAFKA_MESSAGE_MAX_BYTES", "7")
    assert run(["config", "show", "--origin", "--config", "flymq.toml", "--set", "num.partitions=3"]) == 0
    lines = [re.sub(" +", " ", line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(BROKER_SETTINGS)
    assert "log.retention.ms = 5 (flymq.toml:1)" in lines
    assert "message.max.bytes = 7 (environment KAFKA_MESSAGE_MAX_BYTES)" in lines
    assert "num.partitions = 3 (--set)" in lines
    assert "broker.rack = (default)" in lines


def test_config_check(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ok.properties").write_text("num.partitions=3\nnum.io.threads=8\n")
    assert run(["config", "check", "ok.properties"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "ok.properties is fine\n"
    assert printed.err == "flymq: warning: known to Kafka, without effect here: num.io.threads (ok.properties:2)\n"
    Path("bad.properties").write_text("num.partitions=many\n")
    assert run(["config", "check", "bad.properties"]) == 2
    assert capsys.readouterr().err == (
        'flymq: bad.properties:1: num.partitions can\'t be "many"\n  it must be a whole number, at least 1\n'
    )


def test_config_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "explain", "group.initial.rebalance.delay.ms"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "group.initial.rebalance.delay.ms (broker setting)",
        "  How long an empty group waits for more members before its first generation.",
        "  value: a whole number",
        "  default: 100 (Kafka: 3000)",
        "  environment: FLYMQ_GROUP_INITIAL_REBALANCE_DELAY_MS",
    ]
    assert run(["config", "explain", "num.io.threads"]) == 0
    assert "does nothing with it" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted({*BROKER_SETTINGS, *TOPIC_SETTINGS}))
def test_every_setting_is_explained(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(["config", "explain", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name} (")


# -- running --------------------------------------------------------------------------------------


@pytest.fixture
def start() -> Iterator[object]:
    """Starts `flymq ARGUMENTS`; reads its lines up to the ready one. Gives (process, lines)."""
    processes: list[subprocess.Popen[str]] = []

    def starter(*arguments: str) -> tuple[subprocess.Popen[str], list[str]]:
        process = subprocess.Popen(
            [*FLYMQ, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        processes.append(process)
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("ready in "):
                break
        return process, lines

    yield starter
    for process in processes:
        process.kill()
        process.communicate()


def test_dev_and_serve_say_what_they_are_and_stop_on_sigterm(start) -> None:  # type: ignore[no-untyped-def]
    for arguments, storage in (
        (("dev",), "in memory, nothing is kept"),
        (("serve", "--data-dir", "there"), "data in there, durability fsync"),
        (("serve", "--set", "flymq.durability=os"), "data in flymq-data, durability os"),
    ):
        process, lines = start(*arguments, "--listen", "127.0.0.1:0")
        assert len(lines) <= 6
        assert lines[0] == f"FlyMQ {__version__} · {storage}"
        assert re.fullmatch(r"ready in \d+ ms · kafka://127\.0\.0\.1:\d+", lines[-1])
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=8)
        assert (process.returncode, errors) == (0, "")


def test_a_port_in_use_is_one_line_and_exit_1(start) -> None:  # type: ignore[no-untyped-def]
    _, lines = start("dev", "--listen", "127.0.0.1:0")
    port = lines[-1].rpartition(":")[2]
    second, _ = start("dev", "--listen", f"127.0.0.1:{port}")
    _, errors = second.communicate(timeout=8)
    assert second.returncode == 1
    message, hint = errors.splitlines()
    assert message.startswith("flymq: ")
    assert port in message
    assert hint.startswith("  ")


def test_a_folder_in_use_is_one_line_and_exit_1(start) -> None:  # type: ignore[no-untyped-def]
    start("serve", "--listen", "127.0.0.1:0")
    second, _ = start("serve", "--listen", "127.0.0.1:0")
    _, errors = second.communicate(timeout=8)
    assert second.returncode == 1
    message, hint = errors.splitlines()
    assert message.startswith("flymq: ")
    assert "flymq-data" in message
    assert hint.startswith("  ")


def test_beyond_loopback_it_warns(start) -> None:  # type: ignore[no-untyped-def]
    process, _ = start("dev", "--listen", "0.0.0.0:0")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=8)
    assert errors.startswith("flymq: warning: PLAINTEXT://0.0.0.0:0 takes anybody who can reach it")


def test_the_command_itself_imports_little() -> None:
    code = "import sys, flymq.broker.command; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {
        "construct",
        "asyncio",
        "uvloop",
        "sqlite3",
        "tomllib",
        "flymq_protocol",
        "flymq.core.settings",
    }
