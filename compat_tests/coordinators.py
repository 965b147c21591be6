"""Kafka makes its internal topics when a coordinator is first asked for, and loads them: until then, waits."""

from __future__ import annotations

import time

from flymq_protocol.api.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from flymq_protocol.api.k10_find_coordinator import FindCoordinatorRequest
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from tests.wire.client import Client

_READY_TIMEOUT_S = 60.0


def await_coordinators(client: Client) -> None:
    """Of groups and of transactions. Takes producer id 0, which reads as "none", on a new broker."""
    until = time.monotonic() + _READY_TIMEOUT_S
    for kind in (0, 1):
        while client.call(FindCoordinatorRequest("warm", kind), 3).error_code:
            assert time.monotonic() < until, "no coordinator"
    fetching = OffsetFetchRequest(groups=[OffsetFetchRequestGroup("warm", topics=None)])
    while client.call(fetching, 8).groups[0].error_code:
        assert time.monotonic() < until, "the coordinator of groups does not load"
    while client.call(InitProducerIdRequest("warm", 60_000), 4).error_code:
        assert time.monotonic() < until, "the coordinator of transactions does not load"
