"""Bodies written out by hand, field by field: one request and one response of each API, old and new layouts."""

import pytest

from flymq_protocol.api.k00_produce import (
    LeaderIdAndEpoch,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from flymq_protocol.api.k01_fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)
from flymq_protocol.api.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
    ListOffsetsTopicResponse,
)
from flymq_protocol.api.k03_metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
)
from flymq_protocol.api.k10_find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from flymq_protocol.api.k11_join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    JoinGroupResponseMember,
)
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from flymq_protocol.api.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse
from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from flymq_protocol.api.k15_describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from flymq_protocol.api.k16_list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from flymq_protocol.api.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
)
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
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from flymq_protocol.api.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
    OffsetForLeaderTopicResult,
)
from flymq_protocol.api.k32_describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
)
from flymq_protocol.api.k42_delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from flymq_protocol.api.k60_describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from flymq_protocol.consumer_protocol import ConsumerProtocolSubscription, decode_payload, encode_payload
from flymq_protocol.message import Message
from flymq_protocol.registry import API

ID = bytes(range(16))
ID_HEX = ID.hex()
MINUS_1 = "ffffffff"
LONG_MINUS_1 = "ffffffffffffffff"
NO_OPERATIONS = "80000000"

GOLDEN: list[tuple[Message, int, str]] = [
    # transactional id null, acks, timeout, [topic, [index, records]]
    (
        ProduceRequest(None, -1, 1000, [TopicProduceData("t", partition_data=[PartitionProduceData(2, b"RR")])]),
        3,
        "ffff ffff 000003e8 00000001 0001 74 00000001 00000002 00000002 5252",
    ),
    (
        ProduceRequest("x", 1, 1000, [TopicProduceData(topic_id=ID, partition_data=[PartitionProduceData(2, b"RR")])]),
        13,
        f"02 78 0001 000003e8 02 {ID_HEX} 02 00000002 03 5252 00 00 00",
    ),
    (
        ProduceResponse([TopicProduceResponse("t", partition_responses=[PartitionProduceResponse(2, 6, 5)])], 9),
        10,
        f"02 02 74 02 00000002 0006 0000000000000005 {LONG_MINUS_1} {LONG_MINUS_1} 01 00 00 00 00000009 00",
    ),
    (
        # current_leader is tag 0 of a partition, 9 bytes with its own empty block of tags.
        ProduceResponse(
            [
                TopicProduceResponse(
                    "t",
                    partition_responses=[PartitionProduceResponse(2, 6, -1, current_leader=LeaderIdAndEpoch(1, 4))],
                )
            ]
        ),
        10,
        f"02 02 74 02 00000002 0006 {LONG_MINUS_1 * 3} 01 00 01 00 09 00000001 00000004 00 00 00000000 00",
    ),
    (
        FetchRequest(max_wait_ms=500, min_bytes=1, topics=[FetchTopic("t", partitions=[FetchPartition(1, -1, 7)])]),
        4,
        f"{MINUS_1} 000001f4 00000001 7fffffff 00 00000001 0001 74 00000001 00000001 0000000000000007 00000000",
    ),
    (
        # Sessions, epochs and log start offsets; then the forgotten topics and the rack.
        FetchRequest(
            max_wait_ms=500,
            session_id=3,
            session_epoch=4,
            topics=[FetchTopic("", ID, [FetchPartition(1, 5, 7, 2, -1, 99)])],
        ),
        16,
        f"000001f4 00000000 7fffffff 00 00000003 00000004 02 {ID_HEX} 02 "
        f"00000001 00000005 0000000000000007 00000002 {LONG_MINUS_1} 00000063 00 00 01 01 00",
    ),
    (
        FetchResponse(
            responses=[
                FetchableTopicResponse(
                    "t",
                    partitions=[
                        PartitionData(
                            1,
                            0,
                            8,
                            7,
                            aborted_transactions=[AbortedTransaction(6, 5)],
                            records=b"RR",
                        )
                    ],
                )
            ]
        ),
        4,
        "00000000 00000001 0001 74 00000001 00000001 0000 0000000000000008 0000000000000007 "
        "00000001 0000000000000006 0000000000000005 00000002 5252",
    ),
    (
        FetchResponse(session_id=3, responses=[FetchableTopicResponse("", ID, [PartitionData(1, 1, records=b"")])]),
        13,
        f"00000000 0000 00000003 02 {ID_HEX} 02 00000001 0001 0000000000000000 {LONG_MINUS_1 * 2} 01 {MINUS_1} "
        "01 00 00 00",
    ),
    (
        ListOffsetsRequest(-1, topics=[ListOffsetsTopic("t", [ListOffsetsPartition(1, timestamp=-2)])]),
        1,
        f"{MINUS_1} 00000001 0001 74 00000001 00000001 fffffffffffffffe",
    ),
    (
        ListOffsetsResponse(0, [ListOffsetsTopicResponse("t", [ListOffsetsPartitionResponse(1, 0, -1, 5, 3)])]),
        6,
        f"00000000 02 02 74 02 00000001 0000 {LONG_MINUS_1} 0000000000000005 00000003 00 00 00",
    ),
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
    (
        OffsetCommitRequest(
            "g", 3, "m", topics=[OffsetCommitRequestTopic("t", partitions=[OffsetCommitRequestPartition(1, 5)])]
        ),
        2,
        f"0001 67 00000003 0001 6d {LONG_MINUS_1} 00000001 0001 74 00000001 00000001 0000000000000005 0000",
    ),
    (
        OffsetCommitResponse(
            0, [OffsetCommitResponseTopic(topic_id=ID, partitions=[OffsetCommitResponsePartition(1, 22)])]
        ),
        10,
        f"00000000 02 {ID_HEX} 02 00000001 0016 00 00 00",
    ),
    (
        OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)], require_stable=True),
        8,
        "02 02 67 00 00 01 00",
    ),
    (OffsetFetchRequest("g", None), 2, f"0001 67 {MINUS_1}"),
    (OffsetFetchResponse(groups=[OffsetFetchResponseGroup("g", [], 16)]), 8, "00000000 02 02 67 01 0010 00 00"),
    (FindCoordinatorRequest("g"), 0, "0001 67"),
    (FindCoordinatorRequest(key_type=1, coordinator_keys=["a", "b"]), 4, "01 03 02 61 02 62 00"),
    (
        FindCoordinatorResponse(coordinators=[Coordinator("a", 1, "h", 9092, 0, None)]),
        4,
        "00000000 02 02 61 00000001 02 68 00002384 0000 00 00 00",
    ),
    (
        JoinGroupRequest("g", 6000, 7000, "", None, "consumer", [JoinGroupRequestProtocol("range", b"M")]),
        5,
        "0001 67 00001770 00001b58 0000 ffff 0008 636f6e73756d6572 00000001 0005 72616e6765 00000001 4d",
    ),
    (
        JoinGroupResponse(0, 0, 1, "c", "r", "m", False, "m", [JoinGroupResponseMember("m", None, b"M")]),
        9,
        "00000000 0000 00000001 02 63 02 72 02 6d 00 02 6d 02 02 6d 00 02 4d 00 00",
    ),
    (HeartbeatRequest("g", 1, "m"), 0, "0001 67 00000001 0001 6d"),
    (HeartbeatRequest("g", 1, "m", "i"), 4, "02 67 00000001 02 6d 02 69 00"),
    (HeartbeatResponse(5, 27), 4, "00000005 001b 00"),
    (LeaveGroupRequest("g", "m"), 0, "0001 67 0001 6d"),
    (LeaveGroupRequest("g", members=[MemberIdentity("m", None, "bye")]), 5, "02 67 02 02 6d 00 04 627965 00 00"),
    (LeaveGroupResponse(0, 0, [MemberResponse("m", "i", 25)]), 4, "00000000 0000 02 02 6d 02 69 0019 00 00"),
    (
        SyncGroupRequest("g", 1, "m", assignments=[SyncGroupRequestAssignment("m", b"A")]),
        0,
        "0001 67 00000001 0001 6d 00000001 0001 6d 00000001 41",
    ),
    (SyncGroupResponse(0, 0, "c", "r", b"A"), 5, "00000000 0000 02 63 02 72 02 41 00"),
    (DescribeGroupsRequest(["g"], True), 5, "02 02 67 01 00"),
    (
        DescribeGroupsResponse(0, [DescribedGroup(69, "no", "g", "Dead")]),
        6,
        f"00000000 02 0045 03 6e6f 02 67 05 44656164 01 01 01 {NO_OPERATIONS} 00 00",
    ),
    (ListGroupsRequest(), 2, ""),
    (ListGroupsRequest(["Stable"], []), 5, "02 07 537461626c65 01 00"),
    (
        ListGroupsResponse(0, 0, [ListedGroup("g", "c", "Empty", "classic")]),
        5,
        "00000000 0000 02 02 67 02 63 06 456d707479 08 636c6173736963 00 00",
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
    (InitProducerIdRequest("x", 60000, 7, 2), 3, "02 78 0000ea60 0000000000000007 0002 00"),
    (InitProducerIdResponse(0, 0, 7, 2), 0, "00000000 0000 0000000000000007 0002"),
    (
        OffsetForLeaderEpochRequest(
            topics=[OffsetForLeaderTopic("t", [OffsetForLeaderPartition(1, leader_epoch=4)])], replica_id=-1
        ),
        3,
        f"{MINUS_1} 00000001 0001 74 00000001 00000001 {MINUS_1} 00000004",
    ),
    (
        OffsetForLeaderEpochResponse(0, [OffsetForLeaderTopicResult("t", [EpochEndOffset(0, 1, 4, 9)])]),
        4,
        "00000000 02 02 74 02 0000 00000001 00000004 0000000000000009 00 00 00",
    ),
    (DescribeConfigsRequest([DescribeConfigsResource(2, "t", None)]), 1, f"00000001 02 0001 74 {MINUS_1} 00"),
    (
        DescribeConfigsResponse(
            0, [DescribeConfigsResult(0, None, 2, "t", [DescribeConfigsResourceResult("k", "v", False, 5, False)])]
        ),
        4,
        "00000000 02 0000 00 02 02 74 02 02 6b 02 76 00 05 00 01 00 01 00 00 00",
    ),
    (DeleteGroupsRequest(["g"]), 2, "02 02 67 00"),
    (DeleteGroupsResponse(0, [DeletableGroupResult("g", 68)]), 1, "00000000 00000001 0001 67 0044"),
    (DescribeClusterRequest(True, 1), 1, "01 01 00"),
    (
        DescribeClusterResponse(0, 0, None, 1, "c", 1, [DescribeClusterBroker(1, "h", 9092)]),
        0,
        f"00000000 0000 00 02 63 00000001 02 00000001 02 68 00002384 00 00 {NO_OPERATIONS} 00",
    ),
]


@pytest.mark.parametrize(
    ("message", "version", "text"),
    [pytest.param(*row, id=f"{type(row[0]).__name__}-v{row[1]}-{i}") for i, row in enumerate(GOLDEN)],
)
def test_golden(message: Message, version: int, text: str) -> None:
    data = bytes.fromhex(text)
    assert message.encode(version).hex() == data.hex()
    assert type(message).decode(version, data) == message


def test_every_api_has_golden_frames() -> None:
    present = {type(message).__name__ for message, _, _ in GOLDEN}
    assert present == {row.name + kind for row in API.values() for kind in ("Request", "Response")}


def test_consumer_protocol_payload() -> None:
    value = ConsumerProtocolSubscription(["t"], None)
    data = bytes.fromhex("0000 00000001 0001 74 ffffffff")
    assert encode_payload(value, 0) == data
    assert decode_payload(ConsumerProtocolSubscription, data) == value


def test_a_newer_consumer_protocol_is_read_as_the_newest_known() -> None:
    newest = encode_payload(ConsumerProtocolSubscription(["t"], rack_id="r"), 3)
    assert decode_payload(ConsumerProtocolSubscription, b"\0\x09" + newest[2:] + b"more").rack_id == "r"
