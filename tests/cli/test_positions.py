"""`--offset POS` and `--to POS`: what is understood, as pure functions. What they find in a topic: test_consume.py."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq_cli.errors import HintedUsageError
from flymq_cli.positions import FromEnd, FromStart, Place, Range, parse_duration, parse_place, parse_range

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0", 0),
        ("42", 42),
        ("-5", FromEnd(5)),
        ("-0", FromEnd(0)),
        ("+3", FromStart(3)),
        ("earliest", "earliest"),
        ("start", "earliest"),
        ("latest", "latest"),
        ("end", "latest"),
        ("@-1h", NOW - HOUR),
        ("@-90m", NOW - 1.5 * HOUR),
        ("@-1.5h", NOW - 1.5 * HOUR),
        ("@-1h30m", NOW - 1.5 * HOUR),
        ("@-1h1h", NOW - 2 * HOUR),
        ("@-500ms", NOW - timedelta(milliseconds=500)),
        ("@-2d", NOW - 48 * HOUR),
        ("@-1w", NOW - timedelta(days=7)),
        ("@now", NOW),
        ("@2026-01-31", NOW - 12 * HOUR),
        ("@2026-01-31T12:00", NOW),
        ("@2026-01-31T12:00:00Z", NOW),
        ("@2026-01-31T13:00+01:00", NOW),
        ("@1769860800", NOW),
        ("@1769860800000", NOW),
    ],
)
def test_one_place(text: str, place: Place) -> None:
    assert parse_place(text, NOW) == place
    assert parse_range(text, NOW) == Range(place, "latest")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("3:7", 3, 7),
        (":7", "earliest", 7),
        ("3:", 3, "latest"),
        ("3:end", 3, "latest"),
        ("-10:-5", FromEnd(10), FromEnd(5)),
        ("+1:+2", FromStart(1), FromStart(2)),
        ("@-2h:-1h", NOW - 2 * HOUR, NOW - HOUR),
        ("@-2h:@-1h", NOW - 2 * HOUR, NOW - HOUR),
        ("@-2h:1h", NOW - 2 * HOUR, NOW - HOUR),
        ("@:-1h", "earliest", NOW - HOUR),
        ("@-1h:", NOW - HOUR, "latest"),
        ("@-1h:end", NOW - HOUR, "latest"),
        ("@2026-01-31T10:00:2026-01-31T12:00", NOW - 2 * HOUR, NOW),
        ("@2026-01-31T10:00Z:1h", NOW - 2 * HOUR, NOW - HOUR),
        ("@1769853600000:1769860800000", NOW - 2 * HOUR, NOW),
    ],
)
def test_a_range(text: str, start: Place, end: Place) -> None:
    assert parse_range(text, NOW) == Range(start, end)


@pytest.mark.parametrize("text", ["@-99999999d", "@0001-01-01", "@1969-12-31T23:59:59.999Z", "@-100000000000w"])
def test_before_1970_is_1970(text: str) -> None:
    """-1 and -2 milliseconds would mean the end and the beginning to a broker."""
    assert parse_place(text, NOW) == FIRST


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "or a range A:B"),
        (":", "or a range A:B"),
        ("abc", "or a range A:B"),
        ("1.5", "or a range A:B"),
        ("@", "or a range A:B"),
        ("@:", "or a range A:B"),
        ("@yesterday", "or a range A:B"),
        ("@2026-13-01", "or a range A:B"),
        ("@99999999999999999999", "or a range A:B"),
        ("99999999999999999999", "or a range A:B"),
        ("3:x", "or a range A:B"),
        ("@1h", "did you mean @-1h"),
        ("-1h", "did you mean @-1h"),
        ("2026-01-31T12:00", "did you mean @2026-01-31T12:00"),
    ],
)
def test_what_is_no_place_gets_a_hint(text: str, hint: str) -> None:
    with pytest.raises(HintedUsageError) as caught:
        parse_range(text, NOW)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("text", ["1:3", "@-2h:-1h", "x", "@x"])
def test_one_place_is_no_range(text: str) -> None:
    with pytest.raises(HintedUsageError) as caught:
        parse_place(text, NOW)
    assert "A:B" not in str(caught.value.hint)
    assert "@TIME" in str(caught.value.hint)


_PIECES = st.sampled_from([*"0123456789+-:@.Thmsdwz ", "earliest", "end", "2026-01-31", "1769860800000", "٣", "²"])


@given(st.lists(_PIECES, max_size=8).map("".join) | st.text(max_size=20))
def test_whatever_is_typed_is_a_place_or_a_usage_error(text: str) -> None:
    for parse in (parse_range, parse_place):
        with contextlib.suppress(HintedUsageError):
            found = parse(text, NOW)
            places = found if isinstance(found, Range) else (found,)
            assert all(place >= FIRST for place in places if isinstance(place, datetime))


@given(st.integers(0, 10**18), st.integers(0, 10**18))
def test_offsets_are_themselves(start: int, end: int) -> None:
    assert parse_range(f"{start}:{end}") == Range(start, end)
    assert parse_range(f"-{start}") == Range(FromEnd(start), "latest")
    assert parse_range(f"+{start}") == Range(FromStart(start), "latest")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("1.5s", 1.5), ("20ms", 0.02), ("2d", 172_800)]
)
def test_a_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5x", "-5s", "s", "1h 5m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(HintedUsageError) as caught:
        parse_duration(text)
    assert caught.value.hint == "write it like 90s, 15m or 1h30m: ms s m h d w"
