"""JoinGroup: enter a classic group, or its next generation.

Versions:
    v1: rebalance_timeout_ms (KIP-62). v4: MEMBER_ID_REQUIRED (KIP-394). v5: group_instance_id (KIP-345).
    v6: flexible. v7: protocol_type in the answer (KIP-559). v8: reason (KIP-800). v9: skip_assignment (KIP-814).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Bytes, Int16, Int32, Nullable, String


@struct
class JoinGroupRequestProtocol(Struct):
    """A protocol the member speaks, most wanted first, with the member's metadata for it."""

    name: str = field(String)
    metadata: bytes = field(Bytes)


@message(key=11, versions="0-9", flexible="6+")
class JoinGroupRequest(Message):
    group_id: str = field(String)
    session_timeout_ms: int = field(Int32)
    rebalance_timeout_ms: int = field(Int32, versions="1+", default=-1, ignorable=True)
    member_id: str = field(String)
    group_instance_id: str | None = field(Nullable(String), versions="5+", default=None)
    protocol_type: str = field(String)
    protocols: list[JoinGroupRequestProtocol] = field(Array(JoinGroupRequestProtocol))
    reason: str | None = field(Nullable(String), versions="8+", default=None, ignorable=True)


@struct
class JoinGroupResponseMember(Struct):
    """A member and its metadata, told to the leader only."""

    member_id: str = field(String)
    group_instance_id: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)
    metadata: bytes = field(Bytes)


@message(key=11, versions="0-9", flexible="6+")
class JoinGroupResponse(Message):
    throttle_time_ms: int = field(Int32, versions="2+", ignorable=True)
    error_code: int = field(Int16)
    generation_id: int = field(Int32, default=-1)
    protocol_type: str | None = field(Nullable(String), versions="7+", default=None, ignorable=True)
    protocol_name: str | None = field(Nullable(String, "7+"))
    leader: str = field(String)
    skip_assignment: bool = field(Bool, versions="9+")
    member_id: str = field(String)
    members: list[JoinGroupResponseMember] = field(Array(JoinGroupResponseMember))
