"""ListPartitionReassignments: partitions that are being moved (KIP-455)."""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int16, Int32, Nullable, String


@struct
class ListPartitionReassignmentsTopics(Struct):
    """A topic and its partitions."""

    name: str = field(String)
    partition_indexes: list[int] = field(Array(Int32))


@message(key=46, versions="0", flexible="0+")
class ListPartitionReassignmentsRequest(Message):
    timeout_ms: int = field(Int32, default=60000)
    topics: list[ListPartitionReassignmentsTopics] | None = field(
        Nullable(Array(ListPartitionReassignmentsTopics)), default=None
    )


@struct
class OngoingPartitionReassignment(Struct):
    """One partition's replicas, and those that come and go."""

    partition_index: int = field(Int32)
    replicas: list[int] = field(Array(Int32))
    adding_replicas: list[int] = field(Array(Int32))
    removing_replicas: list[int] = field(Array(Int32))


@struct
class OngoingTopicReassignment(Struct):
    """Moves of one topic."""

    name: str = field(String)
    partitions: list[OngoingPartitionReassignment] = field(Array(OngoingPartitionReassignment))


@message(key=46, versions="0", flexible="0+")
class ListPartitionReassignmentsResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))
    topics: list[OngoingTopicReassignment] = field(Array(OngoingTopicReassignment))
