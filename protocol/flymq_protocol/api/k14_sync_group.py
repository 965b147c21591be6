"""SyncGroup: hand in, or get, a classic group's assignment.

Versions:
    v3: group_instance_id (KIP-345). v4: flexible. v5: protocol type and name (KIP-559).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bytes, Int16, Int32, Nullable, String


@struct
class SyncGroupRequestAssignment(Struct):
    """The leader's assignment for one member."""

    member_id: str = field(String)
    assignment: bytes = field(Bytes)


@message(key=14, versions="0-5", flexible="4+")
class SyncGroupRequest(Message):
    group_id: str = field(String)
    generation_id: int = field(Int32)
    member_id: str = field(String)
    group_instance_id: str | None = field(Nullable(String), versions="3+", default=None)
    protocol_type: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)
    protocol_name: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)
    assignments: list[SyncGroupRequestAssignment] = field(Array(SyncGroupRequestAssignment))


@message(key=14, versions="0-5", flexible="4+")
class SyncGroupResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    error_code: int = field(Int16)
    protocol_type: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)
    protocol_name: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)
    assignment: bytes = field(Bytes)
