"""What connections cost that do nothing, or next to nothing."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import frames
from brokers import Given
from measures import P50, P99, Bench, Figures, create_topic

from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.framing import encode_request

MANY = 10_000
_OTHER_FILES = 200
_WARM_UP = 500
_ANSWER_TIMEOUT_S = 30.0


def can_open(count: int) -> bool:
    """Whether this process, and a broker like it, may have so many sockets."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard == resource.RLIM_INFINITY or hard >= count + _OTHER_FILES


def beside_idle_ones(bench: Bench, broker: Given, topic: str, count: int = MANY) -> Figures:
    """One message after the other is acknowledged, while so many other connections are open."""
    with _idle(broker, count):
        figures = bench.small_produces(broker, topic, 5_000)
    return {P50: figures[P50], P99: figures[P99]}


def memory(broker: Given, count: int = MANY) -> Figures:
    """Of a new broker's process: the kernel's buffers of a socket are not in it. A JVM's grows by its garbage."""
    with _idle(broker, _WARM_UP):
        pass
    before = broker.rss_mb()
    with _idle(broker, count):
        return {"RSS KB a connection": (broker.rss_mb() - before) * 1000 / count}


@contextmanager
def _idle(broker: Given, count: int) -> Iterator[None]:
    """Each has asked for ApiVersions, and does again in the end: so every one of them is still served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count + _OTHER_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + _OTHER_FILES, hard))
    host, port = broker.bootstrap.split(":")
    frame = encode_request(ApiVersionsRequest("bench", "1"), 3, 1, frames.CLIENT_ID)
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), _ANSWER_TIMEOUT_S))
            _ask(connection, frame)
            connections.append(connection)
        yield
        for connection in connections:
            _ask(connection, frame)


def _ask(connection: socket.socket, frame: bytes) -> None:
    connection.sendall(frame)
    missing, answer = 4, b""
    while len(answer) < missing:
        came = connection.recv(65536)
        assert came, "an idle connection was closed"
        answer += came
        missing = 4 + int.from_bytes(answer[:4], "big")


def idle_polls(broker: Given, topic: str, count: int = 1000, seconds: float = 5.0) -> Figures:
    """What `count` connections cost that each poll an empty partition for 500 ms."""
    create_topic(broker, topic)
    host, port = broker.bootstrap.split(":")
    frame = frames.fetch(topic, 500)
    selector = selectors.DefaultSelector()
    connections = []
    for _ in range(count):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(frame)
        selector.register(connection, selectors.EVENT_READ)
        connections.append(connection)

    def poll_for(duration: float) -> int:
        answers, until = 0, time.monotonic() + duration
        while time.monotonic() < until:
            for key, _ in selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                assert connection.recv(65536)
                connection.sendall(frame)
                answers += 1
        return answers

    poll_for(2.0)
    cpu = broker.cpu_s()
    answers = poll_for(seconds)
    share = (broker.cpu_s() - cpu) / seconds * 100
    assert answers > count * seconds, answers  # two a second each, less what is under way
    for connection in connections:
        connection.close()
    return {"% of a core": share}
