"""A topic, and its row in the shard `catalog`."""

from __future__ import annotations

import json
from collections.abc import Mapping

SHARD = "catalog"
_KEY_PREFIX = "topic/"


class Topic:
    """A topic as the catalog has it. Never changed: a change makes another one of the same id.

    `id` is 16 bytes; a re-created topic has a new one. `overrides` are its own settings, in canonical text.
    """

    __slots__ = ("id", "is_internal", "name", "overrides", "partition_count")

    def __init__(
        self,
        name: str,
        id: bytes,
        partition_count: int,
        overrides: Mapping[str, str] | None = None,
        is_internal: bool = False,
    ) -> None:
        self.name = name
        self.id = id
        self.partition_count = partition_count
        self.overrides = dict(overrides or {})
        self.is_internal = is_internal

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {self.id.hex()}, {self.partition_count})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topic) and self.row() == other.row() and self.is_internal == other.is_internal

    def __hash__(self) -> int:
        return hash(self.id)

    def changed(self, *, partition_count: int | None = None, overrides: Mapping[str, str] | None = None) -> Topic:
        """This topic with other settings, or with more partitions."""
        count = self.partition_count if partition_count is None else partition_count
        own = self.overrides if overrides is None else overrides
        return Topic(self.name, self.id, count, own, self.is_internal)

    @property
    def key(self) -> str:
        """The key of its row."""
        return _KEY_PREFIX + self.name

    def row(self) -> tuple[str, str]:
        """Key and value to store it."""
        value = {"id": self.id.hex(), "partitions": self.partition_count, "overrides": self.overrides}
        return self.key, json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_row(cls, key: str, value: str) -> Topic | None:
        """Read what `row` wrote; None for a row of the shard that isn't a topic."""
        if not key.startswith(_KEY_PREFIX):
            return None
        name, stored = key.removeprefix(_KEY_PREFIX), json.loads(value)
        return cls(name, bytes.fromhex(stored["id"]), stored["partitions"], stored["overrides"])
