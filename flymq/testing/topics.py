"""Topics as tests give them. Nothing is imported: the plugin looks at markers before any broker is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def checked_topics(topics: Any, where: str) -> dict[str, int]:
    """A copy: name -> partitions. Raises TypeError for anything else; `where` it was given."""
    if topics is None:
        return {}
    if not isinstance(topics, Mapping) or not all(
        isinstance(name, str) and isinstance(partitions, int) for name, partitions in topics.items()
    ):
        raise TypeError(f'{where} is {{name: partitions}}, such as {{"orders": 1}}, not {topics!r:.60}')
    return dict(topics)
