"""Whole requests as bytes, and where their answers have the error code: for `load/load.c`, which reads no protocol."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from flymq_protocol.api.k00_produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from flymq_protocol.framing import encode_request, encode_response
from flymq_protocol.message import Message
from flymq_protocol.records.record import Record, build_batch

CLIENT_ID = "bench"
_PRODUCE_VERSION, _FETCH_VERSION, _COMMIT_VERSION, _HEARTBEAT_VERSION = 9, 11, 7, 4
_SIZE_BYTES = 4
_ERROR_MARK = 0x7A7A  # "zz": no topic here is called so
_OFFSET_MARK = 0x1122334455667788


class Asked(NamedTuple):
    """`error_at`: where the answer has its error code, counted from behind its size; it is `answer_bytes` long."""

    frame: bytes
    error_at: int
    answer_bytes: int


def _asked(request: Message, answer: Message, version: int) -> Asked:
    """`answer` has _ERROR_MARK for an error code."""
    body = encode_response(answer, version, 1)[_SIZE_BYTES:]
    return Asked(encode_request(request, version, 1, CLIENT_ID), body.index(_ERROR_MARK.to_bytes(2, "big")), len(body))


def produce(topic: str, records: int = 1) -> Asked:
    """One batch of so many records of 1 KB, acks=all."""
    now_ms = int(time.time() * 1000)
    batch = bytes(build_batch([Record(offset, now_ms, None, os.urandom(1024), []) for offset in range(records)]))
    topics = [TopicProduceData(name=topic, partition_data=[PartitionProduceData(0, batch)])]
    row = PartitionProduceResponse(0, _ERROR_MARK, 0)
    answer = ProduceResponse([TopicProduceResponse(name=topic, partition_responses=[row])])
    return _asked(ProduceRequest(None, -1, 30000, topics), answer, _PRODUCE_VERSION)


def commit(topic: str) -> Asked:
    """Of one partition."""
    partitions = [OffsetCommitRequestPartition(0, 7)]
    request = OffsetCommitRequest(CLIENT_ID, topics=[OffsetCommitRequestTopic(topic, partitions=partitions)])
    row = OffsetCommitResponsePartition(0, _ERROR_MARK)
    answer = OffsetCommitResponse(topics=[OffsetCommitResponseTopic(topic, partitions=[row])])
    return _asked(request, answer, _COMMIT_VERSION)


def heartbeat(group: str, generation: int, member: str) -> Asked:
    return _asked(HeartbeatRequest(group, generation, member), HeartbeatResponse(0, _ERROR_MARK), _HEARTBEAT_VERSION)


def fetch(topic: str, wait_ms: int, offset: int = 0) -> bytes:
    wanted = FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20)
    request = FetchRequest(max_wait_ms=wait_ms, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[wanted])])
    return encode_request(request, _FETCH_VERSION, 1, CLIENT_ID)


def fetch_to_fill_in(topic: str, wait_ms: int) -> tuple[bytes, int]:
    """A Fetch, and where its offset is to be written."""
    frame = fetch(topic, wait_ms, _OFFSET_MARK)
    return frame, frame.index(_OFFSET_MARK.to_bytes(8, "big"))
