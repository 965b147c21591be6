"""The consumer's own payloads inside JoinGroup and SyncGroup: opaque to brokers, for tests and tools.

On the wire each is an int16 version and the body of that version. A reader meets versions newer than its own
by reading the newest it knows: later versions only add fields at the end (ConsumerProtocol in Apache Kafka).

Versions:
    v1: owned_partitions (KIP-429). v2: generation_id (KIP-792). v3: rack_id (KIP-881).
"""

import struct as _struct
from typing import TypeVar

from .errors import ProtocolError
from .message import Message, Struct, field, message, struct
from .types import Array, Buffer, Bytes, Int32, Nullable, String


@struct
class TopicPartition(Struct):
    """Partitions of one topic."""

    topic: str = field(String)
    partitions: list[int] = field(Array(Int32))


@message(versions="0-3", flexible=None)
class ConsumerProtocolSubscription(Message):
    topics: list[str] = field(Array(String))
    user_data: bytes | None = field(Nullable(Bytes), default=None)
    owned_partitions: list[TopicPartition] = field(Array(TopicPartition), versions="1+", ignorable=True)
    generation_id: int = field(Int32, versions="2+", default=-1, ignorable=True)
    rack_id: str | None = field(Nullable(String), versions="3+", default=None, ignorable=True)


@message(versions="0-3", flexible=None)
class ConsumerProtocolAssignment(Message):
    assigned_partitions: list[TopicPartition] = field(Array(TopicPartition))
    user_data: bytes | None = field(Nullable(Bytes), default=None)


_M = TypeVar("_M", ConsumerProtocolSubscription, ConsumerProtocolAssignment)


def decode_payload(cls: type[_M], payload: Buffer) -> _M:
    """Read a version and a body. ProtocolError if they aren't there, or the version is negative."""
    if len(payload) < 2:
        raise ProtocolError("a consumer protocol payload starts with an int16 version")
    (version,) = _struct.unpack_from(">h", payload)
    if version < 0:
        raise ProtocolError(f"consumer protocol version {version}")
    return cls.decode(min(version, cls.MAX_VERSION), memoryview(payload)[2:])


def encode_payload(value: ConsumerProtocolSubscription | ConsumerProtocolAssignment, version: int) -> bytes:
    """Write a version and a body."""
    return _struct.pack(">h", version) + value.encode(version)
