"""A connection with a scripted handler, and a transport that takes what it is told to take."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from flymq.broker.context import RequestContext, Services
from flymq.broker.dispatch import Call, Dispatcher
from flymq.broker.handlers import HandlerRow
from flymq.broker.net.connection import Connection
from flymq.broker.net.server import Server
from flymq.env import Env, Token
from flymq.runtime.waiting import Ended, Hangup, OnLoan, Pending
from flymq.storage.api import Chunk
from flymq_protocol.api.k00_produce import ProduceRequest
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.framing import encode_request

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
        self._filling = 0
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

    def sent(self) -> bytes:
        """The bodies of the answers that the socket took, each with a `;` behind it."""
        return self._bodies(b"")

    def drain(self) -> bytes:
        """The peer reads everything: as `sent`, with what did not fit the socket."""
        bodies = self._bodies(b"".join(self.buffer))
        self.buffer = []
        self._protocol.resume_writing()
        return bodies + self.sent()

    def _bodies(self, rest: bytes) -> bytes:
        taken = b""
        while True:
            try:
                taken += self.far.recv(1 << 20)
            except BlockingIOError:
                break
        taken = taken[self._filling :] + rest
        self._filling = 0
        bodies = b""
        while taken:
            end = 4 + int.from_bytes(taken[:4], "big")
            bodies += taken[8:end] + b";"
            taken = taken[end:]
        return bodies

    def fill(self) -> None:
        """The socket takes nothing more."""
        while True:
            try:
                self._filling += self.near.send(b"\0" * 65536)
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


class Script:
    """What the handler answers to each name: itself where it isn't told otherwise. Keeps what was applied."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.applied = ""
        self.refusal: Callable[[str], Any] = lambda name: b"failed " + name.encode()

    def handle(self, ctx: RequestContext, request: Any, services: Services) -> Any:
        name = _name(request)
        self.applied += name
        return self.answers.get(name, name.encode())


class Surroundings(SimpleNamespace):
    """What a connection needs of its server."""

    admit = Server.admit
    forget = Server.forget


