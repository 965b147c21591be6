"""A request of every API in every version."""

from __future__ import annotations

from flymq_protocol.api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from flymq_protocol.api.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from flymq_protocol.api.k03_metadata import MetadataRequest, MetadataRequestTopic
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
)
from flymq_protocol.api.k10_find_coordinator import FindCoordinatorRequest
from flymq_protocol.api.k11_join_group import JoinGroupRequest
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.api.k13_leave_group import LeaveGroupRequest
from flymq_protocol.api.k14_sync_group import SyncGroupRequest
from flymq_protocol.api.k15_describe_groups import DescribeGroupsRequest
from flymq_protocol.api.k16_list_groups import ListGroupsRequest
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.api.k19_create_topics import CreatableTopic, CreateTopicsRequest
from flymq_protocol.api.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState
from flymq_protocol.api.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from flymq_protocol.api.k23_offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from flymq_protocol.api.k24_add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from flymq_protocol.api.k26_end_txn import EndTxnRequest
from flymq_protocol.api.k27_write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from flymq_protocol.api.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from flymq_protocol.api.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from flymq_protocol.api.k33_alter_configs import AlterConfigsRequest
from flymq_protocol.api.k33_alter_configs import AlterConfigsResource as ReplacedConfigs
from flymq_protocol.api.k34_alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from flymq_protocol.api.k35_describe_log_dirs import DescribeLogDirsRequest
from flymq_protocol.api.k37_create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from flymq_protocol.api.k42_delete_groups import DeleteGroupsRequest
from flymq_protocol.api.k43_elect_leaders import ElectLeadersRequest, TopicPartitions
from flymq_protocol.api.k44_incremental_alter_configs import AlterConfigsResource, IncrementalAlterConfigsRequest
from flymq_protocol.api.k45_alter_partition_reassignments import AlterPartitionReassignmentsRequest
from flymq_protocol.api.k46_list_partition_reassignments import ListPartitionReassignmentsRequest
from flymq_protocol.api.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from flymq_protocol.api.k55_describe_quorum import DescribeQuorumRequest, PartitionData, TopicData
from flymq_protocol.api.k57_update_features import FeatureUpdateKey, UpdateFeaturesRequest
from flymq_protocol.api.k60_describe_cluster import DescribeClusterRequest
from flymq_protocol.api.k61_describe_producers import DescribeProducersRequest
from flymq_protocol.api.k61_describe_producers import TopicRequest as ProducersTopic
from flymq_protocol.api.k65_describe_transactions import DescribeTransactionsRequest
from flymq_protocol.api.k66_list_transactions import ListTransactionsRequest
from flymq_protocol.api.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from flymq_protocol.api.k69_consumer_group_describe import ConsumerGroupDescribeRequest
from flymq_protocol.api.k74_list_config_resources import ListConfigResourcesRequest
from flymq_protocol.api.k75_describe_topic_partitions import DescribeTopicPartitionsRequest, TopicRequest
from flymq_protocol.message import Message

NAMES = ["one", "two"]


