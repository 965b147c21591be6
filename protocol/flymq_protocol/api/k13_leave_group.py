"""LeaveGroup: members leave, or are removed from, a classic group.

Versions:
    v3: many members, static ones too (KIP-345). v4: flexible. v5: reason (KIP-800).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Nullable, String


@struct
class MemberIdentity(Struct):
    """A member that leaves."""

    member_id: str = field(String, versions="3+")
    group_instance_id: str | None = field(Nullable(String), versions="3+", default=None)
    reason: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)


@message(key=13, versions="0-5", flexible="4+")
class LeaveGroupRequest(Message):
    group_id: str = field(String)
    member_id: str = field(String, versions="0-2")
    members: list[MemberIdentity] = field(Array(MemberIdentity), versions="3+")


@struct
class MemberResponse(Struct):
    """Result of one member."""

    member_id: str = field(String, versions="3+")
    group_instance_id: str | None = field(Nullable(String), versions="3+")
    error_code: int = field(Int16, versions="3+")


@message(key=13, versions="0-5", flexible="4+")
class LeaveGroupResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    error_code: int = field(Int16)
    members: list[MemberResponse] = field(Array(MemberResponse), versions="3+")
