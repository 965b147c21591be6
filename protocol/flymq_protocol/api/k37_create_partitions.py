"""CreatePartitions: add partitions to topics.

Versions:
    v2: flexible. v3: THROTTLING_QUOTA_EXCEEDED (KIP-599).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Nullable, String


@struct
class CreatePartitionsAssignment(Struct):
    """Brokers of one new partition."""

    broker_ids: list[int] = field(Array(Int32))


@struct
class CreatePartitionsTopic(Struct):
    """A topic, and how many partitions it is to have in all."""

    name: str = field(String)
    count: int = field(Int32)
    assignments: list[CreatePartitionsAssignment] | None = field(Nullable(Array(CreatePartitionsAssignment)))


@message(key=37, versions="0-3", flexible="2+")
class CreatePartitionsRequest(Message):
    topics: list[CreatePartitionsTopic] = field(Array(CreatePartitionsTopic))
    timeout_ms: int = field(Int32)
    validate_only: bool = field(Bool)


@struct
class CreatePartitionsTopicResult(Struct):
    """Whether one topic has them now."""

    name: str = field(String)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), default=None)


@message(key=37, versions="0-3", flexible="2+")
class CreatePartitionsResponse(Message):
    throttle_time_ms: int = field(Int32)
    results: list[CreatePartitionsTopicResult] = field(Array(CreatePartitionsTopicResult))
