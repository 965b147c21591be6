"""ListOffsets answers in every version: aiokafka asks in v2, where there is no leader epoch."""

from __future__ import annotations

import asyncio

import pytest

from flymq.broker.handlers import HANDLERS
from flymq_protocol.api.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic

from .test_topic_apis import Client


@pytest.mark.parametrize("version", range(HANDLERS[2].min_version, HANDLERS[2].max_version + 1))
@pytest.mark.parametrize("timestamp", [-1, -2, 0])
def test_the_leader_epoch_is_left_out_before_v4(version: int, timestamp: int) -> None:
    loop = asyncio.new_event_loop()
    try:
        client = Client(loop)
        client.create("a")
        request = ListOffsetsRequest(topics=[ListOffsetsTopic("a", [ListOffsetsPartition(0, timestamp=timestamp)])])
        (answer,) = client.ask(request, version).topics[0].partitions
        assert answer.error_code == 0
        assert answer.offset == (-1 if timestamp == 0 else 0)
        assert (answer.leader_epoch >= 0) == (version >= 4 and timestamp != 0)
    finally:
        loop.close()
