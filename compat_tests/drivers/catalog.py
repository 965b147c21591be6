"""The clients that scenarios run with: how each is started, and what it has no way to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# What a scenario may need; a test holds it against the documentation in `__init__.py`.
CAPABILITIES = frozenset({
    "create_topic", "topic settings", "delete_topic", "add_partitions", "list_topics", "describe_topic",
    "topic_config", "set_config", "replace_config", "delete_records", "list_offsets", "list_groups", "describe_group",
    "delete_group", "group_offsets", "set_group_offsets", "delete_group_offsets", "describe_cluster",
    "send", "headers", "timestamps", "append time", "acks 0", "acks 1", "idempotence", "gzip", "snappy", "lz4", "zstd",
    "transactions", "send_offsets", "read_committed",
    "subscribe", "subscribe_pattern", "assign", "poll", "assignment", "position", "seek", "pause", "commit",
    "commit_offsets", "committed", "reset none",
    "static membership", "static membership KIP-848", "range", "roundrobin", "cooperative-sticky", "KIP-848",
})  # fmt: skip


@dataclass(frozen=True)
class Client:
    """`command` builds the driver where it must be built, and gives what starts it, but for the bootstrap server.

    `lacks`: capability -> why, in a few words; a scenario that needs it is not run with this client, and the table
    says so.
    """

    name: str
    language: str
    command: Callable[[], list[str]]
    lacks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = set(self.lacks) - CAPABILITIES
        assert not unknown, f"{self.name} lacks what no scenario knows: {sorted(unknown)}"
