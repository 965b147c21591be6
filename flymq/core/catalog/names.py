"""Names of topics.

Source: Topic in Apache Kafka 4.3.
"""

from __future__ import annotations

import re

LENGTH_MAX = 249
"""Leaves room, in a folder's name, for a dash and a partition number."""

_LEGAL = re.compile(r"[a-zA-Z0-9._-]+\Z")

CONSUMER_OFFSETS = "__consumer_offsets"
TRANSACTION_STATE = "__transaction_state"
CLUSTER_METADATA = "__cluster_metadata"


def why_illegal(name: str) -> str | None:
    """What is wrong with a topic's name, in Kafka's words; None for a legal one."""
    if not name:
        return "Topic name is invalid: the empty string is not allowed"
    if name in (".", ".."):
        return "Topic name is invalid: '.' or '..' is not allowed"
    if len(name) > LENGTH_MAX:
        return f"Topic name is invalid: the length of '{name}' is longer than the max allowed length {LENGTH_MAX}"
    if not _LEGAL.match(name):
        return (
            f"Topic name is invalid: '{name}' contains one or more characters other than "
            "ASCII alphanumerics, '.', '_' and '-'"
        )
    return None


def collision_key(name: str) -> str:
    """Equal for names that may not stand beside each other: metrics show `.` as `_`."""
    return name.replace(".", "_")
