"""Names for the shell's completion, from the live broker: within 300 ms, or none.

kafka-python takes that long to be imported, so this asks on a socket of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from flymq_cli.app import App

if TYPE_CHECKING:
    import click

_BUDGET_S = 0.3
_METADATA, _METADATA_VERSION = 3, 4
_LIST_GROUPS, _LIST_GROUPS_VERSION = 16, 1
_LIST_TRANSACTIONS, _LIST_TRANSACTIONS_VERSION = 66, 0


def complete_topics(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Topics that begin so."""
    return _complete(context, incomplete, _topics)


def complete_groups(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Groups that begin so."""
    return _complete(context, incomplete, _groups)


def complete_transactional_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Transactional ids that begin so."""
    return _complete(context, incomplete, _transactional_ids)


def _complete(context: click.Context, incomplete: str, ask: Any) -> list[str]:
    """On a thread: looking up a host's name knows no time-out."""
    import threading

    app = context.find_root().ensure_object(App)
    found: list[str] = []

    def look() -> None:
        try:
            found.extend(sorted(ask(app.servers())))
        except Exception:
            return  # whatever it is, this is no moment to tell

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(_BUDGET_S)
    return [name for name in list(found) if name.startswith(incomplete)]


def _topics(servers: str) -> list[str]:
    answer = _ask(servers, _METADATA, _METADATA_VERSION, topics=None, allow_auto_topic_creation=False)
    return [topic.name for topic in answer.topics if not topic.is_internal]


def _groups(servers: str) -> list[str]:
    return [group.group_id for group in _ask(servers, _LIST_GROUPS, _LIST_GROUPS_VERSION).groups]


def _transactional_ids(servers: str) -> list[str]:
    answer = _ask(servers, _LIST_TRANSACTIONS, _LIST_TRANSACTIONS_VERSION)
    return [transaction.transactional_id for transaction in answer.transaction_states]


def _ask(servers: str, key: int, version: int, **fields: Any) -> Any:
    """The first broker's answer."""
    import socket
    import struct

    from flymq.client.addresses import parse_addresses
    from flymq_protocol.framing import decode_response, encode_request
    from flymq_protocol.registry import load

    deadline = time.monotonic() + _BUDGET_S
    address = parse_addresses(servers)[0]
    with socket.create_connection((address.host, address.port), timeout=_BUDGET_S) as sock:
        sock.sendall(encode_request(load(key)[0](**fields), version, 0, "flymq-cli"))
        (size,) = struct.unpack(">i", _receive(sock, 4, deadline))
        return decode_response(key, version, _receive(sock, size, deadline))[1]


def _receive(sock: Any, size: int, deadline: float) -> bytes:
    received = b""
    while len(received) < size:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        data = sock.recv(size - len(received))
        if not data:
            raise ConnectionError("closed")
        received += data
    return received
