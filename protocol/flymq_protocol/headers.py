"""Request and response headers.

| header      | layout                                                                             |
|-------------|------------------------------------------------------------------------------------|
| request v1  | int16 api key, int16 api version, int32 correlation id, nullable string client id   |
| request v2  | v1 and tagged fields                                                               |
| response v0 | int32 correlation id                                                               |
| response v1 | v0 and tagged fields                                                               |

The client id keeps its classic int16 length in v2, so that a broker can read it before it knows whether the
version is one it speaks (RequestHeader.json in Apache Kafka). No tagged field of a header is known; they are
checked for their shape and dropped.
"""

import struct
from typing import NamedTuple

from .errors import EncodeError, ProtocolError
from .registry import API, request_header_version
from .types import Buffer

_FIXED = struct.Struct(">hhih")
_CORRELATION_ID = struct.Struct(">i")
_VARINT_BYTES_MAX = 5


class RequestHeader(NamedTuple):
    """What stands before a request's body. `body_offset` counts from the start of the frame's content."""

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_offset: int


def decode_request_header(frame: Buffer) -> RequestHeader:
    """Read the header of a request frame (without its size prefix).

    Bad UTF-8 in the client id is replaced, not refused: clients put what they like there, and Kafka takes it.
    For a key or version that the registry doesn't have, header v1 is read, and `body_offset` means nothing.
    ProtocolError if the frame is too short or its tagged fields are malformed.
    """
    try:
        key, version, correlation_id, length = _FIXED.unpack_from(frame)
    except struct.error:
        raise ProtocolError(f"a frame of {len(frame)} bytes has no room for a request header") from None
    position = _FIXED.size
    client_id = None
    if length >= 0:
        end = position + length
        if end > len(frame):
            raise ProtocolError(f"client id of {length} bytes does not fit its frame")
        client_id = str(frame[position:end], "utf-8", "replace")
        position = end
    row = API.get(key)
    if row is not None and row.flexible_from <= version <= row.version_max:
        try:
            # No client sends tagged fields here, so the common case is one zero byte.
            position = position + 1 if frame[position] == 0 else _skip_tagged_fields(frame, position)
        except IndexError:
            raise ProtocolError("request header ends inside its tagged fields") from None
    return RequestHeader(key, version, correlation_id, client_id, position)


def encode_request_header(key: int, version: int, correlation_id: int, client_id: str | None) -> bytes:
    """Write the header that this API and version has. EncodeError for a client id above 32767 bytes."""
    tail = b"\0" if request_header_version(key, version) == 2 else b""
    if client_id is None:
        return _FIXED.pack(key, version, correlation_id, -1) + tail
    name = client_id.encode()
    if len(name) > 32767:
        raise EncodeError(f"client id of {len(name)} bytes")
    return _FIXED.pack(key, version, correlation_id, len(name)) + name + tail


def encode_response_header(header_version: int, correlation_id: int) -> bytes:
    """Write response header v0 or v1, without tagged fields."""
    return _CORRELATION_ID.pack(correlation_id) + (b"\0" if header_version else b"")


def decode_response_header(header_version: int, frame: Buffer) -> tuple[int, int]:
    """Read (correlation id, offset of the body). ProtocolError if the frame is too short or malformed."""
    try:
        (correlation_id,) = _CORRELATION_ID.unpack_from(frame)
        return correlation_id, _skip_tagged_fields(frame, 4) if header_version else 4
    except (IndexError, struct.error):
        raise ProtocolError(f"a frame of {len(frame)} bytes has no room for a response header") from None


def _skip_tagged_fields(frame: Buffer, position: int) -> int:
    """The offset after a block of tagged fields. IndexError if it is cut short."""
    count, position = _varint(frame, position)
    for _ in range(count):
        _, position = _varint(frame, position)
        size, position = _varint(frame, position)
        position += size
        if position > len(frame):
            raise ProtocolError("a tagged field does not fit its frame")
    return position


def _varint(frame: Buffer, position: int) -> tuple[int, int]:
    value = 0
    for i in range(_VARINT_BYTES_MAX):
        byte = frame[position + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, position + i + 1
    raise ProtocolError("varint above 5 bytes")
