"""A connection against a scripted dispatcher and a transport that takes what it is told to take."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from flymq.broker.dispatch import Request
from flymq.broker.net.connection import Connection
from flymq.env import Token
from flymq.runtime.waiting import Ended, Hangup, OnLoan, Pending
from flymq.storage.api import Chunk
from flymq_protocol.errors import ProtocolError

SCRATCH_BYTES = 4096


class Transport:
    """The socket is real, as a connection writes to it directly; what it doesn't take stays in `buffer`."""

    def __init__(self, protocol: Connection) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.buffer: list[bytes] = []
        self.reading = True
        self.closing = False
        self._protocol = protocol

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self.near, "peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 9092)}[name]

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.buffer))

    def writelines(self, parts: list[Any]) -> None:
        self.buffer.extend(map(bytes, parts))
        self._protocol.pause_writing()

    def drain(self) -> bytes:
        """The peer reads everything."""
        taken = self.sent() + b"".join(self.buffer)
        self.buffer = []
        self._protocol.resume_writing()
        return taken

    def sent(self) -> bytes:
        taken = b""
        while True:
            try:
                taken += self.far.recv(1 << 20)
            except BlockingIOError:
                return taken

    def fill(self) -> None:
        """The socket takes nothing more."""
        while True:
            try:
                self.near.send(b"\0" * 65536)
            except BlockingIOError:
                return

    def pause_reading(self) -> None:
        assert not self.closing
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closing
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.reading = False

    abort = close


class Dispatcher:
    """Frames are the names of answers; what was applied is kept, in order."""

    def __init__(self) -> None:
        self.answers: dict[bytes, Any] = {}
        self.applied: list[bytes] = []
        self.failures = 0
        self.call = SimpleNamespace(key=3, encode=self._encode)

    def apply(self, frame: memoryview, *_: object) -> Request:
        name = bytes(frame[:1])
        self.applied.append(name)
        if name == b"!":
            raise ProtocolError("bad")
        answer = self.answers.get(name, name)
        return Request(self.call, 0, answer() if callable(answer) else answer, name)  # type: ignore[arg-type]

    def failed(self, call: object, request: bytes) -> bytes:
        self.failures += 1
        return b"failed " + request

    @staticmethod
    def _encode(_: int, answer: Any) -> list[Any]:
        return list(answer) if isinstance(answer, tuple) else [answer + b";"]


