"""The four codecs of record batches, with a bound on what they inflate to.

| id | codec  | format                                                                                    |
|----|--------|-------------------------------------------------------------------------------------------|
| 0  | none   |                                                                                           |
| 1  | gzip   | RFC 1952                                                                                  |
| 2  | snappy | written with snappy-java's block framing (xerial), as Java does; raw blocks are read, too |
| 3  | lz4    | LZ4 frame; Java reads only independent blocks, so those are written                       |
| 4  | zstd   | RFC 8878                                                                                  |

A batch of a few kilobytes can inflate to gigabytes: every reader states its limit.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Final

import cramjam

from ..errors import EncodeError, ProtocolError
from ..types import Buffer

NONE: Final = 0
GZIP: Final = 1
SNAPPY: Final = 2
LZ4: Final = 3
ZSTD: Final = 4

NAMES: Final = {NONE: "none", GZIP: "gzip", SNAPPY: "snappy", LZ4: "lz4", ZSTD: "zstd"}

_GZIP_WBITS = 31
_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + struct.pack(">ii", 1, 1)
_XERIAL_BLOCK_SIZE = 32 * 1024
# Magic, flags (version 1, independent blocks), blocks of at most 64 KiB, and the header's checksum.
_LZ4_HEADER = bytes.fromhex("04224d18604082")
_LZ4_BLOCK_SIZE = 64 * 1024
_LZ4_STORED = 0x80000000
_LZ4_FAST_LEVEL = 9
# How cramjam says that the output is full.
_OUTPUT_FULL = "failed to write whole buffer"


class InflateLimit(ProtocolError):
    """Compressed data inflates to more than the reader allows."""


def compress(codec: int, data: bytes, level: int | None = None) -> bytes:
    """Compress the records of a batch; `level` as Kafka's compression.*.level. EncodeError for an unknown codec."""
    try:
        function = _COMPRESS[codec]
    except KeyError:
        raise EncodeError(f"unknown compression codec {codec}") from None
    return function(data, level)


def decompress(codec: int, data: Buffer, size_max: int) -> bytes:
    """Inflate the records of a batch.

    InflateLimit if they are above `size_max` bytes; ProtocolError if they are corrupt, or the codec is unknown.
    """
    try:
        function = _DECOMPRESS[codec]
    except KeyError:
        raise ProtocolError(f"unknown compression codec {codec}") from None
    return function(data, size_max)


def _limit(size_max: int) -> InflateLimit:
    return InflateLimit(f"records inflate to more than {size_max} bytes")


def _keep(data: Buffer, size_max: int) -> bytes:
    if len(data) > size_max:
        raise _limit(size_max)
    return bytes(data)


def _store(data: bytes, level: int | None) -> bytes:
    return bytes(data)


def _gzip(data: bytes, level: int | None) -> bytes:
    return zlib.compress(data, -1 if level is None else level, _GZIP_WBITS)


def _gunzip(data: Buffer, size_max: int) -> bytes:
    out = bytearray()
    rest: Buffer = data
    # RFC 1952: members one after another are one stream; Java reads them so.
    while True:
        member = zlib.decompressobj(_GZIP_WBITS)
        try:
            out += member.decompress(rest, size_max - len(out) + 1)
        except zlib.error as error:
            raise ProtocolError(f"corrupt gzip data: {error}") from None
        if len(out) > size_max:
            raise _limit(size_max)
        if not member.eof:
            raise ProtocolError("gzip data is cut short")
        rest = member.unused_data
        if not rest:
            return bytes(out)


def _snap(data: bytes, level: int | None) -> bytes:
    out = [_XERIAL_HEADER]
    for start in range(0, len(data), _XERIAL_BLOCK_SIZE):
        block = bytes(cramjam.snappy.compress_raw(data[start : start + _XERIAL_BLOCK_SIZE]))
        out += struct.pack(">i", len(block)), block
    return b"".join(out)


def _unsnap(data: Buffer, size_max: int) -> bytes:
    view = memoryview(data)
    if bytes(view[:8]) != _XERIAL_MAGIC:
        return _unsnap_block(view, size_max)
    out = bytearray()
    position = len(_XERIAL_HEADER)
    while position < len(view):
        if len(view) - position < 4:
            raise ProtocolError("snappy data is cut short")
        (length,) = struct.unpack_from(">i", view, position)
        position += 4
        if not 0 < length <= len(view) - position:
            raise ProtocolError(f"snappy block of {length} bytes does not fit")
        out += _unsnap_block(view[position : position + length], size_max - len(out))
        position += length
    return bytes(out)


def _unsnap_block(data: memoryview, size_max: int) -> bytes:
    try:
        # The block says its size before anything is allocated for it.
        if cramjam.snappy.decompress_raw_len(data) > size_max:
            raise _limit(size_max)
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise ProtocolError(f"corrupt snappy data: {error}") from None


def _lz4(data: bytes, level: int | None) -> bytes:
    if level is not None and level != _LZ4_FAST_LEVEL:  # as in Java: the default is the fast one
        thorough = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
        thorough.compress(data)
        return bytes(thorough.finish())
    out = [_LZ4_HEADER]
    for start in range(0, len(data), _LZ4_BLOCK_SIZE):
        plain = data[start : start + _LZ4_BLOCK_SIZE]
        block = bytes(cramjam.lz4.compress_block(plain, store_size=False))
        if len(block) < len(plain):
            out += struct.pack("<I", len(block)), block
        else:
            out += struct.pack("<I", len(plain) | _LZ4_STORED), plain
    out.append(bytes(4))
    return b"".join(out)


def _unlz4(data: Buffer, size_max: int) -> bytes:
    return _inflate(cramjam.lz4.decompress_into, "lz4", data, size_max)


def _zstd(data: bytes, level: int | None) -> bytes:
    return bytes(cramjam.zstd.compress(data) if level is None else cramjam.zstd.compress(data, level=level))


def _unzstd(data: Buffer, size_max: int) -> bytes:
    return _inflate(cramjam.zstd.decompress_into, "zstd", data, size_max)


def _inflate(into: Callable[[Buffer, bytearray], int], name: str, data: Buffer, size_max: int) -> bytes:
    """Inflate into a buffer that grows up to the limit: neither format has to say its size beforehand."""
    size = min(size_max, max(4 * len(data), 4096))
    while True:
        out = bytearray(size)
        try:
            return bytes(memoryview(out)[: into(data, out)])
        except cramjam.DecompressionError as error:
            if _OUTPUT_FULL not in str(error):
                raise ProtocolError(f"corrupt {name} data: {error}") from None
        if size == size_max:
            raise _limit(size_max)
        size = min(size_max, 4 * size)


_COMPRESS: Final[dict[int, Callable[[bytes, int | None], bytes]]] = {
    NONE: _store,
    GZIP: _gzip,
    SNAPPY: _snap,
    LZ4: _lz4,
    ZSTD: _zstd,
}
_DECOMPRESS: Final[dict[int, Callable[[Buffer, int], bytes]]] = {
    NONE: _keep,
    GZIP: _gunzip,
    SNAPPY: _unsnap,
    LZ4: _unlz4,
    ZSTD: _unzstd,
}
