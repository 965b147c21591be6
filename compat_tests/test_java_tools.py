"""Kafka's own command-line tools, and so its Java clients, against FlyMQ."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from compat_tests import java_tools
from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import CODECS
from compat_tests.real_lines import real_lines

pytestmark = [pytest.mark.compat, pytest.mark.scenario("admin", client="Kafka's tools")]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("data")) as broker:
        yield broker
        code, _ = broker.stop()
        assert code == 0
        assert broker.stderr == ""


def topics(broker: BrokerProcess, *arguments: str) -> str:
    return java_tools.run(java_tools.TOPICS, "--bootstrap-server", broker.bootstrap_servers, *arguments)


def test_topics_are_created_listed_described_and_deleted(broker: BrokerProcess) -> None:
    made = "--topic", "made-in-java", "--partitions", "3", "--config", "retention.ms=5000"
    created = topics(broker, "--create", *made)
    assert "Created topic made-in-java." in created
    assert "made-in-java" in topics(broker, "--list").split()
    described = topics(broker, "--describe", "--topic", "made-in-java")
    assert "PartitionCount: 3" in described
    assert "retention.ms=5000" in described
    assert len(re.findall(r"Leader: 1\tReplicas: 1\tIsr: 1", described)) == 3
    topics(broker, "--delete", "--topic", "made-in-java")
    assert "made-in-java" not in topics(broker, "--list").split()


@pytest.mark.parametrize("codec", CODECS)
def test_lines_go_through_a_group(codec: str, broker: BrokerProcess) -> None:
    """The console tools read lines as text: those that are not UTF-8 are left out."""
    topic, group = f"console-{codec}", f"group-{codec}"
    bootstrap = "--bootstrap-server", broker.bootstrap_servers
    lines = [line for line in real_lines(3000) if _is_plain(line)]
    topics(broker, "--create", "--topic", topic, "--partitions", "1")
    java_tools.run(
        java_tools.CONSOLE_PRODUCER, *bootstrap, "--topic", topic, "--compression-codec", codec,
        "--command-property", "acks=all", stdin=b"".join(line + b"\n" for line in lines),
    )  # fmt: skip
    consumed = java_tools.run(
        java_tools.CONSOLE_CONSUMER, *bootstrap, "--topic", topic, "--group", group, "--from-beginning",
        "--max-messages", str(len(lines)), "--timeout-ms", "30000", "--command-property", "group.protocol=classic",
    )  # fmt: skip
    assert consumed.encode() == b"".join(line + b"\n" for line in lines)

    offsets = java_tools.run(java_tools.GET_OFFSETS, *bootstrap, "--topic", topic)
    assert offsets.split() == [f"{topic}:0:{len(lines)}"]
    described = java_tools.run(java_tools.CONSUMER_GROUPS, *bootstrap, "--describe", "--group", group)
    row = next(line.split() for line in described.splitlines() if line.startswith(group))
    assert row[1:6] == [topic, "0", str(len(lines)), str(len(lines)), "0"]
    assert group in java_tools.run(java_tools.CONSUMER_GROUPS, *bootstrap, "--list").split()
    state = java_tools.run(java_tools.CONSUMER_GROUPS, *bootstrap, "--describe", "--group", group, "--state")
    assert "Empty" in state
    deleted = java_tools.run(java_tools.CONSUMER_GROUPS, *bootstrap, "--delete", "--group", group)
    assert "successful" in deleted
    assert group not in java_tools.run(java_tools.CONSUMER_GROUPS, *bootstrap, "--list").split()


def test_a_group_with_a_member_is_described(broker: BrokerProcess) -> None:
    bootstrap = "--bootstrap-server", broker.bootstrap_servers
    topics(broker, "--create", "--topic", "watched", "--partitions", "2")
    command = java_tools.command(
        java_tools.CONSOLE_CONSUMER, *bootstrap, "--topic", "watched", "--group", "watchers", "--from-beginning"
    )
    java_tools.run(java_tools.CONSOLE_PRODUCER, *bootstrap, "--topic", "watched", stdin=b"one line\n")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as consumer:
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"one line\n"
        describe = java_tools.CONSUMER_GROUPS, *bootstrap, "--describe", "--group", "watchers"
        members = java_tools.run(*describe, "--members")
        state = java_tools.run(*describe, "--state")
        consumer.terminate()
        consumer.wait(30)
    (row,) = (line.split() for line in members.splitlines() if line.startswith("watchers"))
    assert row[-1] == "2"
    assert "Stable" in state
    assert "range" in state


def test_settings_are_described(broker: BrokerProcess) -> None:
    bootstrap = "--bootstrap-server", broker.bootstrap_servers
    topics(broker, "--create", "--topic", "with-settings", "--config", "max.message.bytes=123456")
    describe = java_tools.CONFIGS, *bootstrap, "--describe", "--all"
    of_topic = java_tools.run(*describe, "--entity-type", "topics", "--entity-name", "with-settings")
    assert "max.message.bytes=123456" in of_topic
    assert "retention.ms=604800000" in of_topic
    of_broker = java_tools.run(*describe, "--entity-type", "brokers", "--entity-name", "1")
    assert "num.partitions=1" in of_broker


def test_versions_of_the_apis_are_read(broker: BrokerProcess) -> None:
    told = java_tools.run(java_tools.API_VERSIONS, "--bootstrap-server", broker.bootstrap_servers)
    assert re.search(r"Produce\(0\): 0 to 13 \[usable: 13\]", told)
    assert "UNSUPPORTED" in told  # transactions, share groups: see known_gaps.toml


def _is_plain(line: bytes) -> bool:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return False
    return "\r" not in text
