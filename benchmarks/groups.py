"""Heartbeats, and what many groups cost: classic groups of one member each, which joined by raw requests.

Every broker is asked the same: JoinGroup v3 is the last version that gives a new member its id at once. Members stay
for half an hour without a heartbeat, which is the longest that both brokers allow, and leave when they are measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import frames
from brokers import Given
from measures import CPU_PER_REQUEST, RATE, Bench, Figures, await_coordinator, create_topic

from flymq_protocol.api.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from flymq_protocol.api.k13_leave_group import LeaveGroupRequest, MemberIdentity
from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from flymq_protocol.errors import ErrorCode
from flymq_protocol.framing import decode_response, encode_request
from flymq_protocol.message import Message

MANY = 5_000
_WARM_UP = 500
_SESSION_TIMEOUT_MS = 1_800_000
_CONNECTIONS = 50  # one waits while its group gets its generation
_TRIES = 100  # of a coordinator that is about to come
_VERSION = 3  # of the requests here
_COMES_LATER = {ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR}
_T = TypeVar("_T")
_S = TypeVar("_S")


class Member(NamedTuple):
    """Of a group that has no other."""

    group: str
    generation: int
    id: str


# -- measures -------------------------------------------------------------------------------------


def heartbeats(bench: Bench, broker: Given, topic: str, groups: int, count: int = 20_000) -> Figures:
    """To each of so many groups in turn, by its one member; 5 in flight."""
    create_topic(broker, topic)
    await_coordinator(broker)
    members = join(broker, _names(topic, groups))
    figures = bench.requests(broker, [frames.heartbeat(*one) for one in members], count, in_flight=5)
    leave(broker, members)
    return {RATE: figures[RATE], CPU_PER_REQUEST: figures[CPU_PER_REQUEST]}


def memory(broker: Given, count: int = MANY) -> Figures:
    """Of a new broker that has had a few groups. A JVM's grows by its garbage."""
    await_coordinator(broker)
    join(broker, _names("warm-up", _WARM_UP))
    before = broker.rss_mb()
    join(broker, _names("memory", count))
    return {"RSS KB a group": (broker.rss_mb() - before) * 1000 / count}


def _names(prefix: str, count: int) -> list[str]:
    """Of one length, so that all answers have their error code at the same place."""
    return [f"{prefix}-{number:05}" for number in range(count)]


# -- joining and leaving --------------------------------------------------------------------------


def join(broker: Given, groups: Sequence[str]) -> list[Member]:
    """Each group has its assignment then: its member is to send heartbeats only."""
    return asyncio.run(_for_all(broker, _join, groups))


def leave(broker: Given, members: Sequence[Member]) -> None:
    asyncio.run(_for_all(broker, _leave, members))


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, request: Message) -> Any:
        self.writer.write(encode_request(request, _VERSION, 1, frames.CLIENT_ID))
        size = int.from_bytes(await self._reader.readexactly(4), "big")
        return decode_response(request.KEY, _VERSION, await self._reader.readexactly(size))[1]


async def _for_all(broker: Given, work: Callable[[_Connection, _T], Awaitable[_S]], items: Sequence[_T]) -> list[_S]:
    """One item at a time on each of some connections."""
    host, port = broker.bootstrap.split(":")
    todo, done = iter(items), []

    async def go() -> None:
        connection = _Connection(*await asyncio.open_connection(host, int(port)))
        for item in todo:
            done.append(await work(connection, item))
        connection.writer.close()
        await connection.writer.wait_closed()

    await asyncio.gather(*(go() for _ in range(min(_CONNECTIONS, len(items)))))
    return done


async def _join(connection: _Connection, group: str) -> Member:
    protocols = [JoinGroupRequestProtocol("one", b"")]
    request = JoinGroupRequest(
        group, _SESSION_TIMEOUT_MS, 60_000, member_id="", protocol_type="bench", protocols=protocols
    )
    joined = await connection.ask(request)
    for _ in range(_TRIES):
        if joined.error_code not in _COMES_LATER:
            break
        await asyncio.sleep(0.1)
        joined = await connection.ask(request)
    assert not joined.error_code, ErrorCode(joined.error_code)
    member = Member(group, joined.generation_id, joined.member_id)
    assignments = [SyncGroupRequestAssignment(member.id, b"all")]
    synced = await connection.ask(SyncGroupRequest(*member, assignments=assignments))
    assert (synced.error_code, synced.assignment) == (0, b"all"), synced
    return member


async def _leave(connection: _Connection, member: Member) -> None:
    answer = await connection.ask(LeaveGroupRequest(member.group, members=[MemberIdentity(member.id)]))
    assert not answer.error_code, ErrorCode(answer.error_code)
    assert [one.error_code for one in answer.members] == [0], answer
