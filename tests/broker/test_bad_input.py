"""Bytes that no client sends: a bounded number of them; `python -m tests.broker.bad_input 100000` sends more."""

from __future__ import annotations

import logging
import socket
import struct

import pytest

from flymq import EmbeddedBroker
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from tests.broker.bad_input import MIB, Frames, hold_half_open, run
from tests.wire.client import Client
from tests.wire.kit import Topic

FRAMES = 5000


@pytest.mark.parametrize("seed", [1, 2])
def test_bad_frames_harm_nobody(seed: int) -> None:
    report = run(FRAMES // 2, seed)
    assert report.log == ""
    assert sum(report.outcomes.values()) == FRAMES // 2
    assert report.rounds > FRAMES // 50
    assert min(report.outcomes["closed"], report.outcomes["answered"]) > FRAMES // 20  # they are not all alike
    assert report.rss_after - report.rss_before < 32 * MIB


def test_frames_are_the_same_for_a_seed() -> None:
    """So that a failure can be had again."""
    topic = Topic("t", bytes(16))
    one, other = (Frames(5, topic) for _ in range(2))
    kinds = [one.next()[0] for _ in range(300)]
    assert kinds == [other.next()[0] for _ in range(300)]
    assert len(set(kinds)) == 11


@pytest.mark.parametrize("announced", [2 * MIB, 100 * MIB])
def test_memory_is_not_taken_by_announcing(announced: int) -> None:
    grown, log = hold_half_open(300, announced)
    assert grown < 32 * MIB
    assert log == ""


def test_connections_that_come_and_go_are_no_news(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    """Reset at once, closed at once, closed inside a frame, and with an answer under way."""
    ask = struct.pack(">ihhih", 10, 18, 0, 1, -1)
    for sent in (b"", b"\0", b"\0\0\1", b"\0\0\1\0more", ask, ask * 500):
        for reset in (False, True):
            peer = socket.create_connection((broker.host, broker.port))
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(sent)
            peer.close()
    with Client(broker.port) as client:
        assert client.call(ApiVersionsRequest(), 0).error_code == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_peer_that_does_not_read_is_not_read(broker: EmbeddedBroker) -> None:
    """Otherwise its answers would pile up here."""
    ask = struct.pack(">ihhih", 10, 18, 0, 1, -1) * 10_000
    with socket.create_connection((broker.host, broker.port)) as peer, Client(broker.port) as other:
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.sendall(ask * 250)  # 35 MiB, and 600 MiB of answers
        assert other.call(ApiVersionsRequest(), 0).error_code == 0
