"""Frames: an int32 size and so many bytes, which are a header and a body. No I/O.

A broker's connection finds frames in its own buffer with `frame_size`; clients in tests and tools use
`encode_request`, `decode_response` and `FrameReader`.
"""

import struct
from collections.abc import Iterator
from typing import Final

from .errors import ProtocolError
from .headers import (
    RequestHeader,
    decode_request_header,
    decode_response_header,
    encode_request_header,
    encode_response_header,
)
from .message import Message
from .registry import load, response_header_version
from .types import Buffer

__all__ = [
    "PREFIX_SIZE",
    "FrameReader",
    "RequestHeader",
    "decode_request_header",
    "decode_response",
    "encode_request",
    "encode_response",
    "encode_response_parts",
    "frame_size",
    "pack_size",
]

PREFIX_SIZE: Final = 4

_SIZE = struct.Struct(">i")


def frame_size(buffer: Buffer, position: int, size_max: int) -> int:
    """The size of the frame whose prefix is at `position`, prefix not counted.

    The caller has made sure that 4 bytes are there. ProtocolError if it is negative or above `size_max`: so a
    peer can't make anyone buffer more.
    """
    (size,) = _SIZE.unpack_from(buffer, position)
    if not 0 <= size <= size_max:
        raise ProtocolError(f"a frame of {size} bytes, where at most {size_max} are allowed")
    return int(size)


def pack_size(size: int) -> bytes:
    """The prefix of a frame of `size` bytes."""
    return _SIZE.pack(size)


def encode_request(request: Message, version: int, correlation_id: int, client_id: str | None) -> bytes:
    """A request as a whole frame. EncodeError if the version can't carry it."""
    header = encode_request_header(request.KEY, version, correlation_id, client_id)
    body = request.encode(version)
    return b"".join((_SIZE.pack(len(header) + len(body)), header, body))


def encode_response_parts(response: Message, version: int, correlation_id: int) -> list[bytes | memoryview]:
    """A response as a whole frame, in pieces for a gathering write: records are not copied."""
    header = encode_response_header(response_header_version(response.KEY, version), correlation_id)
    parts = response.encode_parts(version)
    size = len(header) + sum(map(len, parts))
    return [_SIZE.pack(size) + header, *parts]


def encode_response(response: Message, version: int, correlation_id: int) -> bytes:
    """A response as a whole frame."""
    return b"".join(encode_response_parts(response, version, correlation_id))


def decode_response(key: int, version: int, frame: Buffer) -> tuple[int, Message]:
    """Read a response frame, without its prefix: (correlation id, response). ProtocolError if it is malformed."""
    correlation_id, offset = decode_response_header(response_header_version(key, version), frame)
    return correlation_id, load(key)[1].decode(version, memoryview(frame)[offset:])


class FrameReader:
    """Cuts a stream of bytes into frames.

    Frames are bytes of their own, so that they outlive the stream's buffer.
    """

    __slots__ = ("_buffer", "_size_max")

    def __init__(self, size_max: int) -> None:
        self._buffer = bytearray()
        self._size_max = size_max

    def feed(self, data: Buffer) -> Iterator[bytes]:
        """Take what came, give the frames that are complete. ProtocolError as in `frame_size`."""
        self._buffer += data
        while len(self._buffer) >= PREFIX_SIZE:
            end = PREFIX_SIZE + frame_size(self._buffer, 0, self._size_max)
            if len(self._buffer) < end:
                return
            frame = bytes(memoryview(self._buffer)[PREFIX_SIZE:end])
            del self._buffer[:end]
            yield frame
