"""Declarations of Kafka messages: `@message`, `@struct` and `field`.

    @message(key=12, versions="0-4", flexible="4+")
    class HeartbeatRequest(Message):
        group_id: str = field(String)
        generation_id: int = field(Int32)
        member_id: str = field(String)
        group_instance_id: str | None = field(Nullable(String), versions="3+", default=None)

One declaration is the type, the specification (`construct`) and the source of the generated codec
(`python -m flymq_protocol.generate`). The classes have slots, an `__init__` that takes the fields in declared
order by position or by keyword, `==` and a `repr`. Every field has a default: Kafka's.

Neither `dataclasses` nor Construct is imported: a slots dataclass costs 0.4 ms a class at import and
Construct 34 ms, which every start of a broker inside a test would pay.
"""

import struct as _struct
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar, cast, dataclass_transform

from .errors import EncodeError, ProtocolError
from .types import (
    VERSION_MAX,
    Array,
    Buffer,
    Fixed,
    NotNull,
    Nullable,
    Type,
    Variable,
    Versions,
    parse_versions,
)

if TYPE_CHECKING:
    import construct  # type: ignore[import-untyped]

NEVER_FLEXIBLE: Final = VERSION_MAX + 1
"""`FLEXIBLE_FROM` of a message that no version of is flexible; `version >= FLEXIBLE_FROM` stays one comparison."""

_S = TypeVar("_S", bound="Struct")
_M = TypeVar("_M", bound="Message")

_FRESH: Any = type("_Fresh", (), {"__repr__": lambda self: "<fresh>"})()
"""Default of a parameter whose value must be made anew for each instance."""
_TYPE_DEFAULT: Any = object()
_ENCODE_FAILURES: Final = (_struct.error, UnicodeEncodeError, AttributeError, TypeError)
"""A number out of range, a lone surrogate, a value of another type, None among them."""
DECODE_FAILURES: Final = (IndexError, _struct.error, UnicodeDecodeError)
"""What malformed bytes make Python raise, besides the ProtocolError that generated code does."""


class FieldSpec:
    """One declared field. `versions` and `nullable` are ranges; `tag` is None for a field in the body."""

    __slots__ = ("default", "ignorable", "name", "nullable", "tag", "type", "versions")

    def __init__(self, type_: Type, versions: str, default: Any, tag: int | None, ignorable: bool) -> None:
        self.name = ""
        self.versions: Versions = parse_versions(versions)
        self.nullable: Versions | None = None
        self.type: NotNull
        if isinstance(type_, Nullable):
            low, high = parse_versions(type_.versions)
            self.nullable = max(low, self.versions[0]), min(high, self.versions[1])
            self.type = type_.inner
        else:
            self.type = type_
        self.default = _type_default(self.type) if default is _TYPE_DEFAULT else default
        self.tag = tag
        self.ignorable = ignorable

    def in_version(self, version: int) -> bool:
        return self.versions[0] <= version <= self.versions[1]

    def nullable_in(self, version: int) -> bool:
        return self.nullable is not None and self.nullable[0] <= version <= self.nullable[1]

    def default_value(self) -> Any:
        """The default, made anew where it is mutable."""
        if self.default is not _FRESH:
            return self.default
        return [] if isinstance(self.type, Array) else self.type()  # type: ignore[operator]


def field(
    type_: Type, *, versions: str = "0+", default: Any = _TYPE_DEFAULT, tag: int | None = None, ignorable: bool = False
) -> Any:
    """Declare a field of a message or struct.

    Args:
        type_: its wire type; a struct class for a nested struct.
        versions: the versions that have it, in Kafka's notation.
        default: Kafka's default where it is not the type's own (0, "", empty, all defaults).
        tag: its number, if it travels among the tagged fields; always in all of `versions`.
        ignorable: encoding drops a non-default value in versions without the field, instead of raising.

    Not a field specifier in the sense of PEP 681, on purpose: so a type checker takes every field as one
    that has a default.
    """
    return FieldSpec(type_, versions, default, tag, ignorable)


