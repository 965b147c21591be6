"""Messages as Construct: the readable specification, and what the generated codecs are tested against.

`HeartbeatRequest.construct(4)` is a Construct that parses bytes to a HeartbeatRequest and builds bytes from one.
It takes and refuses the same input as the generated codec, but slowly: 13-30 times on parsing. Refusals are
ConstructError, ProtocolError, EncodeError or a Unicode error. It has no limit on the number of elements.
"""

from typing import Any

import construct  # type: ignore[import-untyped]

from ._runtime import STRING_BYTES_MAX
from .errors import EncodeError, ProtocolError
from .layout import ArrayLayout, FieldLayout, StructLayout, VariableLayout, WireType, length_type, message_layout
from .message import Message
from .types import Fixed, Records, String

_FIXED = {
    "bool": construct.Flag,
    "int8": construct.Int8sb,
    "int16": construct.Int16sb,
    "int32": construct.Int32sb,
    "int64": construct.Int64sb,
    "uint16": construct.Int16ub,
    "uint32": construct.Int32ub,
    "float64": construct.Float64b,
    "uuid": construct.Bytes(16),
}


class UnsignedVarint(construct.Construct):  # type: ignore[misc]
    """Seven bits a byte, low ones first, at most five bytes; what exceeds 32 bits is dropped (KIP-482)."""

    def _parse(self, stream: Any, context: Any, path: str) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte: int = construct.stream_read(stream, 1, path)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFF
        raise ProtocolError("varint above 5 bytes")

    def _build(self, obj: int, stream: Any, context: Any, path: str) -> int:
        return construct.VarInt._build(obj, stream, context, path)  # type: ignore[no-any-return]


class CompactLength(construct.Adapter):  # type: ignore[misc]
    """A length as an unsigned varint that is one more than it; read as int32, so that large ones are negative."""

    def __init__(self) -> None:
        super().__init__(UnsignedVarint())

    def _decode(self, obj: int, context: Any, path: str) -> int:
        return (obj if obj < 0x80000000 else obj - 0x100000000) - 1

    def _encode(self, obj: int, context: Any, path: str) -> int:
        return obj + 1


class Counted(construct.Construct):  # type: ignore[misc]
    """A length and so many bytes, or elements; a negative length is null. Base of the two below."""

    def __init__(self, length: Any, nullable: bool, name: str) -> None:
        super().__init__()
        self.length = length
        self.nullable = nullable
        self.label = name

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        length = self.length._parsereport(stream, context, path)
        if length >= 0:
            return self.parse_content(length, stream, context, path)
        if not self.nullable:
            raise ProtocolError(f"{self.label} is null")
        return None

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if obj is not None:
            self.build_content(obj, stream, context, path)
        elif self.nullable:
            self.length._build(-1, stream, context, path)
        else:
            raise EncodeError(f"{self.label} can't be null in this version")
        return obj

    def parse_content(self, length: int, stream: Any, context: Any, path: str) -> Any:
        raise NotImplementedError

    def build_content(self, obj: Any, stream: Any, context: Any, path: str) -> None:
        raise NotImplementedError


class Blob(Counted):
    """string, bytes and records."""

    def __init__(self, layout: VariableLayout, length: Any, nullable: bool, name: str) -> None:
        super().__init__(length, nullable, name)
        self.type = layout.type

    def parse_content(self, length: int, stream: Any, context: Any, path: str) -> Any:
        if self.type is String and length > STRING_BYTES_MAX:
            raise ProtocolError(f"{self.label} is above {STRING_BYTES_MAX} bytes")
        data = construct.stream_read(stream, length, path)
        if self.type is String:
            return data.decode()
        return memoryview(data) if self.type is Records else data

    def build_content(self, obj: Any, stream: Any, context: Any, path: str) -> None:
        data = obj.encode() if self.type is String else bytes(obj)
        if self.type is String and len(data) > STRING_BYTES_MAX:
            raise EncodeError(f"{self.label} is above {STRING_BYTES_MAX} bytes")
        self.length._build(len(data), stream, context, path)
        construct.stream_write(stream, data, len(data), path)


class ArrayOf(Counted):
    """A count and so many elements."""

    def __init__(self, element: Any, length: Any, nullable: bool, name: str) -> None:
        super().__init__(length, nullable, name)
        self.element = element

    def parse_content(self, length: int, stream: Any, context: Any, path: str) -> Any:
        return [self.element._parsereport(stream, context, path) for _ in range(length)]

    def build_content(self, obj: Any, stream: Any, context: Any, path: str) -> None:
        self.length._build(len(obj), stream, context, path)
        for element in obj:
            self.element._build(element, stream, context, path)


