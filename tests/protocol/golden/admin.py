"""Golden frames of the cluster, topics and settings."""

from flymq_protocol.api import k33_alter_configs as k33
from flymq_protocol.api import k34_alter_replica_log_dirs as k34
from flymq_protocol.api import k35_describe_log_dirs as k35
from flymq_protocol.api import k37_create_partitions as k37
from flymq_protocol.api import k43_elect_leaders as k43
from flymq_protocol.api import k44_incremental_alter_configs as k44
from flymq_protocol.api import k45_alter_partition_reassignments as k45
from flymq_protocol.api import k46_list_partition_reassignments as k46
from flymq_protocol.api import k55_describe_quorum as k55
from flymq_protocol.api import k57_update_features as k57
from flymq_protocol.api import k74_list_config_resources as k74
from flymq_protocol.api import k75_describe_topic_partitions as k75
from flymq_protocol.api.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from flymq_protocol.api.k18_api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey
from flymq_protocol.api.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from flymq_protocol.api.k20_delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from flymq_protocol.api.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)
from flymq_protocol.api.k60_describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

from .rows import EIGHT, ID, ID_HEX, LONG_MINUS_1, MINUS_1, NO_OPERATIONS, SEVEN, Row

ROWS: list[Row] = [
    (MetadataRequest(None), 1, MINUS_1),
    (MetadataRequest([MetadataRequestTopic(ID, None)], False), 12, f"02 {ID_HEX} 00 00 00 00 00"),
    (
        MetadataResponse(
            0,
            [MetadataResponseBroker(1, "h", 9092)],
            "c",
            1,
            [MetadataResponseTopic(0, "t", ID, False, [MetadataResponsePartition(0, 2, 1, 0, [1], [1])])],
        ),
        13,
        f"00000000 02 00000001 02 68 00002384 00 00 02 63 00000001 02 0000 02 74 {ID_HEX} 00 "
        f"02 0000 00000002 00000001 00000000 02 00000001 02 00000001 01 00 {NO_OPERATIONS} 00 0000 00",
    ),
    (ApiVersionsRequest("j", "4"), 3, "02 6a 02 34 00"),
    (ApiVersionsResponse(35, [ApiVersion(18, 0, 4)]), 0, "0023 00000001 0012 0000 0004"),
    (
        # Tag 1 is the epoch of the features in force, tag 2 the features.
        ApiVersionsResponse(
            0,
            [ApiVersion(0, 0, 13)],
            finalized_features_epoch=1,
            finalized_features=[FinalizedFeatureKey("f", 2, 1)],
        ),
        4,
        "0000 02 0000 0000 000d 00 00000000 02 01 08 0000000000000001 02 08 02 02 66 0002 0001 00",
    ),
    (
        CreateTopicsRequest([CreatableTopic("t", 3, 1, configs=[CreatableTopicConfig("k", "v")])], 1000),
        2,
        "00000001 0001 74 00000003 0001 00000000 00000001 0001 6b 0001 76 000003e8 00",
    ),
    (
        # topic_config_error_code is tag 0 of a topic; null settings are not empty ones.
        CreateTopicsResponse(0, [CreatableTopicResult("t", ID, 0, None, 29, 3, 1, None)]),
        7,
        f"00000000 02 02 74 {ID_HEX} 0000 00 00000003 0001 00 01 00 02 001d 00",
    ),
    (DeleteTopicsRequest(topic_names=["t"], timeout_ms=5), 1, "00000001 0001 74 00000005"),
    (DeleteTopicsRequest([DeleteTopicState(None, ID)]), 6, f"02 00 {ID_HEX} 00 00000000 00"),
    (DeleteTopicsResponse(0, [DeletableTopicResult("t", ID, 3, None)]), 6, f"00000000 02 02 74 {ID_HEX} 0003 00 00 00"),
    (DescribeConfigsRequest([DescribeConfigsResource(2, "t", None)]), 1, f"00000001 02 0001 74 {MINUS_1} 00"),
    (
        DescribeConfigsResponse(
            0, [DescribeConfigsResult(0, None, 2, "t", [DescribeConfigsResourceResult("k", "v", False, 5, False)])]
        ),
        4,
        "00000000 02 0000 00 02 02 74 02 02 6b 02 76 00 05 00 01 00 01 00 00 00",
    ),
    (DescribeClusterRequest(True, 1), 1, "01 01 00"),
    (
        DescribeClusterResponse(0, 0, None, 1, "c", 1, [DescribeClusterBroker(1, "h", 9092)]),
        0,
        f"00000000 0000 00 02 63 00000001 02 00000001 02 68 00002384 00 00 {NO_OPERATIONS} 00",
    ),
    (
        # [type, name, [setting, value null]], validate only
        k33.AlterConfigsRequest([k33.AlterConfigsResource(2, "t", [k33.AlterableConfig("k", None)])], True),
        0,
        "00000001 02 0001 74 00000001 0001 6b ffff 01",
    ),
    (
        k33.AlterConfigsRequest([k33.AlterConfigsResource(2, "t", [k33.AlterableConfig("k", "v")])], False),
        2,
        "02 02 02 74 02 02 6b 02 76 00 00 00 00",
    ),
    (
        k33.AlterConfigsResponse(0, [k33.AlterConfigsResourceResponse(0, None, 2, "t")]),
        0,
        "00000000 00000001 0000 ffff 02 0001 74",
    ),
    (
        k33.AlterConfigsResponse(0, [k33.AlterConfigsResourceResponse(40, "no", 2, "t")]),
        2,
        "00000000 02 0028 03 6e6f 02 02 74 00 00",
    ),
    (
        # [folder, [topic, [partition]]]
        k34.AlterReplicaLogDirsRequest([k34.AlterReplicaLogDir("/d", [k34.AlterReplicaLogDirTopic("t", [3])])]),
        1,
        "00000001 0002 2f64 00000001 0001 74 00000001 00000003",
    ),
    (
        k34.AlterReplicaLogDirsRequest([k34.AlterReplicaLogDir("/d", [k34.AlterReplicaLogDirTopic("t", [3])])]),
        2,
        "02 03 2f64 02 02 74 02 00000003 00 00 00",
    ),
    (
        k34.AlterReplicaLogDirsResponse(
            0, [k34.AlterReplicaLogDirTopicResult("t", [k34.AlterReplicaLogDirPartitionResult(3, 56)])]
        ),
        1,
        "00000000 00000001 0001 74 00000001 00000003 0038",
    ),
    (
        k34.AlterReplicaLogDirsResponse(
            0, [k34.AlterReplicaLogDirTopicResult("t", [k34.AlterReplicaLogDirPartitionResult(3, 57)])]
        ),
        2,
        "00000000 02 02 74 02 00000003 0039 00 00 00",
    ),
    (k35.DescribeLogDirsRequest(None), 1, MINUS_1),
    (k35.DescribeLogDirsRequest([k35.DescribableLogDirTopic("t", [3])]), 2, "02 02 74 02 00000003 00 00"),
    (
        # [error, folder, [topic, [index, size, lag, future]]]
        k35.DescribeLogDirsResponse(
            0, 0,
            [
                k35.DescribeLogDirsResult(
                    0, "/d", [k35.DescribeLogDirsTopic("t", [k35.DescribeLogDirsPartition(3, 100, 0, False)])]
                )
            ],
        ),
        1,
        "00000000 00000001 0000 0002 2f64 00000001 0001 74 00000001 00000003 0000000000000064 0000000000000000 00",
    ),
    (
        # From v3 an error above all, from v4 the volume's bytes, from v5 whether it is cordoned.
        k35.DescribeLogDirsResponse(
            0, 31,
            [
                k35.DescribeLogDirsResult(
                    0, "/d", [k35.DescribeLogDirsTopic("t", [k35.DescribeLogDirsPartition(3, 100, 7, True)])],
                    8, 7, True,
                )
            ],
        ),
        5,
        "00000000 001f 02 0000 03 2f64 02 02 74 02 "
        f"00000003 0000000000000064 {SEVEN} 01 00 00 {EIGHT} {SEVEN} 01 00 00",
    ),
    (
        # [topic, count, [[broker]]], timeout, validate only
        k37.CreatePartitionsRequest(
            [k37.CreatePartitionsTopic("t", 4, [k37.CreatePartitionsAssignment([1, 2])])], 1000, True
        ),
        0,
        "00000001 0001 74 00000004 00000001 00000002 00000001 00000002 000003e8 01",
    ),
    (
        k37.CreatePartitionsRequest(
            [
                k37.CreatePartitionsTopic("t", 4, [k37.CreatePartitionsAssignment([1])]),
                k37.CreatePartitionsTopic("u", 5, None),
            ],
            1000,
            False,
        ),
        2,
        "03 02 74 00000004 02 02 00000001 00 00 02 75 00000005 00 00 000003e8 00 00",
    ),
    (
        k37.CreatePartitionsResponse(0, [k37.CreatePartitionsTopicResult("t", 0, None)]),
        0,
        "00000000 00000001 0001 74 0000 ffff",
    ),
    (
        k37.CreatePartitionsResponse(0, [k37.CreatePartitionsTopicResult("t", 37, "no")]),
        3,
        "00000000 02 02 74 0025 03 6e6f 00 00",
    ),
    (
        k43.ElectLeadersRequest(0, [k43.TopicPartitions("t", [3])], 1000),
        0,
        "00000001 0001 74 00000001 00000003 000003e8",
    ),
    (k43.ElectLeadersRequest(1, None), 1, f"01 {MINUS_1} 0000ea60"),
    (k43.ElectLeadersRequest(0, [k43.TopicPartitions("t", [3])]), 2, "00 02 02 74 02 00000003 00 0000ea60 00"),
    (
        k43.ElectLeadersResponse(0, 0, [k43.ReplicaElectionResult("t", [k43.PartitionResult(3, 84, None)])]),
        0,
        "00000000 00000001 0001 74 00000001 00000003 0054 ffff",
    ),
    (
        k43.ElectLeadersResponse(0, 31, [k43.ReplicaElectionResult("t", [k43.PartitionResult(3, 80, "no")])]),
        2,
        "00000000 001f 02 02 74 02 00000003 0050 03 6e6f 00 00 00",
    ),
    (
        # [type, name, [setting, operation, value]], validate only
        k44.IncrementalAlterConfigsRequest([k44.AlterConfigsResource(2, "t", [k44.AlterableConfig("k", 2, "v")])]),
        0,
        "00000001 02 0001 74 00000001 0001 6b 02 0001 76 00",
    ),
    (
        k44.IncrementalAlterConfigsRequest(
            [k44.AlterConfigsResource(4, "1", [k44.AlterableConfig("k", 1, None)])], True
        ),
        1,
        "02 04 02 31 02 02 6b 01 00 00 00 01 00",
    ),
    (
        k44.IncrementalAlterConfigsResponse(0, [k44.AlterConfigsResourceResponse(0, None, 2, "t")]),
        0,
        "00000000 00000001 0000 ffff 02 0001 74",
    ),
    (
        k44.IncrementalAlterConfigsResponse(5, [k44.AlterConfigsResourceResponse(40, "no", 4, "1")]),
        1,
        "00000005 02 0028 03 6e6f 04 02 31 00 00",
    ),
    (
        k45.AlterPartitionReassignmentsRequest(
            topics=[k45.ReassignableTopic("t", [k45.ReassignablePartition(3, None)])]
        ),
        0,
        "0000ea60 02 02 74 02 00000003 00 00 00 00",
    ),
    (
        k45.AlterPartitionReassignmentsRequest(
            1000, False, [k45.ReassignableTopic("t", [k45.ReassignablePartition(3, [1, 2])])]
        ),
        1,
        "000003e8 00 02 02 74 02 00000003 03 00000001 00000002 00 00 00",
    ),
    (
        k45.AlterPartitionReassignmentsResponse(
            0, True, 0, None,
            [k45.ReassignableTopicResponse("t", [k45.ReassignablePartitionResponse(3, 85, "no")])],
        ),
        0,
        "00000000 0000 00 02 02 74 02 00000003 0055 03 6e6f 00 00 00",
    ),
    (k45.AlterPartitionReassignmentsResponse(0, True, 31, "no", []), 1, "00000000 01 001f 03 6e6f 01 00"),
    (k46.ListPartitionReassignmentsRequest(), 0, "0000ea60 00 00"),
    (
        k46.ListPartitionReassignmentsRequest(1000, [k46.ListPartitionReassignmentsTopics("t", [3])]),
        0,
        "000003e8 02 02 74 02 00000003 00 00",
    ),
    (
        # A partition: index, replicas, those being added, those being removed.
        k46.ListPartitionReassignmentsResponse(
            0, 0, None,
            [k46.OngoingTopicReassignment("t", [k46.OngoingPartitionReassignment(3, [1, 2], [2], [])])],
        ),
        0,
        "00000000 0000 00 02 02 74 02 00000003 03 00000001 00000002 02 00000002 01 00 00 00",
    ),
    (k55.DescribeQuorumRequest([k55.TopicData("t", [k55.PartitionData(0)])]), 0, "02 02 74 02 00000000 00 00 00"),
    (
        # A partition: index, error, leader, epoch, high watermark, voters (id, log end offset), observers.
        # Before v2 there are no messages, which decodes as Kafka's default: not null but "".
        k55.DescribeQuorumResponse(
            0, "",
            [
                k55.TopicDataResult(
                    "t", [k55.PartitionDataResult(0, 0, "", 1, 2, 8, [k55.ReplicaState(1, bytes(16), 7)], [])]
                )
            ],
        ),
        0,
        f"0000 02 02 74 02 00000000 0000 00000001 00000002 {EIGHT} 02 00000001 {SEVEN} 00 01 00 00 00",
    ),
    (
        # A port is unsigned.
        k55.DescribeQuorumResponse(
            0, None,
            [
                k55.TopicDataResult(
                    "t", [k55.PartitionDataResult(0, 3, "no", 1, 2, 8, [], [k55.ReplicaState(1, ID, 7, 8, -1)])]
                )
            ],
            [k55.Node(1, [k55.Listener("L", "h", 40000)])],
        ),
        2,
        f"0000 00 02 02 74 02 00000000 0003 03 6e6f 00000001 00000002 {EIGHT} 01 "
        f"02 00000001 {ID_HEX} {SEVEN} {EIGHT} {LONG_MINUS_1} 00 00 00 "
        "02 00000001 02 02 4c 02 68 9c40 00 00 00",
    ),
    (
        # timeout, [feature, level, allow downgrade]
        k57.UpdateFeaturesRequest(feature_updates=[k57.FeatureUpdateKey("f", 2, True)]),
        0,
        "0000ea60 02 02 66 0002 01 00 00",
    ),
    (
        # From v1 a type instead, and validate only.
        k57.UpdateFeaturesRequest(1000, [k57.FeatureUpdateKey("f", 0, upgrade_type=3)], True),
        1,
        "000003e8 02 02 66 0000 03 00 01 00",
    ),
    (
        k57.UpdateFeaturesResponse(0, 0, None, [k57.UpdatableFeatureResult("f", 91, "no")]),
        0,
        "00000000 0000 00 02 02 66 005b 03 6e6f 00 00",
    ),
    (k57.UpdateFeaturesResponse(0, 95, "no"), 2, "00000000 005f 03 6e6f 00"),
    (k74.ListConfigResourcesRequest(), 0, "00"),
    (k74.ListConfigResourcesRequest([2, 4]), 1, "03 02 04 00"),
    (k74.ListConfigResourcesResponse(0, 0, [k74.ConfigResource("c")]), 0, "00000000 0000 02 02 63 00 00"),
    (k74.ListConfigResourcesResponse(0, 0, [k74.ConfigResource("t", 2)]), 1, "00000000 0000 02 02 74 02 00 00"),
    (k75.DescribeTopicPartitionsRequest([k75.TopicRequest("t")]), 0, "02 02 74 00 000007d0 ff 00"),
    (
        k75.DescribeTopicPartitionsRequest([k75.TopicRequest("t")], 1, k75.Cursor("u", 3)),
        0,
        "02 02 74 00 00000001 01 02 75 00000003 00 00",
    ),
    (
        # A partition: error, index, leader, epoch, replicas, in sync, eligible and last known null, offline, tags.
        k75.DescribeTopicPartitionsResponse(
            0,
            [
                k75.DescribeTopicPartitionsResponseTopic(
                    0, "t", ID, False,
                    [k75.DescribeTopicPartitionsResponsePartition(0, 1, 2, replica_nodes=[2], isr_nodes=[2])],
                )
            ],
        ),
        0,
        f"00000000 02 0000 02 74 {ID_HEX} 00 02 0000 00000001 00000002 {MINUS_1} 02 00000002 02 00000002 00 00 01 00 "
        f"{NO_OPERATIONS} 00 ff 00",
    ),
    (
        k75.DescribeTopicPartitionsResponse(
            0, [k75.DescribeTopicPartitionsResponseTopic(3, None, ID, True)], k75.Cursor("u", 3)
        ),
        0,
        f"00000000 02 0003 00 {ID_HEX} 01 01 {NO_OPERATIONS} 00 01 02 75 00000003 00 00",
    ),
]
