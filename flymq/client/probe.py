"""Is there a Kafka broker at this address, and if not, what is there?

kafka-python answers a dead port, an unknown name, a wrong address and a web server alike: a time-out, half a minute
later. This asks first, on a socket of its own, and says which it is.
"""

from __future__ import annotations

import contextlib
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
# Python's own web server says nothing to what has no line end in it. Time kept to ask once more, in its words.
_SECOND_LOOK_S = 0.5


def probe(
    addresses: Sequence[Address], timeout: float, tls: ssl.SSLContext | None = None, *, sasl: bool = False
) -> Address:
    """The first of the addresses that answers as a Kafka broker.

    Also checks that a client can reach the address which that broker advertises (not with `sasl`: a broker tells
    only those it knows). Takes at most `timeout` seconds in all. Raises `BrokerUnavailableError`, whose `code` is
    UNKNOWN_HOST, CONNECTION_REFUSED, UNREACHABLE, NO_ANSWER, NOT_KAFKA, CONNECTION_CLOSED or
    ADVERTISED_UNREACHABLE; `AuthenticationError` for a certificate that is not trusted.
    """
    deadline = time.monotonic() + timeout
    failure: Exception | None = None
    for tried, address in enumerate(addresses):
        share = max(0.0, deadline - time.monotonic()) / (len(addresses) - tried)
        try:
            _probe_one(address, time.monotonic() + share, tls, sasl)
            return address
        except (BrokerUnavailableError, AuthenticationError) as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _probe_one(address: Address, deadline: float, tls: ssl.SSLContext | None, sasl: bool) -> None:
    started = time.monotonic()
    sock = _connect(address, deadline)
    patience = deadline - min(_SECOND_LOOK_S, _left(deadline) / 4)
    try:
        if tls is not None:
            sock = _handshake(sock, address, patience, tls)
        advertised = _ask(sock, address, patience, with_metadata=not sasl)
    except FlyMQError:
        raise
    except TimeoutError:
        _look_again(address, deadline)
        raise BrokerUnavailableError(
            f"{address} takes connections, but did not answer within {time.monotonic() - started:.1f} s",
            hint="check the port; if it is that of a Kafka broker, that one hangs",
            code="NO_ANSWER",
        ) from None
    except OSError as error:
        raise _not_kafka(address, f"closed the connection ({error.strerror or error})") from None
    finally:
        sock.close()
    if address not in advertised:
        _check_advertised(address, advertised, deadline)


def _look_again(address: Address, deadline: float) -> None:
    """Raise `BrokerUnavailableError` where something answers to HTTP that did not to Kafka."""
    answer = b""
    with contextlib.suppress(OSError), _connect(address, deadline) as sock:
        sock.settimeout(_left(deadline))
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = sock.recv(4)
    if answer:
        raise _not_kafka(address, *_what_speaks(answer)) from None


def _left(deadline: float) -> float:
    """Seconds, never 0: that would make a socket non-blocking."""
    return max(0.001, deadline - time.monotonic())


# -- connecting -----------------------------------------------------------------------------------


def _connect(address: Address, deadline: float) -> socket.socket:
    started = time.monotonic()
    failures: list[OSError] = []
    targets = _resolve(address, deadline)
    for tried, target in enumerate(targets):
        try:
            # The first of several may swallow everything, as a broken IPv6 does, and must not take all the time.
            return _open(target, _left(deadline) / (len(targets) - tried))
        except OSError as error:
            failures.append(error)
    if any(failure.errno == errno.ECONNREFUSED for failure in failures):
        raise BrokerUnavailableError(f"nothing listens at {address}", code="CONNECTION_REFUSED")
    why = failures[0].strerror  # none for a time-out
    raise BrokerUnavailableError(
        f"no way to {address}: {why or f'no answer within {time.monotonic() - started:.1f} s'}",
        hint="check the address, the network and firewalls",
        code="UNREACHABLE",
    )


def _open(target: Any, timeout: float) -> socket.socket:
    family, kind, protocol, _, where = target
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(timeout)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock


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


def prepare() -> None:
    """Import what asking takes, codecs too. Whoever makes a client means to use it: let not its first message wait."""
    from flymq_protocol.framing import encode_request
    from flymq_protocol.registry import load

    for key in (_API_VERSIONS_KEY, _METADATA_KEY):
        encode_request(load(key)[0](), 0, 0, _CLIENT_ID)


def _ask(sock: socket.socket, address: Address, deadline: float, *, with_metadata: bool) -> list[Address]:
    """Speak Kafka: the addresses that the broker advertises; none where it was not asked or is too old."""
    from flymq_protocol.registry import load

    versions = _call(sock, address, deadline, load(_API_VERSIONS_KEY)[0](), 0)
    spoken = {row.api_key: range(row.min_version, row.max_version + 1) for row in versions.api_keys}
    if not with_metadata or _METADATA_VERSION not in spoken.get(_METADATA_KEY, ()):
        return []
    metadata_request: Any = load(_METADATA_KEY)[0]
    request = metadata_request(topics=[], allow_auto_topic_creation=False)
    try:
        metadata = _call(sock, address, deadline, request, _METADATA_VERSION)
    except (BrokerUnavailableError, ConnectionError):
        raise BrokerUnavailableError(
            f"the broker at {address} closed the connection when asked for its addresses",
            hint="it wants to know who asks, sasl=(mechanism, user, password), or is going down",
            code="CONNECTION_CLOSED",
        ) from None
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
