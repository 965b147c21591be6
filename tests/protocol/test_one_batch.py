"""The hand-shaped Produce codec answers as the generated one, on every byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq_protocol.api.k00_produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from flymq_protocol.errors import ProtocolError
from flymq_protocol.one_batch import IDS_FROM_VERSION, Head, as_request, decoder
from flymq_protocol.types import ZERO_UUID

VERSIONS = range(ProduceRequest.MIN_VERSION, ProduceRequest.MAX_VERSION + 1)
SHAPED = [version for version in VERSIONS if version >= 7]

names = st.text(max_size=140)
ids = st.binary(min_size=16, max_size=16)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
records = st.one_of(st.none(), st.binary(max_size=20), st.integers(100, 40_000).map(bytes))


def one_of_a_kind(version: int, name: str, topic_id: bytes, partitions: list[PartitionProduceData]) -> TopicProduceData:
    return TopicProduceData("", topic_id, partitions) if version >= IDS_FROM_VERSION else TopicProduceData(
        name, ZERO_UUID, partitions
    )


@st.composite
def bodies(draw: st.DrawFn, version: int) -> bytes:
    """Requests of the shape mostly, of others too, some with bytes behind them."""
    few = st.integers(0, 2) if draw(st.booleans()) else st.just(1)
    topics = [
        one_of_a_kind(
            version,
            draw(names),
            draw(ids),
            [PartitionProduceData(draw(int32s), draw(records)) for _ in range(draw(few))],
        )
        for _ in range(draw(few))
    ]
    transactional_id = draw(st.one_of(st.none(), st.none(), names))
    request = ProduceRequest(transactional_id, draw(st.integers(-3, 3)), draw(int32s), topics)
    return request.encode(version) + draw(st.binary(max_size=3))


def outcome(version: int, body: bytes) -> ProduceRequest | None:
    try:
        return ProduceRequest.decode(version, body)
    except ProtocolError:
        return None


def shaped(version: int, body: bytes) -> ProduceRequest | None:
    try:
        found = decoder(version)(memoryview(body))
        return as_request(version, found) if isinstance(found, tuple) else found
    except (ProtocolError, UnicodeDecodeError, IndexError, struct.error):
        return None


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_are_read_alike(version: int) -> None:
    @given(bodies(version))
    def alike(body: bytes) -> None:
        assert shaped(version, body) == outcome(version, body) is not None

    alike()


@pytest.mark.parametrize("version", VERSIONS)
def test_damaged_requests_are_read_alike(version: int) -> None:
    @given(bodies(version), st.data())
    def alike(body: bytes, data: st.DataObject) -> None:
        damaged = bytearray(body[: data.draw(st.integers(0, len(body)))])
        for _ in range(data.draw(st.integers(0, 3)) if damaged else 0):
            damaged[data.draw(st.integers(0, min(len(damaged), 200) - 1))] = data.draw(st.integers(0, 255))
        assert shaped(version, bytes(damaged)) == outcome(version, bytes(damaged))

    alike()


@pytest.mark.parametrize("version", SHAPED)
def test_the_shape_is_recognised(version: int) -> None:
    for size in (0, 1, 61, 126, 127, 128, 16_382, 16_383, 1 << 20, 1 << 22):
        topic = one_of_a_kind(version, "orders", b"\7" * 16, [PartitionProduceData(3, bytes(size))])
        body = ProduceRequest(None, -1, 30_000, [topic]).encode(version)
        found = decoder(version)(memoryview(body))
        assert isinstance(found, tuple)
        head, records = found
        name = b"\7" * 16 if version >= IDS_FROM_VERSION else b"orders"
        assert (head.acks, head.timeout_ms, head.topic, head.index) == (-1, 30_000, name, 3)
        assert len(records) == size


@pytest.mark.parametrize("version", SHAPED)
def test_a_head_is_read_once(version: int) -> None:
    decode = decoder(version)

    def head_of(name: str, index: int, size: int) -> Head:
        topic = one_of_a_kind(version, name, name.encode() * 16, [PartitionProduceData(index, bytes(size))])
        found = decode(memoryview(ProduceRequest(None, 1, 30_000, [topic]).encode(version)))
        assert isinstance(found, tuple)
        return found[0]

    first = head_of("a", 0, 10)
    assert head_of("a", 0, 100_000) is first
    assert head_of("a", 1, 10) is not first
    assert head_of("b", 0, 10) is not first
    for index in range(5000):  # no memory without an end, whatever clients name
        head_of("a", index, 1)
    assert head_of("a", 0, 10) is not first


@pytest.mark.parametrize("version", VERSIONS)
@given(data=st.data())
def test_what_was_read_before_changes_nothing(version: int, data: st.DataObject) -> None:
    decode = decoder(version)
    for body in data.draw(st.lists(bodies(version), max_size=4)):
        found = decode(memoryview(body))
        assert (as_request(version, found) if isinstance(found, tuple) else found) == outcome(version, body)


@pytest.mark.parametrize("version", SHAPED)
@given(name=st.text(max_size=40), topic_id=ids, index=int32s, offsets=st.tuples(int64s, int64s, int64s))
def test_answers_are_written_alike(
    version: int, name: str, topic_id: bytes, index: int, offsets: tuple[int, int, int]
) -> None:
    base_offset, append_time, log_start = offsets
    result = PartitionProduceResponse(index, 0, base_offset, append_time, log_start)
    response = ProduceResponse([TopicProduceResponse(name, topic_id, [result])])
    topic = topic_id if version >= IDS_FROM_VERSION else name.encode()
    if version < 9 or len(topic) < 127:
        assert Head(version, 1, 0, topic, index).encode(*offsets) == response.encode(version)
