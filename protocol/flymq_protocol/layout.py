"""What one version of a message looks like on the wire, resolved from its declaration.

The Construct (`specification.py`) and the code generator (`generate.py`) both start here. Layouts compare by
value: versions with equal layouts share one generated function. Only tools import this module.
"""

from dataclasses import dataclass
from typing import TypeAlias

from .message import FieldSpec, Message, Struct
from .types import Array, Fixed, Int16, Int32, NotNull, Records, String, Variable


@dataclass(frozen=True)
class ArrayLayout:
    element: "WireType"
    flexible: bool


@dataclass(frozen=True)
class VariableLayout:
    """A string, byte string or records, with a compact length in flexible versions."""

    type: Variable
    flexible: bool


@dataclass(frozen=True)
class FieldLayout:
    spec: FieldSpec
    type: "WireType"
    nullable: bool

    @property
    def name(self) -> str:
        return self.spec.name


@dataclass(frozen=True)
class StructLayout:
    """`fields` in wire order, `tagged` by tag, and `absent`: declared, but not in this version."""

    cls: type[Struct]
    flexible: bool
    fields: tuple[FieldLayout, ...]
    tagged: tuple[FieldLayout, ...]
    absent: tuple[FieldSpec, ...]


WireType: TypeAlias = Fixed | VariableLayout | ArrayLayout | StructLayout


def message_layout(cls: type[Message], version: int) -> StructLayout:
    """The layout of one version. ValueError if the message has no such version."""
    if not cls.MIN_VERSION <= version <= cls.MAX_VERSION:
        raise ValueError(f"{cls.__name__} has no version {version}")
    return _struct_layout(cls, version, version >= cls.FLEXIBLE_FROM)


def wire_size_min(type_: WireType, nullable: bool = False) -> int:
    """The fewest bytes a value takes: what an array's count is checked against before anything is allocated."""
    if isinstance(type_, Fixed):
        return type_.size
    if isinstance(type_, StructLayout):
        if nullable:
            return 1
        tags = 1 if type_.flexible else 0
        return tags + sum(wire_size_min(item.type, item.nullable) for item in type_.fields)
    return 1 if type_.flexible else length_type(type_).size


def length_type(type_: VariableLayout | ArrayLayout) -> Fixed:
    """The classic length prefix: int16 of a string, int32 of everything else."""
    return Int16 if isinstance(type_, VariableLayout) and type_.type is String else Int32


def has_records(layout: StructLayout) -> bool:
    """Whether a records field is anywhere in the message."""
    return any(_type_has_records(item.type) for item in (*layout.fields, *layout.tagged))


def _type_has_records(type_: WireType) -> bool:
    if isinstance(type_, ArrayLayout):
        return _type_has_records(type_.element)
    if isinstance(type_, StructLayout):
        return has_records(type_)
    return isinstance(type_, VariableLayout) and type_.type is Records


def _struct_layout(cls: type[Struct], version: int, flexible: bool) -> StructLayout:
    present = [spec for spec in cls.FIELDS if spec.in_version(version)]
    layouts = [
        FieldLayout(spec, _wire_type(spec.type, version, flexible), spec.nullable_in(version)) for spec in present
    ]
    tagged = sorted((item for item in layouts if item.spec.tag is not None), key=lambda item: item.spec.tag or 0)
    return StructLayout(
        cls,
        flexible,
        tuple(item for item in layouts if item.spec.tag is None),
        tuple(tagged),
        tuple(spec for spec in cls.FIELDS if not spec.in_version(version)),
    )


def _wire_type(type_: NotNull, version: int, flexible: bool) -> WireType:
    if isinstance(type_, Fixed):
        return type_
    if isinstance(type_, Variable):
        return VariableLayout(type_, flexible)
    if isinstance(type_, Array):
        return ArrayLayout(_wire_type(type_.element, version, flexible), flexible)
    return _struct_layout(type_, version, flexible)
