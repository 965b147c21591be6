"""The topics that groups may subscribe to, as `TopicChanged` and `TopicDeleted` told."""

from __future__ import annotations

from collections.abc import Iterable

from flymq.core.patterns import compiled


class KnownTopics:
    """Internal topics are not told of, so no group ever gets their partitions."""

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[bytes, int]] = {}
        self._names: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def put(self, name: str, topic_id: bytes, partition_count: int) -> None:
        self._by_name[name] = (topic_id, partition_count)
        self._names[topic_id] = name

    def drop(self, topic_id: bytes) -> None:
        name = self._names.pop(topic_id, None)
        if name is not None and self._by_name.get(name, (None,))[0] == topic_id:
            del self._by_name[name]

    def get(self, name: str) -> tuple[bytes, int] | None:
        """A topic's id and number of partitions."""
        return self._by_name.get(name)

    def name_of(self, topic_id: bytes) -> str | None:
        return self._names.get(topic_id)

    def matching(self, pattern: str) -> set[str]:
        """The topics whose whole name matches."""
        match = compiled(pattern).fullmatch
        return {name for name in self._by_name if match(name) is not None}

    def picture(self, names: Iterable[str]) -> dict[str, tuple[bytes, int]]:
        """Id and partition count of those that exist, sorted by name."""
        return {name: self._by_name[name] for name in sorted(names) if name in self._by_name}
