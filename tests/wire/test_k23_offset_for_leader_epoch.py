"""OffsetForLeaderEpoch on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from flymq_protocol.api.k23_offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import a_topic, produce

OK = ErrorCode.NONE


def ask(client: Client, name: str, epoch: int, *, index: int = 0, current: int = -1, version: int = 4) -> Any:
    wanted = OffsetForLeaderTopic(name, [OffsetForLeaderPartition(index, current, epoch)])
    return client.call(OffsetForLeaderEpochRequest(topics=[wanted]), version).topics[0].partitions[0]


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    produce(client, topic, a_batch([b"a", b"b"]))
    found = ask(client, topic.name, 0, version=version)
    assert (found.error_code, found.leader_epoch, found.end_offset) == (OK, 0, 2)


@pytest.mark.parametrize("epoch", [1, -1, 2**31 - 1])
def test_an_epoch_that_never_was(client: Client, epoch: int) -> None:
    found = ask(client, a_topic(client).name, epoch)
    assert (found.error_code, found.leader_epoch, found.end_offset) == (OK, -1, -1)


def test_refusals(client: Client) -> None:
    topic = a_topic(client)
    for found, code in (
        (ask(client, topic.name, 0, current=1), ErrorCode.UNKNOWN_LEADER_EPOCH),
        (ask(client, topic.name, 0, index=1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (ask(client, "a/b", 0), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ):
        assert (found.error_code, found.leader_epoch, found.end_offset) == (code, -1, -1)
