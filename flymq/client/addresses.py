"""Broker addresses as people write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from flymq.client.errors import InvalidArgumentError

DEFAULT_PORT = 9092
# What `flymq serve` prints can be pasted.
_SCHEMES = ("kafka://", "plaintext://")


class Address(NamedTuple):
    """A host (name, IPv4 or IPv6 address, without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_addresses(servers: str | Iterable[str]) -> list[Address]:
    """The addresses in "host:port,host:port" or a list of such; the port is 9092 where it is left out.

    Raises `InvalidArgumentError` where there is none, or one that can't be an address.
    """
    several = [servers] if isinstance(servers, str) else servers
    if isinstance(several, bytes) or not isinstance(several, Iterable):
        raise InvalidArgumentError(f"bootstrap_servers is {servers!r}", hint='give a str, such as "localhost:9092"')
    several = list(several)
    if not all(isinstance(text, str) for text in several):
        raise InvalidArgumentError(f"bootstrap_servers is {several!r}", hint='give strs, such as ["localhost:9092"]')
    texts = [part for text in several for part in text.split(",")]
    addresses = [_parse(text.strip()) for text in texts if text.strip()]
    if not addresses:
        raise InvalidArgumentError("bootstrap_servers is empty", hint='give "host:port", such as "localhost:9092"')
    return addresses


def _parse(text: str) -> Address:
    rest = text
    for scheme in _SCHEMES:
        if rest.lower().startswith(scheme):
            rest = rest[len(scheme) :]
    if "/" in rest or " " in rest:
        raise InvalidArgumentError(f"bootstrap_servers: {text!r} is not host:port", hint='write "localhost:9092"')
    if rest.startswith("["):
        host, bracket, tail = rest[1:].partition("]")
        port_text = tail.removeprefix(":") if bracket else "?"
    elif rest.count(":") > 1:
        raise InvalidArgumentError(
            f"bootstrap_servers: {text!r} is ambiguous", hint='write an IPv6 address in brackets: "[::1]:9092"'
        )
    else:
        host, _, port_text = rest.partition(":")
    port = _port(port_text)
    if not host or port is None:
        raise InvalidArgumentError(
            f"bootstrap_servers: {text!r} is not host:port", hint='write "localhost:9092"; ports are 1 to 65535'
        )
    return Address(host, port)


def _port(text: str) -> int | None:
    if not text:
        return DEFAULT_PORT
    return int(text) if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535 else None
