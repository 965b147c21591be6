"""Apache Kafka's own consumer in groups of KIP-848, and what its tools say of them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from compat_tests import java_tools
from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import create_topic
from compat_tests.consumer_groups import CLASSIC, Member, until, until_shared

pytestmark = [pytest.mark.compat, pytest.mark.scenario("groups KIP-848", client="Java 4.3.1")]

COUNT = 1000
NEW = "--command-property", "group.protocol=consumer"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("data")) as broker:
        yield broker


def describe(broker: BrokerProcess, group: str, *arguments: str) -> list[list[str]]:
    """The tool's rows about the group."""
    told = java_tools.run(
        java_tools.CONSUMER_GROUPS, "--bootstrap-server", broker.bootstrap_servers, "--describe", "--group", group,
        *arguments,
    )
    return [line.split() for line in told.splitlines() if line.startswith(group)]


@contextlib.contextmanager
def live_consumer(broker: BrokerProcess, topic: str, group: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = java_tools.command(
        java_tools.CONSOLE_CONSUMER, "--bootstrap-server", broker.bootstrap_servers, "--topic", topic, "--group", group,
        "--from-beginning", *arguments,
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as consumer:
        try:
            yield consumer
        finally:
            consumer.terminate()
            consumer.wait(30)


def produce(broker: BrokerProcess, topic: str, lines: bytes) -> None:
    java_tools.run(
        java_tools.CONSOLE_PRODUCER, "--bootstrap-server", broker.bootstrap_servers, "--topic", topic, stdin=lines
    )


def test_it_reads_everything_and_goes_on_where_it_was(broker: BrokerProcess) -> None:
    topic, group = "java-reads", "java-readers"
    create_topic(broker.bootstrap_servers, topic, 3)
    for turn in range(2):
        lines = [b"%d" % number for number in range(turn * COUNT, (turn + 1) * COUNT)]
        produce(broker, topic, b"".join(line + b"\n" for line in lines))
        consumed = java_tools.run(
            java_tools.CONSOLE_CONSUMER, "--bootstrap-server", broker.bootstrap_servers, "--topic", topic,
            "--group", group, "--from-beginning", "--max-messages", str(COUNT), "--timeout-ms", "30000", *NEW,
        )
        assert sorted(consumed.encode().split()) == sorted(lines)
        rows = describe(broker, group)
        assert sum(int(row[3]) for row in rows) == (turn + 1) * COUNT
        assert [row[5] for row in rows] == ["0"] * 3
    (state,) = describe(broker, group, "--state")
    assert "Empty" in state


def test_a_live_group_is_described(broker: BrokerProcess) -> None:
    topic, group = "java-watched", "java-watchers"
    create_topic(broker.bootstrap_servers, topic, 2)
    produce(broker, topic, b"one line\n")
    with live_consumer(broker, topic, group, *NEW) as consumer:
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"one line\n"
        (member,) = describe(broker, group, "--members", "--verbose")
        (state,) = describe(broker, group, "--state", "--verbose")
        listed = java_tools.run(
            java_tools.CONSUMER_GROUPS, "--bootstrap-server", broker.bootstrap_servers, "--list", "--type", "consumer"
        )
    assert f"{topic}:0,1" in " ".join(member)
    assert "Stable" in state
    assert "uniform" in state
    assert group in listed.split()


@pytest.mark.parametrize("arguments", [NEW, ()], ids=["new", "classic"])
def test_it_shares_with_librdkafka(broker: BrokerProcess, arguments: tuple[str, ...]) -> None:
    """In the second case the other is new, and Java's consumer classic, until the other leaves."""
    topic, group = f"shared-{len(arguments)}", f"sharers-{len(arguments)}"
    create_topic(broker.bootstrap_servers, topic, 4)
    produce(broker, topic, b"one line\n")
    with live_consumer(broker, topic, group, *arguments) as consumer:
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"one line\n"
        with Member(broker.bootstrap_servers, group, [topic]) as member:
            until(lambda: len(member.owned) == 2)
            members = describe(broker, group, "--members")
            assert len(members) == 2
    with Member(broker.bootstrap_servers, group, [topic], CLASSIC) as alone:  # an empty group, either way
        until_shared([alone], topic, 4)
