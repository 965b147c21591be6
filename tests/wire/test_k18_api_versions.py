"""ApiVersions, and what holds for every connection: headers, order, what closes."""

from __future__ import annotations

import struct

import pytest

from flymq.broker.handlers import HANDLERS
from flymq.core.features import FEATURES
from flymq_protocol.api.k03_metadata import MetadataRequest
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse
from flymq_protocol.errors import ErrorCode
from flymq_protocol.headers import decode_response_header

from .client import Client
from .kit import a_topic, fetching, wanted

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    software = {"client_software_name": "flymq-test", "client_software_version": "1.0"} if version >= 3 else {}
    response = client.call(ApiVersionsRequest(**software), version)
    assert response.error_code == OK
    rows = {row.api_key: (row.min_version, row.max_version) for row in response.api_keys}
    assert rows.items() >= {row.key: (row.advertise_min, row.max_version) for row in HANDLERS.values()}.items()
    assert rows[0] == (0, 13)
    if version >= 3:
        assert response.finalized_features_epoch >= 0
        finalized = {one.name: (one.min_version_level, one.max_version_level) for one in response.finalized_features}
        assert finalized.items() >= {name: (feature.high, feature.high) for name, feature in FEATURES.items()}.items()
        supported = {one.name: (one.min_version, one.max_version) for one in response.supported_features}
        shown = {name: (one.low, one.high) for name, one in FEATURES.items() if one.low or version >= 4}
        assert supported.items() >= shown.items()


@pytest.mark.parametrize("version", [5, 99, 32767, -1])
def test_an_unknown_version_is_answered_in_v0(client: Client, version: int) -> None:
    head = struct.pack(">hhih", 18, version, 77, -1) + b"\0\xff no body that anybody could read"
    client.send_raw(struct.pack(">i", len(head)) + head)
    correlation_id, at = decode_response_header(0, frame := client.recv_frame())
    response = ApiVersionsResponse.decode(0, frame[at:])
    assert response.encode(0) == frame[at:]
    assert (correlation_id, response.error_code) == (77, ErrorCode.UNSUPPORTED_VERSION)
    assert [(row.api_key, row.min_version, row.max_version) for row in response.api_keys] == [(18, 0, 4)]
    happy(client, 4)  # and the connection lives


@pytest.mark.parametrize("name", ["", "-a", "a-", ".a", "a.", "a b", "a_b", "ä", "a/b", "a\n"])
def test_client_names_are_checked_from_v3(client: Client, name: str) -> None:
    for request in (ApiVersionsRequest(name, "1"), ApiVersionsRequest("a", name)):
        assert client.call(request, 3).error_code == ErrorCode.INVALID_REQUEST
    assert client.call(ApiVersionsRequest(name, "1"), 2).error_code == OK


@pytest.mark.parametrize("name", ["a", "A9", "apache-kafka-java", "librdkafka.x", "0"])
def test_good_client_names(client: Client, name: str) -> None:
    assert client.call(ApiVersionsRequest(name, name), 4).error_code == OK


@pytest.mark.parametrize("client_id", [None, "", "x", "ä" * 100, "x" * 32767])
def test_any_client_id_will_do(client: Client, client_id: str | None) -> None:
    for client.client_id in (client_id, "another", client_id):
        happy(client, 0)
        happy(client, 3)


def test_a_client_id_need_not_be_text(client: Client) -> None:
    head = struct.pack(">hhih", 18, 0, 5, 2) + b"\xff\xfe"
    client.send_raw(struct.pack(">i", len(head)) + head)
    assert client.recv_frame()[:6] == struct.pack(">ih", 5, OK)


def test_tagged_fields_in_a_header_are_skipped(client: Client) -> None:
    head = struct.pack(">hhih", 18, 3, 5, -1) + b"\x02\x00\x01x\x07\x02yy" + ApiVersionsRequest("a", "1").encode(3)
    client.send_raw(struct.pack(">i", len(head)) + head)
    assert client.recv_frame()[:6] == struct.pack(">ih", 5, OK)


def test_what_is_behind_a_body_is_ignored(client: Client) -> None:
    head = struct.pack(">hhih", 18, 0, 5, -1) + b"more"
    client.send_raw(struct.pack(">i", len(head)) + head)
    assert client.recv_frame()[:6] == struct.pack(">ih", 5, OK)


@pytest.mark.parametrize("key", sorted({-1, 4, 5, 6, 7, 17, 21, 24, 999, 32767} - set(HANDLERS)))
def test_an_unknown_key_closes(client: Client, key: int) -> None:
    client.send_raw(struct.pack(">ihhih", 10, key, 0, 1, -1))
    assert client.is_closed()


@pytest.mark.parametrize("key", sorted(set(HANDLERS) - {18}))
def test_an_unknown_version_of_another_api_closes(client: Client, key: int) -> None:
    client.send_raw(struct.pack(">ihhih", 10, key, HANDLERS[key].max_version + 1, 1, -1))
    assert client.is_closed()


@pytest.mark.parametrize("size", [-1, -(2**31), 0, 9, 104857601, 2**31 - 1])
def test_an_impossible_size_closes(client: Client, size: int) -> None:
    client.send_raw(struct.pack(">i", size) + bytes(max(0, min(size, 9))))
    assert client.is_closed()


def test_a_body_that_does_not_parse_closes(client: Client) -> None:
    client.send_raw(struct.pack(">ihhih", 10, 3, 1, 1, -1))  # Metadata without its array
    assert client.is_closed()


def test_answers_before_a_bad_request_are_sent(client: Client) -> None:
    client.send_raw(client.frame(ApiVersionsRequest(), 0) + client.frame(MetadataRequest([]), 1) + b"\xff" * 4)
    client.receive()
    client.receive()
    assert client.is_closed()


def test_a_hundred_requests_in_one_packet(client: Client) -> None:
    calls = [(ApiVersionsRequest("a", "1"), n % 5) if n % 3 else (MetadataRequest([]), 1 + n % 13) for n in range(100)]
    assert len(client.pipeline(*calls)) == 100  # `receive` checks the order


def test_a_request_may_come_byte_by_byte(client: Client) -> None:
    for byte in client.frame(ApiVersionsRequest("a", "1"), 3):
        client.send_raw(bytes([byte]))
    assert client.receive().error_code == OK


def test_two_thousand_requests_behind_one_that_waits(client: Client, other: Client) -> None:
    """More than the slots of a connection: reading stops, and goes on."""
    topic = a_topic(other)
    calls = [(fetching(topic, wanted(), max_wait_ms=100), 18)] + [(ApiVersionsRequest(), 0)] * 2000
    assert len(client.pipeline(*calls)) == 2001
