"""Bodies written out by hand, field by field: one request and one response of each API, old and new layouts."""

import pytest

from flymq_protocol.consumer_protocol import ConsumerProtocolSubscription, decode_payload, encode_payload
from flymq_protocol.message import Message
from flymq_protocol.registry import API

from .golden import admin, groups, log, transactions

GOLDEN = log.ROWS + groups.ROWS + transactions.ROWS + admin.ROWS


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
