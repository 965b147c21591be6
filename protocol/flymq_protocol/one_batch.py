"""Produce in its commonest shape, one batch for one partition, read and answered without objects.

A producer's requests name many partitions only where it batches poorly; nearly all bytes come one
partition at a time. For those the generated codec is a quarter of a broker's work. What doesn't fit
the shape, by a single byte, goes to the generated codec, which alone decides about errors; a test
holds both to each other.

    v3-8    null transactional id | acks | timeout | 1 topic: name | 1 partition: index, records
    v9-12   the same, compact, no tagged fields
    v13     the same, topic id instead of name
"""

from collections.abc import Callable
from struct import Struct

from .api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from .types import ZERO_UUID

OneBatch = tuple[int, int, bytes, int, memoryview]
"""(acks, timeout in ms, topic name in UTF-8 or topic id, partition index, records)"""

IDS_FROM_VERSION = 13
_FLEXIBLE_FROM_VERSION = 9

_unpack_classic_head = Struct(">hhiih").unpack_from  # null id, acks, timeout, topics, name length
_unpack_classic_partition = Struct(">iii").unpack_from  # partitions, index, records size
_unpack_compact_head = Struct(">BhiBB").unpack_from  # the same five; counts and lengths plus one
_unpack_id_head = Struct(">BhiB16s").unpack_from
_unpack_compact_partition = Struct(">BiB").unpack_from  # partitions, index, first byte of records size
_NO_TAGS = b"\0\0\0"  # of the partition, the topic, the request


def decoder(version: int) -> Callable[[memoryview], OneBatch | ProduceRequest]:
    """A body to an `OneBatch`, or to a `ProduceRequest` where it has another shape.

    Raises as `Message.decoder` does.
    """
    general = ProduceRequest.decoder(version)

    def decode_classic(body: memoryview) -> OneBatch | ProduceRequest:
        if len(body) >= 26:
            id_size, acks, timeout_ms, topics, name_size = _unpack_classic_head(body)
            if id_size == -1 and topics == 1 and 0 <= name_size <= len(body) - 26:
                name_end = 14 + name_size
                partitions, index, size = _unpack_classic_partition(body, name_end)
                start = name_end + 12
                if partitions == 1 and 0 <= size <= len(body) - start:
                    return acks, timeout_ms, bytes(body[14:name_end]), index, body[start : start + size]
        return general(body)

    def decode_compact(body: memoryview) -> OneBatch | ProduceRequest:
        if len(body) >= 18:
            no_id, acks, timeout_ms, topics, name_size = _unpack_compact_head(body)
            if no_id == 0 and topics == 2 and 0 < name_size < 128 and name_size <= len(body) - 17:
                name_end = 8 + name_size
                found = _partition(body, name_end)
                if found is not None:
                    return acks, timeout_ms, bytes(body[9:name_end]), found[0], found[1]
        return general(body)

    def decode_by_id(body: memoryview) -> OneBatch | ProduceRequest:
        if len(body) >= 33:
            no_id, acks, timeout_ms, topics, topic_id = _unpack_id_head(body)
            if no_id == 0 and topics == 2:
                found = _partition(body, 24)
                if found is not None:
                    return acks, timeout_ms, topic_id, found[0], found[1]
        return general(body)

    if version >= IDS_FROM_VERSION:
        return decode_by_id
    return decode_compact if version >= _FLEXIBLE_FROM_VERSION else decode_classic


def _partition(body: memoryview, position: int) -> tuple[int, memoryview] | None:
    """(index, records) of the one partition at `position`, after which the body ends in empty tag sections."""
    partitions, index, size = _unpack_compact_partition(body, position)
    start = position + 6
    if partitions != 2 or not size:
        return None
    if size > 127:
        size &= 127
        shift = 7
        while True:
            if start >= len(body) or shift > 28:
                return None
            byte = body[start]
            start += 1
            size |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
    end = start + size - 1
    if body[end : end + 3] != _NO_TAGS:
        return None
    return index, body[start:end]


def as_request(version: int, batch: OneBatch) -> ProduceRequest:
    """The same request as an object. UnicodeDecodeError for a name that is not UTF-8."""
    acks, timeout_ms, topic, index, records = batch
    data = [PartitionProduceData(index, records)]
    if version >= IDS_FROM_VERSION:
        return ProduceRequest(None, acks, timeout_ms, [TopicProduceData("", topic, data)])
    return ProduceRequest(None, acks, timeout_ms, [TopicProduceData(topic.decode(), ZERO_UUID, data)])


def encoder(version: int) -> Callable[[bytes, int, int, int, int], bytes]:
    """A success's response body from (topic name or id, index, base offset, log append time, log start)."""
    pack_name_size = Struct(">ih").pack
    pack_v3 = Struct(">iihqqi").pack
    pack_v5 = Struct(">iihqqqi").pack
    pack_v8 = Struct(">iihqqqihi").pack
    pack_compact = Struct(">BihqqqBBBBiB").pack

    def encode_v3(topic: bytes, index: int, base_offset: int, append_time: int, log_start: int) -> bytes:
        return pack_name_size(1, len(topic)) + topic + pack_v3(1, index, 0, base_offset, append_time, 0)

    def encode_v5(topic: bytes, index: int, base_offset: int, append_time: int, log_start: int) -> bytes:
        return pack_name_size(1, len(topic)) + topic + pack_v5(1, index, 0, base_offset, append_time, log_start, 0)

    def encode_v8(topic: bytes, index: int, base_offset: int, append_time: int, log_start: int) -> bytes:
        # no record errors, null error message, no throttling
        tail = pack_v8(1, index, 0, base_offset, append_time, log_start, 0, -1, 0)
        return pack_name_size(1, len(topic)) + topic + tail

    def encode_v9(topic: bytes, index: int, base_offset: int, append_time: int, log_start: int) -> bytes:
        # ... and the tag sections of the partition, the topic and the response
        tail = pack_compact(2, index, 0, base_offset, append_time, log_start, 1, 0, 0, 0, 0, 0)
        return bytes((2, len(topic) + 1)) + topic + tail

    def encode_v13(topic: bytes, index: int, base_offset: int, append_time: int, log_start: int) -> bytes:
        return b"\2" + topic + pack_compact(2, index, 0, base_offset, append_time, log_start, 1, 0, 0, 0, 0, 0)

    if version >= IDS_FROM_VERSION:
        return encode_v13
    if version >= _FLEXIBLE_FROM_VERSION:
        return encode_v9
    return encode_v8 if version == 8 else encode_v5 if version >= 5 else encode_v3
