"""`flymq-cli subscribe`: a member of a group that remembers what was printed."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import TIMEOUT_S, Cli, finish, read_until, shell, start

VALUES = ("-F", "%v ")
ALL = ("--from-beginning", "--exit-at-end", *VALUES)


def values(text: str) -> list[str]:
    return sorted(text.split())


def test_reads_what_is_there_and_goes_on_from_there(
    cli: Cli, client: FlyMQClient, broker: EmbeddedBroker, orders: str, group: str
) -> None:
    first = cli.ok("subscribe", orders, "--group", group, *ALL)
    assert values(first.out) == list("abcdef")
    assert first.err == ""
    assert broker.committed(group) == {(orders, 0): 4, (orders, 1): 2}
    assert client.groups.describe(group).members == []
    client.produce(orders, "new", partition=1)
    assert cli.ok("subscribe", orders, "-g", group, "--exit-at-end", *VALUES).out == "new "


def test_begins_at_the_end_and_says_what_is_not_read(cli: Cli, orders: str, group: str) -> None:
    """The first time on a topic with old messages would look broken else."""
    done = cli.ok("subscribe", orders, "-g", group, "--exit-at-end")
    assert done.stdout == b""
    assert f"flymq-cli: group {group} begins at the end of {orders}: 6 older messages are not read" in done.err
    assert "--from-beginning begins with them" in done.err
    assert "auto_offset_reset" not in done.err


@pytest.mark.parametrize("more", [["-q"], ["--from-latest", "-q"]])
def test_quiet_says_nothing(cli: Cli, orders: str, group: str, more: list[str]) -> None:
    assert cli.ok("subscribe", orders, "-g", group, "--exit-at-end", *more).err == ""


def test_from_beginning_of_a_group_that_has_commits_is_a_warning(cli: Cli, orders: str, group: str) -> None:
    cli.ok("subscribe", orders, "-g", group, *ALL)
    done = cli.ok("subscribe", orders, "-g", group, *ALL)
    assert done.stdout == b""
    assert f"--from-beginning has no effect: group {group} goes on with {orders}-0 at 4, {orders}-1 at 2" in done.err
    assert f"`flymq-cli groups reset {group}` makes it begin again" in done.err
    cli.ok("groups", "reset", group)
    assert values(cli.ok("subscribe", orders, "-g", group, "--exit-at-end", *VALUES).out) == list("abcdef")


def test_both_ends_at_once(cli: Cli, orders: str, group: str) -> None:
    assert "exclude each other" in cli.fails(2, "subscribe", orders, "-g", group, "--from-beginning", "--from-latest")


def test_count_commits_what_it_printed(cli: Cli, broker: EmbeddedBroker, topic: str, group: str) -> None:
    broker.seed(topic, [str(n) for n in range(10)])
    assert cli.ok("subscribe", topic, "-g", group, "-n", "4", "--from-beginning", *VALUES).out == "0 1 2 3 "
    assert broker.committed(group) == {(topic, 0): 4}
    assert cli.ok("subscribe", topic, "-g", group, "-n", "4", *VALUES).out == "4 5 6 7 "
    assert cli.ok("subscribe", topic, "-g", group, "-n", "0", *VALUES).out == ""
    assert broker.committed(group) == {(topic, 0): 8}


def test_no_commit_leaves_the_offsets(cli: Cli, broker: EmbeddedBroker, orders: str, group: str) -> None:
    assert values(cli.ok("subscribe", orders, "-g", group, "--no-commit", *ALL).out) == list("abcdef")
    assert broker.committed(group) == {}


def test_idle_timeout(cli: Cli, broker: EmbeddedBroker, orders: str, group: str) -> None:
    done = cli.ok("subscribe", orders, "-g", group, "--from-beginning", "--idle-timeout", "0.5", *VALUES)
    assert values(done.out) == list("abcdef")
    assert broker.committed(group) == {(orders, 0): 4, (orders, 1): 2}


def test_without_a_group_nothing_is_left(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedBroker() as broker:
        monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        broker.seed("t", ["a", "b"])
        assert offline.ok("subscribe", "t", *ALL).out == "a b "
        assert offline.ok("groups", "list", "-O", "name").lines == []


def test_several_topics(cli: Cli, broker: EmbeddedBroker, fresh_name: Callable[..., str], group: str) -> None:
    one, other = fresh_name(), fresh_name()
    broker.seed(one, ["1"])
    broker.seed(other, ["2"])
    assert values(cli.ok("subscribe", one, other, "-g", group, *ALL).out) == ["1", "2"]


@pytest.mark.parametrize(
    ("output", "wanted"), [("json", '"value":"a"'), ("yaml", "value: a\n"), ("name", "a\n"), ("table", "0:0\tk\ta\n")]
)
def test_outputs(cli: Cli, orders: str, group: str, output: str, wanted: str) -> None:
    done = cli.ok("subscribe", orders, "-g", group, "--from-beginning", "--exit-at-end", "-O", output)
    assert wanted in done.out


def test_a_missing_topic_is_created_unless_it_must_not(cli: Cli, topic: str, group: str) -> None:
    assert f"there is no topic {topic}" in cli.fails(3, "subscribe", topic, "-g", group, "--no-create")
    assert topic not in cli.ok("topics", "list", "-O", "name").lines
    cli.ok("subscribe", topic, "-g", group, "--exit-at-end")
    assert topic in cli.ok("topics", "list", "-O", "name").lines


def subscribing(broker: EmbeddedBroker, topic: str, group: str, *more: str) -> Any:
    return start("subscribe", topic, "-g", group, "--from-beginning", *more, servers=broker.bootstrap_servers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_commits_leaves_and_exits_with_0(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, number: signal.Signals
) -> None:
    """Everything printed is committed, and nothing else."""
    broker.seed(topic, [f"m{n}." for n in range(50)])
    with subscribing(broker, topic, group) as process:
        read_until(process.stdout, b"m49.")
        client.produce_many(topic, ["late", "last"]).raise_for_errors()
        read_until(process.stdout, b"last")
        process.send_signal(number)
        done = finish(process)
    assert (done.code, done.err) == (0, "")
    assert broker.committed(group) == {(topic, 0): 52 + done.stdout.count(b"\n")}
    assert client.groups.describe(group).members == []


def test_many_signals_at_once_are_one(broker: EmbeddedBroker, topic: str, group: str) -> None:
    """`timeout 60 flymq-cli subscribe ...` signals the process, and then its process group."""
    broker.seed(topic, ["one"])
    with subscribing(broker, topic, group) as process:
        read_until(process.stdout, b"one")
        for _ in range(5):
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
        done = finish(process)
    assert (done.code, done.err) == (0, "")
    assert broker.committed(group) == {(topic, 0): 1}


def test_a_signal_in_the_middle_of_much(broker: EmbeddedBroker, topic: str, group: str) -> None:
    """What it had printed when it was stopped, is what the group remembers; the rest comes next time."""
    count = 20_000
    broker.seed(topic, [f"{n}".encode() for n in range(count)])
    with subscribing(broker, topic, group, "-F", "%o\\n") as process:
        seen = read_until(process.stdout, b"1000\n")
        process.send_signal(signal.SIGINT)
        done = finish(process)
    printed = seen.count(b"\n") + done.stdout.count(b"\n")
    assert done.code == 0
    assert printed < count
    assert broker.committed(group) == {(topic, 0): printed}


def test_what_a_reader_did_not_take_is_not_committed(broker: EmbeddedBroker, topic: str, group: str) -> None:
    """`| head -1`: no traceback, exit 0; the batch that could not be written comes again."""
    broker.seed(topic, [f"{n}".encode() + bytes(5000) for n in range(2000)])
    line = f"flymq-cli subscribe {topic} -g {group} --from-beginning | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = shell(line, broker.bootstrap_servers)
    assert (done.code, done.err) == (0, "")
    assert broker.committed(group).get((topic, 0), 0) < 2000


def test_a_group_with_two_members_shares(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    broker.create_topics({topic: 2})
    with subscribing(broker, topic, group, *VALUES) as one, subscribing(broker, topic, group, *VALUES) as other:
        broker.wait_for_group(group, members=2, timeout=TIMEOUT_S)
        for n in range(2):
            client.produce(topic, f"p{n}", partition=n)
        broker.wait_for_group(group, members=2, timeout=TIMEOUT_S)
        seen = [process.stdout.read(3) for process in (one, other)]
        assert sorted(seen) == [b"p0 ", b"p1 "]
        for process in (one, other):
            process.send_signal(signal.SIGTERM)
            assert finish(process).code == 0
    assert broker.committed(group) == {(topic, 0): 1, (topic, 1): 1}


def test_exit_at_end_before_it_is_a_member_is_no_end(
    cli: Cli, client: FlyMQClient, broker: EmbeddedBroker, orders: str, group: str
) -> None:
    """Another member that does not rejoin keeps the group waiting: exiting with 0 would say that all was read."""
    with client.consumer(orders, group):
        broker.wait_for_group(group, members=1, timeout=TIMEOUT_S)
        said = cli.fails(4, "subscribe", orders, "-g", group, "--timeout", "1", *ALL)
    assert f"no partition of group {group} within 1 s" in said
    assert f"`flymq-cli groups describe {group}`" in said


def test_interrupted_before_there_is_a_broker(topic: str) -> None:
    """Nobody waits for a connection that he does not want any more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        with start("subscribe", topic, servers=where, stdin=subprocess.DEVNULL) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                done = finish(process)
    assert done.code == 130
    assert "Traceback" not in done.err
