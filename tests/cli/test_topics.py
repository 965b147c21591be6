"""`flymq-cli topics`: list, create, describe, config, delete. `topics copy` is in test_topics_copy.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import Cli, Terminal


def test_list(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedBroker(topics={"orders": 3, "bills": 1}) as broker:
        monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        assert offline.ok("topics", "list").lines == [
            "NAME    PARTITIONS  REPLICATION FACTOR",
            "bills            1                   1",
            "orders           3                   1",
        ]
        assert offline.ok("topics", "list", "-O", "name").out == "bills\norders\n"
        row = {"name": "bills", "partitions": 1, "replication_factor": 1, "internal": False}
        assert offline.ok("topics", "list", "-O", "json").json[0] == row
        assert yaml.safe_load(offline.ok("topics", "list", "-O", "yaml").out)[0] == row


def test_create_with_partitions_and_settings(cli: Cli, client: FlyMQClient, topic: str) -> None:
    settings = ["-c", "retention.ms=86400000", "-c", "segment.ms= 60000"]
    done = cli.ok("topics", "create", topic, "--partitions", "3", *settings)
    assert (done.stdout, done.err) == (b"", f"flymq-cli: topic {topic} created\n")
    found = client.topics.describe(topic)
    assert len(found.partitions) == 3
    assert {name: value.value for name, value in found.config.items()} == {
        "retention.ms": "86400000", "segment.ms": "60000",
    }  # fmt: skip


def test_create_one_that_is_there(cli: Cli, orders: str) -> None:
    assert orders in cli.fails(6, "topics", "create", orders)
    assert cli.ok("topics", "create", orders, "--if-not-exists").err == f"flymq-cli: topic {orders} is there\n"


def test_create_some_of_them_is_partly_done(cli: Cli, orders: str, fresh_name: Callable[..., str]) -> None:
    new = fresh_name("new")
    done = cli("topics", "create", new, orders)
    assert done.code == 7
    assert f"topic {new} created" in done.err
    assert f"topic {orders} created" not in done.err
    assert new in cli.ok("topics", "list", "-O", "name").lines


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["bad/name"], "can't be the name of a topic"),
        (["t", "-c", "retention.msx=5"], "did you mean retention.ms"),
        (["t", "-c", "retention.ms=abc"], "retention.ms can't be"),
        (["t", "-c", "retention.ms"], "is not KEY=VALUE"),
        (["t", "--partitions", "0"], "--partitions"),
        (["t", "--partitions", "many"], "--partitions"),
        (["t", "--replication-factor", "3"], "there is 1 broker"),
        ([], "TOPIC"),
    ],
)
def test_create_what_cannot_be(cli: Cli, arguments: list[str], why: str) -> None:
    assert why in cli.fails(2, "topics", "create", *arguments)


def test_describe(cli: Cli, client: FlyMQClient, orders: str) -> None:
    topic_id = client.topics.describe(orders).topic_id
    assert cli.ok("topics", "describe", orders).lines == [
        f"topic       {orders}",
        f"id          {topic_id}",
        "partitions  2",
        "settings    -",
        "",
        "PARTITION  LEADER  REPLICAS  ISR  START  END",
        "        0       1  1         1        0    4",
        "        1       1  1         1        0    2",
    ]
    found = cli.ok("topics", "describe", orders, "-O", "json").json
    assert found["partitions"][1] == {
        "partition": 1, "leader": 1, "replicas": [1], "isr": [1], "start": 0, "end": 2,
    }  # fmt: skip
    assert yaml.safe_load(cli.ok("topics", "describe", orders, "-O", "yaml").out) == found
    assert cli.ok("topics", "describe", orders, "-O", "name").out == f"{orders}\n"


def test_config(cli: Cli, orders: str, fresh_name: Callable[..., str]) -> None:
    topic = fresh_name()
    cli.ok("topics", "create", topic, "-c", "retention.ms=5000")
    assert cli.ok("topics", "config", topic).lines == [
        "NAME          VALUE  SOURCE",
        "retention.ms  5000   DYNAMIC_TOPIC_CONFIG",
    ]
    everything = cli.ok("topics", "config", topic, "--all", "-O", "name").lines
    assert {"retention.ms", "cleanup.policy", "max.message.bytes"} <= set(everything)
    (row,) = cli.ok("topics", "config", topic, "-O", "json").json
    assert (row["name"], row["value"]) == ("retention.ms", "5000")
    assert "--all shows those that are in force" in cli.ok("topics", "config", orders).err


def test_delete(cli: Cli, orders: str) -> None:
    assert cli.ok("topics", "delete", orders, "--yes").err == f"flymq-cli: topic {orders} is gone\n"
    assert orders not in cli.ok("topics", "list", "-O", "name").lines
    cli.ok("topics", "delete", orders, "--yes", "--if-exists")


def test_delete_asks_and_does_nothing_where_nobody_is_there(cli: Cli, orders: str) -> None:
    said = cli.fails(2, "topics", "delete", orders)
    assert f"Delete {orders} with all messages? Nobody is there to ask\n  give --yes" in said
    assert orders in cli.ok("topics", "list", "-O", "name").lines


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, False), ("n\n", 130, True), ("\x03", 130, True)])
def test_delete_does_as_it_is_answered(
    cli: Cli, broker: EmbeddedBroker, orders: str, answer: str, code: int, left: bool
) -> None:
    with Terminal(f"exec flymq-cli topics delete {orders}", broker.bootstrap_servers) as terminal:
        terminal.read_until("[y/N]: ")
        if answer == "\x03":
            assert terminal.interrupt().code == code
        else:
            terminal.type(answer)
            assert terminal.finish().code == code
    assert (orders in cli.ok("topics", "list", "-O", "name").lines) == left


def test_delete_some_of_them_is_partly_done(cli: Cli, orders: str) -> None:
    done = cli("topics", "delete", "qqqq", orders, "wwww", "-y")
    assert done.code == 7
    assert f"topic {orders} is gone" in done.err
    assert "there is no topic qqqq" in done.err
    assert "there is no topic wwww" in done.err


def test_nobody_is_told_to_create_what_is_to_be_deleted(cli: Cli, orders: str) -> None:
    said = cli.fails(3, "topics", "delete", "qqqq", "-y")
    assert "`flymq-cli topics list` lists what there is" in said
    assert "topics create" not in said
    assert f"did you mean {orders}?" in cli.fails(3, "topics", "delete", f"{orders}x", "-y")


@pytest.mark.parametrize("command", ["describe", "config"])
def test_one_that_is_not_there(cli: Cli, orders: str, command: str) -> None:
    assert f"did you mean {orders}?" in cli.fails(3, "topics", command, f"{orders}x")
    cli.fails(2, "topics", command)
