"""`flymq-cli cluster`: info, brokers, api-versions."""

from __future__ import annotations

import pytest
import yaml

from flymq import EmbeddedBroker
from tests.cli.kit import Cli


def test_info(cli: Cli, broker: EmbeddedBroker) -> None:
    found = cli.ok("cluster", "info", "-O", "json").json
    assert found["brokers"] == [{"node_id": 1, "host": "127.0.0.1", "port": broker.port, "rack": None}]
    assert yaml.safe_load(cli.ok("cluster", "info", "-O", "yaml").out) == found
    assert cli.ok("cluster", "info", "-O", "name").out == found["cluster_id"] + "\n"
    assert cli.ok("cluster", "info").lines == [
        f"cluster     {found['cluster_id']}",
        "controller  1",
        "",
        "NODE ID  HOST        PORT  RACK",
        f"      1  127.0.0.1  {broker.port}     -",
    ]


def test_brokers(cli: Cli, broker: EmbeddedBroker) -> None:
    assert cli.ok("cluster", "brokers").lines[1].split() == ["1", "127.0.0.1", str(broker.port), "-"]
    assert cli.ok("cluster", "brokers", "-O", "name").out == "1\n"
    (row,) = cli.ok("cluster", "brokers", "-O", "json").json
    assert row["port"] == broker.port


@pytest.mark.parametrize("output", ["table", "json", "yaml", "name"])
def test_api_versions(cli: Cli, output: str) -> None:
    assert "OffsetCommit" in cli.ok("cluster", "api-versions", "-O", output).out


def test_api_versions_are_ranges(cli: Cli) -> None:
    rows = {row["name"]: row for row in cli.ok("cluster", "api-versions", "-O", "json").json}
    assert rows["Fetch"]["key"] == 1
    assert rows["Fetch"]["min_version"] < rows["Fetch"]["max_version"]
