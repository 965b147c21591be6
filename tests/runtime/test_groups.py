"""Groups over a store, and the handlers of the classic protocol over the wire's own codec."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar
from unittest.mock import patch

import pytest

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import (
    k08_offset_commit,
    k09_offset_fetch,
    k11_join_group,
    k12_heartbeat,
    k13_leave_group,
    k14_sync_group,
    k15_describe_groups,
    k16_list_groups,
    k28_txn_offset_commit,
    k42_delete_groups,
    k47_offset_delete,
)
from flymq.env import Env, Token, completed
from flymq.runtime.groups import Groups, java_hash, shard_of
from flymq.runtime.waiting import Ended, Pending
from flymq.storage.api import EngineError, ShardStore, Unavailable
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from flymq_protocol.api.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from flymq_protocol.api.k12_heartbeat import HeartbeatRequest
from flymq_protocol.api.k13_leave_group import LeaveGroupRequest, MemberIdentity
from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from flymq_protocol.api.k15_describe_groups import DescribeGroupsRequest
from flymq_protocol.api.k16_list_groups import ListGroupsRequest
from flymq_protocol.api.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from flymq_protocol.api.k42_delete_groups import DeleteGroupsRequest
from flymq_protocol.api.k47_offset_delete import OffsetDeleteRequest
from flymq_protocol.errors import ErrorCode

from .test_shards import ManualEnv

HANDLERS = {
    8: k08_offset_commit, 9: k09_offset_fetch, 11: k11_join_group, 12: k12_heartbeat, 13: k13_leave_group,
    14: k14_sync_group, 15: k15_describe_groups, 16: k16_list_groups, 28: k28_txn_offset_commit,
    42: k42_delete_groups, 47: k47_offset_delete,
}
REQUESTS = {
    8: OffsetCommitRequest, 9: OffsetFetchRequest, 11: JoinGroupRequest, 12: HeartbeatRequest, 13: LeaveGroupRequest,
    14: SyncGroupRequest, 15: DescribeGroupsRequest, 16: ListGroupsRequest, 28: TxnOffsetCommitRequest,
    42: DeleteGroupsRequest, 47: OffsetDeleteRequest,
}
TOPIC_ID = bytes(range(16))


class Store(ShardStore):
    """Rows by shard, in memory; `broken` makes every write fail."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        self.held: list[tuple[Token, str, list[tuple[str, str]]]] | None = None
        self.broken = False

    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        return iter(sorted(self.rows.get(shard, {}).items()))

    def shards(self) -> list[str]:
        return [shard for shard, rows in self.rows.items() if rows]

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        if self.broken:
            return completed(Unavailable("broken"))
        rows = self.rows.setdefault(shard, {})
        rows.update(puts)
        for key in deletes:
            rows.pop(key, None)
        return completed()


class Settings:
    values: ClassVar[dict[str, Any]] = {
        "group.initial.rebalance.delay.ms": 3000,
        "group.min.session.timeout.ms": 6000,
        "group.max.session.timeout.ms": 1800000,
        "group.max.size": 100,
        "group.consumer.session.timeout.ms": 45000,
        "group.consumer.heartbeat.interval.ms": 5000,
        "group.consumer.assignment.interval.ms": 0,
        "group.consumer.max.size": 100,
        "group.consumer.assignors": ["uniform", "range"],
        "group.consumer.migration.policy": "bidirectional",
        "offset.metadata.max.bytes": 4096,
        "offsets.retention.minutes": 10080,
        "offsets.retention.check.interval.ms": 600000,
        "offsets.topic.num.partitions": 50,
    }

    def int(self, name: str) -> int:
        value: int = self.values[name]
        return value

    str = list = int  # the values are of their types


