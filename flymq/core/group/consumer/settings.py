"""The settings that consumer groups obey: the broker's, and a group's own over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ConsumerConfig(NamedTuple):
    """The broker's settings, by Kafka's names without the `group.consumer.`."""

    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 5_000
    assignment_interval_ms: int = 1_000
    max_size: int = 2147483647
    assignors: tuple[str, ...] = ("uniform", "range")  # the first is used where no member asks for one
    migration_policy: str = "bidirectional"

    @property
    def can_upgrade(self) -> bool:
        return self.migration_policy in ("bidirectional", "upgrade")

    @property
    def can_downgrade(self) -> bool:
        return self.migration_policy in ("bidirectional", "downgrade")


class ConsumerSettings:
    """What is in force for a group. `configure` is the hook for settings of single groups (resource type GROUP)."""

    def __init__(self, config: ConsumerConfig) -> None:
        self.config = config
        self._of_groups: dict[str, dict[str, int]] = {}

    def configure(self, group_id: str, overrides: Mapping[str, str]) -> None:
        """All of a group's own settings, by Kafka's names (`consumer.session.timeout.ms`), checked already."""
        known = {name: int(value) for name, value in overrides.items() if name.startswith("consumer.")}
        if known:
            self._of_groups[group_id] = known
        else:
            self._of_groups.pop(group_id, None)

    def session_timeout_ms(self, group_id: str) -> int:
        return self._own(group_id, "consumer.session.timeout.ms", self.config.session_timeout_ms)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        return self._own(group_id, "consumer.heartbeat.interval.ms", self.config.heartbeat_interval_ms)

    def assignment_interval_ms(self, group_id: str) -> int:
        return self._own(group_id, "consumer.assignment.interval.ms", self.config.assignment_interval_ms)

    def _own(self, group_id: str, name: str, default: int) -> int:
        own = self._of_groups.get(group_id)
        return default if own is None else own.get(name, default)
