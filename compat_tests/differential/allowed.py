"""The differences that are allowed, each with its reason. Everything that is not here is compared.

A place is `API.path`, the path from the answer's top through field names, without the arrays' indexes; `*` for any API.
"""

from __future__ import annotations

from typing import Final

ID_FIELDS: Final = {
    "topic_id": "each broker makes its own",
    "producer_id": "each broker makes its own",
    "session_id": "each broker makes its own",
    "member_id": "each broker makes its own, where the client does not",
    "leader": "a member's id",
    "member_epoch": "listed in docs/deviations.md: a consumer group's first epoch is 1, Kafka's is 2",
    "group_epoch": "as member_epoch",
    "assignment_epoch": "as member_epoch",
    "cluster_id": "each cluster has its own",
    "port": "each broker has its own",
    "log_dir": "each broker has its own",
    "replica_directory_id": "each broker has its own",
}
"""Compared as symbols: the first time a pair is seen it is bound, and from then on the one stands for the other."""

TEXTS: Final = {"error_message": "text for people", "batch_index_error_message": "text for people"}
"""Not compared, nor whether there is one."""

TIMES: Final = {
    "transaction_start_time_ms": "a clock's",
    "last_timestamp": "a clock's at markers: at Kafka, listed in docs/deviations.md",
    "last_fetch_timestamp": "a clock's",
    "last_caught_up_timestamp": "a clock's",
}
"""Compared by whether it is -1."""

RECORD_TIMES: Final = {"timestamp": "a clock's, at markers", "log_append_time_ms": "a clock's, or a duplicate's"}
"""Compared where it is not a clock's: a record's, or -1."""

IGNORED: Final = {
    "DescribeLogDirs.results.total_bytes": "the disk's",
    "DescribeLogDirs.results.usable_bytes": "the disk's",
    "DescribeQuorum.topics.partitions.leader_epoch": "listed in docs/deviations.md: there is no metadata log",
    "DescribeQuorum.topics.partitions.high_watermark": "listed in docs/deviations.md: there is no metadata log",
    "DescribeQuorum.topics.partitions.current_voters.log_end_offset": "listed in docs/deviations.md",
    "DescribeLogDirs.results.topics.partitions.partition_size": "after DeleteRecords, listed in docs/deviations.md",
    "ConsumerGroupDescribe.groups.assignment_epoch": "Kafka's lags until the next heartbeat, listed in "
    "docs/deviations.md",
    "DescribeQuorum.nodes.listeners.name": "Kafka has a listener of its own for controllers",
    "DescribeQuorum.nodes.listeners.port": "Kafka has a listener of its own for controllers",
    "ApiVersions.finalized_features_epoch": "the offset in a log of metadata that FlyMQ does not have",
}

UNORDERED: Final = {
    "Metadata.topics": "Kafka's order is that of a hash map",
    "ApiVersions.finalized_features": "Kafka's order is that of a hash map",
    "ListGroups.groups": "Kafka's order is that of a hash map",
    "ListTransactions.transaction_states": "Kafka's order is that of a hash map",
    "DescribeLogDirs.results.topics": "Kafka's order is that of a hash map",
    "DescribeLogDirs.results.topics.partitions": "Kafka's order is that of a hash map",
    "DescribeConfigs.results.configs": "Kafka's order is that of a hash map",
    "DescribeConfigs.results": "Kafka's order is that of a hash map",
    "CreateTopics.topics.configs": "Kafka's order is that of a hash map",
    "ListConfigResources.config_resources": "Kafka's order is that of a hash map",
    "ConsumerGroupDescribe.groups.members": "Kafka's order is that of a hash map",
    "DescribeGroups.groups.members": "Kafka's order is that of a hash map",
    "DeleteTopics.responses": "Kafka's order is that of a hash map",
    "JoinGroup.members": "Kafka's order is that of a hash map",
    "DescribeProducers.topics.partitions.active_producers": "Kafka's order is that of a hash map",
    "CreatePartitions.results": "Kafka's order is that of a hash map",
    "ConsumerGroupHeartbeat.assignment.topic_partitions": "Kafka's order is that of a hash map",
    "ConsumerGroupDescribe.groups.members.subscribed_topic_names": "Kafka's order is that of a hash map",
    "ConsumerGroupDescribe.groups.members.assignment.topic_partitions": "Kafka's order is that of a hash map",
    "ConsumerGroupDescribe.groups.members.target_assignment.topic_partitions": "Kafka's order is that of a hash map",
    "DeleteGroups.results": "Kafka answers first what needs no coordinator",
    "DescribeGroups.groups": "Kafka answers first what needs no coordinator",
    "ConsumerGroupDescribe.groups": "Kafka answers first what needs no coordinator",
}
"""Arrays compared after sorting by all that is not an id."""