class Peer:
    """One connection with its surroundings."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.server = Surroundings(
            dispatcher=Dispatcher(Services()),
            scratch=memoryview(bytearray(SCRATCH_BYTES)),
            connections=set(),
            stalled=set(),
            of_host=Counter(),
            connections_max=1000,
            connections_per_host_max=1000,
            tick_ms=0,
            request_bytes_max=100 << 20,
            slots_max=4,
            send_buffer_bytes=-1,
            is_accepting=True,
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

    def ask(self, names: str, *, produce: bool = False) -> None:
        """All in one packet."""
        self.feed(b"".join(frame(name, produce=produce) for name in names))

    def close(self) -> None:
        self.transport.near.close()
        self.transport.far.close()


def frame(name: str, *, produce: bool = False, padding: int = 0) -> bytes:
    """A request of that name; `!` is bytes that are none. Padding behind a body is ignored, as in Kafka."""
    if name == "!":
        return bytes(4)
    request = ProduceRequest(name) if produce else HeartbeatRequest(name)
    whole = encode_request(request, 3 if produce else 0, 0, None) + bytes(padding)
    return (len(whole) - 4).to_bytes(4, "big") + whole[4:]


def _name(request: Any) -> str:
    return str(request.transactional_id if isinstance(request, ProduceRequest) else request.group_id)


_script: Script


def refuse(request: Any, code: int) -> Any:
    """The dispatcher finds this beside the handler."""
    assert code == -1
    return _script.refusal(_name(request))


def handle(ctx: RequestContext, request: Any, services: Services) -> Any:
    return _script.handle(ctx, request, services)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    global _script
    _script = Script()
    loaded: Any = HandlerRow.loaded
    monkeypatch.setattr(HandlerRow, "loaded", lambda row: (handle, *loaded(row)[1:]))
    return _script


@pytest.fixture
def peer(script: Script) -> Iterator[Peer]:
    made = Peer(script)
    yield made
    made.close()


def pending(finish: Callable[[Any], Any] = lambda result: result) -> Pending:
    return Pending(Token(), finish)


def test_answers_keep_the_order_of_the_requests(peer: Peer) -> None:
    first, second = pending(), pending()
    peer.script.answers = {"a": first, "b": second}
    peer.ask("abc")
    second.token.complete(b"B")
    assert peer.transport.sent() == b""
    first.token.complete(b"A")
    assert peer.transport.sent() == b"A;B;c;"


def test_a_broken_connection_is_written_to_once(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    writev = Mock(side_effect=BrokenPipeError)
    monkeypatch.setattr("flymq.broker.net.connection._writev", writev)
    peer.ask("a")
    assert peer.transport.closing
    peer.connection.close()  # before the loop says that it is lost: its descriptor may be another's by then
    writev.assert_called_once()


def test_reading_stops_at_the_slots_and_goes_on_when_one_is_free(peer: Peer) -> None:
    waiting = [pending() for _ in range(4)]
    peer.script.answers = {"a": waiting[0], "b": waiting[1], "c": waiting[2], "d": waiting[3]}
    peer.ask("abcdxy")
    assert peer.script.applied == "abcd"
    assert not peer.transport.reading
    waiting[1].token.complete(b"B")
    assert not peer.transport.reading
    waiting[0].token.complete(b"A")
    assert peer.script.applied == "abcdxy"
    assert not peer.transport.reading  # c and d wait, x and y are behind them
    waiting[2].token.complete(b"C")
    assert peer.transport.reading
    waiting[3].token.complete(b"D")
    assert peer.transport.sent() == b"A;B;C;D;x;y;"
    assert not peer.server.stalled


def test_reading_stops_while_the_peer_does_not_read(peer: Peer) -> None:
    peer.transport.fill()
    peer.ask("a")
    peer.ask("b")
    assert not peer.transport.reading
    assert peer.transport.drain() == b"a;b;"
    assert peer.transport.reading
    peer.ask("c")
    assert peer.transport.sent() == b"c;"


def test_a_producer_is_not_read_while_the_disk_is_behind(peer: Peer) -> None:
    peer.server.partitions.is_backlogged = True
    peer.ask("a", produce=True)
    assert not peer.transport.reading
    assert peer.server.stalled == {peer.connection}
    peer.connection.resume()  # still behind
    assert not peer.transport.reading
    peer.server.partitions.is_backlogged = False
    peer.connection.resume()
    assert peer.transport.reading
    assert not peer.server.stalled


def test_what_is_ready_behind_a_waiting_request_is_bounded(peer: Peer) -> None:
    chunks = [Chunk(memoryview(bytes(3 << 20))) for _ in range(2)]
    first = pending()
    peer.script.answers = {"a": first, "b": OnLoan(b"b", chunks[:1]), "c": OnLoan(b"c", chunks[1:])}
    peer.ask("abcd")
    assert peer.script.applied == "abc"
    first.token.complete(b"A")
    assert peer.transport.sent() == b"A;b;c;d;"
    assert peer.transport.reading


# -- the end of a connection --------------------------------------------------------------------------


def test_nothing_is_applied_after_bytes_that_are_no_request(peer: Peer) -> None:
    """A close that waits for the peer to read must not apply the buffer again: it may be another's by then."""
    peer.transport.fill()
    peer.ask("a!b")
    assert peer.transport.closing
    others = frame("z")
    peer.server.scratch[: len(others)] = others
    assert peer.transport.drain() == b"a;"
    assert peer.script.applied == "a"


def test_a_waiting_request_that_completes_while_closing_applies_nothing(peer: Peer) -> None:
    first = pending()
    peer.script.answers = {"a": first}
    peer.ask("a!b")
    first.token.complete(b"A")
    assert peer.script.applied == "a"


