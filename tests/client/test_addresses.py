"""Broker addresses as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from flymq import FlyMQClient
from flymq.client.addresses import Address, parse_addresses
from flymq.client.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("localhost:9092", [("localhost", 9092)]),
        ("localhost", [("localhost", 9092)]),
        ("localhost:", [("localhost", 9092)]),
        ("a:1,b:2", [("a", 1), ("b", 2)]),
        (" a:1 , b ,", [("a", 1), ("b", 9092)]),
        (["a:1", "b:2,c"], [("a", 1), ("b", 2), ("c", 9092)]),
        (("a:1",), [("a", 1)]),
        (iter(["a:1"]), [("a", 1)]),
        ("[::1]:9093", [("::1", 9093)]),
        ("[::1]", [("::1", 9092)]),
        ("kafka://localhost:9092", [("localhost", 9092)]),
        ("PLAINTEXT://localhost", [("localhost", 9092)]),
        ("10.0.0.1:65535", [("10.0.0.1", 65535)]),
    ],
)
def test_addresses_are_understood(written: Any, meant: list[tuple[str, int]]) -> None:
    assert parse_addresses(written) == meant


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("", '"localhost:9092"'),
        (",", '"localhost:9092"'),
        ([], '"localhost:9092"'),
        ("::1", '"[::1]:9092"'),
        ("::1:9092", '"[::1]:9092"'),
        ("[::1", '"localhost:9092"'),
        ("localhost:kafka", "1 to 65535"),
        ("localhost:0", "1 to 65535"),
        ("localhost:65536", "1 to 65535"),
        ("localhost:-1", "1 to 65535"),
        ("localhost:٣", "1 to 65535"),
        (":9092", '"localhost:9092"'),
        ("http://localhost:9092", '"localhost:9092"'),
        ("localhost 9092", '"localhost:9092"'),
        (None, "give a str"),
        (9092, "give a str"),
        (b"localhost:9092", "give a str"),
        (["localhost", None], "give strs"),
    ],
)
def test_what_is_none_is_refused_with_a_hint(written: Any, hint: str) -> None:
    with pytest.raises(InvalidArgumentError, match="bootstrap_servers") as caught:
        parse_addresses(written)
    assert hint in caught.value.hint


def test_an_address_is_shown_as_it_is_written() -> None:
    assert str(Address("localhost", 9092)) == "localhost:9092"
    assert str(Address("::1", 9092)) == "[::1]:9092"


def test_a_client_is_shown_with_its_addresses() -> None:
    assert repr(FlyMQClient("a:1,[::1]:2")) == "FlyMQClient('a:1,[::1]:2')"
