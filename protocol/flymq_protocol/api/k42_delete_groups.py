"""DeleteGroups: remove empty groups (KIP-229).

Versions:
    v2: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, String


@message(key=42, versions="0-2", flexible="2+")
class DeleteGroupsRequest(Message):
    groups_names: list[str] = field(Array(String))


@struct
class DeletableGroupResult(Struct):
    """Result of one group."""

    group_id: str = field(String)
    error_code: int = field(Int16)


@message(key=42, versions="0-2", flexible="2+")
class DeleteGroupsResponse(Message):
    throttle_time_ms: int = field(Int32)
    results: list[DeletableGroupResult] = field(Array(DeletableGroupResult))
