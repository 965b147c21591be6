"""Fetch: read record batches, for consumers and followers.

Versions:
    v5: log_start_offset. v7: incremental fetch sessions (KIP-227). v9: leader epoch fencing (KIP-320).
    v10: zstd (KIP-110). v11: rack_id, preferred_read_replica (KIP-392). v12: flexible, diverging epochs
    (KIP-595). v13: topic ids (KIP-516). v15: replica_state (KIP-903). v16: node_endpoints (KIP-951).
    v17: directory ids (KIP-853). v18: the follower's high watermark (KIP-1166).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Buffer, Int8, Int16, Int32, Int64, Nullable, Records, String, Uuid


@struct
class ReplicaState(Struct):
    """Who fetches, if a follower does."""

    replica_id: int = field(Int32, versions="15+", default=-1)
    replica_epoch: int = field(Int64, versions="15+", default=-1)


@struct
class FetchPartition(Struct):
    """Where to read one partition from."""

    partition: int = field(Int32)
    current_leader_epoch: int = field(Int32, versions="9+", default=-1, ignorable=True)
    fetch_offset: int = field(Int64)
    last_fetched_epoch: int = field(Int32, versions="12+", default=-1)
    log_start_offset: int = field(Int64, versions="5+", default=-1, ignorable=True)
    partition_max_bytes: int = field(Int32)
    replica_directory_id: bytes = field(Uuid, versions="17+", tag=0, ignorable=True)
    high_watermark: int = field(Int64, versions="18+", default=0x7FFFFFFFFFFFFFFF, tag=1, ignorable=True)


@struct
class FetchTopic(Struct):
    """What to read of one topic."""

    topic: str = field(String, versions="0-12", ignorable=True)
    topic_id: bytes = field(Uuid, versions="13+", ignorable=True)
    partitions: list[FetchPartition] = field(Array(FetchPartition))


@struct
class ForgottenTopic(Struct):
    """Partitions to drop from the session."""

    topic: str = field(String, versions="7-12", ignorable=True)
    topic_id: bytes = field(Uuid, versions="13+", ignorable=True)
    partitions: list[int] = field(Array(Int32), versions="7+")


@message(key=1, versions="4-18", flexible="12+")
class FetchRequest(Message):
    cluster_id: str | None = field(Nullable(String), versions="12+", default=None, tag=0, ignorable=True)
    replica_id: int = field(Int32, versions="0-14", default=-1)
    replica_state: ReplicaState = field(ReplicaState, versions="15+", tag=1)
    max_wait_ms: int = field(Int32)
    min_bytes: int = field(Int32)
    max_bytes: int = field(Int32, versions="3+", default=0x7FFFFFFF, ignorable=True)
    isolation_level: int = field(Int8, versions="4+", ignorable=True)
    session_id: int = field(Int32, versions="7+", ignorable=True)
    session_epoch: int = field(Int32, versions="7+", default=-1, ignorable=True)
    topics: list[FetchTopic] = field(Array(FetchTopic))
    forgotten_topics_data: list[ForgottenTopic] = field(Array(ForgottenTopic), versions="7+")
    rack_id: str = field(String, versions="11+", ignorable=True)


@struct
class EpochEndOffset(Struct):
    """Where the follower's or consumer's log and the leader's part."""

    epoch: int = field(Int32, versions="12+", default=-1)
    end_offset: int = field(Int64, versions="12+", default=-1)


@struct
class LeaderIdAndEpoch(Struct):
    """The leader as the broker knows it; -1, -1 when not told."""

    leader_id: int = field(Int32, versions="12+", default=-1)
    leader_epoch: int = field(Int32, versions="12+", default=-1)


@struct
class SnapshotId(Struct):
    """Snapshot to load instead, for followers of the metadata log."""

    end_offset: int = field(Int64, default=-1)
    epoch: int = field(Int32, default=-1)


@struct
class AbortedTransaction(Struct):
    """An aborted transaction in the returned range, by its first offset."""

    producer_id: int = field(Int64, versions="4+")
    first_offset: int = field(Int64, versions="4+")


@struct
class PartitionData(Struct):
    """What was read of one partition."""

    partition_index: int = field(Int32)
    error_code: int = field(Int16)
    high_watermark: int = field(Int64)
    last_stable_offset: int = field(Int64, versions="4+", default=-1, ignorable=True)
    log_start_offset: int = field(Int64, versions="5+", default=-1, ignorable=True)
    diverging_epoch: EpochEndOffset = field(EpochEndOffset, versions="12+", tag=0)
    current_leader: LeaderIdAndEpoch = field(LeaderIdAndEpoch, versions="12+", tag=1)
    snapshot_id: SnapshotId = field(SnapshotId, versions="12+", tag=2)
    aborted_transactions: list[AbortedTransaction] | None = field(
        Nullable(Array(AbortedTransaction)), versions="4+", ignorable=True
    )
    preferred_read_replica: int = field(Int32, versions="11+", default=-1)
    records: Buffer | None = field(Nullable(Records))


@struct
class FetchableTopicResponse(Struct):
    """What was read of one topic."""

    topic: str = field(String, versions="0-12", ignorable=True)
    topic_id: bytes = field(Uuid, versions="13+", ignorable=True)
    partitions: list[PartitionData] = field(Array(PartitionData))


@struct
class NodeEndpoint(Struct):
    """Where a broker of some current_leader listens."""

    node_id: int = field(Int32, versions="16+")
    host: str = field(String, versions="16+")
    port: int = field(Int32, versions="16+")
    rack: str | None = field(Nullable(String), versions="16+", default=None)


@message(key=1, versions="4-18", flexible="12+")
class FetchResponse(Message):
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    error_code: int = field(Int16, versions="7+", ignorable=True)
    session_id: int = field(Int32, versions="7+")
    responses: list[FetchableTopicResponse] = field(Array(FetchableTopicResponse))
    node_endpoints: list[NodeEndpoint] = field(Array(NodeEndpoint), versions="16+", tag=0)
