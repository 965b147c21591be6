"""Golden frames of consumer groups, classic and new."""

from flymq_protocol.api import k47_offset_delete as k47
from flymq_protocol.api import k68_consumer_group_heartbeat as k68
from flymq_protocol.api import k69_consumer_group_describe as k69
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
from flymq_protocol.api.k42_delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse

from .rows import ID, ID_HEX, LONG_MINUS_1, MINUS_1, NO_OPERATIONS, Row

ROWS: list[Row] = [
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
    (DeleteGroupsRequest(["g"]), 2, "02 02 67 00"),
    (DeleteGroupsResponse(0, [DeletableGroupResult("g", 68)]), 1, "00000000 00000001 0001 67 0044"),
    (
        k47.OffsetDeleteRequest("g", [k47.OffsetDeleteRequestTopic("t", [k47.OffsetDeleteRequestPartition(3)])]),
        0,
        "0001 67 00000001 0001 74 00000001 00000003",
    ),
    (
        # The error comes before the throttle time.
        k47.OffsetDeleteResponse(
            0, 5, [k47.OffsetDeleteResponseTopic("t", [k47.OffsetDeleteResponsePartition(3, 86)])]
        ),
        0,
        "0000 00000005 00000001 0001 74 00000001 00000003 0056",
    ),
    (
        # group, member, epoch, instance null, rack null, rebalance timeout, topics, assignor null, owned partitions
        k68.ConsumerGroupHeartbeatRequest(
            "g", "m", 0, rebalance_timeout_ms=60000, subscribed_topic_names=["t"], topic_partitions=[]
        ),
        0,
        "02 67 02 6d 00000000 00 00 0000ea60 02 02 74 00 01 00",
    ),
    (
        k68.ConsumerGroupHeartbeatRequest(
            "g", "m", 5, "i", "r", subscribed_topic_regex="t.*", server_assignor="range",
            topic_partitions=[k68.TopicPartitions(ID, [0, 1])],
        ),
        1,
        f"02 67 02 6d 00000005 02 69 02 72 {MINUS_1} 00 04 742e2a 06 72616e6765 "
        f"02 {ID_HEX} 03 00000000 00000001 00 00",
    ),
    (
        # A null struct is the byte -1, another one begins with 1.
        k68.ConsumerGroupHeartbeatResponse(0, 110, "no", None, 0, 0),
        0,
        "00000000 006e 03 6e6f 00 00000000 00000000 ff 00",
    ),
    (
        k68.ConsumerGroupHeartbeatResponse(
            0, 0, None, "m", 5, 5000, k68.Assignment([k68.TopicPartitions(ID, [1])])
        ),
        1,
        f"00000000 0000 00 02 6d 00000005 00001388 01 02 {ID_HEX} 02 00000001 00 00 00",
    ),
    (k69.ConsumerGroupDescribeRequest(["g"], True), 0, "02 02 67 01 00"),
    (
        # Then authorized operations and the tags of the group.
        k69.ConsumerGroupDescribeResponse(0, [k69.DescribedGroup(69, "no", "g", "Dead", 0, 0, "")]),
        0,
        f"00000000 02 0045 03 6e6f 02 67 05 44656164 00000000 00000000 01 01 {NO_OPERATIONS} 00 00",
    ),
    (
        # A member: id, instance null, rack, epoch, client, host, topics, regex null, two assignments, type, tags.
        k69.ConsumerGroupDescribeResponse(
            0,
            [
                k69.DescribedGroup(
                    0, None, "g", "Stable", 6, 5, "uniform",
                    [
                        k69.Member(
                            "m", None, "r", 5, "c", "h", ["t"], None,
                            k69.Assignment([k69.TopicPartitions(ID, "t", [1])]), k69.Assignment([]), 1,
                        )
                    ],
                )
            ],
        ),
        1,
        "00000000 02 0000 00 02 67 07 537461626c65 00000006 00000005 08 756e69666f726d "
        f"02 02 6d 00 02 72 00000005 02 63 02 68 02 02 74 00 02 {ID_HEX} 02 74 02 00000001 00 00 01 00 01 00 "
        f"{NO_OPERATIONS} 00 00",
    ),
]
