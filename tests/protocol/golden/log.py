"""Golden frames of logs: Produce, Fetch, offsets, DeleteRecords."""

from flymq_protocol.api import k21_delete_records as k21
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
from flymq_protocol.api.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
    OffsetForLeaderTopicResult,
)

from .rows import ID, ID_HEX, LONG_MINUS_1, MINUS_1, Row

ROWS: list[Row] = [
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
    (
        # [topic, [index, offset]], timeout
        k21.DeleteRecordsRequest(
            [k21.DeleteRecordsTopic("t", [k21.DeleteRecordsPartition(2, 9)])],
            1000,
        ),
        1,
        "00000001 0001 74 00000001 00000002 0000000000000009 000003e8",
    ),
    (
        k21.DeleteRecordsRequest([k21.DeleteRecordsTopic("t", [k21.DeleteRecordsPartition(2, -1)])], 1000),
        2,
        f"02 02 74 02 00000002 {LONG_MINUS_1} 00 00 000003e8 00",
    ),
    (
        k21.DeleteRecordsResponse(
            0, [k21.DeleteRecordsTopicResult("t", [k21.DeleteRecordsPartitionResult(2, 9, 0)])]
        ),
        0,
        "00000000 00000001 0001 74 00000001 00000002 0000000000000009 0000",
    ),
    (
        k21.DeleteRecordsResponse(
            5, [k21.DeleteRecordsTopicResult("t", [k21.DeleteRecordsPartitionResult(2, -1, 1)])]
        ),
        2,
        f"00000005 02 02 74 02 00000002 {LONG_MINUS_1} 0001 00 00 00",
    ),
]
