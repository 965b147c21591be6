"""API keys: names, modules, version ranges, and which header goes with which version.

Rows hold module names; a module is imported when its API is first asked for, so that a broker that serves
three APIs pays for three.
"""

from importlib import import_module
from typing import Final, NamedTuple

from .message import NEVER_FLEXIBLE, Message


class ApiRow(NamedTuple):
    """One API. The versions are those this package can read and write, not those a broker advertises."""

    key: int
    name: str
    module: str
    version_min: int
    version_max: int
    flexible_from: int


API_VERSIONS_KEY: Final = 18

API: Final[dict[int, ApiRow]] = {
    0: ApiRow(0, "Produce", "k00_produce", 3, 13, 9),
    1: ApiRow(1, "Fetch", "k01_fetch", 4, 18, 12),
    2: ApiRow(2, "ListOffsets", "k02_list_offsets", 1, 11, 6),
    3: ApiRow(3, "Metadata", "k03_metadata", 0, 13, 9),
    8: ApiRow(8, "OffsetCommit", "k08_offset_commit", 2, 10, 8),
    9: ApiRow(9, "OffsetFetch", "k09_offset_fetch", 1, 10, 6),
    10: ApiRow(10, "FindCoordinator", "k10_find_coordinator", 0, 6, 3),
    11: ApiRow(11, "JoinGroup", "k11_join_group", 0, 9, 6),
    12: ApiRow(12, "Heartbeat", "k12_heartbeat", 0, 4, 4),
    13: ApiRow(13, "LeaveGroup", "k13_leave_group", 0, 5, 4),
    14: ApiRow(14, "SyncGroup", "k14_sync_group", 0, 5, 4),
    15: ApiRow(15, "DescribeGroups", "k15_describe_groups", 0, 6, 5),
    16: ApiRow(16, "ListGroups", "k16_list_groups", 0, 5, 3),
    18: ApiRow(18, "ApiVersions", "k18_api_versions", 0, 4, 3),
    19: ApiRow(19, "CreateTopics", "k19_create_topics", 2, 7, 5),
    20: ApiRow(20, "DeleteTopics", "k20_delete_topics", 1, 6, 4),
    21: ApiRow(21, "DeleteRecords", "k21_delete_records", 0, 2, 2),
    22: ApiRow(22, "InitProducerId", "k22_init_producer_id", 0, 5, 2),
    23: ApiRow(23, "OffsetForLeaderEpoch", "k23_offset_for_leader_epoch", 2, 4, 4),
    24: ApiRow(24, "AddPartitionsToTxn", "k24_add_partitions_to_txn", 0, 5, 3),
    25: ApiRow(25, "AddOffsetsToTxn", "k25_add_offsets_to_txn", 0, 4, 3),
    26: ApiRow(26, "EndTxn", "k26_end_txn", 0, 5, 3),
    27: ApiRow(27, "WriteTxnMarkers", "k27_write_txn_markers", 1, 2, 1),
    28: ApiRow(28, "TxnOffsetCommit", "k28_txn_offset_commit", 0, 5, 3),
    32: ApiRow(32, "DescribeConfigs", "k32_describe_configs", 1, 4, 4),
    33: ApiRow(33, "AlterConfigs", "k33_alter_configs", 0, 2, 2),
    34: ApiRow(34, "AlterReplicaLogDirs", "k34_alter_replica_log_dirs", 1, 2, 2),
    35: ApiRow(35, "DescribeLogDirs", "k35_describe_log_dirs", 1, 5, 2),
    37: ApiRow(37, "CreatePartitions", "k37_create_partitions", 0, 3, 2),
    42: ApiRow(42, "DeleteGroups", "k42_delete_groups", 0, 2, 2),
    43: ApiRow(43, "ElectLeaders", "k43_elect_leaders", 0, 2, 2),
    44: ApiRow(44, "IncrementalAlterConfigs", "k44_incremental_alter_configs", 0, 1, 1),
    45: ApiRow(45, "AlterPartitionReassignments", "k45_alter_partition_reassignments", 0, 1, 0),
    46: ApiRow(46, "ListPartitionReassignments", "k46_list_partition_reassignments", 0, 0, 0),
    47: ApiRow(47, "OffsetDelete", "k47_offset_delete", 0, 0, NEVER_FLEXIBLE),
    55: ApiRow(55, "DescribeQuorum", "k55_describe_quorum", 0, 2, 0),
    57: ApiRow(57, "UpdateFeatures", "k57_update_features", 0, 2, 0),
    60: ApiRow(60, "DescribeCluster", "k60_describe_cluster", 0, 2, 0),
    61: ApiRow(61, "DescribeProducers", "k61_describe_producers", 0, 0, 0),
    65: ApiRow(65, "DescribeTransactions", "k65_describe_transactions", 0, 0, 0),
    66: ApiRow(66, "ListTransactions", "k66_list_transactions", 0, 2, 0),
    68: ApiRow(68, "ConsumerGroupHeartbeat", "k68_consumer_group_heartbeat", 0, 1, 0),
    69: ApiRow(69, "ConsumerGroupDescribe", "k69_consumer_group_describe", 0, 1, 0),
    74: ApiRow(74, "ListConfigResources", "k74_list_config_resources", 0, 1, 0),
    75: ApiRow(75, "DescribeTopicPartitions", "k75_describe_topic_partitions", 0, 0, 0),
}

_loaded: dict[int, tuple[type[Message], type[Message]]] = {}


def load(key: int) -> tuple[type[Message], type[Message]]:
    """The request and the response class of an API, imported on first use. KeyError for an unknown key."""
    classes = _loaded.get(key)
    if classes is None:
        row = API[key]
        module = import_module(f"flymq_protocol.api.{row.module}")
        classes = getattr(module, row.name + "Request"), getattr(module, row.name + "Response")
        _loaded[key] = classes
    return classes


def request_header_version(key: int, version: int) -> int:
    """2 in flexible versions, else 1. KeyError for an unknown key."""
    return 2 if version >= API[key].flexible_from else 1


def response_header_version(key: int, version: int) -> int:
    """1 in flexible versions, else 0. KeyError for an unknown key.

    ApiVersions is always 0: its client doesn't know yet what the broker speaks (KIP-511).
    """
    return 1 if key != API_VERSIONS_KEY and version >= API[key].flexible_from else 0
