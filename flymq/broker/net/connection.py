"""One client's connection: frames in, requests applied in order, answers out in the same order.

A request takes a slot when it is applied. A later request may be applied while an earlier one
waits, but slots are answered from the head only. What a waiting request will read is read when its
turn comes, so a connection holds the bytes of one answer, not of all.

Reading stops while the peer doesn't read, while too many slots wait, and while the disk is behind.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
from collections import deque
from functools import partial
from socket import SO_SNDBUF, SOL_SOCKET
from struct import Struct
from typing import TYPE_CHECKING, Any, cast

from flymq.broker.dispatch import FIXED_HEAD_BYTES, Call, Request, Route
from flymq.runtime.waiting import Ended, Hangup, OnLoan, Pending
from flymq.storage.api import Chunk
from flymq_protocol.errors import ProtocolError
from flymq_protocol.headers import decode_request_header
from flymq_protocol.message import DECODE_FAILURES

if TYPE_CHECKING:
    from flymq.broker.net.server import Server

_log = logging.getLogger("flymq.connection")

PRODUCE_KEY = 0
FRAME_BYTES_MAX = 16 * 1024 * 1024  # of any request but Produce
_BUFFER_AT_ONCE = 2 * 1024 * 1024  # a frame up to this gets its whole buffer when its size is known
_LAZY_BYTES_MIN = 64 * 1024
_FLUSH_BYTES = 1024 * 1024  # answers are written once a callback, or when they are this many bytes
_HELD_BYTES_MAX = 4 * 1024 * 1024  # of answers ready behind one that waits
_PARTIALS_HOT = 4
_IOV_MAX = 1024
_ROUTES_MAX = 256  # APIs times versions that one connection uses: a few in practice

_writev = getattr(os, "writev", None)  # not on Windows

_SIZED_HEAD_BYTES = 4 + FIXED_HEAD_BYTES
_unpack_head = Struct(">iIih").unpack_from  # frame size, api key and version, correlation id, client id length


class Connection(asyncio.BufferedProtocol):
    """Driven by the event loop; `server` is what all connections share."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._dispatcher = server.dispatcher
        self._transport: asyncio.Transport
        self._fd = -1
        self._client_host = ""
        self._local_address = ("", 0)
        self._routes: dict[int, Route] = {}  # by api key << 16 | version
        # Bytes of a frame that is not complete; None between frames: idle connections own no buffer
        # and read into the one that all share.
        self._own: memoryview | None = None
        self._view = server.scratch
        self._filled = 0
        self._partials = 0  # frames that came in pieces; with many the connection keeps its buffer
        self._slots: deque[Request] = deque()
        self._out: list[Any] = []
        self._out_bytes = 0
        self._held_bytes = 0
        self._loans: list[Chunk] = []
        self._is_unsent = False  # the transport still holds bytes that the peer doesn't take
        self._is_stalled = False  # reading has stopped; complete frames may be in the buffer
        self._is_producer = False
        self._is_closing = False  # nothing more is applied, nor answered
        self._is_lost = False
        self._unsent_bytes = 0  # when last looked at
        self.used_at_ms = 0

    # -- the loop's calls -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport = transport
        if not self._server.is_accepting:  # the kernel had accepted it already
            self.abort()
            return
        peer = transport.get_extra_info("peername")
        self._client_host = peer[0] if peer else ""
        if not self._server.admit(self, self._client_host):
            self.abort()
            return
        transport.set_write_buffer_limits(high=0)  # told as soon as anything is left unsent
        socket = transport.get_extra_info("socket")
        self._fd = socket.fileno()
        if self._server.send_buffer_bytes >= 0:
            socket.setsockopt(SOL_SOCKET, SO_SNDBUF, self._server.send_buffer_bytes)
        self._local_address = transport.get_extra_info("sockname")[:2]
        self.used_at_ms = self._server.tick_ms

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :] if self._filled else self._view

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        self.used_at_ms = self._server.tick_ms
        self._apply_frames()

    def pause_writing(self) -> None:
        self._is_unsent = True

    def resume_writing(self) -> None:
        self._is_unsent = False
        self._give_back()
        self._go_on()

    def eof_received(self) -> bool:
        return False  # close: nobody is there to read what still waits

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_lost = True
        self._server.forget(self, self._client_host)
        slots, self._slots = self._slots, deque()
        for slot in slots:
            if isinstance(slot.answer, Pending):
                if not slot.answer.token.complete(Ended.DISCONNECT):
                    self._drop(slot.answer)
            elif isinstance(slot.answer, OnLoan):
                self._loans.extend(slot.answer.chunks)
        self._give_back()

    def _drop(self, pending: Pending) -> None:
        """Nobody is there to read the answer: let it release what it holds."""
        try:
            pending.finish(Ended.DISCONNECT)
        except Exception:
            _log.exception("dropping a request of %s", self._client_host)

    # -- frames in --------------------------------------------------------------------------------

    def _apply_frames(self) -> None:
        try:
            position, size = self._apply_whole_frames()
            if position == self._filled and self._own is None:
                self._filled = 0
            else:
                self._keep_rest(position, size)
        except ProtocolError as wrong:
            _log.info("closing the connection of %s: %s", self._client_host, wrong)
            self.close()
        except Exception:
            _log.exception("closing the connection of %s", self._client_host)
            self.close()
        else:
            if self._out:
                self._flush()

    def _apply_whole_frames(self) -> tuple[int, int]:
        """Apply the frames that are there. (where they end, size of the one that is not whole yet)

        The broker's innermost loop: in one function, and with what is the same for all requests of a
        connection and an API looked up once, in a `Route`.
        """
        view = self._view
        filled = self._filled
        routes = self._routes
        size_max = self._server.request_bytes_max
        services = self._dispatcher.services
        slots = self._slots
        out = self._out
        position = size = 0
        while filled - position >= _SIZED_HEAD_BYTES:
            size, key_and_version, correlation_id, id_size = _unpack_head(view, position)
            if not FIXED_HEAD_BYTES <= size <= size_max:
                raise ProtocolError(f"a frame of {size} bytes")
            end = position + 4 + size
            if end > filled:
                break
            route = routes.get(key_and_version)
            if (
                route is None
                or route.id_size != id_size
                or view[position + _SIZED_HEAD_BYTES : position + _SIZED_HEAD_BYTES + id_size] != route.raw_id
            ):
                route = self._find_route(key_and_version, view[position + 4 : end])
            body = position + route.body_at
            if route.has_tags and view[body - 1]:  # nobody sends tags in a header, but all may
                body = position + 4 + decode_request_header(view[position + 4 : end]).body_offset
            try:
                request = route.decode(view[body:end])
            except DECODE_FAILURES as wrong:
                raise ProtocolError(f"malformed {route.call.name} v{route.call.version}: {wrong}") from wrong
            try:
                answer = route.handle(route.ctx, request, services)
            except Exception:
                answer = self._dispatcher.failed(route.call, request)
            position = end
            kind = answer.__class__
            if kind is bytes and not slots:  # as `Call.encode` does it
                answer_size = route.head_bytes + len(answer)
                out.append(route.pack_head(answer_size, correlation_id) + answer)
                self._out_bytes += answer_size + 4
            elif kind is route.response_class and not slots:
                try:
                    self._out_bytes += route.encode(out, correlation_id, answer)
                except Exception:
                    answer = self._dispatcher.failed(route.call, request)
                    self._out_bytes += route.encode(out, correlation_id, answer)
            elif answer is not None:
                self._take(Request(route.call, correlation_id, answer, request))
            if self._is_closing:
                return filled, 0
            if (slots or self._is_unsent or self._out_bytes > _FLUSH_BYTES) and self._must_stall():
                self._stall()
                return position, 0
        else:
            if filled - position >= 4:
                size = int.from_bytes(view[position : position + 4], "big", signed=True)
                if not FIXED_HEAD_BYTES <= size <= size_max:
                    raise ProtocolError(f"a frame of {size} bytes")
        if self._is_producer and self._server.partitions.is_backlogged:
            self._stall()
        return position, size

    def _find_route(self, key_and_version: int, frame: memoryview) -> Route:
        route = self._dispatcher.route(frame, self._client_host, self._local_address)
        if len(self._routes) > _ROUTES_MAX:
            self._routes.clear()  # a client that changes its id at every request
        self._routes[key_and_version] = route
        if route.call.key == PRODUCE_KEY:
            self._is_producer = True
        return route

    def _take(self, request: Request) -> None:
        """Any answer but a plain response to a request at the head."""
        answer = request.answer
        kind = answer.__class__
        if kind is Pending:
            self._slots.append(request)
            answer.token.then(partial(self._ready, request))
        elif kind is Hangup:
            raise ProtocolError(answer.reason)
        elif self._slots:
            self._slots.append(request)
            if kind is OnLoan:
                self._held_bytes += sum(len(chunk.data) for chunk in answer.chunks)
        else:
            self._send(request.call, request.correlation_id, answer, request.body)

    def _keep_rest(self, position: int, frame_size: int) -> None:
        """Move what is left of the buffer to its front, in a buffer with room for its frame."""
        rest = self._filled - position
        self._filled = rest
        view = self._view
        if not rest:
            own = self._own
            if own is not None and self._partials <= _PARTIALS_HOT and len(own) <= len(self._server.scratch):
                self._own = None
                self._view = self._server.scratch
            return
        needed = 4 + frame_size if rest >= 4 else 0
        if not self._is_stalled and rest >= 6 and frame_size > FRAME_BYTES_MAX:
            key = int.from_bytes(view[position + 4 : position + 6], "big", signed=True)
            if key != PRODUCE_KEY:
                raise ProtocolError(f"a frame of {frame_size} bytes for api key {key}")
        if self._own is None or len(self._own) < rest + 4 or len(self._own) < needed <= _BUFFER_AT_ONCE:
            # A peer that announces a large frame gets memory as it sends, not as it announces.
            room = needed if needed <= _BUFFER_AT_ONCE else min(needed, max(2 * rest, _BUFFER_AT_ONCE))
            self._partials += 1
            if self._partials > _PARTIALS_HOT:
                room = max(room, len(self._server.scratch))
            self._own = _memory(max(room, rest + 4096))
            self._view = self._own
            self._view[:rest] = view[position : position + rest]
        elif position:
            view[:rest] = view[position : position + rest]

    # -- answers out ------------------------------------------------------------------------------

    def _ready(self, request: Request, result: object) -> None:
        """A waiting request's token is complete. Its answer is made when it is at the head."""
        if self._is_lost:
            self._drop(request.answer)
        elif self._slots and self._slots[0] is request and not self._is_unsent:
            self._go_on()

    def _go_on(self) -> None:
        """Answer what can be answered, then apply what was held up by it. Raises nothing: whoever completed
        the token has others to tell."""
        try:
            self._answer()
            self._flush()
        except Exception:
            _log.exception("closing the connection of %s", self._client_host)
            self.close()
        if self._is_stalled:
            self.resume()

    def _answer(self) -> None:
        """Answer from the head, as far as slots are ready and the peer reads."""
        slots = self._slots
        while slots and not self._is_unsent and not self._is_closing:
            request = slots[0]
            answer = request.answer
            if answer.__class__ is Pending:
                if not answer.token.done:
                    break
                answer = self._finish(request, answer)
                if answer.__class__ is Pending:
                    request.answer = answer
                    answer.token.then(partial(self._ready, request))
                    continue
            elif answer.__class__ is OnLoan:
                self._held_bytes -= sum(len(chunk.data) for chunk in answer.chunks)
            slots.popleft()
            if answer is None:  # acks=0, after all
                continue
            if answer.__class__ is Hangup:
                _log.info("closing the connection of %s: %s", self._client_host, answer.reason)
                self.close()
                return
            self._send(request.call, request.correlation_id, answer, request.body)
            if self._out_bytes > _FLUSH_BYTES:
                self._flush()

    def _finish(self, request: Request, pending: Pending) -> Any:
        try:
            return pending.finish(pending.token.result)
        except Exception:
            return self._dispatcher.failed(request.call, request.body)

    def _send(self, call: Call, correlation_id: int, answer: Any, body: Any) -> None:
        """Encode a response to be written; `body` is its request, for an error answer."""
        if answer.__class__ is OnLoan:
            self._loans.extend(answer.chunks)
            answer = answer.response
        try:
            self._out_bytes += call.encode(self._out, correlation_id, answer)
        except Exception:
            self._out_bytes += call.encode(self._out, correlation_id, self._dispatcher.failed(call, body))

    def _flush(self) -> None:
        """Write all that is there with one system call; what the socket doesn't take, the transport keeps."""
        out = self._out
        if not out or self._is_lost:
            return
        size, written = self._out_bytes, 0
        self._out_bytes = 0
        if _writev is not None and not self._is_unsent and len(out) <= _IOV_MAX:
            try:
                written = _writev(self._fd, out)
            except BlockingIOError:
                pass
            except OSError:
                out.clear()  # nobody is to try again: the descriptor may be another's by then
                self.abort()
                return
        if written == size:
            out.clear()
        else:
            # Cleared first: a transport that sends at once may call `resume_writing`, and that answers more.
            parts = _after(out, written) if written else out[:]
            out.clear()
            self._transport.writelines(parts)
            if self._transport.get_write_buffer_size():
                return  # `resume_writing` gives the loans back
        if self._loans:
            self._give_back()

    def _give_back(self) -> None:
        if self._loans:
            for chunk in self._loans:
                chunk.release()
            self._loans.clear()

    # -- stalling ---------------------------------------------------------------------------------

    def _must_stall(self) -> bool:
        if self._out_bytes > _FLUSH_BYTES:
            self._flush()
        return (
            self._is_closing
            or self._is_unsent
            or len(self._slots) >= self._server.slots_max
            or self._held_bytes > _HELD_BYTES_MAX
            or (self._is_producer and self._server.partitions.is_backlogged)
        )

    def _stall(self) -> None:
        if not self._is_stalled and not self._is_closing:
            self._is_stalled = True
            self._transport.pause_reading()
            self._server.stalled.add(self)

    def resume(self) -> None:
        """Go on with what has been read, then read again, unless there is a reason to stop still."""
        if not self._is_stalled or self._is_lost or self._is_closing or self._must_stall():
            return
        self._is_stalled = False
        self._server.stalled.discard(self)
        self._apply_frames()
        if not self._is_stalled and not self._transport.is_closing():
            self._transport.resume_reading()

    # -- end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what is answered, then close."""
        try:
            self._flush()
        except Exception:
            _log.exception("writing to %s", self._client_host)
            self.abort()
            return
        self._is_closing = True
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is unsent."""
        self._is_closing = True
        self._transport.abort()

    @property
    def is_waiting(self) -> bool:
        """Requests are applied but not answered yet, or answers not sent."""
        return bool(self._slots) or self._is_unsent

    def note_progress(self) -> None:
        """Asked now and then: a peer that takes bytes is not idle, however slow it is."""
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes != self._unsent_bytes:
            self._unsent_bytes = unsent_bytes
            self.used_at_ms = self._server.tick_ms

    def close_idle(self) -> None:
        """Nothing was asked for long. A request may wait for longer; a peer that doesn't read may not."""
        if self._is_unsent:
            self.abort()
        elif not self._slots:
            self.close()

    def shrink(self) -> None:
        """Give a large buffer back after a quiet time."""
        if self._own is not None and not self._filled:
            self._own = None
            self._view = self._server.scratch
            self._partials = 0


def _memory(size: int) -> memoryview:
    """Fresh memory. A large piece becomes real page by page, as it is written to: `bytearray` would touch it all."""
    return memoryview(bytearray(size) if size <= _LAZY_BYTES_MIN else mmap.mmap(-1, size))


def _after(parts: list[Any], written: int) -> list[memoryview]:
    """What is left of `parts` after `written` bytes."""
    rest = []
    for part in parts:
        size = len(part)
        if written >= size:
            written -= size
            continue
        rest.append(memoryview(part)[written:])
        written = 0
    return rest