class Peer:
    """One connection with its surroundings."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher()
        self.server = SimpleNamespace(
            dispatcher=self.dispatcher,
            scratch=memoryview(bytearray(SCRATCH_BYTES)),
            connections=set(),
            stalled=set(),
            tick_ms=0,
            request_bytes_max=100 << 20,
            slots_max=4,
            partitions=SimpleNamespace(is_backlogged=False),
        )
        self.connection = Connection(self.server)  # type: ignore[arg-type]
        self.transport = Transport(self.connection)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def feed(self, data: bytes) -> None:
        """As the loop does: as much as the buffer takes, while reading is on."""
        while data:
            assert self.transport.reading
            buffer = self.connection.get_buffer(-1)
            size = min(len(buffer), len(data))
            assert size
            buffer[:size] = data[:size]
            data = data[size:]
            self.connection.buffer_updated(size)

    def ask(self, names: bytes) -> None:
        self.feed(b"".join(frame(bytes([name])) for name in names))

    def close(self) -> None:
        self.transport.near.close()
        self.transport.far.close()


def frame(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def pending(finish: Callable[[Any], Any] = lambda result: result) -> Pending:
    return Pending(Token(), finish)


def test_answers_keep_the_order_of_the_requests(peer: Peer) -> None:
    first, second = pending(), pending()
    peer.dispatcher.answers = {b"a": first, b"b": second}
    peer.ask(b"abc")
    second.token.complete(b"B")
    assert peer.transport.sent() == b""
    first.token.complete(b"A")
    assert peer.transport.sent() == b"A;B;c;"


def test_reading_stops_at_the_slots_and_goes_on_when_one_is_free(peer: Peer) -> None:
    waiting = [pending() for _ in range(4)]
    peer.dispatcher.answers = {b"a": waiting[0], b"b": waiting[1], b"c": waiting[2], b"d": waiting[3]}
    peer.ask(b"abcdxy")
    assert peer.dispatcher.applied == [b"a", b"b", b"c", b"d"]
    assert not peer.transport.reading
    waiting[1].token.complete(b"B")
    assert not peer.transport.reading
    waiting[0].token.complete(b"A")
    assert peer.dispatcher.applied == [b"a", b"b", b"c", b"d", b"x", b"y"]
    assert not peer.transport.reading  # c and d wait, x and y are behind them
    waiting[2].token.complete(b"C")
    assert peer.transport.reading
    waiting[3].token.complete(b"D")
    assert peer.transport.sent() == b"A;B;C;D;x;y;"
    assert not peer.server.stalled


def test_reading_stops_while_the_peer_does_not_read(peer: Peer) -> None:
    peer.transport.fill()
    peer.ask(b"a")
    peer.ask(b"b")
    assert not peer.transport.reading
    assert peer.transport.drain().endswith(b"a;b;")
    assert peer.transport.reading
    peer.ask(b"c")
    assert peer.transport.sent() == b"c;"


def test_a_producer_waits_for_the_disk(peer: Peer) -> None:
    peer.dispatcher.call.key = 0
    peer.server.partitions.is_backlogged = True
    peer.ask(b"ab")
    assert peer.dispatcher.applied == [b"a"]
    assert peer.server.stalled == {peer.connection}
    peer.connection.resume()  # still behind
    assert peer.dispatcher.applied == [b"a"]
    peer.server.partitions.is_backlogged = False
    peer.connection.resume()
    assert peer.dispatcher.applied == [b"a", b"b"]
    assert peer.transport.reading
    assert not peer.server.stalled


def test_what_is_ready_behind_a_waiting_request_is_bounded(peer: Peer) -> None:
    chunks = [Chunk(memoryview(bytes(3 << 20))) for _ in range(2)]
    first = pending()
    peer.dispatcher.answers = {b"a": first, b"b": OnLoan(b"b", chunks[:1]), b"c": OnLoan(b"c", chunks[1:])}
    peer.ask(b"abcd")
    assert peer.dispatcher.applied == [b"a", b"b", b"c"]
    first.token.complete(b"A")
    assert peer.transport.sent() == b"A;b;c;d;"
    assert peer.transport.reading


# -- the end of a connection --------------------------------------------------------------------------


def test_nothing_is_applied_after_bytes_that_are_no_request(peer: Peer) -> None:
    """A close that waits for the peer to read must not apply the buffer again: it may be another's by then."""
    peer.transport.fill()
    peer.ask(b"a!b")
    assert peer.transport.closing
    peer.server.scratch[:] = b"\0\0\0\1z" + bytes(SCRATCH_BYTES - 5)
    assert peer.transport.drain().endswith(b"a;")
    assert peer.dispatcher.applied == [b"a", b"!"]


def test_a_waiting_request_that_completes_while_closing_applies_nothing(peer: Peer) -> None:
    first = pending()
    peer.dispatcher.answers = {b"a": first}
    peer.ask(b"a!b")
    first.token.complete(b"A")
    assert peer.dispatcher.applied == [b"a", b"!"]


def test_a_hangup_closes_without_an_answer(peer: Peer) -> None:
    peer.dispatcher.answers = {b"b": Hangup("no")}
    peer.ask(b"abc")
    assert peer.transport.sent() == b"a;"
    assert peer.transport.closing
    assert peer.dispatcher.applied == [b"a", b"b"]


def test_a_lost_connection_ends_what_waits_and_returns_what_is_on_loan(peer: Peer) -> None:
    ended: list[object] = []
    returned: list[str] = []
    waiting, ready = pending(ended.append), pending(ended.append)
    lent = Chunk(memoryview(b"x"), lambda: returned.append("lent"))
    peer.dispatcher.answers = {b"a": waiting, b"b": ready, b"c": OnLoan(b"c", [lent])}
    peer.ask(b"abc")
    ready.token.complete(b"B")
    peer.connection.connection_lost(None)
    assert ended == [Ended.DISCONNECT, Ended.DISCONNECT]
    assert waiting.token.result is Ended.DISCONNECT
    assert returned == ["lent"]
    assert not peer.server.connections


