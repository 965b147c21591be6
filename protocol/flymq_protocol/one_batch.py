"""Produce in its commonest shape, one batch for one partition, read and answered without objects.

A producer's requests name many partitions only where it batches poorly; nearly all bytes come one
partition at a time. For those the generated codec is a quarter of a broker's work. What doesn't fit
the shape, by a single byte, goes to the generated codec, which alone decides about errors; a test
holds both to each other.

    v7-8    null transactional id | acks | timeout | 1 topic: name | 1 partition: index, records
    v9-12   the same, compact, no tagged fields
    v13     the same, topic id instead of name

All before the records is the same in every request that a producer sends to a partition: it is read
once, and known again by its bytes.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any

from .api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from .types import ZERO_UUID

IDS_FROM_VERSION = 13
_FROM_VERSION = 7  # before, zstd must be refused, which takes a look at the batch
_FLEXIBLE_FROM_VERSION = 9
_HEADS_MAX = 4096
_NAME_BYTES_MAX = 255  # no topic has a longer one; what is kept must be small

_unpack_classic_head = Struct(">hhiih").unpack_from  # null id, acks, timeout, topics, name length
_unpack_classic_partition = Struct(">ii").unpack_from  # partitions, index
_unpack_compact_head = Struct(">BhiBB").unpack_from  # the same five; counts and lengths plus one
_unpack_id_head = Struct(">BhiB16s").unpack_from
_unpack_compact_partition = Struct(">Bi").unpack_from
_unpack_int32 = Struct(">i").unpack_from
_NO_TAGS = b"\0\0\0"  # of the partition, the topic, the request


class Head:
    """What a request says before its records. `topic` is a name in UTF-8, or an id.

    `found` is for whoever answers: what it found for `topic` and `index`, kept for the next request. `encode` makes
    a success's response body of (base offset, log append time, log start offset).
    """

    __slots__ = ("acks", "encode", "found", "index", "timeout_ms", "topic")

    def __init__(self, version: int, acks: int, timeout_ms: int, topic: bytes, index: int) -> None:
        self.acks = acks
        self.timeout_ms = timeout_ms
        self.topic = topic
        self.index = index
        self.found: Any = None
        self.encode = _encoder(version, topic, index)


OneBatch = tuple[Head, memoryview]
"""A request's head and its records."""


def decoder(version: int) -> Callable[[memoryview], OneBatch | ProduceRequest]:
    """A body to an `OneBatch`, or to a `ProduceRequest` where it has another shape.

    Raises as `Message.decoder` does.
    """
    general = ProduceRequest.decoder(version)
    heads: dict[bytes, Head] = {}

    def learn(raw: bytes) -> Head | None:
        """None where `raw` does not begin a request of this shape."""
        said = read_head(raw)
        if said is None or not -1 <= said[0] <= 1:
            return None
        if len(heads) >= _HEADS_MAX:
            heads.clear()
        head = heads[raw] = Head(version, *said)
        return head

    def decode_classic(body: memoryview) -> OneBatch | ProduceRequest:
        if len(body) < 26:  # no topic, perhaps
            return general(body)
        start = 26 + (body[12] << 8) + body[13]
        raw = bytes(body[: start - 4])
        head = heads.get(raw) or learn(raw)
        if head is not None and start <= len(body):
            size = _unpack_int32(body, start - 4)[0]
            if 0 <= size <= len(body) - start:
                return head, body[start : start + size]
        return general(body)

    def decode_flexible(body: memoryview) -> OneBatch | ProduceRequest:
        at = head_bytes or 13 + body[8]
        raw = bytes(body[:at])
        head = heads.get(raw) or learn(raw)
        if head is not None:
            size = body[at]
            at += 1
            if size > 127:
                high = body[at]
                at += 1
                size = size & 127 | high << 7
                if high > 127:
                    size, at = _rest_of_size(size & 0x3FFF, body, at)
            end = at + size - 1
            if size and body[end : end + 3] == _NO_TAGS:
                return head, body[at:end]
        return general(body)

    if version < _FROM_VERSION:
        return general
    if version < _FLEXIBLE_FROM_VERSION:
        read_head = _read_classic_head
        return decode_classic
    head_bytes, read_head = (29, _read_id_head) if version >= IDS_FROM_VERSION else (0, _read_compact_head)
    return decode_flexible


_Said = tuple[int, int, bytes, int]
"""(acks, timeout in ms, topic, index)"""


def _read_classic_head(raw: bytes) -> _Said | None:
    if len(raw) < 22:
        return None
    id_size, acks, timeout_ms, topics, name_size = _unpack_classic_head(raw)
    if id_size != -1 or topics != 1 or name_size > _NAME_BYTES_MAX or name_size != len(raw) - 22:
        return None
    partitions, index = _unpack_classic_partition(raw, 14 + name_size)
    return (acks, timeout_ms, raw[14 : 14 + name_size], index) if partitions == 1 else None


def _read_compact_head(raw: bytes) -> _Said | None:
    if len(raw) < 14:
        return None
    no_id, acks, timeout_ms, topics, name_size = _unpack_compact_head(raw)
    if no_id or topics != 2 or not 0 < name_size < 128 or name_size != len(raw) - 13:
        return None
    partitions, index = _unpack_compact_partition(raw, 8 + name_size)
    return (acks, timeout_ms, raw[9 : 8 + name_size], index) if partitions == 2 else None


def _read_id_head(raw: bytes) -> _Said | None:
    if len(raw) < 29:
        return None
    no_id, acks, timeout_ms, topics, topic_id = _unpack_id_head(raw)
    partitions, index = _unpack_compact_partition(raw, 24)
    return None if no_id or topics != 2 or partitions != 2 else (acks, timeout_ms, topic_id, index)


def _rest_of_size(size: int, body: memoryview, at: int) -> tuple[int, int]:
    """A varint whose first two bytes gave `size`, going on at `at`: it, and where it ends. (0, 0): it has no end."""
    for shift in (14, 21, 28):
        byte = body[at]
        at += 1
        size |= (byte & 127) << shift
        if byte < 128:
            return size, at
    return 0, 0


def as_request(version: int, batch: OneBatch) -> ProduceRequest:
    """The same request as an object. UnicodeDecodeError for a name that is not UTF-8."""
    head, records = batch
    data = [PartitionProduceData(head.index, records)]
    if version >= IDS_FROM_VERSION:
        topic = TopicProduceData("", head.topic, data)
    else:
        topic = TopicProduceData(head.topic.decode(), ZERO_UUID, data)
    return ProduceRequest(None, head.acks, head.timeout_ms, [topic])


def _encoder(version: int, topic: bytes, index: int) -> Callable[[int, int, int], bytes]:
    if version < _FLEXIBLE_FROM_VERSION:
        before = Struct(f">ih{len(topic)}siih").pack(1, len(topic), topic, 1, index, 0)
        # v8 on: no record errors, null error message; then no throttling
        after = b"\0\0\0\0\xff\xff" * (version >= 8) + b"\0\0\0\0"
    else:
        name = b"" if version >= IDS_FROM_VERSION else bytes((len(topic) + 1,))
        before = b"\2" + name + topic + Struct(">Bih").pack(2, index, 0)
        # the same, and the tag sections of the partition, the topic and the response
        after = b"\1\0\0\0\0\0\0\0\0"
    pack = Struct(f">{len(before)}sqqq{len(after)}s").pack

    def encode(base_offset: int, append_time: int, log_start: int) -> bytes:
        return pack(before, base_offset, append_time, log_start, after)

    return encode
