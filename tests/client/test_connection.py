"""Making a client: arguments, settings of kafka-python, what is connected when, and closing."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from compat_tests.broker_process import BrokerProcess
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.errors import (
    BrokerUnavailableError,
    ClosedError,
    FlyMQError,
    InvalidArgumentError,
    RequestTimeoutError,
    UnsupportedError,
)
from flymq.client.kafka_python import kafka
from tests.client.listeners import CERTIFICATE, free_port, never_answers, serving

TIMEOUT_S = 20.0


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"timeout": 0}, "timeout is 0 above 0"),
        ({"timeout": -1}, "timeout is -1 above 0"),
        ({"timeout": float("nan")}, "timeout is nan above 0"),
        ({"timeout": 10_000}, "timeout is 10000 below 540"),
        ({"timeout": "5"}, "timeout is '5' give seconds"),
        ({"connect_timeout": 0}, "connect_timeout is 0 above 0"),
        ({"connect_timeout": None}, "connect_timeout is None give seconds"),
        ({"fetch_max_byte": 1}, "there is no setting fetch_max_byte did you mean fetch_max_bytes?"),
        ({"zzz": 1}, "there is no setting zzz settings are kafka-python's"),
        ({"sasl": "PLAIN"}, 'sasl is not three strs ("PLAIN", "ada", "...")'),
        ({"sasl": ("PLAIN", "ada")}, "sasl is not three strs"),
        ({"sasl": ("PLAIN", "ada", None)}, "sasl is not three strs"),
        ({"sasl": ("PLIAN", "ada", "secret")}, "there is no mechanism PLIAN did you mean PLAIN?"),
        ({"sasl": ("plain", "ada", "secret")}, "there is no mechanism plain did you mean PLAIN?"),
        ({"sasl": ("none such", "ada", "secret")}, "it is one of"),
        ({"tls": "/no/such.pem"}, "tls: can't read /no/such.pem PEM"),
        ({"tls": Path("/no/such.pem")}, "tls: can't read /no/such.pem PEM"),
        ({"tls": __file__}, f"tls: can't read {__file__} PEM"),
        ({"tls": 5}, "tls: can't read 5 PEM"),
        ({"bootstrap_servers": None}, "bootstrap_servers is None"),
    ],
    ids=str,
)
def test_what_is_wrong_wherever_the_broker_is_is_told_at_once(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        FlyMQClient(**{"bootstrap_servers": "no-such-host.invalid", **wrong})
    text = f"{caught.value} {caught.value.hint}"
    position = 0
    for word in told.split():
        assert word in text[position:], f"no {word!r} in {text[position:]!r}"
        position = text.index(word, position) + len(word)
    assert "secret" not in text


def test_a_client_without_arguments_is_for_this_machine() -> None:
    assert repr(FlyMQClient()) == "FlyMQClient('localhost:9092')"


@pytest.mark.parametrize("tls", [None, False, True, str(CERTIFICATE), CERTIFICATE])
def test_tls_is_yes_or_an_authority(tls: Any) -> None:
    FlyMQClient("no-such-host.invalid", tls=tls).close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_broker_that_knows_no_sasl_is_told_as_such(broker: EmbeddedBroker, mechanism: str) -> None:
    with (
        FlyMQClient(broker.bootstrap_servers, sasl=(mechanism, "ada", "secret")) as client,
        pytest.raises(UnsupportedError, match="SaslHandshake") as caught,
    ):
        client.ping()
    assert "secret" not in str(caught.value)


# -- settings of kafka-python ---------------------------------------------------------------------


def test_each_of_its_clients_gets_the_settings_that_it_knows(broker: EmbeddedBroker) -> None:
    settings = {"linger_ms": 3, "fetch_max_bytes": 100_000, "request_timeout_ms": 7000}
    with FlyMQClient(broker.bootstrap_servers, client_id="ada", **settings) as client:  # type: ignore[arg-type]
        producer, consumer, admin = (
            client.connection.producer(), client.connection.consumer(), client.connection.admin()
        )  # fmt: skip
        assert producer.config["linger_ms"] == 3
        assert consumer.config["fetch_max_bytes"] == 100_000
        assert {one.config["request_timeout_ms"] for one in (producer, consumer, admin)} == {7000}
        assert {one.config["client_id"] for one in (producer, consumer, admin)} == {"ada"}
        producer.close()
        consumer.close()
        assert {request.client_id for request in broker.requests(client_id="ada")} == {"ada"}


def test_the_time_out_is_that_of_its_requests(broker: EmbeddedBroker) -> None:
    with FlyMQClient(broker.bootstrap_servers, timeout=2.5) as client:
        assert client.connection.admin().config["request_timeout_ms"] == 2500


def test_a_setting_of_a_consumer_that_can_t_be_used(broker: EmbeddedBroker) -> None:
    with FlyMQClient(broker.bootstrap_servers, fetch_max_bytes="many") as client, pytest.raises(FlyMQError):
        client.fetch("orders")


def test_one_s_own_network_client(broker: EmbeddedBroker) -> None:
    """kafka-python's hook stays one."""
    made = []

    def net_client(**settings: Any) -> Any:
        from kafka.net.compat import KafkaNetClient

        made.append(KafkaNetClient(**settings))
        return made[-1]

    with FlyMQClient(broker.bootstrap_servers, kafka_client=net_client) as client:
        client.ping()
    assert len(made) == 1


