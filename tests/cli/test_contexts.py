"""`flymq-cli context`, and what a context has a say in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from flymq import EmbeddedBroker
from tests.cli.kit import Cli

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def file() -> Path:
    return Path(os.environ["FLYMQ_CONTEXTS"])


def test_save_use_list_show_delete(offline: Cli) -> None:
    assert offline.ok("context", "list", "-O", "name").out == ""
    assert offline.ok("context", "save", "here", "-b", "h:1").err == "flymq-cli: context here saved, and in use\n"
    there = ["-b", "h:2", "--timeout", "5", "--tls", "--sasl-username", "ada", "-X", "linger_ms=3"]
    assert offline.ok("context", "save", "there", *there).err == "flymq-cli: context there saved\n"
    assert offline.ok("context", "list").lines == [
        "NAME   CURRENT  BOOTSTRAP SERVERS",
        "here   yes      h:1",
        "there  no       h:2",
    ]
    assert offline.ok("context", "list", "-O", "name").out == "here\nthere\n"
    assert [row["current"] for row in offline.ok("context", "list", "-O", "json").json] == [True, False]
    offline.ok("context", "use", "there")
    shown = offline.ok("context", "show", "-O", "json").json
    assert shown == {
        "bootstrap_servers": "h:2", "sasl_username": "ada", "tls": True, "timeout": 5.0, "settings": {"linger_ms": 3},
    }  # fmt: skip
    assert yaml.safe_load(offline.ok("context", "show", "there", "-O", "yaml").out) == shown
    assert "settings           linger_ms=3" in offline.ok("context", "show").lines
    assert offline.ok("context", "show", "here", "-O", "name").out == "h:1\n"
    offline.ok("context", "delete", "there")
    assert offline.ok("context", "list", "-O", "name").out == "here\n"
    assert offline.ok("context", "show", "-O", "name").out == "localhost:9092\n"


def test_a_context_says_where_to_connect(offline: Cli, broker: EmbeddedBroker) -> None:
    offline.ok("context", "save", "nowhere", "-b", NOWHERE)
    offline.ok("context", "save", "live", "-b", broker.bootstrap_servers)
    assert NOWHERE in offline.fails(4, "health")
    offline.ok("--context", "live", "health")
    offline.ok("health", "--context", "live")
    offline.ok("context", "use", "live")
    offline.ok("health")
    assert NOWHERE in offline.fails(4, "health", "--context", "nowhere")


def test_who_has_the_last_word(offline: Cli, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """-b, then --context, then the variables for servers, then FLYMQ_CONTEXT, then the one in use."""
    live = broker.bootstrap_servers
    offline.ok("context", "save", "nowhere", "-b", NOWHERE)
    offline.ok("context", "save", "live", "-b", live)
    monkeypatch.setenv("FLYMQ_CONTEXT", "live")
    offline.ok("health")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
    offline.fails(4, "health")
    monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", live)
    offline.ok("health")
    offline.fails(4, "health", "--context", "nowhere")
    offline.ok("health", "--context", "nowhere", "-b", live)


def test_no_secret_is_kept(offline: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYMQ_SASL_PASSWORD", "geheim")
    offline.ok("context", "save", "a", "-b", "h:1", "--sasl-username", "ada")
    offline.fails(2, "context", "save", "b", "-b", "h:1", "-X", "sasl_plain_password=geheim")
    offline.fails(2, "context", "save", "b", "-b", "h:1", "-X", "ssl.password=geheim")
    assert "geheim" not in file.read_text()
    assert offline.ok("context", "list", "-O", "name").out == "a\n"
    assert file.stat().st_mode & 0o077 == 0


def test_one_that_is_not_there(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    offline.ok("context", "save", "staging", "-b", "h:1")
    for arguments in (["use"], ["show"], ["delete"]):
        assert "did you mean staging?" in offline.fails(3, "context", *arguments, "stagin")
    assert "did you mean staging?" in offline.fails(3, "health", "--context", "stagin")
    monkeypatch.setenv("FLYMQ_CONTEXT", "zzz")
    assert "`flymq-cli context list`" in offline.fails(3, "health")


def test_nothing_to_save(offline: Cli) -> None:
    assert "-b HOST:PORT" in offline.fails(2, "context", "save", "a")
    assert "NAME" in offline.fails(2, "context", "save")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "\xff",
        "[]",
        "5",
        "{}",
        '{"contexts": []}',
        '{"contexts": {"a": 5}, "current": "a"}',
        '{"contexts": {"a": {"timeout": "soon"}}, "current": "a"}',
        '{"contexts": {"a": {"bootstrap_servers": 7}}, "current": "a"}',
        '{"contexts": {"a": {"settings": []}}, "current": "a"}',
    ],
)
def test_a_broken_file_is_named(offline: Cli, file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    for arguments in (["context", "list"], ["health"], ["context", "save", "b", "-b", "h:1"]):
        said = offline.fails(1, *arguments)
        assert str(file) in said
        assert "mend the file, or delete it" in said
    assert file.read_bytes() == text.encode("latin-1")


def test_a_file_that_cannot_be_written(offline: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLYMQ_CONTEXTS", str(tmp_path / "file" / "contexts.json"))
    said = offline.fails(1, "context", "save", "a", "-b", "h:1")
    assert "contexts.json" in said


def test_the_one_in_use_may_be_gone(offline: Cli, file: Path) -> None:
    file.write_text(json.dumps({"current": "gone", "contexts": {}}))
    assert "there is no context gone" in offline.fails(3, "health")
    offline.ok("context", "save", "new", "-b", "h:1")
    offline.ok("context", "use", "new")
    assert offline.ok("context", "show", "-O", "name").out == "h:1\n"


def test_settings_of_a_context_are_used(
    offline: Cli, broker: EmbeddedBroker, fresh_name: Callable[..., str]
) -> None:
    name = fresh_name("client")
    offline.ok("context", "save", "mine", "-b", broker.bootstrap_servers, "-X", f"client_id={name}")
    offline.ok("topics", "list")
    assert broker.requests("Metadata", client_id=name)
