"""`flymq-cli produce`: arguments, lines, tombstones. JSON Lines are in test_jsonl.py."""

from __future__ import annotations

import signal
import subprocess

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker
from tests.cli.kit import Cli, Terminal, finish, shell, start, wait_until


def test_each_argument_is_a_message(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    done = cli.ok("produce", topic, "two coffees", "tea", "-k", "ada", "-H", "a=1", "-H", "a=x=y", "-H", "e=")
    assert done.stdout == b""
    assert done.err == f"flymq-cli: 2 messages to {topic}\n"
    assert [(m.key, m.value, list(m.headers)) for m in broker.records(topic)] == [
        (b"ada", value, [("a", b"1"), ("a", b"x=y"), ("e", b"")]) for value in (b"two coffees", b"tea")
    ]


def test_json_says_where_each_is(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    broker.create_topics({topic: 3})
    found = cli.ok("produce", topic, "a", "b", "-p", "2", "-O", "json").json_lines
    assert [(row["topic"], row["partition"], row["offset"]) for row in found] == [(topic, 2, 0), (topic, 2, 1)]


def test_each_line_is_a_message(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    """As they are: no decoding, no trimming; the last one needs no end."""
    cli.ok("produce", topic, stdin=b"one\n\n two \r\n\xff\xfe\nlast")
    assert [m.value for m in broker.records(topic)] == [b"one", b"", b" two \r", b"\xff\xfe", b"last"]


def test_nothing_is_no_message(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    assert cli.ok("produce", topic).err == f"flymq-cli: 0 messages to {topic}\n"


def test_keys_and_tombstones_in_lines(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    lines = b"ada:two:coffees\nbob:NULL\n:no key\n"
    cli.ok("produce", topic, "--key-separator", ":", "--null-value", "NULL", stdin=lines)
    assert [(m.key, m.value) for m in broker.records(topic)] == [
        (b"ada", b"two:coffees"), (b"bob", None), (b"", b"no key"),
    ]  # fmt: skip


def test_a_line_without_its_key_ends_it(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    said = cli.fails(7, "produce", topic, "--key-separator", ":", stdin=b"a:1\nb\nc:3\n")
    assert "line 2 of stdin has no ':'" in said
    assert f"1 message before that arrived in {topic}" in said
    assert [m.value for m in broker.records(topic)] == [b"1"]
    cli.fails(2, "produce", topic, "--key-separator", ":", stdin=b"b\n")


def test_a_tombstone_has_a_key_and_no_value(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    cli.ok("produce", topic, "-k", "ada", "--tombstone")
    assert [(m.key, m.value) for m in broker.records(topic)] == [(b"ada", None)]
    assert "--tombstone" in cli.fails(2, "produce", topic, "--tombstone")
    assert "--tombstone" in cli.fails(2, "produce", topic, "x", "-k", "ada", "--tombstone")


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compressed(cli: Cli, broker: EmbeddedBroker, topic: str, compression: str) -> None:
    cli.ok("produce", topic, "x" * 1000, "--compression", compression)
    assert [m.value for m in broker.records(topic)] == [b"x" * 1000]


def test_a_missing_topic_is_created_unless_it_must_not(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    assert f"there is no topic {topic}" in cli.fails(3, "produce", topic, "x", "--no-create")
    assert topic not in cli.ok("topics", "list", "-O", "name").lines
    cli.ok("produce", topic, "x")
    cli.ok("produce", topic, "y", "--no-create")
    assert [m.value for m in broker.records(topic)] == [b"x", b"y"]


def test_a_partition_that_is_not_there(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    broker.create_topics({topic: 2})
    assert f"{topic} has no partition 5: it has 2" in cli.fails(3, "produce", topic, "x", "-p", "5")
    assert broker.records(topic) == []


def test_a_value_that_looks_like_an_option(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    assert "-- -5" in cli.fails(2, "produce", topic, "-5")
    cli.ok("produce", topic, "--", "-5")
    assert [m.value for m in broker.records(topic)] == [b"-5"]


@pytest.mark.parametrize("header", ["x", "=x", ""])
def test_a_header_that_is_none(cli: Cli, topic: str, header: str) -> None:
    assert "is not NAME=VALUE\n  write -H trace=a1" in cli.fails(2, "produce", topic, "x", "-H", header)


def test_a_name_that_no_topic_has(cli: Cli) -> None:
    assert "can't be the name of a topic" in cli.fails(2, "produce", "bad/name", "x")


def test_a_message_that_is_too_large(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    said = cli.fails(7, "produce", topic, stdin=b"small\n" + b"x" * 3_000_000 + b"\nafter\n")
    assert "-X max_request_size=" in said
    assert [m.value for m in broker.records(topic)] == [b"small"]
    cli.fails(1, "produce", topic, stdin=b"x" * 3_000_000)


def test_arguments_that_are_no_text_arrive_as_they_are(broker: EmbeddedBroker, topic: str) -> None:
    done = shell(f"flymq-cli produce {topic} $'\\xff\\xfe' -k $'\\xfd'", broker.bootstrap_servers)
    assert done.code == 0, done.err
    assert [(m.key, m.value) for m in broker.records(topic)] == [(b"\xfd", b"\xff\xfe")]


def test_a_line_is_sent_when_it_comes(broker: EmbeddedBroker, topic: str) -> None:
    """Not at the end of the input: `tail -f log | flymq-cli produce log`."""
    with start("produce", topic, servers=broker.bootstrap_servers, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for n in range(3):
            process.stdin.write(b"%d\n" % n)
            process.stdin.flush()
            broker.expect(topic, n + 1, timeout=30)
        done = finish(process)
    assert (done.code, done.err) == (0, f"flymq-cli: 3 messages to {topic}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits_for_input(broker: EmbeddedBroker, topic: str, number: signal.Signals) -> None:
    with start("produce", topic, servers=broker.bootstrap_servers, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"one\ntwo\nhal")
        process.stdin.flush()
        broker.expect(topic, 2, timeout=30)
        process.send_signal(number)
        done = finish(process)
    assert (done.code, done.err) == (130, f"flymq-cli: 2 messages to {topic}, then interrupted\n")
    assert [m.value for m in broker.records(topic)] == [b"one", b"two"]


def test_interrupted_while_it_sends(broker: EmbeddedBroker, topic: str) -> None:
    """What it says has arrived has, and nothing else."""
    line = f"yes 0123456789 | exec flymq-cli produce {topic}"
    with Terminal(line, broker.bootstrap_servers) as terminal:
        broker.expect(topic, 1, timeout=30)
        done = terminal.interrupt()
    assert done.code == 130
    (said,) = [text for text in done.lines if "interrupted" in text]
    assert f"{len(broker.records(topic)):,} messages to {topic}" in said


def test_a_broker_that_dies_meanwhile(topic: str) -> None:
    """7: some arrived, and how many is said."""
    with BrokerProcess(None) as broker:
        servers = broker.bootstrap_servers
        with start("produce", topic, "--timeout", "2", servers=servers, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            process.stdin.write(b"one\ntwo\n")
            process.stdin.flush()
            wait_until(lambda: shell(f"flymq-cli consume {topic}", servers).out.count("\n") == 2, "two messages")
            broker.kill()
            process.stdin.write(b"three\n")
            done = finish(process)
    assert done.code == 7, done
    assert f"2 messages before that arrived in {topic}" in done.err
    assert "Traceback" not in done.err


def test_somebody_at_a_terminal_is_told_how_it_ends(broker: EmbeddedBroker, topic: str) -> None:
    with Terminal(f"flymq-cli produce {topic}", broker.bootstrap_servers) as terminal:
        terminal.read_until("Ctrl-D")
        terminal.type("hello\n\x04")
        done = terminal.finish()
    assert done.code == 0
    assert [m.value for m in broker.records(topic)] == [b"hello"]