class SeededEnv(ManualEnv):
    drawn = 0

    def random_bytes(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(count, "big")


class Topic:
    def __init__(self, name: str, topic_id: bytes) -> None:
        self.name = name
        self.id = topic_id
        self.partition_count = 2


class Topics:
    def __init__(self) -> None:
        self.one = Topic("t", TOPIC_ID)

    def get(self, name: str) -> Topic | None:
        return self.one if name == self.one.name else None

    def by_id(self, topic_id: bytes) -> Topic | None:
        return self.one if topic_id == self.one.id else None


class Broker:
    """As much of one as the handlers need; requests and answers pass through bytes."""

    def __init__(self, store: Store | None = None) -> None:
        self.store = store or Store()
        self.env = SeededEnv()
        self.fatal: list[BaseException] = []
        self.topics = Topics()
        self.groups = Groups(self.env, self.store, Settings(), self.fatal.append)
        self.services: Any = Services()
        self.services.groups = self.groups
        self.services.topics = self.topics

    def send(self, key: int, version: int, request: Any) -> Any:
        """The answer, or `Pending`."""
        context = RequestContext(key, version, "app", "127.0.0.1", ("localhost", 9092))
        decoded = REQUESTS[key].decode(version, memoryview(request.encode(version)))
        answer = HANDLERS[key].handle(context, decoded, self.services)  # type: ignore[attr-defined]
        return answer if isinstance(answer, Pending) else over_the_wire(answer, version)

    def join(self, version: int, member_id: str = "", **fields: Any) -> Any:
        return self.send(11, version, JoinGroupRequest(
            group_id="g", session_timeout_ms=10_000, rebalance_timeout_ms=60_000 if version else -1,
            member_id=member_id, protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol("range", b"meta"), JoinGroupRequestProtocol("range", b"twice")],
            **fields,
        ))

    def stable(self, version: int = 9) -> str:
        """One member in group g, Stable; its id."""
        waiting = self.join(3)
        self.env.advance(3_000)
        joined = finished(waiting, 3)
        sync = self.send(14, 0, SyncGroupRequest(
            group_id="g", generation_id=1, member_id=joined.member_id,
            assignments=[SyncGroupRequestAssignment(joined.member_id, b"mine")],
        ))
        assert sync.assignment == b"mine"
        member_id: str = joined.member_id
        return member_id

    def commit(self, version: int, *, partition: int = 0, name: str = "t", topic_id: bytes = TOPIC_ID,
               metadata: str | None = None, **fields: Any) -> int:
        wanted = OffsetCommitRequestPartition(partition, 5, 2, metadata)
        answer = self.send(8, version, OffsetCommitRequest(
            group_id="g", topics=[OffsetCommitRequestTopic(name, topic_id, [wanted])], **fields
        ))
        (topic,) = answer.topics
        assert (topic.topic_id == topic_id) if version >= 10 else (topic.name == name)
        (result,) = topic.partitions
        assert result.partition_index == partition
        error: int = result.error_code
        return error


def over_the_wire(answer: Any, version: int) -> Any:
    return type(answer).decode(version, memoryview(answer.encode(version)))


def finished(waiting: Any, version: int) -> Any:
    """The answer that a `Pending` became."""
    assert isinstance(waiting, Pending)
    assert waiting.token.done
    return over_the_wire(waiting.finish(waiting.token.result), version)


@pytest.fixture
def broker() -> Broker:
    return Broker()


# -- which shard ----------------------------------------------------------------------------------


def test_java_hash() -> None:
    # String.hashCode of a JDK.
    assert java_hash("") == 0
    assert java_hash("hello") == 99162322
    assert java_hash("polygenelubricants") == -(1 << 31)
    assert java_hash("\U0001f600") == 0xD83D * 31 + 0xDE00
    assert shard_of("polygenelubricants", 50) == 0
    assert shard_of("my-group", 50) == abs(java_hash("my-group")) % 50
    assert len({shard_of(f"group-{n}", 50) for n in range(2_000)}) == 50


# -- load and close -------------------------------------------------------------------------------


def test_load_brings_groups_back_and_drops_offsets_of_topics_that_are_gone(broker: Broker) -> None:
    member = broker.stable()
    assert broker.commit(9, generation_id_or_member_epoch=1, member_id=member) == 0
    again = Broker(broker.store)
    again.groups.load(lambda topic_id: True)
    assert again.send(12, 4, HeartbeatRequest("g", 1, member)).error_code == 0
    assert sum("offset/" in key for rows in again.store.rows.values() for key in rows) == 1
    gone = Broker(broker.store)
    gone.groups.load(lambda topic_id: False)
    assert not any("offset/" in key for rows in gone.store.rows.values() for key in rows)