class Struct:
    """Base of nested structs and, through `Message`, of messages."""

    __slots__ = ("unknown_tags",)

    FIELDS: ClassVar[tuple[FieldSpec, ...]] = ()

    unknown_tags: tuple[tuple[int, bytes], ...]
    """Tagged fields that the declaration doesn't know, as (tag, bytes), in the order they came. Not a parameter."""

    def __eq__(self, other: object) -> bool:
        # By FIELDS, not by type: a shared default is an instance of a read-only subclass.
        if not isinstance(other, Struct) or self.FIELDS is not other.FIELDS:
            return NotImplemented
        return self.unknown_tags == other.unknown_tags and all(
            getattr(self, spec.name) == getattr(other, spec.name) for spec in self.FIELDS
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        pairs = [f"{spec.name}={getattr(self, spec.name)!r}" for spec in self.FIELDS]
        if self.unknown_tags:
            pairs.append(f"unknown_tags={self.unknown_tags!r}")
        return f"{type(self).__name__}({', '.join(pairs)})"


class Message(Struct):
    """Base of whole request, response and payload bodies."""

    __slots__ = ()

    KEY: ClassVar[int]
    """API key; -1 for a payload that isn't an API's."""
    MIN_VERSION: ClassVar[int]
    MAX_VERSION: ClassVar[int]
    FLEXIBLE_FROM: ClassVar[int]
    """First version with compact types and tagged fields (KIP-482), or `NEVER_FLEXIBLE`."""

    _decoders: ClassVar[dict[int, Callable[[Buffer], Any]]] = {}
    _encoders: ClassVar[dict[int, Callable[[Any], list[bytes | memoryview]]]] = {}

    @classmethod
    def decoder(cls, version: int) -> Callable[[Buffer], Self]:
        """`decode` for one version, for a loop that has no time for more: on malformed bytes it may raise
        any of `DECODE_FAILURES` as well as ProtocolError."""
        return _load(cls, version, ProtocolError)._decoders[version]

    @classmethod
    def encoder(cls, version: int) -> "Callable[[Self], list[bytes | memoryview]]":
        """`encode_parts` for one version, likewise; it raises EncodeError or what Python does for a value of
        a wrong type."""
        return _load(cls, version, EncodeError)._encoders[version]

    @classmethod
    def decode(cls, version: int, buffer: Buffer) -> Self:
        """Read a body. Bytes after its end are ignored, as Kafka does.

        Records fields are views of `buffer` and live no longer than it does; all else is copied.
        ProtocolError if the bytes are not this message, or it has no such version.
        """
        try:
            function = cls._decoders[version]
        except KeyError:
            function = _load(cls, version, ProtocolError)._decoders[version]
        try:
            return function(buffer)  # type: ignore[no-any-return]
        except DECODE_FAILURES as error:
            raise ProtocolError(f"malformed {cls.__name__} v{version}: {error}") from error

    def encode(self, version: int) -> bytes:
        """Write the body. EncodeError for a value that this version can't carry."""
        parts = self.encode_parts(version)
        return parts[0] if len(parts) == 1 and type(parts[0]) is bytes else b"".join(parts)

    def encode_parts(self, version: int) -> list[bytes | memoryview]:
        """As `encode`, in pieces for a gathering write: records fields are passed on, not copied."""
        try:
            function = self._encoders[version]
        except KeyError:
            function = _load(type(self), version, EncodeError)._encoders[version]
        try:
            return function(self)
        except _ENCODE_FAILURES as error:
            raise EncodeError(f"{type(self).__name__} v{version}: {error}") from error

    @classmethod
    def construct(cls, version: int) -> "construct.Construct":
        """The layout of `version` as a Construct that parses to and builds from instances of this class."""
        from .specification import message_construct

        return message_construct(cls, version)


def _load(cls: type[_M], version: int, error: type[ValueError]) -> type[_M]:
    """Attach the generated codec, on first use of a message; `error` if there is no such version."""
    if not cls.MIN_VERSION <= version <= cls.MAX_VERSION:
        raise error(f"{cls.__name__} has no version {version}")
    module = import_module("flymq_protocol._gen." + codec_module(cls))
    cls._decoders = module.DECODERS[cls.__name__]
    cls._encoders = module.ENCODERS[cls.__name__]
    return cls


def codec_module(cls: type[Message]) -> str:
    """Name of the module under `_gen` that holds the codec: `k12`, or the declaring module's own name."""
    return f"k{cls.KEY:02}" if cls.KEY >= 0 else cls.__module__.rpartition(".")[2]


@dataclass_transform()
def struct(cls: type[_S]) -> type[_S]:
    """Declare a nested struct."""
    return _with_slots(cls)


@dataclass_transform()
def message(*, versions: str, flexible: str | None, key: int = -1) -> Callable[[type[_M]], type[_M]]:
    """Declare a message. `versions` are those we speak; `flexible` is `N+`, or None if no version is."""

    def declare(cls: type[_M]) -> type[_M]:
        built = _with_slots(cls)
        built.KEY = key
        built.MIN_VERSION, built.MAX_VERSION = parse_versions(versions)
        built.FLEXIBLE_FROM = NEVER_FLEXIBLE if flexible is None else parse_versions(flexible)[0]
        return built

    return declare


def _with_slots(cls: type[_S]) -> type[_S]:
    """The class made again with a slot for each field: slots can't be added to a class that exists."""
    specs = []
    namespace = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    for name, value in cls.__dict__.items():
        if isinstance(value, FieldSpec):
            value.name = name
            specs.append(value)
            del namespace[name]
    namespace["FIELDS"] = tuple(specs)
    namespace["__slots__"] = tuple(spec.name for spec in specs)
    namespace["__init__"] = _make_init(specs)
    namespace["__qualname__"] = cls.__qualname__
    return cast(type[_S], type(cls.__name__, cls.__bases__, namespace))


def _make_init(specs: list[FieldSpec]) -> Any:
    names = {f"d{i}": spec.default for i, spec in enumerate(specs)}
    names["fresh"] = _FRESH
    parameters = "".join(f", {spec.name}=d{i}" for i, spec in enumerate(specs))
    lines = [f"def __init__(self{parameters}):", " self.unknown_tags = ()"]
    for i, spec in enumerate(specs):
        value = spec.name
        if spec.default is _FRESH:
            if isinstance(spec.type, Array):
                maker = "[]"
            else:
                names[f"t{i}"] = spec.type
                maker = f"t{i}()"
            value = f"{maker} if {spec.name} is fresh else {spec.name}"
        lines.append(f" self.{spec.name} = {value}")
    exec("\n".join(lines), names)
    return names["__init__"]


def _type_default(type_: NotNull) -> Any:
    if isinstance(type_, Fixed | Variable):
        return type_.default
    if isinstance(type_, Array):
        return _FRESH
    if any(spec.default is _FRESH for spec in type_.FIELDS):
        return _FRESH
    return shared_default(type_)


def shared_default(cls: type[_S]) -> _S:
    """A read-only instance with all defaults, one for each class.

    Most structs inside others are tagged and rarely set, three in each partition of a Fetch response. Sharing
    saves making them and lets the encoder skip one by identity. Assign a new one; changing it raises.
    """
    shared = cls.__dict__.get("_shared")
    if shared is None:

        def refuse(self: Struct, name: str, value: object) -> None:
            raise AttributeError(f"shared default: assign a new {cls.__name__} instead of setting {name}")

        namespace = {"__slots__": (), "__module__": cls.__module__}
        # Assigned after the instance is made, so that __init__ can fill it.
        read_only = type(cls.__name__, (cls,), namespace)
        shared = read_only()
        read_only.__setattr__ = refuse  # type: ignore[assignment,method-assign]
        cls._shared = shared  # type: ignore[attr-defined]
    return cast(_S, shared)
