"""Frames and headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flymq_protocol import framing
from flymq_protocol.api.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from flymq_protocol.api.k18_api_versions import ApiVersionsResponse
from flymq_protocol.consumer_protocol import ConsumerProtocolAssignment, decode_payload
from flymq_protocol.errors import EncodeError, ProtocolError
from flymq_protocol.headers import decode_request_header, decode_response_header, encode_response_header
from flymq_protocol.registry import load, request_header_version, response_header_version


def test_header_versions() -> None:
    assert [request_header_version(12, version) for version in (3, 4)] == [1, 2]
    assert [response_header_version(12, version) for version in (3, 4)] == [0, 1]
    assert request_header_version(18, 3) == 2
    assert response_header_version(18, 3) == 0
    with pytest.raises(KeyError):
        load(999)


def test_request_frames_by_hand() -> None:
    frame = framing.encode_request(HeartbeatRequest("g", 1, "m"), 0, 7, "me")
    head = "000c 0000 00000007 0002 6d65"
    assert frame == bytes.fromhex("00000016" + head + "0001 67 00000001 0001 6d")
    frame = framing.encode_request(HeartbeatRequest("g", 1, "m"), 4, 7, None)
    head = "000c 0004 00000007 ffff 00"
    assert frame == bytes.fromhex("00000015" + head + "02 67 00000001 02 6d 00 00")


@pytest.mark.parametrize("version", [0, 4])
@pytest.mark.parametrize("client_id", [None, "", "me", "é" * 1000])
def test_request_header_round_trip(version: int, client_id: str | None) -> None:
    request = HeartbeatRequest("g", 1, "m")
    frame = memoryview(framing.encode_request(request, version, -7, client_id))[4:]
    header = decode_request_header(frame)
    assert header[:4] == (12, version, -7, client_id)
    assert HeartbeatRequest.decode(version, frame[header.body_offset :]) == request


def test_bad_utf8_in_a_client_id_is_replaced() -> None:
    header = decode_request_header(bytes.fromhex("000c 0000 00000007 0002 61ff"))
    assert header.client_id == "a\N{REPLACEMENT CHARACTER}"


def test_tagged_fields_of_headers_are_skipped() -> None:
    start = "000c 0004 00000007 ffff"
    header = decode_request_header(bytes.fromhex(start + "02 05 01 aa 8001 00 bb"))
    assert header.body_offset == 10 + 7
    assert decode_response_header(1, bytes.fromhex("00000007 01 05 02 aabb cc")) == (7, 9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "000c 0004 00000007",
        "000c 0004 00000007 0005 6d65",
        "000c 0004 00000007 ffff",
        "000c 0004 00000007 ffff 01 00",
        "000c 0004 00000007 ffff 01 00 05 aa",
        "000c 0004 00000007 ffff ffffffffff01",
    ],
)
def test_malformed_request_headers(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_request_header(bytes.fromhex(text))


@given(st.binary(max_size=40))
def test_any_bytes_give_a_header_or_a_protocol_error(data: bytes) -> None:
    try:
        header = decode_request_header(data)
    except ProtocolError:
        return
    assert 10 <= header.body_offset <= len(data)


def test_unknown_apis_have_a_readable_header() -> None:
    assert decode_request_header(bytes.fromhex("0fff 0001 00000007 ffff"))[:4] == (0xFFF, 1, 7, None)
    # A version above those we know: only the fields common to all headers are read.
    assert decode_request_header(bytes.fromhex("0012 0063 00000007 ffff")).body_offset == 10


def test_responses() -> None:
    frame = framing.encode_response(HeartbeatResponse(0, 25), 4, 7)
    assert frame == bytes.fromhex("0000000c 00000007 00 00000000 0019 00")
    assert framing.decode_response(12, 4, frame[4:]) == (7, HeartbeatResponse(0, 25))
    # ApiVersions: no tagged fields in the header of any version.
    frame = framing.encode_response(ApiVersionsResponse(35), 3, 7)
    assert frame[4:8] == encode_response_header(0, 7)
    assert framing.decode_response(18, 3, frame[4:]) == (7, ApiVersionsResponse(35))
    with pytest.raises(ProtocolError):
        framing.decode_response(12, 4, b"\0\0")


def test_frame_sizes() -> None:
    assert framing.frame_size(framing.pack_size(100), 0, 100) == 100
    for size in (-1, 101):
        with pytest.raises(ProtocolError):
            framing.frame_size(framing.pack_size(size), 0, 100)


@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(1, 9))
def test_frames_from_a_stream_cut_anywhere(frames: list[bytes], step: int) -> None:
    stream = b"".join(framing.pack_size(len(frame)) + frame for frame in frames)
    reader = framing.FrameReader(100)
    out = [frame for i in range(0, len(stream), step) for frame in reader.feed(stream[i : i + step])]
    assert out == frames


def test_a_stream_with_a_frame_too_large() -> None:
    with pytest.raises(ProtocolError):
        list(framing.FrameReader(10).feed(framing.pack_size(11)))


def test_client_ids_are_limited() -> None:
    with pytest.raises(EncodeError):
        framing.encode_request(HeartbeatRequest(), 0, 1, "x" * 32768)


def test_sizes_count_records_that_are_passed_on() -> None:
    request = ProduceRequest(topic_data=[TopicProduceData("t", partition_data=[PartitionProduceData(0, bytes(1000))])])
    frame = framing.encode_request(request, 9, 1, None)
    assert framing.frame_size(frame, 0, 10_000) == len(frame) - 4


@pytest.mark.parametrize("payload", [b"", b"\0", b"\xff\xff\0\0\0\0", b"\0\0\0\0"])
def test_malformed_consumer_payloads(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_payload(ConsumerProtocolAssignment, payload)
