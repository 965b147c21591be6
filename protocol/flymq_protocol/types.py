"""Kafka's wire types, as message declarations name them.

`field(String)`, `field(Nullable(Array(Int32), "1+"))`, `field(Array(TopicProduceData))`. A type says what a
value is, not how it is laid out: strings, byte strings and arrays have a classic and a compact form, and the
message's version chooses (KIP-482). `layout.py` resolves that.

Python values:

| wire type                 | Python                                                             |
|---------------------------|--------------------------------------------------------------------|
| int8 ... int64, uint16/32 | int                                                                |
| bool, float64             | bool, float                                                        |
| uuid                      | 16 bytes, `ZERO_UUID` when there is none                           |
| string                    | str, at most 32767 bytes of UTF-8                                  |
| bytes                     | bytes, copied out of the input                                     |
| records                   | a memoryview of the input when decoded; any buffer when encoded    |
| array                     | list                                                               |
| struct                    | an instance of its class                                           |

This module imports nothing: brokers load it at start-up.
"""

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from .message import Struct

ZERO_UUID: Final = bytes(16)

Versions: TypeAlias = tuple[int, int]
"""First and last version, both included."""

VERSION_MAX: Final = 32767
"""Stands for "no upper end": versions are int16."""

Buffer: TypeAlias = bytes | bytearray | memoryview


def parse_versions(text: str) -> Versions:
    """Read Kafka's notation: `3`, `3-5`, `3+`. ValueError for anything else."""
    low, dash, high = text.partition("-")
    if dash:
        return int(low), int(high)
    if text.endswith("+"):
        return int(text[:-1]), VERSION_MAX
    return int(text), int(text)


class Fixed:
    """A type of constant width. `code` is its `struct` format character, big-endian on the wire."""

    __slots__ = ("code", "default", "name", "size")

    def __init__(self, name: str, code: str, size: int, default: bool | int | float | bytes) -> None:
        self.name = name
        self.code = code
        self.size = size
        self.default = default

    def __repr__(self) -> str:
        return self.name


class Variable:
    """A type that carries its own length."""

    __slots__ = ("default", "name")

    def __init__(self, name: str, default: str | bytes | None) -> None:
        self.name = name
        self.default = default

    def __repr__(self) -> str:
        return self.name


Bool = Fixed("bool", "?", 1, False)
Int8 = Fixed("int8", "b", 1, 0)
Int16 = Fixed("int16", "h", 2, 0)
Int32 = Fixed("int32", "i", 4, 0)
Int64 = Fixed("int64", "q", 8, 0)
Uint16 = Fixed("uint16", "H", 2, 0)
Uint32 = Fixed("uint32", "I", 4, 0)
Float64 = Fixed("float64", "d", 8, 0.0)
Uuid = Fixed("uuid", "16s", 16, ZERO_UUID)
String = Variable("string", "")
Bytes = Variable("bytes", b"")
Records = Variable("records", None)


class Array:
    """A list of `element`: a primitive type or a struct class. Kafka has no arrays of arrays."""

    __slots__ = ("element",)

    def __init__(self, element: "Element") -> None:
        self.element = element

    def __repr__(self) -> str:
        name = self.element.__name__ if isinstance(self.element, type) else repr(self.element)
        return "[]" + name


class Nullable:
    """`inner`, or None in those of the field's versions that lie in `versions` (all, if not given)."""

    __slots__ = ("inner", "versions")

    def __init__(self, inner: "NotNull", versions: str = "0+") -> None:
        self.inner = inner
        self.versions = versions


Element: TypeAlias = "Fixed | Variable | type[Struct]"
NotNull: TypeAlias = "Fixed | Variable | Array | type[Struct]"
Type: TypeAlias = "NotNull | Nullable"
