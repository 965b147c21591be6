"""Apache Kafka itself, one node, in a container of its own image; where a Docker engine answers."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping
from typing import Self

from docker.errors import DockerException
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from compat_tests.broker_process import free_port
from compat_tests.real_kafka import QUICK, STARTED, VERSION, node_settings

IMAGE = f"apache/kafka:{VERSION}"
_ASK_TIMEOUT_S = 5
_START_TIMEOUT_S = 120
_LOG_CHARACTERS_TOLD = 4000
_DATA = "/tmp/kafka-data"  # the image's user may write there; it goes with the container


def why_no_engine() -> str | None:
    """What keeps this machine from running containers; asked where Docker's own command would ask."""
    with warnings.catch_warnings():
        # Where none answers, the library leaves its socket to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            DockerClient(timeout=_ASK_TIMEOUT_S).client.close()
            return None
        except DockerException:
            return "no Docker engine answers here (`docker info`)"
        finally:
            gc.collect()


class KafkaContainer:
    """As `real_kafka.RealKafka`: a broker and controller, from `with` to its end, with `settings` by Kafka's names.

    Its port has the same number inside and outside, as the broker reaches itself at the address that clients are told.
    Raises RuntimeError where it does not start, with what it said.
    """

    def __init__(self, settings: Mapping[str, object] | None = None) -> None:
        port = free_port()
        self._container = DockerContainer(IMAGE).with_bind_ports(port, port)
        host = self._container.get_docker_client().host().replace("localhost", "127.0.0.1")
        self.bootstrap_servers = f"{host}:{port}"
        node = node_settings(host, port, free_port(), listen_on="0.0.0.0", data=_DATA)
        for name, value in {**node, **QUICK, **(settings or {})}.items():
            self._container.with_env(_variable(name), str(value))
        self._container.waiting_for(LogMessageWaitStrategy(STARTED).with_startup_timeout(_START_TIMEOUT_S))

    @property
    def log(self) -> str:
        return "".join(stream.decode() for stream in self._container.get_logs())

    def __enter__(self) -> Self:
        try:
            self._container.start()
        except BaseException as error:
            said = "" if self._container.status == "not_started" else self.log
            self._container.stop()
            if not isinstance(error, (DockerException, RuntimeError, TimeoutError)):
                raise
            raise RuntimeError(
                f"{IMAGE} has not started: {error}. With `--kafka jars` a JDK runs Apache Kafka instead."
                f" It said:\n{said[-_LOG_CHARACTERS_TOLD:]}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._container.stop()


def _variable(setting: str) -> str:
    """Where the image looks for a setting."""
    assert not set(setting) & set("-_"), setting
    return f"KAFKA_{setting.replace('.', '_').upper()}"
