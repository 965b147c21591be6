"""CreateTopics.

Versions:
    v4: broker's default partition count and replication factor (KIP-464). v5: flexible, the new topic's
    settings in the answer (KIP-525). v6: quota errors (KIP-599). v7: topic ids (KIP-516).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Nullable, String, Uuid


@struct
class CreatableReplicaAssignment(Struct):
    """Brokers of one partition, if the client chooses them."""

    partition_index: int = field(Int32)
    broker_ids: list[int] = field(Array(Int32))


@struct
class CreatableTopicConfig(Struct):
    """A setting of the new topic."""

    name: str = field(String)
    value: str | None = field(Nullable(String))


@struct
class CreatableTopic(Struct):
    """A topic to create."""

    name: str = field(String)
    num_partitions: int = field(Int32)
    replication_factor: int = field(Int16)
    assignments: list[CreatableReplicaAssignment] = field(Array(CreatableReplicaAssignment))
    configs: list[CreatableTopicConfig] = field(Array(CreatableTopicConfig))


@message(key=19, versions="2-7", flexible="5+")
class CreateTopicsRequest(Message):
    topics: list[CreatableTopic] = field(Array(CreatableTopic))
    timeout_ms: int = field(Int32, default=60000)
    validate_only: bool = field(Bool, versions="1+")


@struct
class CreatableTopicConfigs(Struct):
    """A setting the new topic has, and where it comes from."""

    name: str = field(String, versions="5+")
    value: str | None = field(Nullable(String), versions="5+")
    read_only: bool = field(Bool, versions="5+")
    config_source: int = field(Int8, versions="5+", default=-1, ignorable=True)
    is_sensitive: bool = field(Bool, versions="5+")


@struct
class CreatableTopicResult(Struct):
    """Result of one topic."""

    name: str = field(String)
    topic_id: bytes = field(Uuid, versions="7+", ignorable=True)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String), versions="1+", ignorable=True)
    topic_config_error_code: int = field(Int16, versions="5+", tag=0, ignorable=True)
    num_partitions: int = field(Int32, versions="5+", default=-1, ignorable=True)
    replication_factor: int = field(Int16, versions="5+", default=-1, ignorable=True)
    configs: list[CreatableTopicConfigs] | None = field(
        Nullable(Array(CreatableTopicConfigs)), versions="5+", ignorable=True
    )


@message(key=19, versions="2-7", flexible="5+")
class CreateTopicsResponse(Message):
    throttle_time_ms: int = field(Int32, versions="2+", ignorable=True)
    topics: list[CreatableTopicResult] = field(Array(CreatableTopicResult))
