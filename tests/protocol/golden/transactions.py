"""Golden frames of transactions and producers."""

from flymq_protocol.api import k24_add_partitions_to_txn as k24
from flymq_protocol.api import k25_add_offsets_to_txn as k25
from flymq_protocol.api import k26_end_txn as k26
from flymq_protocol.api import k27_write_txn_markers as k27
from flymq_protocol.api import k28_txn_offset_commit as k28
from flymq_protocol.api import k61_describe_producers as k61
from flymq_protocol.api import k65_describe_transactions as k65
from flymq_protocol.api import k66_list_transactions as k66
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse

from .rows import EIGHT, LONG_MINUS_1, MINUS_1, SEVEN, Row

ROWS: list[Row] = [
    (InitProducerIdRequest("x", 60000, 7, 2), 3, "02 78 0000ea60 0000000000000007 0002 00"),
    (InitProducerIdResponse(0, 0, 7, 2), 0, "00000000 0000 0000000000000007 0002"),
    (
        # transactional id, producer id, epoch, [topic, [partition]]
        k24.AddPartitionsToTxnRequest([], "x", 7, 2, [k24.AddPartitionsToTxnTopic("t", [0, 1])]),
        0,
        f"0001 78 {SEVEN} 0002 00000001 0001 74 00000002 00000000 00000001",
    ),
    (
        k24.AddPartitionsToTxnRequest([], "x", 7, 2, [k24.AddPartitionsToTxnTopic("t", [0, 1])]),
        3,
        f"02 78 {SEVEN} 0002 02 02 74 03 00000000 00000001 00 00",
    ),
    (
        k24.AddPartitionsToTxnRequest([
            k24.AddPartitionsToTxnTransaction("x", 7, 2, True, [k24.AddPartitionsToTxnTopic("t", [1])])
        ]),
        4,
        f"02 02 78 {SEVEN} 0002 01 02 02 74 02 00000001 00 00 00",
    ),
    (
        k24.AddPartitionsToTxnResponse(
            0, 0, [], [k24.AddPartitionsToTxnTopicResult("t", [k24.AddPartitionsToTxnPartitionResult(1, 51)])]
        ),
        0,
        "00000000 00000001 0001 74 00000001 00000001 0033",
    ),
    (
        k24.AddPartitionsToTxnResponse(
            0, 31,
            [
                k24.AddPartitionsToTxnResult(
                    "x", [k24.AddPartitionsToTxnTopicResult("t", [k24.AddPartitionsToTxnPartitionResult(1, 55)])]
                )
            ],
        ),
        4,
        "00000000 001f 02 02 78 02 02 74 02 00000001 0037 00 00 00 00",
    ),
    (k25.AddOffsetsToTxnRequest("x", 7, 2, "g"), 0, f"0001 78 {SEVEN} 0002 0001 67"),
    (k25.AddOffsetsToTxnRequest("x", 7, 2, "g"), 3, f"02 78 {SEVEN} 0002 02 67 00"),
    (k25.AddOffsetsToTxnResponse(0, 47), 0, "00000000 002f"),
    (k25.AddOffsetsToTxnResponse(5, 0), 4, "00000005 0000 00"),
    (k26.EndTxnRequest("x", 7, 2, True), 0, f"0001 78 {SEVEN} 0002 01"),
    (k26.EndTxnRequest("x", 7, 2, False), 5, f"02 78 {SEVEN} 0002 00 00"),
    (k26.EndTxnResponse(0, 48), 0, "00000000 0030"),
    (k26.EndTxnResponse(0, 0, 7, 3), 5, f"00000000 0000 {SEVEN} 0003 00"),
    (
        # [producer id, epoch, committed, [topic, [partition]], coordinator epoch]
        k27.WriteTxnMarkersRequest([
            k27.WritableTxnMarker(7, 2, True, [k27.WritableTxnMarkerTopic("t", [0, 1])], 4)
        ]),
        1,
        f"02 {SEVEN} 0002 01 02 02 74 03 00000000 00000001 00 00000004 00 00",
    ),
    (
        k27.WriteTxnMarkersRequest([k27.WritableTxnMarker(7, 2, False, [], 4, 2)]),
        2,
        f"02 {SEVEN} 0002 00 01 00000004 02 00 00",
    ),
    (
        k27.WriteTxnMarkersResponse([
            k27.WritableTxnMarkerResult(
                7, [k27.WritableTxnMarkerTopicResult("t", [k27.WritableTxnMarkerPartitionResult(1, 47)])]
            )
        ]),
        1,
        f"02 {SEVEN} 02 02 74 02 00000001 002f 00 00 00 00",
    ),
    (
        # transactional id, group, producer id, epoch, [topic, [index, offset, metadata null]]
        k28.TxnOffsetCommitRequest(
            "x", "g", 7, 2,
            topics=[
                k28.TxnOffsetCommitRequestTopic(
                    "t", [k28.TxnOffsetCommitRequestPartition(1, 5, committed_metadata=None)]
                )
            ],
        ),
        0,
        f"0001 78 0001 67 {SEVEN} 0002 00000001 0001 74 00000001 00000001 0000000000000005 ffff",
    ),
    (
        # From v2 a leader epoch; from v3 generation, member and instance.
        k28.TxnOffsetCommitRequest(
            "x", "g", 7, 2, 3, "m", "i",
            [k28.TxnOffsetCommitRequestTopic("t", [k28.TxnOffsetCommitRequestPartition(1, 5, 4, "!")])],
        ),
        3,
        f"02 78 02 67 {SEVEN} 0002 00000003 02 6d 02 69 02 02 74 02 "
        "00000001 0000000000000005 00000004 02 21 00 00 00",
    ),
    (
        k28.TxnOffsetCommitResponse(
            0, [k28.TxnOffsetCommitResponseTopic("t", [k28.TxnOffsetCommitResponsePartition(1, 22)])]
        ),
        0,
        "00000000 00000001 0001 74 00000001 00000001 0016",
    ),
    (
        k28.TxnOffsetCommitResponse(
            0, [k28.TxnOffsetCommitResponseTopic("t", [k28.TxnOffsetCommitResponsePartition(1, 22)])]
        ),
        5,
        "00000000 02 02 74 02 00000001 0016 00 00 00",
    ),
    (k61.DescribeProducersRequest([k61.TopicRequest("t", [0, 1])]), 0, "02 02 74 03 00000000 00000001 00 00"),
    (
        # A producer: id, epoch as int32, last sequence, last timestamp, coordinator epoch, transaction's start, tags.
        k61.DescribeProducersResponse(
            0,
            [
                k61.TopicResponse(
                    "t", [k61.PartitionResponse(1, 0, None, [k61.ProducerState(7, 2, 3, 8, -1, 5)])]
                )
            ],
        ),
        0,
        f"00000000 02 02 74 02 00000001 0000 00 02 {SEVEN} 00000002 00000003 {EIGHT} {MINUS_1} 0000000000000005 00 "
        "00 00 00",
    ),
    (k65.DescribeTransactionsRequest(["x", "y"]), 0, "03 02 78 02 79 00"),
    (
        # [error, transactional id, state, timeout, start, producer id, epoch, [topic, [partition]]]
        k65.DescribeTransactionsResponse(
            0, [k65.TransactionState(0, "x", "Ongoing", 60000, 8, 7, 2, [k65.TopicData("t", [1])])]
        ),
        0,
        f"00000000 02 0000 02 78 08 4f6e676f696e67 0000ea60 {EIGHT} {SEVEN} 0002 02 02 74 02 00000001 00 00 00",
    ),
    (k66.ListTransactionsRequest(["Ongoing"], [7]), 0, f"02 08 4f6e676f696e67 02 {SEVEN} 00"),
    (k66.ListTransactionsRequest([], [], 8), 1, f"01 01 {EIGHT} 00"),
    (k66.ListTransactionsRequest([], [], -1, "x.*"), 2, f"01 01 {LONG_MINUS_1} 04 782e2a 00"),
    (
        k66.ListTransactionsResponse(0, 0, ["Odd"], [k66.TransactionState("x", 7, "Empty")]),
        2,
        f"00000000 0000 02 04 4f6464 02 02 78 {SEVEN} 06 456d707479 00 00",
    ),
]
