"""A Kafka client that hides nothing: frames over a blocking socket."""

from __future__ import annotations

import itertools
import socket
from collections import deque
from types import TracebackType
from typing import Any, Self

from flymq_protocol.framing import encode_request
from flymq_protocol.message import Message
from flymq_protocol.registry import load, response_header_version

TIMEOUT_S = 20.0  # what does not come by then never comes


class Closed(Exception):
    """The broker has closed the connection."""


class Client:
    """One connection. Every answer is decoded, and must encode to the same bytes again: nothing is left over."""

    def __init__(self, port: int, client_id: str | None = "wire", host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client_id = client_id
        self.answered: set[tuple[int, int]] = set()
        """(API key, version) of every answer so far."""
        self._correlation_ids = itertools.count(1)
        self._expected: deque[tuple[int, int, int]] = deque()
        self._received = bytearray()

    def call(self, request: Message, version: int) -> Any:
        """Send, and wait for the answer. Raises `Closed`."""
        self.send(request, version)
        return self.receive()

    def pipeline(self, *requests: tuple[Message, int]) -> list[Any]:
        """Send all in one packet, then wait for all answers."""
        self.socket.sendall(b"".join(self.frame(request, version) for request, version in requests))
        return [self.receive() for _ in requests]

    def send(self, request: Message, version: int, *, answered: bool = True) -> None:
        self.socket.sendall(self.frame(request, version, answered=answered))

    def frame(self, request: Message, version: int, *, answered: bool = True) -> bytes:
        """The request's bytes, not sent yet; `receive` will expect its answer."""
        correlation_id = next(self._correlation_ids)
        if answered:
            self._expected.append((correlation_id, request.KEY, version))
        return encode_request(request, version, correlation_id, self.client_id)

    def receive(self) -> Any:
        """The next answer, which must be that to the oldest unanswered request."""
        correlation_id, key, version = self._expected.popleft()
        frame = self.recv_frame()
        assert int.from_bytes(frame[:4], "big") == correlation_id, "an answer out of order"
        body = frame[4:]
        if response_header_version(key, version):
            assert body[0] == 0, "tagged fields in the header"
            body = body[1:]
        response = load(key)[1].decode(version, body)
        assert response.encode(version) == body
        self.answered.add((key, version))
        return response

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def recv_frame(self) -> bytes:
        """The next frame, without its size. Raises `Closed`."""
        size = int.from_bytes(self._recv(4), "big")
        return self._recv(size)

    def _recv(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                data = self.socket.recv(1 << 20)
            except (ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                raise Closed
            self._received += data
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def is_closed(self) -> bool:
        """Wait for the broker to close; False where it says something instead."""
        try:
            self._recv(1)
        except Closed:
            return True
        return False

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
