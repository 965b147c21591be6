"""`--help`: complete, and instant, because nothing is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from flymq_cli.main import cli as root
from tests.cli.kit import Cli, environment

HEAVY = ("kafka", "rich", "construct", "yaml", "asyncio", "flymq.broker", "flymq.client", "flymq.testing")


def commands() -> Iterator[tuple[str, ...]]:
    """The path of every command, the empty one of `flymq-cli` itself included."""

    def below(group: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        if isinstance(group, click.Group):
            context = click.Context(group)
            for name in group.list_commands(context):
                command = group.get_command(context, name)
                assert command is not None
                yield from below(command, (*path, name))

    return below(root, ())


COMMANDS = list(commands())


def test_every_command_is_there() -> None:
    assert {path[0] for path in COMMANDS if path} == {
        "produce", "consume", "subscribe", "tail", "topics", "groups", "txns", "cluster", "health", "bench", "context",
        "completion", "version",
    }  # fmt: skip
    assert {path[1] for path in COMMANDS if len(path) == 2 and path[0] == "groups"} == {
        "list", "describe", "members", "offsets", "lag", "reset", "delete",
    }  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_of(offline: Cli, path: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = offline.ok(*path, option)
        assert done.out.startswith(f"Usage: {' '.join(('flymq-cli', *path))} ")
        assert done.err == ""
        assert all(len(line) <= 120 for line in done.lines)
    if path:
        assert "Global options" in done.out


def test_no_help_imports_what_takes_time() -> None:
    """All helps in one process: what one imports, the list would have."""
    script = (
        "import sys, json, io, contextlib\n"
        "from flymq_cli.main import run\n"
        f"for path in {COMMANDS!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        assert run([*path, '--help']) == 0, path\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), check=True, capture_output=True, text=True, timeout=60
    )
    loaded = json.loads(done.stdout)
    assert "click" in loaded
    assert [name for name in loaded if name in HEAVY or name.startswith(tuple(f"{one}." for one in HEAVY))] == []


@pytest.mark.parametrize("path", [(), ("topics",), ("groups",), ("context",), ("bench",), ("cluster",)], ids=" ".join)
def test_without_a_command_the_help_is_shown(offline: Cli, path: tuple[str, ...]) -> None:
    done = offline(*path)
    assert done.code == 2
    assert done.stdout == b""
    assert "Usage: flymq-cli" in done.err


def test_exit_codes_are_explained(offline: Cli) -> None:
    text = " ".join(offline.ok("--help").out.split())
    for code in ("0 done", "2 wrong command line", "3 not found", "6 conflict", "7 partly done", "130 interrupted"):
        assert code in text