def asking(key: int, version: int) -> Message:
    """A request that asks for one or two things, whichever way this version asks."""
    old: dict[tuple[int, bool], Message] = {
        (9, True): OffsetFetchRequest("one", [OffsetFetchRequestTopic("t", [0, 1])]),
        (10, True): FindCoordinatorRequest("one"),
        (20, True): DeleteTopicsRequest(topic_names=NAMES),
        (24, True): AddPartitionsToTxnRequest([], "one", 1, 0, [AddPartitionsToTxnTopic("t", [0, 1])]),
    }
    before = (key, version < {9: 8, 10: 4, 20: 6, 24: 4}.get(key, 0))
    if before in old:
        return old[before]
    two = (0, 1)
    requests: dict[int, Message] = {
        0: ProduceRequest(None, -1, 1, [TopicProduceData("t", bytes(16), [PartitionProduceData(i, b"") for i in two])]),
        1: FetchRequest(topics=[FetchTopic("t", bytes(16), [FetchPartition(i) for i in two])]),
        2: ListOffsetsRequest(topics=[ListOffsetsTopic("t", [ListOffsetsPartition(i) for i in two])]),
        3: MetadataRequest([MetadataRequestTopic(name=name) for name in NAMES]),
        8: OffsetCommitRequest(
            "g", topics=[OffsetCommitRequestTopic("t", partitions=[OffsetCommitRequestPartition(i) for i in two])]
        ),
        9: OffsetFetchRequest(groups=[OffsetFetchRequestGroup(name) for name in NAMES]),
        10: FindCoordinatorRequest(coordinator_keys=NAMES),
        11: JoinGroupRequest("g"),
        12: HeartbeatRequest("g"),
        13: LeaveGroupRequest("g"),
        14: SyncGroupRequest("g"),
        15: DescribeGroupsRequest(NAMES),
        16: ListGroupsRequest(),
        18: ApiVersionsRequest("a", "1"),
        19: CreateTopicsRequest([CreatableTopic(name, 1, 1) for name in NAMES]),
        20: DeleteTopicsRequest([DeleteTopicState(name) for name in NAMES]),
        21: DeleteRecordsRequest([DeleteRecordsTopic("t", [DeleteRecordsPartition(i, 0) for i in two])], 1),
        22: InitProducerIdRequest(),
        23: OffsetForLeaderEpochRequest(
            topics=[OffsetForLeaderTopic("t", [OffsetForLeaderPartition(i) for i in two])]
        ),
        24: AddPartitionsToTxnRequest([
            AddPartitionsToTxnTransaction("one", 1, 0, False, [AddPartitionsToTxnTopic("t", [0, 1])])
        ]),
        25: AddOffsetsToTxnRequest("one", 1, 0, "g"),
        26: EndTxnRequest("one", 1, 0, True),
        27: WriteTxnMarkersRequest([WritableTxnMarker(1, 0, True, [WritableTxnMarkerTopic("t", [0, 1])], 0)]),
        28: TxnOffsetCommitRequest(
            "one", "g", topics=[TxnOffsetCommitRequestTopic("t", [TxnOffsetCommitRequestPartition(i) for i in two])]
        ),
        32: DescribeConfigsRequest([DescribeConfigsResource(2, name, None) for name in NAMES]),
        33: AlterConfigsRequest([ReplacedConfigs(2, name) for name in NAMES]),
        34: AlterReplicaLogDirsRequest([AlterReplicaLogDir("/a", [AlterReplicaLogDirTopic("t", [0, 1])])]),
        35: DescribeLogDirsRequest(None),
        37: CreatePartitionsRequest([CreatePartitionsTopic(name, 2) for name in NAMES]),
        42: DeleteGroupsRequest(NAMES),
        43: ElectLeadersRequest(topic_partitions=[TopicPartitions("t", [0, 1])]),
        44: IncrementalAlterConfigsRequest([AlterConfigsResource(2, name) for name in NAMES]),
        45: AlterPartitionReassignmentsRequest(),
        46: ListPartitionReassignmentsRequest(),
        47: OffsetDeleteRequest("g", [OffsetDeleteRequestTopic("t", [OffsetDeleteRequestPartition(i) for i in two])]),
        55: DescribeQuorumRequest([TopicData("__cluster_metadata", [PartitionData(0)])]),
        57: UpdateFeaturesRequest(feature_updates=[FeatureUpdateKey(name, 1) for name in NAMES]),
        60: DescribeClusterRequest(),
        61: DescribeProducersRequest([ProducersTopic("t", [0, 1])]),
        65: DescribeTransactionsRequest(NAMES),
        66: ListTransactionsRequest(),
        68: ConsumerGroupHeartbeatRequest("g", "m"),
        69: ConsumerGroupDescribeRequest(NAMES),
        74: ListConfigResourcesRequest(),
        75: DescribeTopicPartitionsRequest([TopicRequest(name) for name in NAMES]),
    }
    return requests[key]
