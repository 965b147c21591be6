"""Things that listen at an address and are no Kafka broker, or none that a client gets on with."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flymq_protocol.api.k03_metadata import MetadataResponse, MetadataResponseBroker
from flymq_protocol.api.k18_api_versions import ApiVersion, ApiVersionsResponse
from flymq_protocol.framing import encode_response

METADATA, API_VERSIONS = 3, 18


@contextlib.contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that calls `answer` with each connection, and closes that when it returns."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    if not ended.is_set():
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield port
        finally:
            ended.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join(20)


def never_answers(connection: socket.socket) -> None:
    """Until the other side has had enough."""
    while connection.recv(4096):
        pass


def closes_at_once(connection: socket.socket) -> None:
    pass


def closes_when_asked(connection: socket.socket) -> None:
    connection.recv(4096)


def resets(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says(what: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(what)
        never_answers(connection)

    return answer


def receive(connection: socket.socket) -> tuple[int, int]:
    """A request: its API and its correlation id."""
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    key, _, correlation = struct.unpack(">hhi", _exactly(connection, size)[:8])
    return key, correlation


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        data = connection.recv(size - len(received))
        if not data:
            raise ConnectionResetError
        received += data
    return received


def advertises(*addresses: tuple[str, int]) -> Callable[[socket.socket], None]:
    """Speaks Kafka, as far as saying where its brokers are. Without any it closes the connection instead."""

    def answer(connection: socket.socket) -> None:
        while True:
            key, correlation = receive(connection)
            if key == API_VERSIONS:
                versions = ApiVersionsResponse(api_keys=[ApiVersion(METADATA, 0, 4), ApiVersion(API_VERSIONS, 0, 0)])
                connection.sendall(encode_response(versions, 0, correlation))
            elif not addresses:
                return
            else:
                brokers = [MetadataResponseBroker(n, host, port) for n, (host, port) in enumerate(addresses)]
                connection.sendall(encode_response(MetadataResponse(brokers=brokers), 4, correlation))

    return answer


@contextlib.contextmanager
def http_server() -> Iterator[int]:
    """Python's own: it waits for the end of a line."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def swallowing() -> Iterator[int]:
    """A port at which connecting is never answered, as behind a firewall: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def free_port() -> int:
    """One at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


CERTIFICATE = Path(__file__).parent / "localhost.pem"
"""Of localhost, signed by itself and good for a hundred years; its key is in it."""


@contextlib.contextmanager
def tls_server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """As `serving`, in TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)

    def secured(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            answer(inside)

    with serving(secured) as port:
        yield port
