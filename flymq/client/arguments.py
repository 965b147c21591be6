"""Checks of what callers give, before anything is sent anywhere."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence

from flymq.client.errors import InvalidArgumentError, InvalidTopicError, did_you_mean

RESETS = {"earliest": "earliest", "latest": "latest", "committed": "none"}
"""Our words for where a group without a commit begins -> Kafka's."""
ISOLATIONS = {"uncommitted": "read_uncommitted", "committed": "read_committed"}

_LEGAL_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def check_topic(topic: object) -> str:
    """The name of a topic, as it is. Raises `InvalidTopicError` for what no broker would take."""
    if not isinstance(topic, str):
        hint = f"write {topic.decode(errors='replace')!r} without the b" if isinstance(topic, bytes) else "give a str"
        raise InvalidTopicError(f"a topic's name is a str, not {type(topic).__name__}: {topic!r}", hint=hint)
    if not _LEGAL_TOPIC.fullmatch(topic) or topic in (".", ".."):
        raise InvalidTopicError(f"{topic!r} can't be the name of a topic")
    return topic


def check_topics(topics: str | Sequence[str] | re.Pattern[str]) -> list[str] | re.Pattern[str]:
    """What to subscribe to. Raises `InvalidTopicError`, and `InvalidArgumentError` for nothing at all."""
    if isinstance(topics, re.Pattern):
        return topics
    names = [check_topic(topic) for topic in ([topics] if isinstance(topics, str | bytes) else topics)]
    if not names:
        raise InvalidArgumentError("no topic to subscribe to", hint="give a name, several, or a compiled pattern")
    return names


def check_group(group: str | None) -> str:
    """The name of a group; None makes one that nobody else has."""
    if group is None:
        return f"flymq-auto-{secrets.token_hex(8)}"
    if not isinstance(group, str) or not group:
        raise InvalidArgumentError(f"{group!r} is no name of a group", hint="give a str")
    return group


def one_of(name: str, value: str, known: Mapping[str, str]) -> str:
    """What the word stands for. Raises `InvalidArgumentError` with the nearest word, and all of them."""
    if not isinstance(value, str) or value not in known:
        words = "it is one of " + ", ".join(f'"{word}"' for word in known)
        near = did_you_mean(value, known) if isinstance(value, str) else None
        raise InvalidArgumentError(f"{name} is {value!r}", hint=f"{near} ({words})" if near else words)
    return known[value]


def seconds(name: str, value: float) -> float:
    """A duration, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InvalidArgumentError(f"{name} is {value!r}", hint="give seconds, 0 or more")
    return value