def test_another_number_of_shards_is_refused(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.commit(9)
    monkeypatch.setitem(Settings.values, "offsets.topic.num.partitions", 7)
    with pytest.raises(EngineError, match=r"offsets\.topic\.num\.partitions"):
        Broker(broker.store).groups.load()


def test_rows_of_others_are_left_alone(broker: Broker) -> None:
    broker.store.rows["topics"] = {"not": "a group"}
    broker.groups.load()
    assert broker.send(16, 5, ListGroupsRequest()).groups == []


def test_a_deleted_topic(broker: Broker) -> None:
    broker.commit(9)
    broker.groups.topic_deleted(TOPIC_ID)
    assert not any(broker.store.rows.values())


def test_close_completes_what_waits_and_refuses_the_rest(broker: Broker) -> None:
    waiting = broker.join(3)
    broker.groups.close()
    assert waiting.token.result is Ended.SHUTDOWN
    assert finished(waiting, 3).error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    unavailable = ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert broker.join(9).error_code == unavailable
    assert broker.send(12, 4, HeartbeatRequest("g", 1, "m")).error_code == unavailable
    assert broker.send(13, 5, LeaveGroupRequest("g", members=[MemberIdentity("m")])).error_code == unavailable
    assert broker.send(14, 4, SyncGroupRequest("g", 1, "m")).error_code == unavailable
    assert broker.commit(9) == unavailable
    assert broker.send(15, 6, DescribeGroupsRequest(["g"])).groups[0].error_code == unavailable
    assert broker.send(42, 2, DeleteGroupsRequest(["g"])).results[0].error_code == unavailable
    fetched = broker.send(9, 8, OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=None)]))
    assert fetched.groups[0].error_code == unavailable
    assert broker.send(9, 7, OffsetFetchRequest("g", topics=None)).error_code == unavailable
    old = broker.send(9, 1, OffsetFetchRequest("g", topics=[OffsetFetchRequestTopic("t", [0])]))
    assert old.topics[0].partitions[0].error_code == unavailable


def test_a_failed_write_is_answered_and_the_group_is_as_it_was(broker: Broker) -> None:
    assert broker.commit(9) == 0
    broker.store.broken = True
    assert broker.commit(9, partition=1) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    broker.store.broken = False
    fetched = broker.send(9, 7, OffsetFetchRequest("g", topics=[OffsetFetchRequestTopic("t", [0, 1])]))
    assert [p.committed_offset for p in fetched.topics[0].partitions] == [5, -1]
    assert broker.fatal == []


# -- handlers: join, sync, heartbeat, leave ----------------------------------------------------------


@pytest.mark.parametrize("version", range(10))
def test_join_in_every_version(broker: Broker, version: int) -> None:
    waiting = broker.join(version)
    if version >= 4:
        assert waiting.error_code == ErrorCode.MEMBER_ID_REQUIRED
        assert waiting.member_id.startswith("app-")
        assert waiting.protocol_name == (None if version >= 7 else "")
        waiting = broker.join(version, waiting.member_id)
    broker.env.advance(3_000)
    joined = finished(waiting, version)
    assert (joined.error_code, joined.generation_id, joined.protocol_name) == (0, 1, "range")
    assert joined.protocol_type == ("consumer" if version >= 7 else None)
    assert joined.leader == joined.member_id
    assert [(m.member_id, m.metadata) for m in joined.members] == [(joined.member_id, b"meta")]
    assert not joined.skip_assignment


def test_v0_has_the_session_timeout_as_rebalance_timeout(broker: Broker) -> None:
    broker.join(0)
    waiting = broker.join(0)
    broker.env.advance(3_000)
    assert not waiting.token.done  # of 10 s, 7 are left for newcomers
    broker.env.advance(3_000)
    assert finished(waiting, 0).error_code == 0


def test_member_ids_end_in_a_uuid(broker: Broker) -> None:
    first, second = broker.join(9).member_id, broker.join(9).member_id
    assert first == "app-00000000-0000-4000-8000-000000000001"
    assert second != first


def test_sync_v5_wants_both_names(broker: Broker) -> None:
    member = broker.stable()
    for fields in ({}, {"protocol_type": "consumer"}, {"protocol_name": "range"}):
        answer = broker.send(14, 5, SyncGroupRequest("g", 1, member, **fields))
        assert answer.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    answer = broker.send(14, 5, SyncGroupRequest("g", 1, member, protocol_type="consumer", protocol_name="range"))
    assert (answer.error_code, answer.protocol_type, answer.protocol_name) == (0, "consumer", "range")
    assert answer.assignment == b"mine"


@pytest.mark.parametrize("version", range(5))
def test_heartbeat(broker: Broker, version: int) -> None:
    member = broker.stable()
    assert broker.send(12, version, HeartbeatRequest("g", 1, member)).error_code == 0
    assert broker.send(12, version, HeartbeatRequest("g", 7, member)).error_code == ErrorCode.ILLEGAL_GENERATION
    assert broker.send(12, version, HeartbeatRequest("", 1, member)).error_code == ErrorCode.INVALID_GROUP_ID