def test_a_finish_that_fails_at_a_disconnect_does_not_keep_the_others(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[object] = []
    peer.dispatcher.answers = {b"a": pending(lambda _: 1 / 0), b"b": pending(ended.append)}
    peer.ask(b"ab")
    peer.connection.connection_lost(None)
    assert ended == [Ended.DISCONNECT]
    assert "ZeroDivisionError" in caplog.text


# -- buffers on loan ----------------------------------------------------------------------------------


def test_a_loan_ends_when_the_bytes_are_written(peer: Peer) -> None:
    returned: list[str] = []
    lent = Chunk(memoryview(b"x"), lambda: returned.append("lent"))
    peer.dispatcher.answers = {b"a": OnLoan(b"a", [lent])}
    peer.transport.fill()
    peer.ask(b"a")
    assert returned == []
    assert peer.transport.drain().endswith(b"a;")
    assert returned == ["lent"]


def test_a_loan_ends_too_where_an_answer_has_more_parts_than_one_call_takes(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned: list[str] = []
    lent = Chunk(memoryview(b"x"), lambda: returned.append("lent"))
    written: list[bytes] = []
    monkeypatch.setattr(peer.transport, "writelines", lambda parts: written.extend(map(bytes, parts)))  # takes all
    peer.dispatcher.answers = {b"a": OnLoan((b"x",) * 1025, [lent])}
    peer.ask(b"a")
    assert len(written) == 1025
    assert returned == ["lent"]


# -- failures of ours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_done", [True, False])
def test_a_finish_that_fails_is_answered_and_the_connection_lives(peer: Peer, is_done: bool) -> None:
    broken = pending(lambda _: 1 / 0)
    if is_done:
        broken.token.complete()
    peer.dispatcher.answers = {b"a": broken}
    peer.ask(b"ab")
    broken.token.complete()
    assert peer.transport.sent() == b"failed a;b;"
    assert peer.dispatcher.applied == [b"a", b"b"]
    assert peer.dispatcher.failures == 1
    peer.ask(b"c")
    assert peer.transport.sent() == b"c;"


@pytest.mark.parametrize("wait", [False, True])
def test_an_answer_that_cannot_be_encoded_is_a_failure_like_others(peer: Peer, wait: bool) -> None:
    answer = pending()
    peer.dispatcher.answers = {b"a": answer if wait else object()}
    peer.ask(b"ab")
    answer.token.complete(object())
    assert peer.transport.sent() == b"failed a;b;"
    assert not peer.transport.closing


def test_where_even_the_error_fails_the_connection_closes_and_nobody_else_notices(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever completes the token has others to tell after us."""
    broken = pending(lambda _: 1 / 0)
    peer.dispatcher.answers = {b"a": broken}
    peer.dispatcher.failed = lambda call, request: object()  # type: ignore[method-assign,assignment,return-value]
    peer.ask(b"abc")
    broken.token.complete()
    assert peer.transport.closing
    assert peer.transport.sent() == b""  # b and c would be taken for the answer to a
    assert [record.levelno for record in caplog.records if record.levelno >= logging.ERROR] == [logging.ERROR]


# -- memory -------------------------------------------------------------------------------------------


def test_a_large_frame_is_not_copied_at_every_read(peer: Peer) -> None:
    peer.server.scratch = memoryview(bytearray(64 << 10))
    size = 48 << 20
    last: object = None
    buffers = 0
    peer.feed(size.to_bytes(4, "big") + b"\0\0")
    sent, piece = 2, bytes(64 << 10)
    while sent < size:
        peer.feed(piece[: size - sent])
        sent += len(piece)
        now = None if peer.connection._own is None else peer.connection._own.obj
        buffers += now is not last
        last = now
    assert len(peer.dispatcher.applied) == 1
    assert buffers < 12


def test_a_buffer_always_has_room_for_the_next_read(peer: Peer) -> None:
    """Frames that end everywhere, in pieces that end everywhere."""
    names = bytes(range(ord("a"), ord("z")))
    stream = b"".join(frame(bytes([name]) + bytes((name * 7919) % 9000)) for name in names)
    for step in (1, 3, 4095, 4096, 4097, 10_000):
        peer.dispatcher.applied = []
        for at in range(0, len(stream), step):
            peer.feed(stream[at : at + step])
        assert b"".join(peer.dispatcher.applied) == names
        peer.transport.sent()


@pytest.mark.parametrize("size", [-1, -(2**31), (100 << 20) + 1, 2**31 - 1])
def test_a_size_out_of_bounds_closes(peer: Peer, size: int) -> None:
    peer.feed(size.to_bytes(4, "big", signed=True))
    assert peer.transport.closing


def test_only_produce_may_be_above_16_mib(peer: Peer) -> None:
    size = (16 << 20) + 1
    peer.feed(size.to_bytes(4, "big") + b"\0\0")
    assert not peer.transport.closing
    other = Peer()
    other.feed(size.to_bytes(4, "big") + b"\0\3")
    assert other.transport.closing
    other.close()


def test_an_idle_connection_gives_a_large_buffer_back(peer: Peer) -> None:
    peer.ask(b"a")
    peer.feed(frame(b"b" + bytes(100_000)))
    assert peer.connection._own is not None
    peer.connection.shrink()
    assert peer.connection._own is None
    peer.ask(b"c")
    assert peer.transport.sent() == b"a;b;c;"
