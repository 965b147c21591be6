"""Places in a topic as people write them: rpk's grammar.

    N   -N   +N   earliest   latest   @TIME   A:B

A range goes from A up to before B; either may be left out. The same holds for times: @A:B.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from flymq_cli.errors import HintedUsageError

_WORDS = {"earliest": "earliest", "start": "earliest", "latest": "latest", "end": "latest"}
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION = re.compile(r"(-?)((?:\d+(?:\.\d+)?(?:ms|[smhdw]))+)")
_PARTS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_EPOCH_S_DIGITS_MAX = 10
_HINT = "give N, -N (the last N), earliest, latest{} @TIME (2026-01-31T12:00, ms since 1970, -1h){}"
_PLACE_HINT, _RANGE_HINT = _HINT.format(" or", ""), _HINT.format(",", ", or a range A:B")
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class FromEnd(NamedTuple):
    """So many offsets before a partition's end."""

    distance: int


class FromStart(NamedTuple):
    """So many offsets after a partition's beginning."""

    distance: int


Place = int | str | datetime | FromEnd | FromStart
"""An offset, "earliest", "latest", the first message then or later, or counted from either end."""


class Range(NamedTuple):
    """From `start` up to before `end`."""

    start: Place
    end: Place


def parse_range(text: str, now: datetime | None = None) -> Range:
    """What --offset means. Raises a usage error that says how to write it."""
    now = now or datetime.now(UTC)
    if text.startswith("@"):
        return _time_range(text, now)
    start, _, end = text.partition(":")
    if not start and not end:
        raise _wrong(text)
    return Range(
        _place(start, text) if start else "earliest",
        _place(end, text) if end else "latest",
    )


def parse_place(text: str, now: datetime | None = None) -> Place:
    """One place: a range without a colon."""
    if text.startswith("@"):
        when = _time(text[1:], now or datetime.now(UTC))
        if when is None:
            raise _wrong(text, _PLACE_HINT)
        return when
    return _place(text, text, _PLACE_HINT)


def parse_duration(text: str) -> float:
    """Seconds, of what is written like 90s or 1h30m. Raises a usage error."""
    if not _PARTS.fullmatch(text):
        raise HintedUsageError(f"{text} is no duration", "write it like 90s, 15m or 1h30m: ms s m h d w")
    return _duration(text).total_seconds()


def _place(text: str, whole: str, hint: str = _RANGE_HINT) -> Place:
    if text in _WORDS:
        return _WORDS[text]
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        raise _wrong(whole, hint)
    number = int(text)
    if text.startswith("+"):
        return FromStart(number)
    return FromEnd(-number) if text.startswith("-") else number


def _time_range(text: str, now: datetime) -> Range:
    """Times have colons of their own: the whole is tried first, then every place to cut it."""
    body = text[1:]
    when = _time(body, now)
    if when is not None:
        return Range(when, "latest")
    for cut in (index for index, letter in enumerate(body) if letter == ":"):
        left, right = body[:cut], body[cut + 1 :].removeprefix("@")
        start: Place | None = _time(left, now) if left else "earliest"
        since = start if isinstance(start, datetime) else None
        end: Place | None = _time(right, now, since) if right and right != "end" else "latest"
        if start is not None and end is not None and body != ":":
            return Range(start, end)
    raise _wrong(text)


def _time(text: str, now: datetime, since: datetime | None = None) -> datetime | None:
    """A point in time: ISO (UTC unless it says otherwise), s or ms since 1970, or a duration: -1h is before now, and,
    as the end of a range, 1h is after its start. None for something else. What is before 1970 is 1970: Kafka's times
    begin there, and smaller numbers mean something else to it.
    """
    try:
        when = _any_time(text, now, since)
    except (ValueError, OverflowError, OSError):  # no date, or one beyond what a datetime holds
        return None
    if when is None:
        return None
    return max(_FIRST, when if when.tzinfo is not None else when.replace(tzinfo=UTC))


def _any_time(text: str, now: datetime, since: datetime | None) -> datetime | None:
    if re.fullmatch(r"[0-9]+", text) and len(text) >= _EPOCH_S_DIGITS_MAX - 1:
        scale = 1 if len(text) <= _EPOCH_S_DIGITS_MAX else 1000
        return datetime.fromtimestamp(int(text) / scale, UTC)
    if found := _DURATION.fullmatch(text):
        if found[1]:
            try:
                return now - _duration(found[2])
            except OverflowError:
                return _FIRST  # longer ago than there are dates
        return None if since is None else since + _duration(found[2])
    if text in ("now", "end"):
        return now
    return datetime.fromisoformat(text) if "-" in text else None


def _duration(text: str) -> timedelta:
    parts = [timedelta(**{_UNITS[unit]: float(number)}) for number, unit in _PART.findall(text)]
    return sum(parts, timedelta())


def _wrong(text: str, hint: str = _RANGE_HINT) -> HintedUsageError:
    if found := re.fullmatch(r"@(\d+(?:\.\d+)?(?:ms|[smhdw]))", text):
        hint = f"did you mean @-{found[1]}, that long ago?"
    elif _time(text, datetime.now(UTC)) is not None:
        hint = f"did you mean @{text}? Times begin with @"
    return HintedUsageError(f"{text} is no place in a topic", hint)
