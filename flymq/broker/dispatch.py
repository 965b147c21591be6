"""From a request frame to a handler, and from its answer to a response frame.

Source: KafkaApis.handle, RequestContext.parseRequest in Apache Kafka 4.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from struct import Struct
from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import HANDLERS, HandlerRow
from flymq.broker.handlers.k18_api_versions import unsupported_version
from flymq_protocol.errors import ErrorCode, ProtocolError
from flymq_protocol.headers import decode_request_header
from flymq_protocol.registry import API, API_VERSIONS_KEY, response_header_version

_log = logging.getLogger("flymq.dispatch")

_RESPONSE_HEAD = Struct(">ii")  # frame size, correlation id
_RESPONSE_HEAD_FLEXIBLE = Struct(">iix")  # and an empty tag section

_REPEATED_KEYS = (1, 12)  # Fetch, Heartbeat
_REMEMBERED_BYTES_MAX = 512

FIXED_HEAD_BYTES = 10  # api key, api version, correlation id, length of the client id


class Call:
    """One API in one version: how it is decoded, handled, encoded. Made on first use and kept."""

    __slots__ = (
        "_encode",
        "decode",
        "handle",
        "head_bytes",
        "key",
        "name",
        "pack_head",
        "refuse",
        "response_class",
        "version",
    )

    def __init__(self, row: HandlerRow, version: int) -> None:
        self.key = row.key
        self.name = row.name
        self.version = version
        self.handle, request_class, self.response_class = row.loaded()
        module = sys.modules[self.handle.__module__]
        # A handler with a shape of its own for common requests decodes them itself.
        self.decode = getattr(module, "decoder", request_class.decoder)(version)  # raises DECODE_FAILURES, too
        self._encode = self.response_class.encoder(version)
        self.refuse = getattr(module, "refuse", None)
        head = _RESPONSE_HEAD_FLEXIBLE if response_header_version(row.key, version) == 1 else _RESPONSE_HEAD
        self.pack_head = head.pack  # (frame size, correlation id)
        self.head_bytes = head.size - 4  # as part of the frame's size

    def encode(self, out: list[Any], correlation_id: int, response: Any) -> int:
        """Append the response frame to `out`, as buffers to be written one after another; its bytes.

        `response` may be a body that is encoded already.
        """
        parts = [response] if response.__class__ is bytes else self._encode(response)
        size = self.head_bytes + (len(parts[0]) if len(parts) == 1 else sum(map(len, parts)))
        head = self.pack_head(size, correlation_id)
        if len(parts) == 1:
            out.append(head + parts[0])
        else:
            out.append(head)
            out.extend(parts)
        return size + 4


class Route:
    """A call as one connection makes it: its requests differ in correlation id and body only.

    A frame belongs to it whose client id is `raw_id`; then its body begins at `body_at`, counted from
    the frame's size prefix, and the byte before is the empty tag section where there is one.
    """

    __slots__ = (
        "body_at",
        "call",
        "ctx",
        "decode",
        "encode",
        "handle",
        "has_tags",
        "head_bytes",
        "id_size",
        "pack_head",
        "raw_id",
        "response_class",
    )

    def __init__(self, call: Call, ctx: RequestContext, id_size: int, raw_id: bytes) -> None:
        self.call = call
        self.ctx = ctx
        self.id_size = id_size
        self.raw_id = raw_id
        self.has_tags = ctx.api_version >= API[call.key].flexible_from
        self.body_at = 4 + FIXED_HEAD_BYTES + len(raw_id) + self.has_tags
        # Of the call, within reach of the loop that runs for every request:
        self.decode = _remembering(call.decode) if call.key in _REPEATED_KEYS else call.decode
        self.handle = call.handle
        self.response_class = call.response_class
        self.encode = call.encode
        self.pack_head = call.pack_head
        self.head_bytes = call.head_bytes


def _remembering(decode: Callable[[memoryview], Any]) -> Callable[[memoryview], Any]:
    """A long poll that found nothing comes again byte for byte, as does every heartbeat: the last body is
    decoded once. Their handlers must leave the request as it is."""
    last_body, last = b"", None

    def decode_or_recall(body: memoryview) -> Any:
        nonlocal last_body, last
        if last is not None and body == last_body:
            return last
        request = decode(body)
        if len(body) <= _REMEMBERED_BYTES_MAX:
            last_body, last = bytes(body), request
        return request

    return decode_or_recall


def _observed(call: Call, on_request: Callable[[str, RequestContext], None]) -> Callable[..., Any]:
    """The call's handler, and somebody who is told first."""

    def handle(ctx: RequestContext, request: Any, services: Services) -> Any:
        on_request(call.name, ctx)
        return call.handle(ctx, request, services)

    return handle


