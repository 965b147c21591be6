"""`flymq-cli bench`: that it measures, and cleans up. What it measures is for scripts."""

from __future__ import annotations

import pytest
import yaml

from flymq import EmbeddedBroker
from tests.cli.kit import Cli


@pytest.mark.parametrize("command", ["produce", "consume"])
@pytest.mark.parametrize("output", ["table", "json", "yaml", "name"])
def test_rates(cli: Cli, command: str, output: str) -> None:
    done = cli.ok("bench", command, "--count", "20", "--size", "10", "-O", output)
    if output == "name":
        assert done.out == f"{command}\n"
    elif output == "table":
        assert "messages per second" in done.out
    else:
        found = yaml.safe_load(done.out)
        assert (found["benchmark"], found["messages"]) == (command, 20)
        assert found["messages_per_second"] > 0
        assert found["seconds"] >= 0


def test_roundtrip_has_percentiles(cli: Cli) -> None:
    found = cli.ok("bench", "roundtrip", "--count", "5", "-O", "json").json
    assert found["messages"] == 5
    for what in ("acknowledged", "received"):
        times = [found[f"{what}_{name}_ms"] for name in ("p50", "p95", "p99", "max")]
        assert times == sorted(times)
        assert times[0] > 0
    assert found["acknowledged_p50_ms"] < found["received_max_ms"]


def test_a_topic_of_its_own_is_deleted(cli: Cli) -> None:
    for command in ("produce", "consume", "roundtrip"):
        cli.ok("bench", command, "--count", "1")
    assert not [name for name in cli.ok("topics", "list", "-O", "name").lines if "bench" in name]


def test_a_topic_that_was_named_is_kept(cli: Cli, broker: EmbeddedBroker, orders: str) -> None:
    assert cli.ok("bench", "consume", orders, "-O", "json").json["messages"] == 6
    assert cli.ok("bench", "consume", orders, "-n", "2", "-O", "json").json["messages"] == 2
    cli.ok("bench", "produce", orders, "-n", "3", "--compression", "gzip")
    assert len(broker.records(orders)) == 9
    assert "there is no topic qqqq" in cli.fails(3, "bench", "produce", "qqqq")


@pytest.mark.parametrize("command", ["produce", "consume", "roundtrip"])
def test_nothing_at_all(cli: Cli, command: str) -> None:
    cli.ok("bench", command, "--count", "0")
