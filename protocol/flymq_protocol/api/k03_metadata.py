"""Metadata: brokers, topics and leaders.

Versions:
    v1: rack, controller_id, null for all topics. v2: cluster_id (KIP-78). v4: allow_auto_topic_creation.
    v5: offline_replicas. v7: leader_epoch (KIP-320). v8: authorized operations (KIP-430). v9: flexible.
    v10: topic ids in answers (KIP-516). v11: no cluster operations (KIP-700). v12: asking by topic id.
    v13: top-level error_code.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Nullable, String, Uuid


@struct
class MetadataRequestTopic(Struct):
    """A topic, by name or by id."""

    topic_id: bytes = field(Uuid, versions="10+", ignorable=True)
    name: str | None = field(Nullable(String, "10+"))


@message(key=3, versions="0-13", flexible="9+")
class MetadataRequest(Message):
    topics: list[MetadataRequestTopic] | None = field(Nullable(Array(MetadataRequestTopic), "1+"))
    allow_auto_topic_creation: bool = field(Bool, versions="4+", default=True)
    include_cluster_authorized_operations: bool = field(Bool, versions="8-10")
    include_topic_authorized_operations: bool = field(Bool, versions="8+")


@struct
class MetadataResponseBroker(Struct):
    """A broker's address."""

    node_id: int = field(Int32)
    host: str = field(String)
    port: int = field(Int32)
    rack: str | None = field(Nullable(String), versions="1+", default=None, ignorable=True)


@struct
class MetadataResponsePartition(Struct):
    """A partition's leader and replicas."""

    error_code: int = field(Int16)
    partition_index: int = field(Int32)
    leader_id: int = field(Int32)
    leader_epoch: int = field(Int32, versions="7+", default=-1, ignorable=True)
    replica_nodes: list[int] = field(Array(Int32))
    isr_nodes: list[int] = field(Array(Int32))
    offline_replicas: list[int] = field(Array(Int32), versions="5+", ignorable=True)


@struct
class MetadataResponseTopic(Struct):
    """A topic and its partitions."""

    error_code: int = field(Int16)
    name: str | None = field(Nullable(String, "12+"))
    topic_id: bytes = field(Uuid, versions="10+", ignorable=True)
    is_internal: bool = field(Bool, versions="1+", ignorable=True)
    partitions: list[MetadataResponsePartition] = field(Array(MetadataResponsePartition))
    topic_authorized_operations: int = field(Int32, versions="8+", default=-2147483648)


@message(key=3, versions="0-13", flexible="9+")
class MetadataResponse(Message):
    throttle_time_ms: int = field(Int32, versions="3+", ignorable=True)
    brokers: list[MetadataResponseBroker] = field(Array(MetadataResponseBroker))
    cluster_id: str | None = field(Nullable(String), versions="2+", default=None, ignorable=True)
    controller_id: int = field(Int32, versions="1+", default=-1, ignorable=True)
    topics: list[MetadataResponseTopic] = field(Array(MetadataResponseTopic))
    cluster_authorized_operations: int = field(Int32, versions="8-10", default=-2147483648)
    error_code: int = field(Int16, versions="13+", ignorable=True)
