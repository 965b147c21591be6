"""`flymq-cli tail`: the last messages, and those that come."""

from __future__ import annotations

import signal

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import Cli, finish, read_until, shell, start

VALUES = ("-F", "%v ")


def test_the_last_ones_by_their_time(cli: Cli, orders: str) -> None:
    assert cli.ok("tail", orders, *VALUES).out == "a b c d e f "
    assert cli.ok("tail", orders, "-n", "3", *VALUES).out == "d e f "
    assert cli.ok("tail", orders, "-n", "3", "-p", "0", *VALUES).out == "b c d "
    assert cli.ok("tail", orders, "-n", "0", *VALUES).out == ""


def test_ten_unless_told(cli: Cli, broker: EmbeddedBroker, topic: str) -> None:
    broker.seed(topic, [str(n) for n in range(25)])
    assert cli.ok("tail", topic, "-O", "name").lines == [str(n) for n in range(15, 25)]
    assert [row["offset"] for row in cli.ok("tail", topic, "-O", "json").json_lines] == list(range(15, 25))


def test_joins_no_group_and_commits_nothing(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedBroker() as broker:
        monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        broker.seed("t", ["a"])
        offline.ok("tail", "t")
        offline.fails(3, "tail", "missing")
        seen = {request.api for request in broker.requests(client_id="flymq-cli")}
        assert seen == {"ApiVersions", "Metadata", "ListOffsets", "Fetch"}
        assert offline.ok("topics", "list", "-O", "name").lines == ["t"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follows_until_a_signal(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, number: signal.Signals
) -> None:
    broker.seed(topic, ["old"])
    with start("tail", topic, "-f", servers=broker.bootstrap_servers) as process:
        assert process.stdout is not None
        read_until(process.stdout, b"old")
        for value in ("new", "newer"):
            client.produce(topic, value)
            read_until(process.stdout, value.encode())
        process.send_signal(number)
        done = finish(process)
    assert (done.code, done.stdout, done.err) == (0, b"", "")


def test_a_broker_that_is_away_does_not_keep_it_from_ending(topic: str) -> None:
    with BrokerProcess(None) as broker:
        servers = broker.bootstrap_servers
        shell(f"flymq-cli produce {topic} before", servers)
        with start("tail", topic, "-f", servers=servers) as process:
            assert process.stdout is not None
            read_until(process.stdout, b"before")
            shell(f"flymq-cli produce {topic} during", servers)
            read_until(process.stdout, b"during")
            broker.kill()
            process.send_signal(signal.SIGINT)
            done = finish(process)
    assert (done.code, done.err) == (0, "")


def test_a_wrong_topic_gets_a_suggestion(cli: Cli, orders: str) -> None:
    assert f"did you mean {orders}?" in cli.fails(3, "tail", f"{orders}x")