BY_PARTITION: Final = {
    "Produce.responses", "Fetch.responses", "ListOffsets.topics", "OffsetCommit.topics", "TxnOffsetCommit.topics",
    "DeleteRecords.topics",
    "OffsetForLeaderEpoch.topics", "AddPartitionsToTxn.results_by_topic_v3_and_below", "DescribeProducers.topics",
    "AddPartitionsToTxn.results_by_transaction.topic_results", "AlterReplicaLogDirs.results", "OffsetDelete.topics",
    "WriteTxnMarkers.markers", "WriteTxnMarkers.markers.topics", "ElectLeaders.replica_election_results",
    "OffsetFetch.groups.topics",
    "OffsetFetch.topics", "DescribeTransactions.transaction_states.topics",
}  # fmt: skip
"""Answers' topics, and partitions in them: Kafka puts what it refused first, or has the order of a hash map, and
leaves out topics without partitions. Clients look up by name and number. Order is not compared, topics without
partitions are left out. (What Fetch's limits leave out follows from its order, and is compared.)"""


WHOLE_CLUSTER: Final = {
    "Metadata.topics": "name",
    "ListGroups.groups": "group_id",
    "ListTransactions.transaction_states": "transactional_id",
    "DescribeLogDirs.results.topics": "name",
    "ListConfigResources.config_resources": "resource_name",
    "ElectLeaders.replica_election_results": "topic",
    "DescribeTopicPartitions.topics": "name",
}
"""Of these only rows whose field has the run's prefix are compared: other sequences run at the same time."""

SETTING_SOURCES: Final = {
    "min.insync.replicas": "Kafka keeps eligible leader replicas, and so sets it itself; FlyMQ has none",
}
"""Settings whose source, and whose synonyms, are not compared."""

FAILS_AT_KAFKA: Final = {
    "JoinGroup": "an id that was given out, with a static instance's name: it looks for a member that is not there",
    "OffsetFetch.groups": "of a consumer group, an epoch without a member",
    "WriteTxnMarkers.markers.topics.partitions": "a producer id or an epoch of -1",
}
"""Where FlyMQ says what is wrong and Kafka UNKNOWN_SERVER_ERROR, which is no answer to imitate (docs/deviations.md).
The rest of the struct that has the code is not compared. A Fetch that names two ids that no topic has, in one session,
is such a one, too, though FlyMQ has nothing to say against it but at those partitions."""

BY_NUMBER: Final = {
    f"{path}.topic_partitions.partitions": "which ones a member keeps depends on when the target was computed, "
    "listed in docs/deviations.md"
    for path in (
        "ConsumerGroupHeartbeat.assignment", "ConsumerGroupDescribe.groups.members.assignment",
        "ConsumerGroupDescribe.groups.members.target_assignment",
    )
}  # fmt: skip
"""Arrays of which only the length is compared."""

SAME_VALUES: Final[dict[str, set[object]]] = {
    "Produce.responses.partition_responses.error_code": {48, 120},
    "TxnOffsetCommit.topics.partitions.error_code": {48, 120},
    "Fetch.responses.partitions.error_code": {3, 100},
    "ConsumerGroupDescribe.groups.group_state": {"Assigning", "Reconciling"},
    "ListGroups.groups.group_state": {"Assigning", "Reconciling"},
}
"""Kafka's sessions remember the name that a deleted topic's id had, and say UNKNOWN_TOPIC_OR_PARTITION of it. For a
consumer group that a member has left it computes the target with the next heartbeat, FlyMQ at once.
INVALID_TXN_STATE and TRANSACTION_ABORTABLE: Kafka verifies what several connections ask at one time together, and
answers all of them as the first one's version understands it."""

AFTER_WHAT_WAS_READ: Final = ("aborted_transactions",)
"""Of a Fetch: Kafka tells of more transactions than those in the records that it sends. Only these are compared."""

MORE_AT_KAFKA: Final = {
    "ApiVersions.api_keys": "api_key",
    "ApiVersions.supported_features": "name",
    "ApiVersions.finalized_features": "name",
}
"""Rows whose field's value FlyMQ's answer has none of are left out: known_gaps.toml lists what is missing."""
