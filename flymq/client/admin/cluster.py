"""The cluster: its brokers, and what they can do."""

from __future__ import annotations

from typing import Any

from flymq.client.admin.base import Admin
from flymq.client.admin.types import ApiRange, BrokerInfo, ClusterInfo
from flymq.client.kafka_python import describe_cluster
from flymq_protocol.registry import API


class ClusterAdmin(Admin):
    """`client.cluster`."""

    def info(self) -> ClusterInfo:
        """Who is there."""
        found = self._ask("describe the cluster", describe_cluster)
        brokers = [BrokerInfo(row["broker_id"], row["host"], row["port"], row.get("rack")) for row in found["brokers"]]
        return ClusterInfo(
            cluster_id=found.get("cluster_id"),
            controller_id=found.get("controller_id", -1),
            brokers=sorted(brokers, key=lambda broker: broker.node_id),
        )

    def brokers(self) -> list[BrokerInfo]:
        """The brokers, by node id."""
        return self.info().brokers

    def api_versions(self) -> list[ApiRange]:
        """The APIs that the broker speaks, by key."""
        found: dict[int, tuple[int, int]] = self._ask("ask for API versions", _versions)
        return [ApiRange(key, _name(key), low, high) for key, (low, high) in sorted(found.items())]


def _versions(admin: Any) -> dict[int, tuple[int, int]]:
    # Not its public api_versions(): that fails at a key which kafka-python does not know.
    return {int(key): (low, high) for key, (low, high) in admin._manager.broker_version_data.api_versions.items()}


def _name(key: int) -> str:
    """Kafka's name of an API; kafka-python knows some that we do not."""
    if key in API:
        return API[key].name
    from kafka.protocol.api_key import ApiKey

    return ApiKey(key).name if key in ApiKey._value2member_map_ else f"key {key}"