def test_nothing_is_applied_for_a_peer_that_is_gone(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """Found out by a write, before the loop tells: a transport that closes can't be told to stop reading."""
    peer.script.answers = {"a": bytes(2 << 20), **{name: pending() for name in "bcde"}}
    peer.transport.far.close()
    peer.ask("abcde")
    assert peer.script.applied == "a"
    assert peer.transport.closing
    assert not caplog.records


def test_who_does_not_read_for_too_long_is_idle(peer: Peer) -> None:
    """And who reads slowly is not. What a request waits for is no reason to close."""
    loop = asyncio.new_event_loop()
    env = Env(loop)
    now_ms = [0]
    env.tick_ms = lambda: now_ms[0]  # type: ignore[method-assign]
    shared = peer.server
    server = Server(
        env, shared.dispatcher, shared.partitions, request_bytes_max=1, slots_max=1, idle_ms_max=100
    )
    waiting = Peer(peer.script)
    server.connections |= {peer.connection, waiting.connection}

    def pass_ms(step_ms: int) -> None:
        now_ms[0] += step_ms
        shared.tick_ms = now_ms[0]
        server._sweep()

    peer.script.answers = {"a": bytes(1000), "b": pending()}
    peer.transport.fill()
    peer.ask("a")
    waiting.ask("b")
    for left in range(5):
        peer.transport.buffer = [bytes(900 - left)]  # it takes a byte now and then
        pass_ms(60)
    assert not peer.transport.closing
    pass_ms(60)
    assert not peer.transport.closing
    pass_ms(60)
    assert peer.transport.closing
    assert not waiting.transport.closing
    waiting.close()
    env.close()
    loop.close()


def test_a_hangup_closes_without_an_answer(peer: Peer) -> None:
    peer.script.answers = {"b": Hangup("no")}
    peer.ask("abc")
    assert peer.transport.sent() == b"a;"
    assert peer.transport.closing
    assert peer.script.applied == "ab"


def test_a_lost_connection_ends_what_waits_and_returns_what_is_on_loan(peer: Peer) -> None:
    ended: list[object] = []
    returned: list[str] = []
    waiting, ready = pending(ended.append), pending(ended.append)
    lent = Chunk(memoryview(b"x"), lambda: returned.append("lent"))
    peer.script.answers = {"a": waiting, "b": ready, "c": OnLoan(b"c", [lent])}
    peer.ask("abc")
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
    peer.script.answers = {"a": pending(lambda _: 1 / 0), "b": pending(ended.append)}
    peer.ask("ab")
    peer.connection.connection_lost(None)
    assert ended == [Ended.DISCONNECT]
    assert "ZeroDivisionError" in caplog.text


# -- buffers on loan ----------------------------------------------------------------------------------


def test_a_loan_ends_when_the_bytes_are_written(peer: Peer) -> None:
    returned: list[str] = []
    lent = Chunk(memoryview(b"x"), lambda: returned.append("lent"))
    peer.script.answers = {"a": OnLoan(b"a", [lent])}
    peer.transport.fill()
    peer.ask("a")
    assert returned == []
    assert peer.transport.drain() == b"a;"
    assert returned == ["lent"]


def test_a_loan_ends_too_where_an_answer_has_more_parts_than_one_call_takes(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned: list[str] = []
    lent = Chunk(memoryview(b"x"), lambda: returned.append("lent"))
    written: list[bytes] = []
    monkeypatch.setattr(peer.transport, "writelines", lambda parts: written.extend(map(bytes, parts)))  # takes all
    monkeypatch.setattr(Call, "encode", lambda call, out, *_: out.extend([b"x"] * 1026) or 1026)
    peer.script.answers = {"a": OnLoan(None, [lent])}
    peer.ask("a")
    assert len(written) == 1026
    assert returned == ["lent"]


def test_a_client_id_that_leaves_no_room_for_the_rest_closes(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """The second frame ends where its tags should begin, and its buffer ends there too."""
    whole = encode_request(HeartbeatRequest("a"), 4, 0, "x" * 20_000)
    cut = whole[: 4 + 10 + 20_000]
    cut = (len(cut) - 4).to_bytes(4, "big") + cut[4:]
    peer.feed(whole)
    peer.feed(cut[:100])
    peer.feed(cut[100:])
    assert peer.script.applied == "a"
    assert peer.transport.closing
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# -- failures of ours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_done", [True, False])
def test_a_finish_that_fails_is_answered_and_the_connection_lives(peer: Peer, is_done: bool) -> None:
    broken = pending(lambda _: 1 / 0)
    if is_done:
        broken.token.complete()
    peer.script.answers = {"a": broken}
    peer.ask("ab")
    broken.token.complete()
    assert peer.transport.sent() == b"failed a;b;"
    assert peer.script.applied == "ab"
    peer.ask("c")
    assert peer.transport.sent() == b"c;"


@pytest.mark.parametrize("wait", [False, True])
def test_an_answer_that_cannot_be_encoded_is_a_failure_like_others(peer: Peer, wait: bool) -> None:
    answer = pending()
    peer.script.answers = {"a": answer if wait else object()}
    peer.ask("ab")
    answer.token.complete(object())
    assert peer.transport.sent() == b"failed a;b;"
    assert not peer.transport.closing


def test_where_even_the_error_fails_the_connection_closes_and_nobody_else_notices(
    peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever completes the token has others to tell after us."""
    broken = pending(lambda _: 1 / 0)
    peer.script.answers = {"a": broken}
    peer.script.refusal = lambda name: 1 / 0
    peer.ask("abc")
    broken.token.complete()
    assert peer.transport.closing
    assert peer.transport.sent() == b""  # b and c would be taken for the answer to a
    assert any(record.levelno == logging.ERROR for record in caplog.records)


# -- memory -------------------------------------------------------------------------------------------


def test_a_large_frame_is_not_copied_at_every_read(peer: Peer) -> None:
    peer.server.scratch = memoryview(bytearray(64 << 10))
    size = 48 << 20
    last: object = None
    buffers = 0
    peer.feed(size.to_bytes(4, "big") + b"\0\0")
    sent, piece = 2, bytes(64 << 10)
    while sent + len(piece) < size:
        peer.feed(piece)
        sent += len(piece)
        now = None if peer.connection._own is None else peer.connection._own.obj
        buffers += now is not last
        last = now
    assert buffers < 12


def test_a_buffer_always_has_room_for_the_next_read(peer: Peer) -> None:
    """Frames that end everywhere, in pieces that end everywhere."""
    names = "abcdefghijklmnopqrstuvwxyz"
    stream = b"".join(frame(name, padding=ord(name) * 7919 % 9000) for name in names)
    for step in (1, 3, 4095, 4096, 4097, 10_000):
        peer.script.applied = ""
        for at in range(0, len(stream), step):
            peer.feed(stream[at : at + step])
        assert peer.script.applied == names
        peer.transport.sent()


@pytest.mark.parametrize("size", [-1, -(2**31), (100 << 20) + 1, 2**31 - 1])
def test_a_size_out_of_bounds_closes(peer: Peer, size: int) -> None:
    peer.feed(size.to_bytes(4, "big", signed=True))
    assert peer.transport.closing


def test_only_produce_may_be_above_16_mib(peer: Peer) -> None:
    size = (16 << 20) + 1
    peer.feed(size.to_bytes(4, "big") + b"\0\0")
    assert not peer.transport.closing
    other = Peer(peer.script)
    other.feed(size.to_bytes(4, "big") + b"\0\3")
    assert other.transport.closing
    other.close()


def test_an_idle_connection_gives_a_large_buffer_back(peer: Peer) -> None:
    peer.ask("a")
    peer.feed(frame("b", padding=100_000))
    assert peer.connection._own is not None
    peer.connection.shrink()
    assert peer.connection._own is None
    peer.ask("c")
    assert peer.transport.sent() == b"a;b;c;"


# -- surroundings that differ -------------------------------------------------------------------------


def test_a_connection_that_comes_about_while_the_broker_stops_is_closed(peer: Peer) -> None:
    peer.server.is_accepting = False
    late = Connection(peer.server)  # type: ignore[arg-type]
    transport = Transport(late)
    late.connection_made(transport)  # type: ignore[arg-type]
    assert transport.closing
    assert late not in peer.server.connections
    transport.near.close()
    transport.far.close()


def test_a_connection_too_many_is_closed_and_the_others_live(peer: Peer) -> None:
    peer.server.connections_max = 1
    other = Connection(peer.server)  # type: ignore[arg-type]
    transport = Transport(other)
    other.connection_made(transport)  # type: ignore[arg-type]
    assert transport.closing
    assert peer.server.connections == {peer.connection}
    peer.ask("a")
    assert peer.transport.sent() != b""
    transport.near.close()
    transport.far.close()


def test_one_address_may_have_so_many_connections_and_one_that_ends_makes_room(peer: Peer) -> None:
    peer.server.connections_per_host_max = 1
    other = Connection(peer.server)  # type: ignore[arg-type]
    transport = Transport(other)
    other.connection_made(transport)  # type: ignore[arg-type]
    assert transport.closing
    other.connection_lost(None)
    assert peer.server.of_host.total() == 1
    peer.connection.connection_lost(None)
    assert not peer.server.of_host
    third = Connection(peer.server)  # type: ignore[arg-type]
    near = Transport(third)
    third.connection_made(near)  # type: ignore[arg-type]
    assert peer.server.connections == {third}
    for one in (transport, near):
        one.near.close()
        one.far.close()


def test_answers_go_out_where_the_system_has_no_gathering_write(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flymq.broker.net.connection._writev", None)
    peer.ask("a")
    assert b"".join(peer.transport.buffer) != b""


def test_a_transport_that_sends_at_once_gets_nothing_twice(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's own, from Python 3.12 on, may call `resume_writing` out of `writelines`."""
    written: list[bytes] = []

    def send_at_once(parts: list[Any]) -> None:
        written.extend(map(bytes, parts))
        peer.connection.resume_writing()

    monkeypatch.setattr("flymq.broker.net.connection._writev", None)
    monkeypatch.setattr(peer.transport, "writelines", send_at_once)
    peer.ask("ab")
    assert len(written) == 2
