"""Is there a Kafka broker at this address, and if not, what is there?

kafka-python answers a dead port, an unknown name, a wrong address and a web server alike: a time-out, half a minute
later. This asks first, on a socket of its own, and says which it is.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from flymq.client.addresses import Address
from flymq.client.errors import AuthenticationError, BrokerUnavailableError, FlyMQError
from flymq_protocol.errors import ProtocolError

_CLIENT_ID = "flymq-probe"
_ANSWER_BYTES_MAX = 16 << 20
_METADATA_KEY = 3
_API_VERSIONS_KEY = 18
# The first with allow_auto_topic_creation, and one that every broker since 1.0 has.
_METADATA_VERSION = 4
_ADVERTISED_CHECKED_MAX = 3


def probe(
    addresses: Sequence[Address], timeout: float, tls: ssl.SSLContext | None = None, *, sasl: bool = False
) -> None:
    """Return once one of the addresses has answered as a Kafka broker; the first that does ends it.

    Also checks that a client can reach the address which that broker advertises (not with `sasl`: a broker tells
    only those it knows). Takes at most `timeout` seconds in all. Raises `BrokerUnavailableError`, whose `code` is
    UNKNOWN_HOST, CONNECTION_REFUSED, UNREACHABLE, NOT_KAFKA or ADVERTISED_UNREACHABLE; `AuthenticationError` for
    a certificate that is not trusted.
    """
    deadline = time.monotonic() + timeout
    failure: Exception | None = None
    for tried, address in enumerate(addresses):
        share = max(0.0, deadline - time.monotonic()) / (len(addresses) - tried)
        try:
            return _probe_one(address, time.monotonic() + share, timeout, tls, sasl)
        except (BrokerUnavailableError, AuthenticationError) as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _probe_one(address: Address, deadline: float, timeout: float, tls: ssl.SSLContext | None, sasl: bool) -> None:
    sock = _connect(address, deadline)
    try:
        if tls is not None:
            sock = _handshake(sock, address, deadline, tls)
        advertised = _ask(sock, address, deadline, with_metadata=not sasl)
    except FlyMQError:
        raise
    except TimeoutError:
        raise _not_kafka(address, f"takes connections, but did not answer within {timeout:g} s") from None
    except OSError as error:
        raise _not_kafka(address, f"closed the connection ({error.strerror or error})") from None
    finally:
        sock.close()
    _check_advertised(address, [other for other in advertised if other != address], deadline)


def _left(deadline: float) -> float:
    """Seconds, never 0: that would make a socket non-blocking."""
    return max(0.001, deadline - time.monotonic())


# -- connecting -----------------------------------------------------------------------------------


def _connect(address: Address, deadline: float) -> socket.socket:
    started = time.monotonic()
    refused = False
    for family, kind, protocol, _, target in _resolve(address, deadline):
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(_left(deadline))
        try:
            sock.connect(target)
            return sock
        except OSError as error:
            sock.close()
            refused = refused or error.errno == errno.ECONNREFUSED
    if refused:
        raise BrokerUnavailableError(f"nothing listens at {address}", code="CONNECTION_REFUSED")
    raise BrokerUnavailableError(
        f"no way to {address}: no answer within {time.monotonic() - started:.1f} s",
        hint="check the address, the network and firewalls",
        code="UNREACHABLE",
    )


def _resolve(address: Address, deadline: float) -> list[Any]:
    """`getaddrinfo`, which knows no time-out of its own, on a thread that is left behind when it takes too long."""
    outcome: list[Any] = []

    def look_up() -> None:
        try:
            outcome.append(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    thread = threading.Thread(target=look_up, name="flymq-resolve", daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if outcome and isinstance(outcome[0], list):
        return outcome[0]
    why = "the name server did not answer in time" if not outcome else "no such host"
    raise BrokerUnavailableError(
        f"no address for {address.host}: {why}", hint="check the spelling of the host name", code="UNKNOWN_HOST"
    )


def _handshake(sock: socket.socket, address: Address, deadline: float, tls: ssl.SSLContext) -> socket.socket:
    sock.settimeout(_left(deadline))
    try:
        return tls.wrap_socket(sock, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        raise AuthenticationError(
            f"the certificate of {address} is not trusted: {error.verify_message}",
            hint="give the file of its authority: tls='/path/to/ca.pem'",
            code="UNTRUSTED_CERTIFICATE",
        ) from None
    except ssl.SSLError:
        raise _not_kafka(address, "does not speak TLS", hint="leave tls out, or use the broker's TLS port") from None


# -- asking ---------------------------------------------------------------------------------------


def _ask(sock: socket.socket, address: Address, deadline: float, *, with_metadata: bool) -> list[Address]:
    """Speak Kafka: the addresses that the broker advertises; none where it was not asked or is too old."""
    from flymq_protocol.registry import load

    versions = _call(sock, address, deadline, load(_API_VERSIONS_KEY)[0](), 0)
    spoken = {row.api_key: range(row.min_version, row.max_version + 1) for row in versions.api_keys}
    if not with_metadata or _METADATA_VERSION not in spoken.get(_METADATA_KEY, ()):
        return []
    metadata_request: Any = load(_METADATA_KEY)[0]
    request = metadata_request(topics=[], allow_auto_topic_creation=False)
    metadata = _call(sock, address, deadline, request, _METADATA_VERSION)
    return [Address(broker.host, broker.port) for broker in metadata.brokers]


def _call(sock: socket.socket, address: Address, deadline: float, request: Any, version: int) -> Any:
    from flymq_protocol.framing import decode_response, encode_request

    sock.settimeout(_left(deadline))
    sock.sendall(encode_request(request, version, 0, _CLIENT_ID))
    prefix = _receive(sock, address, 4, deadline)
    (size,) = struct.unpack(">i", prefix)
    if not 0 < size <= _ANSWER_BYTES_MAX:
        raise _not_kafka(address, *_what_speaks(prefix))
    try:
        return decode_response(request.KEY, version, _receive(sock, address, size, deadline))[1]
    except ProtocolError:
        raise _not_kafka(address, "answered with something else") from None


def _receive(sock: socket.socket, address: Address, size: int, deadline: float) -> bytes:
    received = b""
    while len(received) < size:
        sock.settimeout(_left(deadline))
        data = sock.recv(size - len(received))
        if not data:
            raise _not_kafka(address, "closed the connection without an answer")
        received += data
    return received


def _what_speaks(prefix: bytes) -> tuple[str, str | None]:
    """What an answer's first four bytes tell, and what to do then."""
    if prefix.startswith(b"HTTP"):
        return "speaks HTTP", None
    if prefix[0] in (0x15, 0x16) and prefix[1] == 3:
        return "speaks TLS", "give tls=True, or tls='/path/to/ca.pem'"
    if prefix.startswith(b"SSH-"):
        return "speaks SSH", None
    return f"answered with something else ({prefix!r}...)", None


def _not_kafka(address: Address, what: str, hint: str | None = None) -> BrokerUnavailableError:
    return BrokerUnavailableError(
        f"{address} is not a Kafka broker: it {what}",
        hint=hint or "check the port: Kafka's is usually 9092; a TLS listener needs tls=True",
        code="NOT_KAFKA",
        retriable=False,
    )


def _check_advertised(asked: Address, advertised: Sequence[Address], deadline: float) -> None:
    """A client talks to the advertised addresses from here on. One that works will do."""
    failure: BrokerUnavailableError | None = None
    for tried, address in enumerate(advertised[:_ADVERTISED_CHECKED_MAX]):
        share = _left(deadline) / (min(len(advertised), _ADVERTISED_CHECKED_MAX) - tried)
        try:
            _connect(address, time.monotonic() + share).close()
            return
        except BrokerUnavailableError as error:
            failure = error
    if failure is not None:
        raise BrokerUnavailableError(
            f"the broker at {asked} says that it is at {advertised[0]}, and there: {failure.message}",
            hint="set the broker's advertised.listeners to an address that this machine reaches",
            code="ADVERTISED_UNREACHABLE",
        )
