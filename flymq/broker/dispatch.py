"""From a request frame to a handler, and from its answer to a response frame.

Source: KafkaApis.handle, RequestContext.parseRequest in Apache Kafka 4.
"""

from __future__ import annotations

import logging
import sys
from struct import Struct
from struct import error as StructError
from typing import Any

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import HANDLERS, HandlerRow
from flymq_protocol.errors import ErrorCode, ProtocolError
from flymq_protocol.headers import decode_request_header
from flymq_protocol.registry import API, API_VERSIONS_KEY, response_header_version

_log = logging.getLogger("flymq.dispatch")

_REQUEST_HEAD = Struct(">hhih")  # api key, api version, correlation id, length of the client id
_RESPONSE_HEAD = Struct(">ii")  # frame size, correlation id
_RESPONSE_HEAD_FLEXIBLE = Struct(">iib")  # and an empty tag section

_MODULE = sys.modules[__name__]


class Call:
    """One API in one version: how it is decoded, handled, encoded. Made on first use and kept."""

    __slots__ = ("decode", "flexible_request", "flexible_response", "handle", "key", "name", "refuse", "version")

    def __init__(self, row: HandlerRow, version: int) -> None:
        self.key = row.key
        self.name = row.name
        self.version = version
        self.handle, request_class = row.loaded()
        self.decode = request_class.decode
        self.refuse = getattr(sys.modules[self.handle.__module__], "refuse", None)
        self.flexible_request = version >= API[row.key].flexible_from
        self.flexible_response = response_header_version(row.key, version) == 1

    def encode(self, correlation_id: int, response: Any) -> list[Any]:
        """The response frame as buffers to be written one after another. `response` may be a body that
        is encoded already."""
        parts = [response] if response.__class__ is bytes else response.encode_parts(self.version)
        size = sum(map(len, parts))
        if self.flexible_response:
            head = _RESPONSE_HEAD_FLEXIBLE.pack(size + 5, correlation_id, 0)
        else:
            head = _RESPONSE_HEAD.pack(size + 4, correlation_id)
        if len(parts) == 1:
            return [head + parts[0]]
        parts.insert(0, head)
        return parts


class Request:
    """A decoded request on its way."""

    __slots__ = ("answer", "body", "call", "correlation_id")

    def __init__(self, call: Call, correlation_id: int, answer: Any, body: Any) -> None:
        self.call = call
        self.correlation_id = correlation_id
        self.answer = answer  # response, Pending, OnLoan, Hangup or None
        self.body = body  # for an error answer; its views of the receive buffer are void


class Dispatcher:
    """Shared by all connections."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._calls: dict[tuple[int, int], Call] = {}

    def apply(
        self, frame: memoryview, client_host: str, local_address: tuple[str, int], client_ids: dict[bytes, str | None]
    ) -> Request:
        """Decode one frame (without its size) and have it handled.

        `client_ids` is the connection's memory of client ids as they came, so that the same one is
        decoded once. Raises `ProtocolError` where the connection must be closed: an unknown key or
        version, or bytes that are no request. An error in a handler is logged and answered.
        """
        try:
            key, version, correlation_id, id_size = _REQUEST_HEAD.unpack_from(frame)
            call = self._calls.get((key, version))
            if call is None:
                call = self._find_call(key, version)
                if call is None:
                    return self._unsupported_api_versions(correlation_id)
            body = 10 if id_size < 0 else 10 + id_size
            if body > len(frame):
                raise ProtocolError(f"client id of {id_size} bytes does not fit its frame")
            raw_id = bytes(frame[10:body])
            if call.flexible_request:
                if frame[body]:
                    body = decode_request_header(frame).body_offset
                else:
                    body += 1
            client_id = client_ids.get(raw_id, _MODULE)
            if client_id is _MODULE:
                client_id = decode_request_header(frame).client_id
                client_ids.clear()
                client_ids[raw_id] = client_id
        except (StructError, IndexError):
            raise ProtocolError("a frame too short for its header") from None
        request = call.decode(version, frame[body:])
        ctx = RequestContext(key, version, correlation_id, client_id, client_host, local_address)  # type: ignore[arg-type]
        try:
            answer = call.handle(ctx, request, self._services)
        except Exception:
            answer = self.failed(call, request)
        return Request(call, correlation_id, answer, request)

    def failed(self, call: Call, request: Any) -> Any:
        """A handler, or what it left to be done later, raised: log it, and answer the API's own shape with
        UNKNOWN_SERVER_ERROR. Raises `ProtocolError` where there is none."""
        _log.exception("%s v%d failed; the client gets UNKNOWN_SERVER_ERROR", call.name, call.version)
        if call.refuse is None:
            raise ProtocolError(f"{call.name} failed")
        return call.refuse(request, ErrorCode.UNKNOWN_SERVER_ERROR)

    def _find_call(self, key: int, version: int) -> Call | None:
        """None: ApiVersions in a version that we don't speak, which has an answer of its own (KIP-511)."""
        row = HANDLERS.get(key)
        if row is None:
            raise ProtocolError(f"unknown api key {key}")
        if not row.min_version <= version <= row.max_version:
            if key == API_VERSIONS_KEY:
                return None
            raise ProtocolError(f"{row.name} v{version} is not supported")
        call = self._calls[key, version] = Call(row, version)
        return call

    def _unsupported_api_versions(self, correlation_id: int) -> Request:
        from flymq.broker.handlers.k18_api_versions import unsupported_version

        row = HANDLERS[API_VERSIONS_KEY]
        return Request(Call(row, 0), correlation_id, unsupported_version(), None)
