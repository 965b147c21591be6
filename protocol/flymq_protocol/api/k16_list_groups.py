"""ListGroups: the groups of a broker.

Versions:
    v3: flexible. v4: by state (KIP-518). v5: by type (KIP-848).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, String


@message(key=16, versions="0-5", flexible="3+")
class ListGroupsRequest(Message):
    states_filter: list[str] = field(Array(String), versions="4+")
    types_filter: list[str] = field(Array(String), versions="5+")


@struct
class ListedGroup(Struct):
    """A group's name, protocol, state and type."""

    group_id: str = field(String)
    protocol_type: str = field(String)
    group_state: str = field(String, versions="4+", ignorable=True)
    group_type: str = field(String, versions="5+", ignorable=True)


@message(key=16, versions="0-5", flexible="3+")
class ListGroupsResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    error_code: int = field(Int16)
    groups: list[ListedGroup] = field(Array(ListedGroup))
