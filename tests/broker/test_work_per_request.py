"""How much the interpreter does for a request: counted, so that neither a clock nor other load decides.

A bound that is passed says that the hot path got longer. Where that is worth it, raise the bound, in the same commit.
Bounds are a tenth above what CPython 3.11 does; later versions count a little differently.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from flymq.broker.app import Broker
from flymq.broker.net.connection import Connection
from flymq.testing.running import broker_config
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.api.k19_create_topics import CreatableTopic, CreateTopicsRequest
from flymq_protocol.framing import encode_request
from flymq_protocol.message import Message
from flymq_protocol.records.record import Record, build_batch
from tests.wire.kit import NO_ID, Topic, fetching, producing, wanted

VERSIONS = {0: 9, 1: 12, 8: 8, 12: 4, 19: 5}
MANY = 50
SIZE_IN_MORE_BYTES = 60  # on the wire, and what reads them


class Peer:
    """The broker's end of a real connection, given frames as the loop gives them."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._connection: Connection
        self._reader: asyncio.StreamReader

    async def connect(self) -> None:
        server = self._broker._server
        before = set(server.connections)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._broker.addresses[0][1])
        while not server.connections - before:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        (self._connection,) = server.connections - before

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def call(self, *requests: Message) -> int:
        """All of them in one packet; bytecodes until each is answered, or waits. Their answers are taken."""
        data = b"".join(encode_request(request, VERSIONS[request.KEY], 7, "peer") for request in requests)
        self._connection.get_buffer(-1)[: len(data)] = data
        work = bytecodes(lambda: self._connection.buffer_updated(len(data)))
        for _ in requests:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            await self._reader.readexactly(size)
        return work


def bytecodes(work: Callable[[], object]) -> int:
    """How many the interpreter executes for `work`."""
    count = 0

    def each(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return each

    before = sys.gettrace()
    sys.settrace(each)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@asynccontextmanager
async def a_broker(folder: Path) -> AsyncIterator[Broker]:
    settings = {"flymq.durability": "os", "log.index.interval.bytes": 1_000_000}
    config = broker_config(settings, 0, "a_broker")
    broker = Broker(config, os.fspath(folder))
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


def run(folder: Path, test: Callable[[Broker, Peer], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with a_broker(folder) as broker:
            peer = Peer(broker)
            await peer.connect()
            await peer.call(CreateTopicsRequest([CreatableTopic("t", 1, 1), CreatableTopic("many", 1000, 1)], 10_000))
            try:
                await test(broker, peer)
            finally:
                await peer.close()

    asyncio.run(whole())


def produce(topic: str = "t", partition: int = 0, *, records: int = 1, acks: int = -1) -> Message:
    batch = bytes(build_batch([Record(number, 1_700_000_000_000, None, bytes(100), ()) for number in range(records)]))
    return producing(Topic(topic, NO_ID), batch, partition, acks=acks)


def fetch() -> Message:
    return fetching(Topic("t", NO_ID), wanted(0, 0))


def commit() -> Message:
    partitions = [OffsetCommitRequestPartition(0, 7)]
    return OffsetCommitRequest("g", topics=[OffsetCommitRequestTopic("t", partitions=partitions)])


@pytest.mark.parametrize(("request_of", "alone_max", "in_a_row_max"), [
    (produce, 1020, 820),
    (lambda: produce(acks=1), 1020, 820),
    (fetch, 2000, 1800),
    (lambda: HeartbeatRequest("g", 1, "nobody"), 820, 620),
    (commit, 1900, 1660),
], ids=["produce", "produce acks=1", "fetch", "heartbeat", "offset commit"])
def test_bytecodes_a_request(
    tmp_path: Path, request_of: Callable[[], Message], alone_max: int, in_a_row_max: int
) -> None:
    async def test(_: Broker, peer: Peer) -> None:
        await peer.call(produce())
        await peer.call(request_of(), request_of())  # what is made on first use
        alone = await peer.call(request_of())
        in_a_row = await peer.call(*[request_of() for _ in range(MANY)]) / MANY
        assert alone <= alone_max
        assert in_a_row <= in_a_row_max

    run(tmp_path, test)


def test_a_batch_costs_the_same_whatever_is_in_it(tmp_path: Path) -> None:
    async def test(_: Broker, peer: Peer) -> None:
        await peer.call(produce(), produce())
        assert await peer.call(produce(records=500)) <= await peer.call(produce(records=1)) + SIZE_IN_MORE_BYTES

    run(tmp_path, test)


def test_a_fetch_costs_the_same_however_many_batches_it_gets(tmp_path: Path) -> None:
    async def test(_: Broker, peer: Peer) -> None:
        await peer.call(produce())
        await peer.call(fetch(), fetch())
        one = await peer.call(fetch())
        await peer.call(*[produce() for _ in range(MANY)])
        await peer.call(fetch())
        assert await peer.call(fetch()) <= one + 10

    run(tmp_path, test)


def test_a_request_costs_the_same_among_many_partitions_and_connections(tmp_path: Path) -> None:
    async def test(broker: Broker, peer: Peer) -> None:
        await peer.call(produce(), produce())
        few = await peer.call(produce())
        others = [Peer(broker) for _ in range(100)]
        for other in others:
            await other.connect()
        for partition in range(1000):
            await peer.call(produce("many", partition))
        assert await peer.call(produce("many", 999)) <= few + 10
        for other in others:
            await other.close()

    run(tmp_path, test)
