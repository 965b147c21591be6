"""Requests that kafka-python has no classes for, sent by it all the same: `flymq_protocol` has the words."""

from __future__ import annotations

from typing import Any, NamedTuple

from flymq_protocol.framing import decode_response, encode_request
from flymq_protocol.headers import decode_response_header
from flymq_protocol.message import Message
from flymq_protocol.registry import API, response_header_version


class _Header(NamedTuple):
    correlation_id: int


class Request:
    """What kafka-python's connections want of a request, of its header, and of the class of its response, in one.

    They set `API_VERSION`, to the newest that both sides know; the response is `flymq_protocol`'s, too. They raise
    IncompatibleBrokerVersion where the broker does not have it.
    """

    _min_version = _max_version = None  # no bounds but the message's own

    def __init__(self, message: Message) -> None:
        row = API[message.KEY]
        self.name, self.API_KEY = row.name, row.key
        self.min_version, self.max_version = row.version_min, row.version_max
        self.API_VERSION: Any = None
        self.correlation_id = 0
        self._client_id = ""
        self._message = message

    def with_header(self, correlation_id: int, client_id: str) -> None:
        self.correlation_id, self._client_id = correlation_id, client_id

    def encode(self, *, framed: bool, header: bool) -> bytes:
        return encode_request(self._message, self.API_VERSION, self.correlation_id, self._client_id)

    def expect_response(self) -> bool:
        return True

    @property
    def header(self) -> Request:
        return self

    def get_response_class(self) -> Request:
        return self

    def parse_header(self, received: Any) -> _Header:
        received.seek(0)
        header_version = response_header_version(self.API_KEY, self.API_VERSION)
        return _Header(decode_response_header(header_version, received.read())[0])

    def decode(self, received: Any) -> Message:
        received.seek(0)
        return decode_response(self.API_KEY, self.API_VERSION, received.read())[1]
