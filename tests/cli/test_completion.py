"""Completion: the scripts, and what they complete, topics and groups of the live broker included."""

from __future__ import annotations

import shutil
import socket
import time

import pytest

from flymq import EmbeddedBroker
from tests.cli.kit import Cli, shell

BUDGET_S = 0.3
# Python, click and this package before the budget begins, on a busy machine.
START_S = 5.0


def complete(words: str, servers: str | None = None, **more: str) -> list[str]:
    """What a bash completes the last of these words to."""
    count = len(words.split(" ")) - 1
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(count), "_FLYMQ_CLI_COMPLETE": "bash_complete"}
    done = shell("flymq-cli", servers, **asked, **more)
    assert done.err == ""
    return [line.split(",", 1)[1] for line in done.lines if line]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_a_script_for(offline: Cli, name: str) -> None:
    script = offline.ok("completion", name).out
    assert f"_FLYMQ_CLI_COMPLETE={name}_complete" in script
    if found := shutil.which(name):
        assert shell(f"flymq-cli completion {name} | {found} -n").code == 0


def test_a_shell_that_is_none(offline: Cli) -> None:
    assert "bash" in offline.fails(2, "completion", "bsh")
    assert "bash" in offline.fails(2, "completion")


def test_commands_and_options() -> None:
    assert complete("flymq-cli con") == ["consume", "context"]
    assert complete("flymq-cli groups de") == ["describe", "delete"]
    assert complete("flymq-cli -O json topics li") == ["list"]
    assert complete("flymq-cli consume t --off") == ["--offset"]
    assert complete("flymq-cli consume t --isolation ") == ["uncommitted", "committed"]
    assert complete("flymq-cli topics list -O ") == ["table", "json", "yaml", "name"]


def test_topics_and_groups_of_the_live_broker() -> None:
    with EmbeddedBroker(topics={"orders": 1, "offers": 1, "bills": 1}) as broker:
        where = broker.bootstrap_servers
        broker.seed("orders", ["x"])
        assert shell("flymq-cli groups reset kitchen -t orders", where).code == 0
        assert complete("flymq-cli consume o", where) == ["offers", "orders"]
        assert complete("flymq-cli topics delete bills ", where) == ["bills", "offers", "orders"]
        assert complete(f"flymq-cli -b {where} tail b") == ["bills"]
        assert complete("flymq-cli groups describe ", where) == ["kitchen"]
        assert complete("flymq-cli subscribe orders --group k", where) == ["kitchen"]
        assert not broker.requests("CreateTopics")


def test_contexts(offline: Cli) -> None:
    offline.ok("context", "save", "staging", "-b", "127.0.0.1:1")
    assert complete("flymq-cli context use s") == ["staging"]


def test_a_real_bash() -> None:
    """As it is set up and used, without a terminal."""
    with EmbeddedBroker(topics={"orders": 1}) as broker:
        done = shell(
            'eval "$(flymq-cli completion bash)" 2>/dev/null;'
            "COMP_WORDS=(flymq-cli consume ord); COMP_CWORD=2; _flymq_cli_completion flymq-cli; echo ${COMPREPLY[@]}",
            broker.bootstrap_servers,
        )
    assert (done.code, done.out) == (0, "orders\n")


@pytest.mark.parametrize("where", ["127.0.0.1:1", "nonsense", "no-such-host.invalid:9092", ""])
def test_no_broker_completes_to_nothing(where: str) -> None:
    began = time.monotonic()
    assert complete("flymq-cli consume o", FLYMQ_BOOTSTRAP_SERVERS=where) == []
    assert time.monotonic() - began < START_S + BUDGET_S


def test_one_that_never_answers_does_not_hold_the_shell() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert complete("flymq-cli consume o", f"127.0.0.1:{silent.getsockname()[1]}") == []
        assert BUDGET_S <= time.monotonic() - began < START_S + BUDGET_S


def test_a_broken_list_of_contexts_completes_to_nothing() -> None:
    assert complete("flymq-cli context use ", FLYMQ_CONTEXTS="/dev/null/contexts.json") == []
    assert complete("flymq-cli consume ", FLYMQ_CONTEXTS="/dev/null/contexts.json") == []
