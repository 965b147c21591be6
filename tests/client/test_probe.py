"""A broker that can't be reached: within `connect_timeout`, the client says what is there instead. Real sockets."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.addresses import Address
from flymq.client.errors import AuthenticationError, BrokerUnavailableError
from flymq.client.probe import probe
from tests.client.listeners import (
    CERTIFICATE,
    advertises,
    closes_at_once,
    closes_when_asked,
    free_port,
    http_server,
    never_answers,
    resets,
    says,
    serving,
    swallowing,
    tls_server,
)

CONNECT_S = 1.0
# What the time-out may be overrun by: two busy processors.
SLACK_S = 2.0


def trying(*ports: int, host: str = "127.0.0.1", **settings: Any) -> BrokerUnavailableError | AuthenticationError:
    """What the client says. Not before long, and the same to whatever is tried first."""
    started = time.monotonic()
    servers = [f"{host}:{port}" for port in ports]
    with (
        FlyMQClient(servers, connect_timeout=CONNECT_S, **settings) as client,
        pytest.raises((BrokerUnavailableError, AuthenticationError)) as caught,
    ):
        client.ping()
    assert time.monotonic() - started < CONNECT_S + SLACK_S
    assert "\n" not in str(caught.value)
    return caught.value


def said(error: BrokerUnavailableError | AuthenticationError) -> tuple[str, bool]:
    return error.code, error.retriable


# -- nobody there ---------------------------------------------------------------------------------


def test_nothing_listens() -> None:
    port = free_port()
    error = trying(port)
    assert str(error) == f"nothing listens at 127.0.0.1:{port}"
    assert said(error) == ("CONNECTION_REFUSED", True)
    assert "flymq serve" in error.hint


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70, ".localhost"])
def test_no_such_host(host: str) -> None:
    error = trying(9092, host=host)
    assert str(error) == f"no address for {host}: no such host"
    assert said(error) == ("UNKNOWN_HOST", True)
    assert "spelling" in error.hint


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def hang(*_: object, **__: object) -> Any:
        given_up.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    error = trying(9092, host="broker.example")
    given_up.set()
    assert str(error) == "no address for broker.example: the name server did not answer in time"


def test_packets_are_swallowed() -> None:
    with swallowing() as port:
        error = trying(port)
    assert str(error).startswith(f"no way to 127.0.0.1:{port}: no answer within ")
    assert said(error) == ("UNREACHABLE", True)
    assert "firewalls" in error.hint


def test_no_way_says_why_where_the_system_knows() -> None:
    error = trying(9092, host="255.255.255.255")
    assert str(error).startswith("no way to 255.255.255.255:9092: ")
    assert "no answer within" not in str(error)
    assert said(error) == ("UNREACHABLE", True)


# -- somebody else --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (closes_at_once, "closed the connection"),
        (closes_when_asked, "closed the connection without an answer"),
        (resets, "closed the connection"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "speaks HTTP"),
        (says(b"SSH-2.0-OpenSSH_9.6\r\n"), "speaks SSH"),
        (says(b"\x15\x03\x01\x00\x02\x02\x46"), "speaks TLS"),
        (says(b"220 mail.example ESMTP\r\n"), "answered with something else"),
        (says(b"-ERR unknown command\r\n"), "answered with something else"),
        (says(b"\x00\x00\x00\x06\x00\x00\x00\x00\x00\x01"), "answered with something else"),
        (says(b"\x00\x00\x00\x02\x00\x00"), "answered with something else"),
        (says(b"\xff\xff\xff\xff"), "answered with something else"),
        (says(b"\x7f\xff\xff\xff"), "answered with something else"),
        (says(b"\x00\x00\x00\x00"), "answered with something else"),
    ],
)
def test_it_is_not_kafka(answer: Callable[[socket.socket], None], what: str) -> None:
    with serving(answer) as port:
        error = trying(port)
    assert str(error).startswith(f"127.0.0.1:{port} is not a Kafka broker: it {what}")
    assert said(error) == ("NOT_KAFKA", False)
    assert error.hint


def test_a_web_server_that_waits_for_a_line() -> None:
    with http_server() as port:
        error = trying(port)
    assert str(error) == f"127.0.0.1:{port} is not a Kafka broker: it speaks HTTP"
    assert said(error) == ("NOT_KAFKA", False)


def test_it_takes_connections_and_never_answers() -> None:
    with serving(never_answers) as port:
        error = trying(port)
    assert str(error).startswith(f"127.0.0.1:{port} takes connections, but did not answer within ")
    assert said(error) == ("NO_ANSWER", True)


def test_a_broker_that_hangs() -> None:
    with BrokerProcess(None) as broker:
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            assert said(trying(broker.port)) == ("NO_ANSWER", True)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        probe([Address("127.0.0.1", broker.port)], 20)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_answered_it_is_an_error_of_ours(seed: int) -> None:
    """A frame that is well-formed outside, and inside it nonsense."""
    chance = random.Random(seed)
    inside = b"\0\0\0\0" + chance.randbytes(chance.randrange(60))
    with serving(says(len(inside).to_bytes(4, "big") + inside)) as port:
        error = trying(port)
    assert error.code in ("NOT_KAFKA", "NO_ANSWER", "CONNECTION_CLOSED")


# -- TLS ------------------------------------------------------------------------------------------


def test_a_tls_port_without_tls() -> None:
    with tls_server(never_answers) as port:
        error = trying(port)
    assert error.code == "NOT_KAFKA"
    assert "tls=True" in error.hint  # whether it says so in TLS, or only hangs up


def test_tls_at_a_port_without() -> None:
    with EmbeddedBroker() as broker:
        error = trying(broker.port, tls=True)
    assert str(error) == f"127.0.0.1:{broker.port} is not a Kafka broker: it does not speak TLS"
    assert "leave tls out" in error.hint


def test_a_certificate_that_nobody_vouches_for() -> None:
    with tls_server(advertises(("localhost", 9))) as port:
        error = trying(port, host="localhost", tls=True)
    assert str(error).startswith(f"the certificate of localhost:{port} is not trusted: ")
    assert isinstance(error, AuthenticationError)
    assert said(error) == ("UNTRUSTED_CERTIFICATE", False)
    assert "tls='/path/to/ca.pem'" in error.hint


def test_a_certificate_of_somebody_else() -> None:
    with tls_server(advertises(("localhost", 9))) as port:
        error = trying(port, tls=CERTIFICATE)
    assert "127.0.0.1" in str(error)
    assert error.code == "UNTRUSTED_CERTIFICATE"


@pytest.mark.parametrize("how", [str, lambda path: path, lambda path: ssl.create_default_context(cafile=path)])
def test_a_certificate_that_is_trusted(how: Callable[[Any], Any]) -> None:
    """Beyond the probe kafka-python itself finds that this server does not know what it asks."""
    with tls_server(advertises(("localhost", free_port()))) as port:
        error = trying(port, host="localhost", tls=how(CERTIFICATE))
    assert error.code == "ADVERTISED_UNREACHABLE"


# -- brokers that say they are elsewhere ----------------------------------------------------------


def test_the_advertised_address_is_dead() -> None:
    dead = free_port()
    with serving(advertises(("127.0.0.1", dead))) as port:
        error = trying(port)
    assert str(error) == (
        f"the broker at 127.0.0.1:{port} says that it is at 127.0.0.1:{dead}, "
        f"and there: nothing listens at 127.0.0.1:{dead}"
    )
    assert said(error) == ("ADVERTISED_UNREACHABLE", True)
    assert "advertised.listeners" in error.hint


def test_the_advertised_address_has_no_host() -> None:
    with serving(advertises(("kafka-0.cluster.invalid", 9092))) as port:
        error = trying(port)
    assert "says that it is at kafka-0.cluster.invalid:9092, and there: no address for" in str(error)
    assert error.code == "ADVERTISED_UNREACHABLE"


def test_the_advertised_address_swallows_packets() -> None:
    with swallowing() as hole, serving(advertises(("127.0.0.1", hole))) as port:
        error = trying(port)
    assert "and there: no way to 127.0.0.1" in str(error)
    assert error.code == "ADVERTISED_UNREACHABLE"


def test_one_of_several_that_works_will_do() -> None:
    with EmbeddedBroker() as broker, swallowing() as hole:
        alive, dead = ("127.0.0.1", broker.port), ("127.0.0.1", free_port())
        with serving(advertises(dead, ("127.0.0.1", hole), alive)) as port:
            probe([Address("127.0.0.1", port)], 4)


def test_who_is_asked_and_is_among_them_works() -> None:
    """The other brokers of its cluster may be down."""
    ports: list[int] = []

    def answer(connection: socket.socket) -> None:
        advertises(("127.0.0.1", dead), ("127.0.0.1", ports[0]))(connection)

    dead = free_port()
    with serving(answer) as port:
        ports.append(port)
        probe([Address("127.0.0.1", port)], 20)


def test_a_broker_that_wants_to_know_who_asks() -> None:
    with serving(advertises()) as port:
        error = trying(port)
        assert str(error) == f"the broker at 127.0.0.1:{port} closed the connection when asked for its addresses"
        assert said(error) == ("CONNECTION_CLOSED", True)
        assert "sasl=(mechanism, user, password)" in error.hint
        probe([Address("127.0.0.1", port)], 20, sasl=True)


# -- several addresses ----------------------------------------------------------------------------


def test_the_first_that_answers_will_do() -> None:
    with EmbeddedBroker() as broker, swallowing() as hole:
        servers = f"127.0.0.1:{free_port()},127.0.0.1:{hole},{broker.bootstrap_servers}"
        for turn in range(3):  # kafka-python takes any of them, by lot
            with FlyMQClient(servers, connect_timeout=2) as client:
                assert client.ping() >= 0
                assert client.produce("orders", "x").offset == turn


def test_of_several_that_fail_the_first_is_told() -> None:
    with swallowing() as hole, http_server() as web:
        first = free_port()
        assert str(trying(first, hole, web)) == f"nothing listens at 127.0.0.1:{first}"


@contextlib.contextmanager
def resolving_to(*ports: int) -> Iterator[None]:
    """`broker.example` is the host of several addresses."""
    with pytest.MonkeyPatch.context() as patch:
        look_up = socket.getaddrinfo

        def several(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host != "broker.example":
                return look_up(host, port, *args, **kwargs)
            return [entry for other in ports for entry in look_up("127.0.0.1", other, *args, **kwargs)]

        patch.setattr(socket, "getaddrinfo", several)
        yield


def test_of_a_host_with_several_addresses_one_that_works_will_do() -> None:
    """The first may be an IPv6 that leads nowhere: it must not take all the time."""
    with EmbeddedBroker() as broker, swallowing() as hole, resolving_to(hole, broker.port):
        started = time.monotonic()
        probe([Address("broker.example", 9092)], 4)
        assert time.monotonic() - started < 3.5


# -- and then -------------------------------------------------------------------------------------


def test_a_client_that_failed_works_once_there_is_a_broker() -> None:
    with EmbeddedBroker() as first:
        port = first.port
    with FlyMQClient(f"127.0.0.1:{port}", connect_timeout=CONNECT_S) as client:
        for use in (client.ping, lambda: client.produce("orders", "x"), lambda: client.fetch("orders")):
            with pytest.raises(BrokerUnavailableError, match="nothing listens"):
                use()
        with EmbeddedBroker(port=port):
            assert client.produce("orders", "x").offset == 0
            assert len(client.fetch("orders")) == 1


def test_a_broker_that_went_away_is_told_as_such() -> None:
    """Also where kafka-python makes a new consumer for each call, and only knows that it is late."""
    with EmbeddedBroker() as broker:
        client = FlyMQClient(broker.bootstrap_servers, connect_timeout=CONNECT_S)
        client.produce("orders", "x")
        client.fetch("orders")
    started = time.monotonic()
    with pytest.raises(BrokerUnavailableError, match=f"nothing listens at 127.0.0.1:{broker.port}"):
        client.fetch("orders")
    assert time.monotonic() - started < 2 * CONNECT_S + SLACK_S
    client.close()


def test_a_broker_is_asked_once() -> None:
    with EmbeddedBroker() as broker, FlyMQClient(broker.bootstrap_servers) as client:
        client.produce("orders", "x")
        client.list_topics()
        client.fetch("orders")
        assert len(broker.requests("ApiVersions", client_id="flymq-probe")) == 1
        assert len(broker.requests("Metadata", client_id="flymq-probe")) == 1
        assert "orders" in client.list_topics()
