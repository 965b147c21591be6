"""Heartbeat: a classic group's member is alive.

Versions:
    v3: group_instance_id (KIP-345). v4: flexible.
"""

from ..message import Message, field, message
from ..types import Int16, Int32, Nullable, String


@message(key=12, versions="0-4", flexible="4+")
class HeartbeatRequest(Message):
    group_id: str = field(String)
    generation_id: int = field(Int32)
    member_id: str = field(String)
    group_instance_id: str | None = field(Nullable(String), versions="3+", default=None)


@message(key=12, versions="0-4", flexible="4+")
class HeartbeatResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    error_code: int = field(Int16)