class NullableStruct(construct.Construct):  # type: ignore[misc]
    """An int8, negative for null, and the struct."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        marker = construct.Int8sb._parsereport(stream, context, path)
        return None if marker < 0 else self.body._parsereport(stream, context, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        construct.Int8sb._build(-1 if obj is None else 1, stream, context, path)
        if obj is not None:
            self.body._build(obj, stream, context, path)
        return obj


class TagBlock(construct.Construct):  # type: ignore[misc]
    """Tagged fields, between `{name: value}` of those known and set, and a tuple of (tag, bytes) of the others."""

    def __init__(self, known: tuple[FieldLayout, ...]) -> None:
        super().__init__()
        self.known = {entry.spec.tag: (entry.name, _field(entry)) for entry in known}

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        number = UnsignedVarint()
        values: dict[str, Any] = {}
        unknown = []
        for _ in range(number._parse(stream, context, path)):
            tag = number._parse(stream, context, path)
            data = construct.stream_read(stream, number._parse(stream, context, path), path)
            if tag not in self.known:
                unknown.append((tag, data))
                continue
            name, subcon = self.known[tag]
            if name in values:
                raise ProtocolError(f"tagged field {name} comes twice")
            content = construct.Struct("value" / subcon, "end" / construct.Tell).parse(data)
            if content.end != len(data):
                raise ProtocolError(f"tagged field {name} does not fill its size")
            values[name] = content.value
        return values, tuple(unknown)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        values, unknown = obj
        fields = list(unknown)
        for tag, (name, subcon) in self.known.items():
            if name in values:
                fields.append((tag, subcon.build(values[name])))
        if len({tag for tag, _ in unknown} & self.known.keys()):
            raise EncodeError("unknown_tags holds a known tag")
        number = UnsignedVarint()
        number._build(len(fields), stream, context, path)
        for tag, data in sorted(fields, key=lambda field: field[0]):
            number._build(tag, stream, context, path)
            number._build(len(data), stream, context, path)
            construct.stream_write(stream, data, len(data), path)
        return obj


class Instance(construct.Adapter):  # type: ignore[misc]
    """Between the container of a `construct.Struct` and an instance of the declared class."""

    def __init__(self, layout: StructLayout) -> None:
        parts = [entry.name / _field(entry) for entry in layout.fields]
        if layout.flexible:
            parts.append("tags" / TagBlock(layout.tagged))
        super().__init__(construct.Struct(*parts))
        self.layout = layout

    def _decode(self, obj: Any, context: Any, path: str) -> Any:
        known, unknown = obj.tags if self.layout.flexible else ({}, ())
        instance = self.layout.cls()
        for entry in self.layout.fields:
            setattr(instance, entry.name, obj[entry.name])
        for name, value in known.items():
            setattr(instance, name, value)
        instance.unknown_tags = unknown
        return instance

    def _encode(self, obj: Any, context: Any, path: str) -> Any:
        for spec in self.layout.absent:
            if not spec.ignorable and getattr(obj, spec.name) != spec.default_value():
                raise EncodeError(f"{spec.name} is set, but this version has no such field")
        values: dict[str, Any] = {entry.name: getattr(obj, entry.name) for entry in self.layout.fields}
        if self.layout.flexible:
            tagged = {entry.name: getattr(obj, entry.name) for entry in self.layout.tagged}
            defaults = {entry.name: entry.spec.default_value() for entry in self.layout.tagged}
            values["tags"] = {k: v for k, v in tagged.items() if v != defaults[k]}, obj.unknown_tags
        elif obj.unknown_tags:
            raise EncodeError("unknown_tags is set, but this version has no tagged fields")
        return values


def message_construct(cls: type[Message], version: int) -> Any:
    """The Construct of one version of a message. ValueError if there is no such version."""
    return Instance(message_layout(cls, version))


def _field(entry: FieldLayout) -> Any:
    return _type(entry.type, entry.nullable, entry.name)


def _type(type_: WireType, nullable: bool, name: str) -> Any:
    if isinstance(type_, Fixed):
        return _FIXED[type_.name]
    if isinstance(type_, StructLayout):
        return NullableStruct(Instance(type_)) if nullable else Instance(type_)
    length = CompactLength() if type_.flexible else _FIXED[length_type(type_).name]
    if isinstance(type_, ArrayLayout):
        return ArrayOf(_type(type_.element, False, name), length, nullable, name)
    return Blob(type_, length, nullable, name)