@pytest.mark.parametrize("version", range(6))
def test_leave(broker: Broker, version: int) -> None:
    member = broker.stable()

    def leave(member_id: str) -> Any:
        fields: dict[str, Any] = {"members": [MemberIdentity(member_id)]} if version >= 3 else {"member_id": member_id}
        return broker.send(13, version, LeaveGroupRequest("g", **fields))

    for member_id, error in (("ghost", ErrorCode.UNKNOWN_MEMBER_ID), (member, ErrorCode.NONE)):
        answer = leave(member_id)
        if version >= 3:
            assert answer.error_code == 0
            assert [(m.member_id, m.error_code) for m in answer.members] == [(member_id, error)]
        else:
            assert answer.error_code == error


# -- handlers: offsets --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(2, 11))
def test_commit_and_fetch_in_every_version(broker: Broker, version: int) -> None:
    assert broker.commit(version, metadata="m") == 0
    fetched = fetch(broker, version, [0, 1])
    epoch = 2 if version >= 6 else -1
    assert fetched == [(0, 5, epoch, "m", 0), (1, -1, -1, "", 0)]
    assert fetch(broker, version, None) == [(0, 5, epoch, "m", 0)]


def fetch(broker: Broker, version: int, partitions: list[int] | None, topic_id: bytes = TOPIC_ID) -> list[Any]:
    """OffsetFetch of the same number: (partition, offset, epoch, metadata, error)."""
    topics: Any
    if version < 8:
        topics = None if partitions is None else [OffsetFetchRequestTopic("t", partitions)]
        answer = broker.send(9, version, OffsetFetchRequest("g", topics=topics))
    else:
        topics = None if partitions is None else [OffsetFetchRequestTopics("t", topic_id, partitions)]
        whole = broker.send(9, version, OffsetFetchRequest(groups=[
            OffsetFetchRequestGroup("nobody", topics=topics), OffsetFetchRequestGroup("g", topics=topics),
        ]))
        nobody, answer = whole.groups
        assert (nobody.group_id, answer.group_id) == ("nobody", "g")
        assert all(p.committed_offset == -1 for topic in nobody.topics for p in topic.partitions)
    assert answer.error_code == 0
    (topic,) = answer.topics
    assert (topic.topic_id == topic_id) if version >= 10 else (topic.name == "t")
    return [
        (p.partition_index, p.committed_offset, p.committed_leader_epoch if version >= 6 else -1, p.metadata,
         p.error_code)
        for p in topic.partitions
    ]


