"""DeleteTopics.

Versions:
    v4: flexible. v5: error_message, quota errors (KIP-599). v6: by topic id (KIP-516).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Nullable, String, Uuid


@struct
class DeleteTopicState(Struct):
    """A topic to delete, by name or by id."""

    name: str | None = field(Nullable(String), versions="6+", default=None)
    topic_id: bytes = field(Uuid, versions="6+")


@message(key=20, versions="1-6", flexible="4+")
class DeleteTopicsRequest(Message):
    topics: list[DeleteTopicState] = field(Array(DeleteTopicState), versions="6+")
    topic_names: list[str] = field(Array(String), versions="0-5", ignorable=True)
    timeout_ms: int = field(Int32)


@struct
class DeletableTopicResult(Struct):
    """Result of one topic."""

    name: str | None = field(Nullable(String, "6+"))
    topic_id: bytes = field(Uuid, versions="6+", ignorable=True)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), versions="5+", default=None, ignorable=True)


@message(key=20, versions="1-6", flexible="4+")
class DeleteTopicsResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    responses: list[DeletableTopicResult] = field(Array(DeletableTopicResult))
