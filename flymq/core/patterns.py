"""Patterns that clients send: over names of topics, and over transactional ids.

They are RE2's (google-re2), as Kafka's: their time is linear in the name, so that nobody can hold up the broker
with one, and look-around and back-references are refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

PATTERN_BYTES_MAX = 1 << 20  # of memory for one compiled pattern


def why_bad(pattern: str) -> str | None:
    """What is wrong with a pattern; None where nothing is."""
    try:
        compiled(pattern)
    except ValueError as error:
        return str(error)
    return None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """An RE2 pattern. Raises ValueError with RE2's own words."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