class Request:
    """A request that has been handled, and its answer, which may be `Pending`."""

    __slots__ = ("answer", "body", "call", "correlation_id")

    def __init__(self, call: Call, correlation_id: int, answer: Any, body: Any) -> None:
        self.call = call
        self.correlation_id = correlation_id
        self.answer = answer  # response, Pending or OnLoan
        self.body = body  # for an error answer; its views of the receive buffer are void


class Dispatcher:
    """Shared by all connections. `on_request` is told of every request before its handler: for tests."""

    def __init__(
        self, services: Services, on_request: Callable[[str, RequestContext], None] | None = None
    ) -> None:
        self.services = services
        self._on_request = on_request
        self._calls: dict[tuple[int, int], Call] = {}

    def route(self, frame: memoryview, client_host: str, local_address: tuple[str, int]) -> Route:
        """Who handles `frame` (without its size), and others with the same header.

        Raises `ProtocolError` where the connection must be closed: an unknown key or version, or bytes
        that are no request header.
        """
        header = decode_request_header(frame)
        call = self._find_call(header.api_key, header.api_version)
        ctx = RequestContext(header.api_key, header.api_version, header.client_id, client_host, local_address)
        id_size = int.from_bytes(frame[FIXED_HEAD_BYTES - 2 : FIXED_HEAD_BYTES], "big", signed=True)
        raw_id = bytes(frame[FIXED_HEAD_BYTES : FIXED_HEAD_BYTES + max(0, id_size)])
        route = Route(call, ctx, id_size, raw_id)
        if self._on_request is not None:
            route.handle = _observed(call, self._on_request)
        return route

    def failed(self, call: Call, request: Any) -> Any:
        """A handler, or what it left to be done later, raised: log it, and answer the API's own shape with
        UNKNOWN_SERVER_ERROR. Raises `ProtocolError` where there is none."""
        _log.exception("%s v%d failed; the client gets UNKNOWN_SERVER_ERROR", call.name, call.version)
        if call.refuse is None:
            raise ProtocolError(f"{call.name} failed")
        return call.refuse(request, ErrorCode.UNKNOWN_SERVER_ERROR)

    def _find_call(self, key: int, version: int) -> Call:
        call = self._calls.get((key, version))
        if call is None:
            row = HANDLERS.get(key)
            if row is None:
                raise ProtocolError(f"unknown api key {key}")
            if row.min_version <= version <= row.max_version:
                call = Call(row, version)
            elif key == API_VERSIONS_KEY:
                call = UnknownApiVersions(row)
            else:
                raise ProtocolError(f"{row.name} v{version} is not supported")
            self._calls[key, version] = call
        return call


class UnknownApiVersions(Call):
    """ApiVersions in a version that we don't speak: its body is not read, and the answer is v0 (KIP-511)."""

    __slots__ = ()

    def __init__(self, row: HandlerRow) -> None:
        super().__init__(row, 0)
        self.decode = lambda buffer: None
        self.handle = lambda ctx, request, services: unsupported_version()
