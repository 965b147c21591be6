"""What generated codecs call: the rare paths, kept out of line so that the common ones stay short."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeVar

from .errors import EncodeError, ProtocolError

_T = TypeVar("_T")

ELEMENTS_MAX: Final = 1_000_000
"""Array elements and tagged fields decoded from one frame: 100 MiB of empty structs would be 6 GiB of objects."""

STRING_BYTES_MAX: Final = 32767

if TYPE_CHECKING:

    def new(cls: type[_T]) -> _T:
        """An instance whose slots are all unset."""
        raise NotImplementedError
else:
    # Setting slots on a bare instance takes half the time of calling its __init__.
    new = object.__new__


def long_varint(buf: bytes | memoryview, pos: int, first: int) -> tuple[int, int]:
    """Go on with a varint whose first byte, already read, is above 127: (value as an int32, position after it)."""
    value, pos = _varint(buf, pos, first & 0x7F, 7)
    return (value if value < 0x80000000 else value - 0x100000000), pos


def long_string_varint(buf: bytes | memoryview, pos: int, first: int) -> tuple[int, int]:
    """As `long_varint`, for the length of a string, which Kafka limits though the format doesn't."""
    value, pos = long_varint(buf, pos, first)
    if value > STRING_BYTES_MAX + 1:
        raise bad_length("string", value - 1)
    return value, pos


def tag_count(buf: bytes | memoryview, pos: int, first: int, budget: int) -> tuple[int, int, int]:
    """Go on with a count of tagged fields, known to be above 0: (count, position after it, budget left)."""
    count, pos = _varint(buf, pos, first & 0x7F, 7) if first > 127 else (first, pos)
    if count * 2 > len(buf) - pos:
        raise bad_length("tagged fields", count)
    if count > budget:
        raise too_many()
    return count, pos, budget - count


def tag_head(buf: bytes | memoryview, pos: int) -> tuple[int, int, int]:
    """Read what stands before a tagged field: (tag, position of its data, position after its data)."""
    tag, pos = varint(buf, pos)
    length, pos = varint(buf, pos)
    if length > len(buf) - pos:
        raise bad_length("tagged field", length)
    return tag, pos, pos + length


def unknown_tags(
    buf: bytes | memoryview, pos: int, first: int, budget: int
) -> tuple[tuple[tuple[int, bytes], ...], int, int]:
    """Read the tagged fields of a struct that knows none: (fields, position after them, budget left)."""
    count, pos, budget = tag_count(buf, pos, first, budget)
    fields = []
    for _ in range(count):
        tag, start, pos = tag_head(buf, pos)
        fields.append((tag, bytes(buf[start:pos])))
    return tuple(fields), pos, budget


def varint(buf: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Read an unsigned varint: (value, position after it)."""
    return _varint(buf, pos, 0, 0)


def _varint(buf: bytes | memoryview, pos: int, value: int, shift: int) -> tuple[int, int]:
    while shift < 35:
        byte = buf[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            # The fifth byte has room for 4 bits; Kafka drops the rest.
            return value & 0xFFFFFFFF, pos
        shift += 7
    raise ProtocolError("varint above 5 bytes")


def pack_varint(value: int) -> bytes:
    """Write an unsigned varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def pack_tags(fields: list[tuple[int, bytes]], unknown: Iterable[tuple[int, bytes]]) -> bytes:
    """Write a block of tagged fields: the known ones and those kept from decoding, by ascending tag."""
    known = {tag for tag, _ in fields}
    for tag, _ in unknown:
        if tag in known:
            raise EncodeError(f"unknown_tags holds the known tag {tag}")
    merged = sorted([*fields, *unknown], key=lambda field: field[0])
    out = [pack_varint(len(merged))]
    for tag, data in merged:
        out += pack_varint(tag), pack_varint(len(data)), data
    return b"".join(out)


def bad_length(name: str, length: int) -> ProtocolError:
    """`length` is that read from the wire, less 1 where it was compact."""
    if length < 0:
        return ProtocolError(f"{name} is null")
    return ProtocolError(f"{name}: a length of {length} is above its limit or what is left of the message")


def bad_tag(name: str, why: str) -> ProtocolError:
    return ProtocolError(f"tagged field {name} {why}")


def too_many() -> ProtocolError:
    return ProtocolError(f"more than {ELEMENTS_MAX} elements in one message")


def null_value(name: str) -> EncodeError:
    return EncodeError(f"{name} can't be null in this version")


def absent_value(name: str) -> EncodeError:
    return EncodeError(f"{name} is set, but this version has no such field")


def bad_value(name: str, why: str) -> EncodeError:
    return EncodeError(f"{name} {why}")
