"""DescribeGroups: state and members of classic groups.

Versions:
    v3: authorized operations (KIP-430). v4: group_instance_id (KIP-345). v5: flexible.
    v6: GROUP_ID_NOT_FOUND and error_message (KIP-1043).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Bytes, Int16, Int32, Nullable, String


@message(key=15, versions="0-6", flexible="5+")
class DescribeGroupsRequest(Message):
    groups: list[str] = field(Array(String))
    include_authorized_operations: bool = field(Bool, versions="3+")


@struct
class DescribedGroupMember(Struct):
    """A member, its metadata and assignment."""

    member_id: str = field(String)
    group_instance_id: str | None = field(Nullable(String), versions="4+", default=None, ignorable=True)
    client_id: str = field(String)
    client_host: str = field(String)
    member_metadata: bytes = field(Bytes)
    member_assignment: bytes = field(Bytes)


@struct
class DescribedGroup(Struct):
    """A group and its members."""

    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), versions="6+", default=None)
    group_id: str = field(String)
    group_state: str = field(String)
    protocol_type: str = field(String)
    protocol_data: str = field(String)
    members: list[DescribedGroupMember] = field(Array(DescribedGroupMember))
    authorized_operations: int = field(Int32, versions="3+", default=-2147483648)


@message(key=15, versions="0-6", flexible="5+")
class DescribeGroupsResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    groups: list[DescribedGroup] = field(Array(DescribedGroup))
