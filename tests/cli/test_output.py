"""Where output goes and what it looks like: stdout, stderr, pipes that close, terminals, colours, progress."""

from __future__ import annotations

import pytest
import yaml

from flymq import EmbeddedBroker
from flymq.client.messages import Partition
from flymq_cli.output import counted, plain, text
from tests.cli.kit import Terminal, shell

ESCAPE = "\x1b["


# -- stdout and stderr ----------------------------------------------------------------------------


def test_data_goes_to_stdout_and_everything_else_to_stderr(broker: EmbeddedBroker, orders: str) -> None:
    commands = [
        f"produce {orders} x", f"topics create {orders}-2", f"topics copy {orders} {orders}-3",
        f"topics delete {orders}-2 -y", f"consume {orders}-3 -n 0", f"topics describe {orders}zz",
    ]  # fmt: skip
    for command in commands:
        done = shell(f"flymq-cli {command}", broker.bootstrap_servers)
        assert done.stdout == b"", command
        assert (done.err != "") == (" -n 0" not in command), command


@pytest.mark.parametrize(
    "command",
    ["consume {topic}", "consume {topic} -O json", "tail {topic} -n 3000", "topics config {topic} --all", "--help"],
)
def test_a_reader_that_has_enough(broker: EmbeddedBroker, topic: str, command: str) -> None:
    """`| head -1`: no traceback, nothing on stderr, exit 0."""
    broker.seed(topic, [bytes(200)] * 3000)
    line = f"flymq-cli {command.format(topic=topic)} | head -c 5; exit ${{PIPESTATUS[0]}}"
    done = shell(line, broker.bootstrap_servers)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("command", ["topics list", "consume {topic}", "consume {topic} -O json", "--help", "version"])
def test_closed_stdout(broker: EmbeddedBroker, orders: str, command: str) -> None:
    done = shell(f"flymq-cli {command.format(topic=orders)} >&-", broker.bootstrap_servers)
    assert (done.code, done.stdout, done.err) == (0, b"", "")


def test_closed_stderr_and_stdin(broker: EmbeddedBroker, orders: str) -> None:
    assert shell("flymq-cli topics describe zz 2>&-", broker.bootstrap_servers)[:2] == (3, b"")
    assert shell(f"flymq-cli produce {orders} x 2>&-", broker.bootstrap_servers)[:2] == (0, b"")
    done = shell(f"flymq-cli produce {orders} <&-", broker.bootstrap_servers)
    assert (done.code, done.err) == (0, f"flymq-cli: 0 messages to {orders}\n")
    assert "Nobody is there to ask" in shell(f"flymq-cli topics delete {orders} <&-", broker.bootstrap_servers).err


@pytest.mark.parametrize("command", ["topics list", "consume {topic}", "--help"])
def test_a_full_disk(broker: EmbeddedBroker, orders: str, command: str) -> None:
    done = shell(f"flymq-cli {command.format(topic=orders)} > /dev/full", broker.bootstrap_servers)
    assert (done.code, done.err) == (1, "flymq-cli: No space left on device\n  check where the output goes\n")


def test_errors_come_after_what_was_printed(broker: EmbeddedBroker, orders: str) -> None:
    shell(f"flymq-cli groups reset {orders}-g -t {orders}", broker.bootstrap_servers)
    done = shell(f"flymq-cli groups lag {orders}-g --fail-above 0 2>&1", broker.bootstrap_servers)
    assert done.code == 6
    assert done.lines[0].startswith("TOPIC")
    assert "behind" in done.lines[-2]


# -- terminals ------------------------------------------------------------------------------------


def on_terminal(line: str, broker: EmbeddedBroker, **more: str) -> str:
    with Terminal(line, broker.bootstrap_servers, **more) as terminal:
        done = terminal.finish()
    assert done.code == 0, done.out
    return done.out


def test_colours_on_a_terminal_only(broker: EmbeddedBroker, orders: str) -> None:
    for command in ("topics list", f"consume {orders}"):
        assert ESCAPE in on_terminal(f"flymq-cli {command}", broker)
        assert ESCAPE not in on_terminal(f"flymq-cli {command} | cat", broker)


def test_nobody_gets_colours_who_wants_none(broker: EmbeddedBroker, orders: str) -> None:
    for command in ("topics list", f"consume {orders}"):
        assert ESCAPE not in on_terminal(f"flymq-cli {command} --no-color", broker)
        assert ESCAPE not in on_terminal(f"flymq-cli {command}", broker, NO_COLOR="1")


def test_a_narrow_terminal_gets_whole_lines(broker: EmbeddedBroker, orders: str) -> None:
    with Terminal("flymq-cli topics list", broker.bootstrap_servers, columns=20) as terminal:
        assert f"{orders} " in terminal.finish().out


PROGRESS = "flymq-cli bench produce --count 40000 --size 10 -O name"


def test_progress_of_long_work_on_a_terminal(broker: EmbeddedBroker) -> None:
    """On stderr: what reads stdout sees none of it."""
    shown = on_terminal(f"{PROGRESS} | cat", broker)
    assert "producing" in shown
    assert f"{ESCAPE}35m" in shown
    assert "100%" in shown
    done = shell(PROGRESS, broker.bootstrap_servers)
    assert (done.out, done.err) == ("produce\n", "")


def test_no_progress_of_short_work_nor_with_quiet(broker: EmbeddedBroker) -> None:
    assert "producing" not in on_terminal("flymq-cli bench produce --count 10", broker)
    assert "producing" not in on_terminal(f"{PROGRESS} -q", broker)


def test_progress_without_colours(broker: EmbeddedBroker) -> None:
    assert f"{ESCAPE}35m" not in on_terminal(f"{PROGRESS} --no-color", broker)


# -- cells and documents --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), ("", "-"), ([], "-"), (0, "0"), (False, "no"), (True, "yes"), ([1, 2], "1,2"), (1.23456, "1.23"),
     (12345.6, "12,346"), ("x", "x")],
)  # fmt: skip
def test_a_cell(value: object, shown: str) -> None:
    assert text(value) == shown


def test_documents_hold_plain_things() -> None:
    found = plain({1: Partition("t", 0), "list": [(1, 2)]})
    assert yaml.safe_load(yaml.safe_dump(found)) == {"1": {"topic": "t", "partition": 0}, "list": [[1, 2]]}


def test_counting() -> None:
    assert [counted(n, "byte") for n in (0, 1, 2, 1000)] == ["0 bytes", "1 byte", "2 bytes", "1,000 bytes"]
