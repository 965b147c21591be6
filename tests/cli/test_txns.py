"""`flymq-cli txns`: list, describe, producers, find-hanging, abort."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.producer import Producer
from tests.cli.kit import Cli, Terminal
from tests.cli.test_completion import complete


@pytest.fixture
def name(fresh_name: Callable[..., str]) -> str:
    """A transactional id that nobody has."""
    return fresh_name("till")


@pytest.fixture
def open_one(client: FlyMQClient, orders: str, name: str) -> Iterator[Producer]:
    """A transaction of `name` is open in p1 of `orders`, since offset 2."""
    with (
        client.producer(transactional_id=name, transaction_timeout=42) as producer,
        producer.transaction() as transaction,
    ):
        producer.send(orders, "x", partition=1).result(20)
        yield producer
        transaction.abort()


def test_list(cli: Cli, open_one: Producer, client: FlyMQClient, name: str) -> None:
    done = cli.ok("txns", "list", "--state", "Ongoing", "--pattern", name)
    assert [line.split() for line in done.lines] == [
        ["TRANSACTIONAL", "ID", "PRODUCER", "ID", "STATE"],
        [name, str(client.transactions.describe(name).producer_id), "Ongoing"],
    ]
    assert name in cli.ok("txns", "list", "-O", "name").lines
    assert cli.ok("txns", "list", "--older-than", "0s", "--pattern", name, "-O", "json").json[0]["state"] == "Ongoing"
    for none in (["--older-than", "1h"], ["--state", "PrepareAbort"], ["--producer-id", "99999"], ["--pattern", "x"]):
        assert cli.ok("txns", "list", *none, "-O", "name").out == ""


def test_describe(cli: Cli, open_one: Producer, orders: str, name: str) -> None:
    done = cli.ok("txns", "describe", name)
    facts = dict(line.split("  ", 1) for line in done.lines)
    assert {key.strip(): value.strip() for key, value in facts.items()}["state"] == "Ongoing"
    assert f"{orders}-1" in done.lines[-1]
    found: dict[str, Any] = yaml.safe_load(cli.ok("txns", "describe", name, "-O", "yaml").out)
    assert (found["timeout"], found["partitions"]) == (42, [{"topic": orders, "partition": 1}])
    assert cli.ok("txns", "describe", name, "-O", "name").out == f"{name}\n"


def test_producers(cli: Cli, open_one: Producer, orders: str) -> None:
    rows = cli.ok("txns", "producers", orders, "-p", "1", "-O", "json").json
    assert [row["open_since"] for row in rows if row["open_since"] is not None] == [2]
    assert {row["topic"] for row in rows} == {orders}
    table = cli.ok("txns", "producers", orders).lines
    assert table[0].endswith("OPEN SINCE")
    assert any(line.split()[-1] == "2" for line in table[1:])


def test_abort(cli: Cli, open_one: Producer, orders: str, client: FlyMQClient) -> None:
    said = cli.fails(6, "txns", "abort", orders, "-p", "1", "--open-since", "1", "--yes")
    assert "there are some since 2" in said
    assert "Nobody is there to ask" in cli.fails(2, "txns", "abort", orders, "-p", "1", "--open-since", "2")
    done = cli.ok("txns", "abort", orders, "-p", "1", "--open-since", "2", "--yes")
    assert done.err == f"flymq-cli: the transaction of {orders}-1 is aborted\n"
    assert all(one.open_since is None for one in client.transactions.producers(orders, 1))
    assert [message.text() for message in client.read(orders, partitions=[1], isolation="committed")] == ["e", "f"]


def test_abort_asks(broker: EmbeddedBroker, open_one: Producer, orders: str, client: FlyMQClient) -> None:
    line = f"flymq-cli txns abort {orders} -p 1 --open-since 2"
    with Terminal(line, broker.bootstrap_servers) as terminal:
        terminal.read_until("[y/N]")
        terminal.type("n\n")
        assert terminal.finish().code == 130
    assert [one.open_since for one in client.transactions.producers(orders, 1)].count(2) == 1


def test_nothing_hangs(cli: Cli, open_one: Producer, orders: str) -> None:
    """A coordinator knows of it."""
    assert len(cli.ok("txns", "find-hanging", orders, "--older-than", "0s").lines) == 1
    assert cli.ok("txns", "find-hanging", "-O", "json").json == []


@pytest.mark.parametrize(
    ("code", "arguments", "why"),
    [
        (3, ["describe", "nobody"], "there is no transactional id nobody"),
        (3, ["producers", "nothing"], "there is no topic nothing"),
        (3, ["find-hanging", "nothing"], "there is no topic nothing"),
        (3, ["abort", "nothing", "-p", "0", "--open-since", "0", "-y"], "there is no topic nothing"),
        (2, ["list", "--state", "ongoing"], "did you mean Ongoing?"),
        (2, ["list", "--older-than", "5"], "5 is no duration"),
        (2, ["list", "--pattern", "["], "is no pattern"),
        (2, ["abort", "nothing"], "--partition"),
        (2, ["lst"], "did you mean list?"),
    ],
)
def test_what_is_told(cli: Cli, code: int, arguments: list[str], why: str) -> None:
    assert why in cli.fails(code, "txns", *arguments)


def test_a_partition_that_is_not_there(cli: Cli, orders: str) -> None:
    assert "give 0 to 1" in cli.fails(3, "txns", "producers", orders, "-p", "2")


def test_transactional_ids_are_completed(broker: EmbeddedBroker, open_one: Producer, name: str) -> None:
    assert name in complete("flymq-cli txns describe t", broker.bootstrap_servers)
