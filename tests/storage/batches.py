"""Record batches by hand, and a loop to run engines on."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from crc32c import crc32c

from flymq.core.log.plan import AppendPlan
from flymq.env import Env, Token
from flymq.storage.api import Chunk, Engine, Opened, PartitionRef

HEADER_BYTES = 61
TOPIC_ID = bytes(range(16))
REF = PartitionRef("orders", TOPIC_ID, 0)


def make_batch(base: int, count: int = 1, *, size: int = 100, timestamp: int = 1000, epoch: int = 0) -> bytes:
    """A batch of `size` bytes (at least 61) with offsets [base, base + count); the payload is filler."""
    payload = (b"%020d" % base * (size // 20 + 1))[: max(0, size - HEADER_BYTES)]
    checked = struct.pack(">hiqqqhii", 0, count - 1, timestamp, timestamp, -1, -1, -1, count) + payload
    return struct.pack(">qiibI", base, 9 + len(checked), epoch, 2, crc32c(checked)) + checked


def make_plan(
    base: int, count: int = 1, *, size: int = 100, timestamp: int = 1000, epoch: int = 0, roll: bool = False
) -> AppendPlan:
    data = make_batch(base, count, size=size, timestamp=timestamp, epoch=epoch)
    return AppendPlan(memoryview(data), base, base + count - 1, epoch, timestamp, len(data), roll, None)


def offsets(data: bytes | memoryview) -> list[tuple[int, int]]:
    """(base, last offset) of each batch; fails where the bytes are not whole, correct batches."""
    found = []
    at = 0
    while at < len(data):
        base, length, _, magic, crc = struct.unpack_from(">qiibI", data, at)
        delta = struct.unpack_from(">i", data, at + 23)[0]
        assert magic == 2
        assert at + 12 + length <= len(data)
        assert crc32c(data[at + 21 : at + 12 + length]) == crc
        found.append((base, base + delta))
        at += 12 + length
    return found


class Runner:
    """An event loop with its Env; `wait` runs it until a token is done. Close it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.env = Env(self.loop)

    def wait(self, value: Any) -> Any:
        """A token's result (an exception instance is raised); anything else as it is."""
        if isinstance(value, Token):
            if not value.done:
                future = self.loop.create_future()
                value.then(lambda _: future.done() or future.set_result(None))
                self.loop.run_until_complete(asyncio.wait_for(future, 30))
            value = value.result
        if isinstance(value, BaseException):
            raise value
        return value

    def turn(self) -> None:
        """Run what is due now."""
        self.loop.run_until_complete(asyncio.sleep(0))

    def open(self, engine: Engine, ref: PartitionRef = REF, epoch: int = -1) -> Opened:
        opened = self.wait(engine.logs.open(ref, epoch))
        assert isinstance(opened, Opened)
        return opened

    def read(self, log: Any, offset: int, end: int, max_bytes: int = 1 << 20, *, at_least_one: bool = True) -> bytes:
        """The bytes read; empty where `read` says None."""
        chunk = self.wait(log.read(offset, end, max_bytes, at_least_one=at_least_one))
        if chunk is None:
            return b""
        assert isinstance(chunk, Chunk)
        data = bytes(chunk.data)
        chunk.release()
        return data

    def read_all(self, log: Any, offset: int, end: int, max_bytes: int = 1 << 20) -> list[tuple[int, int]]:
        """All batches from `offset` to `end`, by as many reads as it takes."""
        found: list[tuple[int, int]] = []
        while offset < end:
            batches = offsets(self.read(log, offset, end, max_bytes))
            if not batches:
                break
            found += batches
            offset = batches[-1][1] + 1
        return found

    def wait_durable(self, log: Any, offset: int, reported: list[int]) -> None:
        """Until `on_durable` has reported `offset`."""
        token = Token()

        def hook(end: int) -> None:
            reported.append(end)
            if end >= offset:
                token.complete()

        log.on_durable = hook
        if not reported or reported[-1] < offset:
            self.wait(token)

    def close(self) -> None:
        self.env.close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
