"""Topic names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq.core.catalog import collision_key, why_illegal


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "...", "a" * 249, "__consumer_offsets"])
def test_legal(name: str) -> None:
    assert why_illegal(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "the empty string is not allowed"),
        (".", "'.' or '..' is not allowed"),
        ("..", "'.' or '..' is not allowed"),
        ("a" * 250, "longer than the max allowed length 249"),
        ("a b", "contains one or more characters other than"),
        ("a\n", "contains one or more characters other than"),
        ("é", "contains one or more characters other than"),
    ],
)
def test_illegal(name: str, reason: str) -> None:
    message = why_illegal(name)
    assert message is not None
    assert message.startswith("Topic name is invalid: ")
    assert reason in message


@given(st.text(max_size=260))
def test_legal_is_what_kafka_says(name: str) -> None:
    legal = re.fullmatch("[a-zA-Z0-9._-]{1,249}", name) is not None and name not in (".", "..")
    assert (why_illegal(name) is None) == legal


def test_names_collide_where_dots_and_underscores_differ() -> None:
    assert collision_key("a.b_c") == collision_key("a_b.c")
    assert collision_key("a.b") != collision_key("a-b")
