"""`flymq-cli groups`: list, describe, members, offsets, lag, delete. `groups reset` is in test_groups_reset.py."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import TIMEOUT_S, Cli, Terminal, finish, read_until, start
from tests.wire.client import Client
from tests.wire.kit import Topic, enter


@pytest.fixture
def kitchen(cli: Cli, orders: str, group: str) -> str:
    """A group without members that has read all of partition 0 and nothing of partition 1 but its first."""
    cli.ok("groups", "reset", group, "-t", orders, "--to", "latest")
    cli.ok("groups", "reset", group, "-t", orders, "-p", "1", "--to", "1")
    return group


@pytest.fixture
def ada(broker: EmbeddedBroker, orders: str, group: str) -> Iterator[None]:
    """A member of `group` that has all of `orders`, and commits nothing."""
    with (
        FlyMQClient(broker.bootstrap_servers, client_id="ada") as client,
        client.consumer(orders, group, auto_commit=False),
    ):
        broker.wait_for_group(group, members=1, timeout=TIMEOUT_S)
        yield


def test_list(offline: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedBroker(topics={"t": 1}) as broker:
        monkeypatch.setenv("FLYMQ_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
        assert offline.ok("groups", "list").lines == ["GROUP ID  GROUP TYPE  STATE  PROTOCOL TYPE"]
        offline.ok("groups", "reset", "kitchen", "-t", "t")
        assert offline.ok("groups", "list", "-O", "name").out == "kitchen\n"
        (row,) = offline.ok("groups", "list", "-O", "json").json
        assert (row["group_id"], row["group_type"], row["state"]) == ("kitchen", "classic", "Empty")
        assert yaml.safe_load(offline.ok("groups", "list", "-O", "yaml").out) == [row]


def test_describe_one_without_members(cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str) -> None:
    space = " " * (len(orders) - 5)
    assert cli.ok("groups", "describe", kitchen).lines == [
        f"group        {kitchen}",
        "type         classic",
        "state        Empty",
        "protocol     -",
        f"coordinator  {broker.bootstrap_servers} (id 1)",
        "",
        f"TOPIC{space}  PARTITION  COMMITTED  END  LAG  CLIENT ID  HOST",
        f"{orders}          0          4    4    0          -     -",
        f"{orders}          1          1    2    1          -     -",
    ]
    assert cli.ok("groups", "describe", kitchen, "-O", "name").out == f"{kitchen}\n"
    found = cli.ok("groups", "describe", kitchen, "-O", "json").json
    assert (found["state"], found["members"], [row["lag"] for row in found["partitions"]]) == ("Empty", [], [0, 1])
    assert yaml.safe_load(cli.ok("groups", "describe", kitchen, "-O", "yaml").out) == found


def test_describe_one_with_members(cli: Cli, ada: None, orders: str, group: str) -> None:
    text = cli.ok("groups", "describe", group).out
    assert "state        Stable" in text
    assert "CLIENT ID  HOST" in text
    assert f"{orders}-0,{orders}-1" in text
    found = cli.ok("groups", "describe", group, "-O", "json").json
    (member,) = found["members"]
    assert (member["client_id"], member["host"]) == ("ada", "/127.0.0.1")
    assert [(row["partition"], row["client_id"], row["committed"]) for row in found["partitions"]] == [
        (0, "ada", None), (1, "ada", None),
    ]  # fmt: skip


def test_members(cli: Cli, ada: None, group: str, orders: str) -> None:
    title, row = cli.ok("groups", "members", group).lines
    assert title.split() == ["CLIENT", "ID", "HOST", "MEMBER", "ID", "PARTITIONS"]
    (member,) = cli.ok("groups", "members", group, "-O", "json").json
    assert row.split() == ["ada", "/127.0.0.1", member["member_id"], f"{orders}-0,{orders}-1"]
    assert cli.ok("groups", "members", group, "-O", "name").out == member["member_id"] + "\n"


def test_offsets(cli: Cli, kitchen: str, orders: str, fresh_name: Callable[..., str]) -> None:
    assert cli.ok("groups", "offsets", kitchen, "-O", "json").json == [
        {"topic": orders, "partition": 0, "committed": 4},
        {"topic": orders, "partition": 1, "committed": 1},
    ]
    assert cli.ok("groups", "offsets", kitchen).lines[1].split() == [orders, "0", "4"]
    assert cli.ok("groups", "offsets", kitchen, "-O", "name").out == f"{orders}\n"
    cli.fails(3, "groups", "offsets", fresh_name("nobody"))


def test_lag(cli: Cli, kitchen: str, orders: str) -> None:
    rows = cli.ok("groups", "lag", kitchen, "-O", "json").json
    assert [(row["topic"], row["partition"], row["committed"], row["end"], row["lag"]) for row in rows] == [
        (orders, 0, 4, 4, 0), (orders, 1, 1, 2, 1),
    ]  # fmt: skip
    assert cli.ok("groups", "lag", kitchen).lines[2].split() == [orders, "1", "1", "2", "1", "-", "-"]
    assert yaml.safe_load(cli.ok("groups", "lag", kitchen, "-O", "yaml").out) == rows
    assert cli.ok("groups", "lag", kitchen, "-O", "name").lines == [orders]


def test_fail_above(cli: Cli, kitchen: str) -> None:
    cli.ok("groups", "lag", kitchen, "--fail-above", "1")
    done = cli("groups", "lag", kitchen, "--fail-above", "0")
    assert done.code == 6
    assert f"group {kitchen} is 1 messages behind, more than 0" in done.err
    assert len(done.lines) == 3


def test_fail_above_counts_what_was_never_committed(cli: Cli, ada: None, group: str) -> None:
    cli.ok("groups", "lag", group, "--fail-above", "6")
    assert cli("groups", "lag", group, "--fail-above", "5").code == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_until_a_signal(
    broker: EmbeddedBroker, kitchen: str, orders: str, number: signal.Signals
) -> None:
    """A JSON document a line; looks again, and sees what has changed."""
    with start("groups", "lag", kitchen, "--watch", "-O", "json", servers=broker.bootstrap_servers) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        broker.seed(orders, [{"value": "new", "partition": 0}])
        second = json.loads(process.stdout.readline())
        process.send_signal(number)
        done = finish(process)
    assert [[row["lag"] for row in rows] for rows in (first, second)] == [[0, 1], [1, 1]]
    assert (done.code, done.err) == (0, "")


def test_watch_with_a_limit_ends_when_it_is_passed(broker: EmbeddedBroker, kitchen: str, orders: str) -> None:
    watching = ("groups", "lag", kitchen, "--watch", "--fail-above", "1")
    with start(*watching, servers=broker.bootstrap_servers) as process:
        assert process.stdout is not None
        read_until(process.stdout, f"{orders}          1".encode())
        broker.seed(orders, [{"value": "new", "partition": 0}])
        done = finish(process)
    assert done.code == 6
    assert "2 messages behind, more than 1" in done.err


def test_watch_redraws_a_terminal(broker: EmbeddedBroker, kitchen: str) -> None:
    with Terminal(f"exec flymq-cli groups lag {kitchen} --watch", broker.bootstrap_servers) as terminal:
        terminal.read_until("\x1b[2J")
        terminal.read_until("LAG")
        assert terminal.interrupt().code == 0


def test_delete(cli: Cli, kitchen: str) -> None:
    assert "Nobody is there to ask" in cli.fails(2, "groups", "delete", kitchen)
    assert cli.ok("groups", "delete", kitchen, "--yes").err == f"flymq-cli: group {kitchen} is gone\n"
    cli.fails(3, "groups", "delete", kitchen, "--yes")
    cli.ok("groups", "delete", kitchen, "--yes", "--if-exists")


def test_delete_refuses_one_with_members_and_names_them(cli: Cli, ada: None, group: str) -> None:
    said = cli.fails(6, "groups", "delete", group, "--yes")
    assert "ada" in said
    assert "127.0.0.1" in said


def test_delete_some_of_them_is_partly_done(cli: Cli, kitchen: str) -> None:
    done = cli("groups", "delete", kitchen, "qqqq", "-y")
    assert done.code == 7
    assert f"group {kitchen} is gone" in done.err
    assert "there is no group qqqq" in done.err


@pytest.mark.parametrize("command", ["describe", "members", "offsets", "lag", "reset"])
def test_one_that_is_not_there(cli: Cli, kitchen: str, command: str) -> None:
    assert f"there is no group {kitchen}x\n  did you mean {kitchen}?" in cli.fails(3, "groups", command, f"{kitchen}x")
    cli.fails(2, "groups", command)


def test_names_of_several_topics(cli: Cli, client: FlyMQClient, group: str, fresh_name: Callable[..., str]) -> None:
    names = sorted([fresh_name("a"), fresh_name("b")])
    for name in names:
        client.create_topic(name)
    cli.ok("groups", "reset", group, "-t", names[0], "-t", names[1])
    assert cli.ok("groups", "lag", group, "-O", "name").lines == names


def shown(partitions: list[dict[str, Any]]) -> str:
    return ",".join(f"{at['topic']}-{at['partition']}" for at in partitions)


def test_a_consumer_group(cli: Cli, broker: EmbeddedBroker, orders: str, group: str) -> None:
    """Of KIP-848. Its second member waits for what the first has not given up yet."""
    with Client(broker.port) as wire:
        topic = Topic(orders, b"")
        enter(wire, group, topic, "ada")
        (member,) = cli.ok("groups", "members", group, "-O", "json").json
        assert (member["member_id"], member["protocol"], member["epoch"]) == ("ada", "consumer", 1)
        title, row = cli.ok("groups", "members", group).lines
        assert title == "CLIENT ID  HOST        MEMBER ID  PROTOCOL  EPOCH  PARTITIONS"
        assert row.split() == ["wire", "/127.0.0.1", "ada", "consumer", "1", f"{orders}-0,{orders}-1"]
        enter(wire, group, topic, "bob")
        text = cli.ok("groups", "describe", group).out
        ada, bob = cli.ok("groups", "describe", group, "-O", "json").json["members"]
    assert "type              consumer\nstate             Reconciling\ngroup epoch       2\nassignment epoch  2" in text
    title, *rows = [line.split() for line in text.splitlines()[8:11]]
    assert title[-4:] == ["PROTOCOL", "EPOCH", "PARTITIONS", "TARGET"]
    assert [row[-3:] for row in rows] == [
        ["1", f"{orders}-0,{orders}-1", shown(ada["target"])], ["2", "-", shown(bob["target"])],
    ]  # fmt: skip
    assert shown(ada["assignment"]) == f"{orders}-0,{orders}-1"
    assert len(ada["target"]) == len(bob["target"]) == 1
    assert {row["group_type"] for row in cli.ok("groups", "list", "-O", "json").json if row["group_id"] == group} == {
        "consumer"
    }
    assert "wire at 127.0.0.1" in cli.fails(6, "groups", "delete", group, "--yes")
    cli.ok("groups", "reset", group, "-t", orders, "--force")
    assert [row["lag"] for row in cli.ok("groups", "lag", group, "-O", "json").json] == [4, 2]
    cli.ok("groups", "delete", group, "--yes")
    cli.fails(3, "groups", "describe", group)
