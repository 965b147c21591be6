"""`flymq-cli groups reset`: where to, what of, and what it refuses."""

from __future__ import annotations

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from tests.cli.kit import TIMEOUT_S, Cli


@pytest.fixture
def kitchen(cli: Cli, orders: str, group: str) -> str:
    """A group without members that is at 3 in partition 0 and at 2 in partition 1."""
    cli.ok("groups", "reset", group, "-t", orders, "--to", "latest")
    cli.ok("groups", "reset", group, "-t", orders, "-p", "0", "--to", "3")
    return group


def test_everything_again(cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str) -> None:
    done = cli.ok("groups", "reset", kitchen)
    assert [line.split() for line in done.lines] == [
        ["TOPIC", "PARTITION", "BEFORE", "AFTER"], [orders, "0", "3", "0"], [orders, "1", "2", "0"],
    ]  # fmt: skip
    assert done.err == ""
    assert broker.committed(kitchen) == {(orders, 0): 0, (orders, 1): 0}


@pytest.mark.parametrize(
    ("to", "after"),
    [
        ("earliest", [0, 0]),
        ("latest", [4, 2]),
        ("1", [1, 1]),
        ("-1", [3, 1]),
        ("-3", [1, 0]),
        ("+1", [1, 1]),
        ("+100", [4, 2]),
        ("@2026-01-01T09:00:02Z", [2, 0]),
        ("@1767258005", [4, 1]),
        ("@-1h", [4, 2]),
        ("@-99999999d", [0, 0]),
    ],
)
def test_to_a_place(cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str, to: str, after: list[int]) -> None:
    rows = cli.ok("groups", "reset", kitchen, "--to", to, "-O", "json").json
    assert [(row["before"], row["after"]) for row in rows] == list(zip([3, 2], after, strict=True))
    assert list(broker.committed(kitchen).values()) == after


def test_dry_run_shows_and_changes_nothing(cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str) -> None:
    done = cli.ok("groups", "reset", kitchen, "--dry-run", "-O", "json")
    assert [(row["before"], row["after"]) for row in done.json] == [(3, 0), (2, 0)]
    assert "nothing was changed: --dry-run" in done.err
    assert broker.committed(kitchen) == {(orders, 0): 3, (orders, 1): 2}
    assert cli.ok("groups", "reset", kitchen, "--dry-run", "-q").err == ""


def test_one_partition(cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str) -> None:
    cli.ok("groups", "reset", kitchen, "-t", orders, "-p", "1")
    assert broker.committed(kitchen) == {(orders, 0): 3, (orders, 1): 0}


def test_a_group_that_does_not_exist_is_placed_with_a_topic(
    cli: Cli, broker: EmbeddedBroker, orders: str, group: str
) -> None:
    assert f"there is no group {group}" in cli.fails(3, "groups", "reset", group)
    done = cli.ok("groups", "reset", group, "-t", orders, "--to", "-1")
    assert done.lines[1].split() == [orders, "0", "-", "3"]
    assert broker.committed(group) == {(orders, 0): 3, (orders, 1): 1}


def test_refuses_a_group_with_members_and_names_them(
    cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str
) -> None:
    """Client id and host of each; --dry-run may look; --force makes them leave."""
    with (
        FlyMQClient(broker.bootstrap_servers, client_id="ada-7") as client,
        client.consumer(orders, kitchen, auto_commit=False) as member,
    ):
        broker.wait_for_group(kitchen, members=1, timeout=TIMEOUT_S)
        said = cli.fails(6, "groups", "reset", kitchen)
        assert f"group {kitchen} has active members: " in said
        assert "ada-7" in said
        assert "127.0.0.1" in said
        assert "evict them with --force" in said
        assert broker.committed(kitchen) == {(orders, 0): 3, (orders, 1): 2}
        cli.ok("groups", "reset", kitchen, "--force")
        assert broker.committed(kitchen) == {(orders, 0): 0, (orders, 1): 0}
        got: set[tuple[int, int]] = set()
        for batch in member.batches():  # it comes back, and begins there
            got |= {(message.partition, message.offset) for message in batch}
            if {(0, 0), (1, 0)} <= got:
                break


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        (["--to", "999"], 3, "has no offset 999"),
        (["--to", "1:3"], 2, "1:3 is no place in a topic"),
        (["--to", "abc"], 2, "abc is no place in a topic"),
        (["--to", "@1h"], 2, "did you mean @-1h"),
        (["-t", "qqqq"], 3, "there is no topic qqqq"),
        (["-p", "9"], 3, "9"),
        (["-p", "x"], 2, "x"),
    ],
)
def test_what_it_refuses_changes_nothing(
    cli: Cli, broker: EmbeddedBroker, kitchen: str, orders: str, options: list[str], code: int, why: str
) -> None:
    assert why in cli.fails(code, "groups", "reset", kitchen, *options)
    assert broker.committed(kitchen) == {(orders, 0): 3, (orders, 1): 2}