def test_offsets_of_no_topic_or_partition_are_refused(broker: Broker) -> None:
    assert broker.commit(9, name="other") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert broker.commit(9, partition=2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert broker.commit(9, partition=-1) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert broker.commit(10, partition=2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert broker.commit(10, topic_id=b"?" * 16) == ErrorCode.UNKNOWN_TOPIC_ID
    assert broker.store.rows == {}
    assert fetch(broker, 10, [0], topic_id=b"?" * 16) == [(0, -1, -1, "", ErrorCode.UNKNOWN_TOPIC_ID)]


def test_one_bad_partition_does_not_stop_the_others(broker: Broker) -> None:
    parts = [OffsetCommitRequestPartition(n, 5, -1, metadata) for n, metadata in ((0, "x" * 5000), (1, "ok"), (2, ""))]
    answer = broker.send(8, 9, OffsetCommitRequest("g", topics=[OffsetCommitRequestTopic("t", TOPIC_ID, parts)]))
    assert [p.error_code for p in answer.topics[0].partitions] == [
        ErrorCode.OFFSET_METADATA_TOO_LARGE, 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]


def test_a_recreated_topic_shows_no_old_offsets(broker: Broker) -> None:
    broker.commit(9)
    broker.topics.one.id = b"n" * 16
    assert fetch(broker, 9, [0]) == [(0, -1, -1, "", 0)]
    assert broker.send(9, 7, OffsetFetchRequest("g", topics=None)).topics == []


def test_a_whole_refusal_goes_to_every_partition(broker: Broker) -> None:
    assert broker.commit(8, generation_id_or_member_epoch=3, member_id="m") == ErrorCode.ILLEGAL_GENERATION
    assert broker.commit(9, generation_id_or_member_epoch=3, member_id="m") == ErrorCode.GROUP_ID_NOT_FOUND


# -- handlers: admin ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(7))
def test_describe(broker: Broker, version: int) -> None:
    member = broker.stable()
    asked = DescribeGroupsRequest(["nobody", "g"], include_authorized_operations=version >= 3)
    nobody, found = broker.send(15, version, asked).groups
    assert (nobody.group_id, nobody.group_state, nobody.members) == ("nobody", "Dead", [])
    if version >= 6:
        assert (nobody.error_code, nobody.error_message) == (ErrorCode.GROUP_ID_NOT_FOUND, "Group nobody not found.")
    else:
        assert nobody.error_code == 0
    assert (found.error_code, found.group_state, found.protocol_type, found.protocol_data) == (
        0, "Stable", "consumer", "range",
    )
    (shown,) = found.members
    assert (shown.member_id, shown.client_id, shown.client_host) == (member, "app", "/127.0.0.1")
    assert (shown.member_metadata, shown.member_assignment) == (b"meta", b"mine")
    bits = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
    assert found.authorized_operations == (bits if version >= 3 else -(2**31))
    (unasked,) = broker.send(15, version, DescribeGroupsRequest(["g"])).groups
    assert unasked.authorized_operations == -(2**31)


@pytest.mark.parametrize(("states", "types", "count"), [
    ([], [], 2), (["STABLE"], [], 1), (["stable", "Empty"], ["Classic"], 2), (["Dead"], [], 0), ([], ["consumer"], 0),
])
def test_list(broker: Broker, states: list[str], types: list[str], count: int) -> None:
    broker.stable()
    broker.send(8, 9, OffsetCommitRequest("simple", topics=[
        OffsetCommitRequestTopic("t", TOPIC_ID, [OffsetCommitRequestPartition(0, 1)]),
    ]))
    listed = broker.send(16, 5, ListGroupsRequest(states, types)).groups
    assert len(listed) == count
    assert {group.group_type for group in listed} <= {"classic"}
    assert {group.group_state for group in listed} <= {"Stable", "Empty"}


def test_list_before_filters(broker: Broker) -> None:
    broker.stable()
    (group,) = broker.send(16, 0, ListGroupsRequest()).groups
    assert (group.group_id, group.protocol_type) == ("g", "consumer")


def test_delete(broker: Broker) -> None:
    broker.stable()
    broker.send(8, 9, OffsetCommitRequest("simple", topics=[
        OffsetCommitRequestTopic("t", TOPIC_ID, [OffsetCommitRequestPartition(0, 1)]),
    ]))
    answer = broker.send(42, 2, DeleteGroupsRequest(["simple", "g", "simple", "nobody"]))
    assert [(result.group_id, result.error_code) for result in answer.results] == [
        ("simple", 0), ("g", ErrorCode.NON_EMPTY_GROUP), ("nobody", ErrorCode.GROUP_ID_NOT_FOUND),
    ]


COMMIT = OffsetCommitRequest("g", topics=[OffsetCommitRequestTopic("t", TOPIC_ID, [OffsetCommitRequestPartition(0)])])


@pytest.mark.parametrize(("key", "request_", "version"), [
    (8, COMMIT, 9),
    (9, OffsetFetchRequest("g", topics=[OffsetFetchRequestTopic("t", [0])]), 7),
    (9, OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g", topics=[])]), 8),
    (11, JoinGroupRequest("g"), 6),
    (11, JoinGroupRequest("g"), 9),
    (12, HeartbeatRequest("g"), 4),
    (13, LeaveGroupRequest("g"), 5),
    (14, SyncGroupRequest("g"), 5),
    (15, DescribeGroupsRequest(["g"]), 6),
    (16, ListGroupsRequest(), 5),
    (28, TxnOffsetCommitRequest(
        "x", "g", topics=[TxnOffsetCommitRequestTopic("t", [TxnOffsetCommitRequestPartition(0)])]
    ), 5),
    (42, DeleteGroupsRequest(["g"]), 2),
    (47, OffsetDeleteRequest("g"), 0),
])
def test_every_handler_can_refuse(key: int, request_: Any, version: int) -> None:
    refused = HANDLERS[key].refuse(request_, ErrorCode.UNKNOWN_SERVER_ERROR)  # type: ignore[attr-defined]
    decoded = over_the_wire(refused, version)
    assert str(int(ErrorCode.UNKNOWN_SERVER_ERROR)) in repr(decoded)


def test_on_a_real_loop_a_group_forms() -> None:
    async def run() -> Any:
        env = Env(asyncio.get_running_loop())
        broker = Broker()
        settings = Settings()
        with patch.dict(Settings.values, {"group.initial.rebalance.delay.ms": 0}):
            groups = Groups(env, broker.store, settings, broker.fatal.append)
        broker.services.groups = groups
        waiting = broker.join(3)
        done = asyncio.Event()
        waiting.token.then(lambda result: done.set())
        await asyncio.wait_for(done.wait(), 10)
        groups.close()
        env.close()
        return finished(waiting, 3)

    assert asyncio.run(run()).generation_id == 1
