"""What callers give is checked before anything is sent; whatever is wrong, the error says what would be right."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from flymq.client.arguments import ISOLATIONS, RESETS, check_group, check_topic, check_topics, one_of, seconds
from flymq.client.errors import InvalidArgumentError, InvalidTopicError


@pytest.mark.parametrize("name", ["orders", "a", "A.b_c-9", "x" * 249, "..."])
def test_names_that_a_topic_can_have(name: str) -> None:
    assert check_topic(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "ä", "x" * 250, "orders\n", "a:b"])
def test_names_that_no_topic_can_have(name: str) -> None:
    with pytest.raises(InvalidTopicError, match="can't be the name of a topic") as caught:
        check_topic(name)
    assert "1 to 249 characters" in caught.value.hint


def test_a_name_in_bytes_is_told_how_to_be_one() -> None:
    with pytest.raises(InvalidTopicError, match="is a str, not bytes") as caught:
        check_topic(b"orders")
    assert caught.value.hint == "write 'orders' without the b"


@pytest.mark.parametrize("name", [None, 1, ["orders"]])
def test_what_is_no_name_at_all(name: Any) -> None:
    with pytest.raises(InvalidTopicError, match="is a str, not"):
        check_topic(name)


def test_topics_are_one_several_or_a_pattern() -> None:
    pattern = re.compile("orders.*")
    assert check_topics("orders") == ["orders"]
    assert check_topics(["orders", "bills"]) == ["orders", "bills"]
    assert check_topics(pattern) is pattern
    with pytest.raises(InvalidArgumentError, match="no topic to subscribe to"):
        check_topics([])
    with pytest.raises(InvalidTopicError):
        check_topics(["orders", "a b"])


def test_a_group_without_a_name_is_nobody_else_s() -> None:
    assert check_group("kitchen") == "kitchen"
    assert len({check_group(None) for _ in range(100)}) == 100
    assert check_group(None).startswith("flymq-auto-")


@pytest.mark.parametrize("name", ["", 1, b"kitchen"])
def test_what_is_no_name_of_a_group(name: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="is no name of a group"):
        check_group(name)


def test_words_are_ours_and_a_mistyped_one_finds_its_neighbour() -> None:
    assert one_of("auto_offset_reset", "committed", RESETS) == "none"
    assert one_of("isolation", "committed", ISOLATIONS) == "read_committed"
    with pytest.raises(InvalidArgumentError, match="auto_offset_reset is 'erliest'") as caught:
        one_of("auto_offset_reset", "erliest", RESETS)
    assert caught.value.hint == 'did you mean earliest? (it is one of "earliest", "latest", "committed")'


@pytest.mark.parametrize("wrong", ["none at all", None, 1, []])
def test_words_that_are_like_none(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        one_of("isolation", wrong, ISOLATIONS)
    assert caught.value.hint == 'it is one of "uncommitted", "committed"'


def test_seconds_are_0_or_more() -> None:
    assert seconds("idle_timeout", 0) == 0
    assert seconds("idle_timeout", math.inf) == math.inf


@pytest.mark.parametrize("wrong", [-1, math.nan, "5", None, True])
def test_what_are_no_seconds(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="idle_timeout is"):
        seconds("idle_timeout", wrong)
