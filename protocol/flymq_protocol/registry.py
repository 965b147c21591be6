"""API keys: names, modules, version ranges, and which header goes with which version.

Rows hold module names; a module is imported when its API is first asked for, so that a broker that serves
three APIs pays for three.
"""

from importlib import import_module
from typing import Final, NamedTuple

from .message import Message


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
    22: ApiRow(22, "InitProducerId", "k22_init_producer_id", 0, 5, 2),
    23: ApiRow(23, "OffsetForLeaderEpoch", "k23_offset_for_leader_epoch", 2, 4, 4),
    32: ApiRow(32, "DescribeConfigs", "k32_describe_configs", 1, 4, 4),
    42: ApiRow(42, "DeleteGroups", "k42_delete_groups", 0, 2, 2),
    60: ApiRow(60, "DescribeCluster", "k60_describe_cluster", 0, 2, 0),
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