# -- what is connected when -----------------------------------------------------------------------


def test_nothing_is_connected_before_the_first_call() -> None:
    with EmbeddedBroker() as broker, FlyMQClient(broker.bootstrap_servers) as client:
        client.consumer("orders", "kitchen")
        assert all((client.topics, client.groups, client.cluster))
        assert broker.requests() == []
        client.ping()
        assert broker.requests() != []


def test_a_ping_takes_as_long_as_a_request(broker: EmbeddedBroker) -> None:
    with FlyMQClient(broker.bootstrap_servers) as client:
        assert 0 < client.ping() < TIMEOUT_S


def test_a_ping_says_what_is_wrong_and_when_it_is_over() -> None:
    with EmbeddedBroker() as broker:
        client = FlyMQClient(broker.bootstrap_servers)
        client.ping()
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match=f"nothing listens at 127.0.0.1:{broker.port}"):
            client.ping()
    with broker:
        client.ping()
        client.close()


def test_a_ping_gives_up() -> None:
    with BrokerProcess(None) as broker, FlyMQClient(broker.bootstrap_servers, timeout=0.3) as client:
        client.ping()
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            with pytest.raises(RequestTimeoutError, match="ping"):
                client.ping()
        finally:
            os.kill(broker.pid, signal.SIGCONT)


def test_many_threads_may_begin_at_once() -> None:
    with EmbeddedBroker() as broker, FlyMQClient(broker.bootstrap_servers) as client, ThreadPoolExecutor(8) as pool:
        start = threading.Barrier(8)

        def work(number: int) -> int:
            start.wait(TIMEOUT_S)
            client.list_topics()
            return client.produce("orders", str(number)).offset

        assert sorted(pool.map(work, range(8))) == list(range(8))
        assert len(broker.requests("ApiVersions", client_id="flymq-probe")) == 1
        assert len(broker.requests("InitProducerId")) == 1


# -- closing --------------------------------------------------------------------------------------


def test_closing_is_harmless_before_the_first_call_and_a_second_time(broker: EmbeddedBroker) -> None:
    unused = FlyMQClient(broker.bootstrap_servers)
    unused.close()
    unused.close()
    with FlyMQClient(broker.bootstrap_servers) as client:
        client.ping()
        client.close()


def test_a_closed_client_says_so(broker: EmbeddedBroker) -> None:
    client = FlyMQClient(broker.bootstrap_servers)
    client.produce("orders", "x")
    client.close()
    uses: list[Callable[[], object]] = [
        client.ping,
        client.list_topics,
        client.producer,
        lambda: client.produce("orders", "x"),
        lambda: client.produce_many("orders", ["x"]),
        lambda: client.consumer("orders"),
        lambda: client.create_topic("bills"),
    ]
    for use in uses:
        with pytest.raises(ClosedError, match="the client is closed"):
            use()


def open_sockets(kafka_client: Any) -> list[Any]:
    """Those of a client of kafka-python that are open, or left to the garbage collector."""
    return [sock for sock in kafka_client._manager._net.flymq_sockets if sock.fileno() >= 0]


def test_sockets_that_do_not_connect_are_not_left_to_the_garbage_collector() -> None:
    with EmbeddedBroker() as broker:
        client = FlyMQClient(broker.bootstrap_servers, timeout=1)
        client.produce("orders", "x")
        client.list_topics()
        admin = client.connection.admin()
        assert len(open_sockets(admin)) == 1
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(BrokerUnavailableError):
                client.list_topics()
        with pytest.raises(FlyMQError):
            client.produce("orders", "x")
        assert open_sockets(admin) == []
        client.close()
    finally:
        gc.enable()


def test_sockets_with_something_left_to_send_are_closed_too(broker: EmbeddedBroker) -> None:
    with FlyMQClient(broker.bootstrap_servers) as client:
        client.ping()
        admin = client.connection.admin()
        (connection,) = (one for one in admin._manager._conns.values() if one.connected)
        connection.transport._write_buffer.append(b"x")
    assert open_sockets(admin) == []


def test_what_fails_to_begin_leaves_nothing_running() -> None:
    """Its threads would go on looking for a broker."""
    before = set(threading.enumerate())
    with serving(never_answers) as port:
        for servers in (f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}"):
            client = FlyMQClient(servers, connect_timeout=0.3)
            for use in (client.ping, client.producer, lambda client=client: client.fetch("orders")):
                with pytest.raises(BrokerUnavailableError):
                    use()
            client.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(TIMEOUT_S)
    assert set(threading.enumerate()) <= before


def test_its_errors_are_not_kafka_python_s(broker: EmbeddedBroker) -> None:
    with FlyMQClient(broker.bootstrap_servers) as client, pytest.raises(FlyMQError) as caught:
        client.fetch("no.such.topic")
    assert not isinstance(caught.value, kafka().errors.KafkaError)
