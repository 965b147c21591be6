"""FindCoordinator: which broker coordinates a group, transaction or share group.

Versions:
    v1: key_type (KIP-98). v3: flexible. v4: many keys at once (KIP-699). v5: TRANSACTION_ABORTABLE (KIP-890).
    v6: share groups (KIP-932).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int8, Int16, Int32, Nullable, String


@message(key=10, versions="0-6", flexible="3+")
class FindCoordinatorRequest(Message):
    key: str = field(String, versions="0-3")
    key_type: int = field(Int8, versions="1+")
    coordinator_keys: list[str] = field(Array(String), versions="4+")


@struct
class Coordinator(Struct):
    """The coordinator of one key, from v4."""

    key: str = field(String, versions="4+")
    node_id: int = field(Int32, versions="4+")
    host: str = field(String, versions="4+")
    port: int = field(Int32, versions="4+")
    error_code: int = field(Int16, versions="4+")
    error_message: str | None = field(Nullable(String), versions="4+", ignorable=True)


@message(key=10, versions="0-6", flexible="3+")
class FindCoordinatorResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    error_code: int = field(Int16, versions="0-3")
    error_message: str | None = field(Nullable(String), versions="1-3", ignorable=True)
    node_id: int = field(Int32, versions="0-3")
    host: str = field(String, versions="0-3")
    port: int = field(Int32, versions="0-3")
    coordinators: list[Coordinator] = field(Array(Coordinator), versions="4+")
