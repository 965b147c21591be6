"""Kafka's own client in Java, the newest and old releases: one driver, compiled once, on a class path of each."""

from __future__ import annotations

from collections.abc import Mapping

from compat_tests.drivers.catalog import Client
from compat_tests.drivers.java import build

NEWEST = "4.3.1"

_NO_KIP_848 = {"KIP-848": "from 4.0; what it previewed before, no broker speaks any more"}
_UNTIL_2_4 = {
    "set_config": "IncrementalAlterConfigs came with 2.3",
    "static membership": "came with 2.3",
    "cooperative-sticky": "came with 2.4",
    "delete_group_offsets": "came with 2.4",
    "set_group_offsets": "came with 2.5",
    "list_offsets": "came to the admin client with 2.5",
}


def _client(version: str, lacks: Mapping[str, str]) -> Client:
    def command() -> list[str]:
        return build.command("driver", "Driver", "kafka-clients", version, compiled_with=NEWEST)

    return Client(f"Java {version}", "Java", command, lacks)


CLIENTS = [
    _client(NEWEST, {"replace_config": "AlterConfigs is gone from 4.0 on"}),
    _client("3.9.2", _NO_KIP_848),
    _client("2.8.2", {"KIP-848": "from 4.0"}),
    _client("2.1.1", {**_UNTIL_2_4, "KIP-848": "from 4.0"}),
]
