"""`flymq-cli topics config --set`, `add-partitions`, `trim`."""

from __future__ import annotations

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import Cli, Terminal

# -- settings -------------------------------------------------------------------------------------


def test_settings_are_set_and_unset(cli: Cli, client: FlyMQClient, orders: str) -> None:
    done = cli.ok("topics", "config", orders, "--set", "retention.ms=5000", "--set", "cleanup.policy=compact")
    assert [line.split() for line in done.lines] == [
        ["NAME", "VALUE", "SOURCE"],
        ["cleanup.policy", "compact", "DYNAMIC_TOPIC_CONFIG"],
        ["retention.ms", "5000", "DYNAMIC_TOPIC_CONFIG"],
    ]
    done = cli.ok("topics", "config", orders, "--unset", "cleanup.policy", "--set", "retention.ms=6000", "-O", "name")
    assert done.out == "retention.ms\n"
    done = cli.ok("topics", "config", orders, "--unset", "retention.ms")
    assert f"{orders} has no settings of its own" in done.err
    rows = cli.ok("topics", "config", orders, "--all", "-O", "json").json
    assert {row["name"]: row["source"] for row in rows}["retention.ms"] == "DEFAULT_CONFIG"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--set", "retention.mss=1"], "did you mean retention.ms?"),
        (["--set", "retention.ms=soon"], "retention.ms"),
        (["--set", "retention.ms"], "is not KEY=VALUE"),
        (["--set", "retention.ms=1", "--unset", "retention.ms"], "is to be set and unset"),
    ],
)
def test_settings_that_can_not_be(
    cli: Cli, client: FlyMQClient, orders: str, arguments: list[str], why: str
) -> None:
    assert why in cli.fails(2, "topics", "config", orders, *arguments)
    assert client.topics.describe(orders).config == {}


# -- partitions -----------------------------------------------------------------------------------


def test_add_partitions(cli: Cli, client: FlyMQClient, orders: str) -> None:
    assert cli.ok("topics", "add-partitions", orders, "4").err == f"flymq-cli: {orders} has 4 partitions\n"
    assert sorted(client.topics.offsets(orders)) == [0, 1, 2, 3]
    assert "more than now" in cli.fails(2, "topics", "add-partitions", orders, "4")
    assert "0 is not in the range" in cli.fails(2, "topics", "add-partitions", orders, "0")
    assert "did you mean" in cli.fails(3, "topics", "add-partitions", f"{orders}x", "9")


# -- trimming -------------------------------------------------------------------------------------


def starts(client: FlyMQClient, topic: str) -> list[int]:
    return list(client.topics.offsets(topic, "earliest").values())


def test_trim_shows_before_and_after(cli: Cli, client: FlyMQClient, orders: str) -> None:
    """p0 holds 0 to 3, p1 0 and 1."""
    table = [["PARTITION", "BEFORE", "AFTER", "END"], ["0", "0", "2", "4"], ["1", "0", "2", "2"]]
    done = cli.ok("topics", "trim", orders, "--before", "2", "--dry-run")
    assert [line.split() for line in done.lines] == table
    assert done.err == "flymq-cli: nothing was changed: --dry-run\n"
    assert starts(client, orders) == [0, 0]
    done = cli.ok("topics", "trim", orders, "--before", "2", "--yes")
    assert [line.split() for line in done.lines] == table
    assert starts(client, orders) == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (["--before", "-1"], [3, 1]),
        (["--before", "+1"], [1, 1]),
        (["--before", "-1", "-p", "0"], [3, 0]),
        (["--before", "latest"], [4, 2]),
        (["--before", "earliest"], [0, 0]),
        (["--before", "@2026-01-01T09:00:02Z"], [2, 0]),
        (["--before", "4", "-p", "0"], [4, 0]),
    ],
)
def test_trim_before_what(cli: Cli, client: FlyMQClient, orders: str, arguments: list[str], after: list[int]) -> None:
    cli.ok("topics", "trim", orders, *arguments, "-y")
    assert starts(client, orders) == after


def test_trim_asks_before_it_destroys(
    cli: Cli, broker: EmbeddedBroker, client: FlyMQClient, orders: str
) -> None:
    assert "Nobody is there to ask" in cli.fails(2, "topics", "trim", orders, "--before", "latest")
    for answer, code, after in (("n", 130, [0, 0]), ("y", 0, [4, 2])):
        with Terminal(f"flymq-cli topics trim {orders} --before latest", broker.bootstrap_servers) as terminal:
            terminal.read_until(f"Delete 6 offsets of {orders} [y/N]")
            terminal.type(f"{answer}\n")
            assert terminal.finish().code == code
        assert starts(client, orders) == after
    cli.ok("topics", "trim", orders, "--before", "latest")  # nothing is left to ask about


@pytest.mark.parametrize(
    ("code", "arguments", "why"),
    [
        (2, [], "--before"),
        (2, ["--before", "soon"], "soon is no place in a topic"),
        (3, ["--before", "3", "-y"], "it has 0 to 2, the end"),
        (3, ["--before", "1", "-p", "2", "-y"], "has no partition 2"),
    ],
)
def test_trim_what_can_not_be(
    cli: Cli, client: FlyMQClient, orders: str, code: int, arguments: list[str], why: str
) -> None:
    assert why in cli.fails(code, "topics", "trim", orders, *arguments)
    assert starts(client, orders) == [0, 0]
