"""Transactions over stores that are slow or fail, and what a start makes of what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from flymq.core.catalog import Topic
from flymq.core.group.events import CommitTxnOffsets, FetchOffsets, OffsetEntry
from flymq.core.log.plan import AppendPlan
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.core.txn.events import DescribeTransaction, EndTxn, InitProducerId, ListTransactions
from flymq.core.txn.transaction import Producer, State
from flymq.env import Token, completed
from flymq.runtime.groups import Groups, shard_of
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.producer_ids import ProducerIds
from flymq.runtime.transactions import PREFIX, Transactions
from flymq.runtime.waiting import Ended
from flymq.storage.api import DiskFull, EngineError, Unavailable
from flymq.storage.memory import MemoryEngine, MemoryShardStore
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.record import Record, build_batch

from .test_shards import ManualEnv

OK, WRONG, ABORTABLE = ErrorCode.NONE, ErrorCode.INVALID_TXN_STATE, ErrorCode.TRANSACTION_ABORTABLE
TOPIC = Topic("t", b"\1" * 16, 2)
NEWEST = 13
COMMIT = True


class Shards(MemoryShardStore):
    """Writes to shards of transactions wait for `release` while `holds`, or fail while `broken`."""

    def __init__(self) -> None:
        super().__init__()
        self.holds = self.broken = False
        self.waiting: list[tuple[Token, Any]] = []

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        if self.broken:
            return completed(Unavailable("broken"))
        if not self.holds or not shard.startswith(PREFIX):
            return super().write(shard, puts, deletes)
        self.waiting.append((Token(), (shard, list(puts), list(deletes))))
        return self.waiting[-1][0]

    def release(self, failure: Exception | None = None) -> None:
        """The oldest write is durable, or fails."""
        token, write = self.waiting.pop(0)
        if failure is None:
            super().write(*write)
        token.complete(failure)


class Env(ManualEnv):
    def __init__(self) -> None:
        super().__init__()
        self.points: list[str] = []

    def reached(self, point: str) -> None:
        self.points.append(point)

    def call_soon(self, callback: Any, *args: Any) -> None:
        self.call_in(0, callback, *args)

    def random_bytes(self, count: int) -> bytes:
        return bytes(count)


class Rig:
    """One broker's life over an engine."""

    def __init__(self, engine: MemoryEngine | None = None, **settings: str) -> None:
        self.env = Env()
        if engine is None:
            engine = MemoryEngine(self.env)
            engine.shards = Shards()
        self.engine = engine
        self.fatal: list[BaseException] = []
        config = BrokerConfig([{name.replace("_", "."): (value, "test") for name, value in settings.items()}])
        self.partitions = Partitions(self.env, engine.logs, 86_400_000)
        self.partitions.open_topic(TOPIC, TopicConfig.of(config, {}))
        self.groups = Groups(self.env, engine.shards, config, self.fatal.append)
        self.groups.load()
        self.transactions = Transactions(
            self.env, engine.shards, self.partitions, self.groups, ProducerIds(engine.shards), config, self.fatal.append
        )
        self.transactions.load()

    def restarted(self, **settings: str) -> Rig:
        return Rig(self.engine, **settings)

    @property
    def shards(self) -> Shards:
        assert isinstance(self.engine.shards, Shards)
        return self.engine.shards

    def partition(self, index: int = 0) -> Partition:
        found = self.partitions.find("t", index)
        assert found is not None
        return found

    def init(self, name: str = "x", timeout_ms: int = 60_000) -> Producer:
        producer = self.transactions.request_producer(InitProducerId(name, timeout_ms)).result
        assert isinstance(producer, Producer), producer
        return producer

    def verify(self, producer: Producer, index: int = 0, version: int = NEWEST, name: str = "x") -> ErrorCode:
        return self.transactions.verify(name, producer.id, producer.epoch, self.partition(index), version)

    def write(self, producer: Producer, index: int = 0, sequence: int = 0) -> None:
        """One record, whatever the coordinator says."""
        batch = build_batch(
            [Record(0, 1_000, None, b"x", [])], producer_id=producer.id, producer_epoch=producer.epoch,
            base_sequence=sequence, transactional=True,
        )
        assert isinstance(self.partition(index).append(memoryview(batch), 1_000), AppendPlan)

    def open(self, name: str = "x", **options: Any) -> Producer:
        """A transaction of both partitions and group "g"."""
        producer = self.init(name, **options)
        for index in (0, 1):
            assert self.verify(producer, index, name=name) == OK
            self.write(producer, index)
        assert self.transactions.verify_offsets(name, producer.id, producer.epoch, "g", 5) == OK
        entry = OffsetEntry(TOPIC.id, "t", 0, 7, -1, "")
        staged = CommitTxnOffsets("g", -1, "", [entry], producer_id=producer.id, producer_epoch=producer.epoch)
        assert self.groups.request(staged).result == [OK]
        return producer

    def end(self, producer: Producer, commit: bool = COMMIT, name: str = "x") -> Token:
        return self.transactions.request_producer(EndTxn(name, producer, commit, bumps=True))

    def state(self, name: str = "x") -> State:
        described = self.transactions.request(DescribeTransaction(name)).result
        state: State = described.state
        return state

    def is_open(self) -> list[bool]:
        """In both partitions and the group."""
        return [*(bool(self.partition(index).open_transactions()) for index in (0, 1)),
                bool(self.groups.open_transactions())]

    def committed(self) -> int | None:
        (fetched,) = self.groups.request(FetchOffsets("g", [(TOPIC.id, [0])])).result
        return fetched.partitions[0].offset if fetched.partitions else None


@pytest.fixture
def rig() -> Rig:
    return Rig()


# -- an end ---------------------------------------------------------------------------------------


def test_an_end_reaches_every_target_in_order(rig: Rig) -> None:
    producer = rig.open()
    assert rig.end(producer).result == Producer(producer.id, 1)
    assert (rig.is_open(), rig.committed(), rig.state()) == ([False] * 3, 7, State.COMPLETE_COMMIT)
    assert rig.env.points == [
        "txn.prepared", "txn.marker_written", "txn.marker_written", "txn.marked", "txn.groups_ended", "txn.completed"
    ]


def test_nobody_is_told_before_the_decision_is_durable(rig: Rig) -> None:
    producer = rig.open()
    rig.shards.holds = True
    token = rig.end(producer)
    assert (rig.is_open(), rig.env.points) == ([True] * 3, [])
    rig.shards.release()
    assert (rig.is_open(), rig.committed(), token.done) == ([False] * 3, 7, False)
    rig.shards.release()
    assert token.result == Producer(producer.id, 1)


def test_a_marker_that_fails_is_written_again_and_the_others_not(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = rig.open()
    store = rig.partition(1).store
    append = type(store).append
    full = [DiskFull("full"), DiskFull("full")]

    def fail(log: Any, plan: AppendPlan) -> None:
        if log is store and full:
            raise full.pop()
        append(log, plan)

    monkeypatch.setattr(type(store), "append", fail)
    token = rig.end(producer)
    assert (rig.is_open(), rig.committed()) == ([False, True, True], None)
    rig.env.advance(100)
    assert (rig.is_open(), full) == ([False, True, True], [])
    rig.env.advance(199)
    assert not token.done
    rig.env.advance(1)
    assert (rig.is_open(), rig.committed()) == ([False] * 3, 7)
    assert token.result == Producer(producer.id, 1)
    assert [rig.partition(index).log.end for index in (0, 1)] == [2, 2]


def test_a_partition_that_is_offline_is_waited_for(rig: Rig) -> None:
    producer = rig.open()
    rig.partition().offline = Unavailable("broken")
    token = rig.end(producer)
    rig.env.advance(3_600_000)
    assert (token.done, rig.state(), rig.committed()) == (False, State.PREPARE_COMMIT, None)
    again = rig.end(producer)
    assert again.result == ErrorCode.CONCURRENT_TRANSACTIONS
    rig.partition().offline = None
    rig.env.advance(10_000)
    assert token.result == Producer(producer.id, 1)


def test_a_topic_that_is_deleted_meanwhile_is_done(rig: Rig) -> None:
    producer = rig.open()
    rig.partition().offline = Unavailable("broken")
    token = rig.end(producer)
    rig.partitions.close_topic(TOPIC)
    rig.env.advance(10_000)
    assert (token.result, rig.committed()) == (Producer(producer.id, 1), 7)


def test_time_is_up(rig: Rig) -> None:
    producer = rig.open(timeout_ms=1000)
    rig.env.advance(999)
    assert rig.is_open() == [True] * 3
    rig.env.advance(1)
    assert (rig.is_open(), rig.committed(), rig.state()) == ([False] * 3, None, State.COMPLETE_ABORT)
    assert rig.verify(producer) == ErrorCode.PRODUCER_FENCED


def test_after_the_last_epoch_comes_an_id_from_the_store(rig: Rig) -> None:
    producer = rig.init()
    for _ in range(2):
        machine = next(iter(rig.transactions._machines.values()))
        machine.transactions["x"].producer = producer = Producer(producer.id, 32766)
        assert rig.verify(producer) == OK
        following = rig.end(producer).result
        assert following.epoch == 0
        assert following.id > producer.id
        producer = following


def test_no_id_can_be_had(rig: Rig) -> None:
    rig.shards.broken = True
    token = rig.transactions.request_producer(InitProducerId("x", 1000))
    assert token.result == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS


# -- a store that fails ---------------------------------------------------------------------------


def test_a_decision_that_was_not_stored_is_none(rig: Rig) -> None:
    producer = rig.open()
    rig.shards.holds = True
    token = rig.end(producer)
    rig.shards.release(Unavailable("broken"))
    assert token.result == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert (rig.state(), rig.is_open()) == (State.ONGOING, [True] * 3)
    rig.shards.holds = False
    assert rig.end(producer, not COMMIT).result == Producer(producer.id, 1)
    assert (rig.is_open(), rig.committed()) == ([False] * 3, None)


def test_a_completion_that_was_not_stored_is_done_again(rig: Rig) -> None:
    producer = rig.open()
    rig.shards.holds = True
    token = rig.end(producer)
    rig.shards.release()
    rig.shards.release(Unavailable("broken"))
    assert token.result == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert rig.env.points.count("txn.prepared") == 2, "the decision is driven on"
    rig.shards.release()
    assert rig.state() is State.COMPLETE_COMMIT
    assert rig.end(producer).result == Producer(producer.id, 1)
    assert [rig.partition(index).log.end for index in (0, 1)] == [2, 2], "no second marker"


def test_an_add_that_was_written_behind_and_lost_is_found_in_the_log(rig: Rig) -> None:
    producer = rig.init()
    rig.shards.holds = True
    assert rig.verify(producer) == OK
    rig.write(producer)
    rig.shards.release(Unavailable("broken"))
    assert rig.verify(producer) == OK
    rig.shards.release()  # what was found is written
    rig.shards.holds = False
    assert rig.state() is State.ONGOING
    assert rig.end(producer).result == Producer(producer.id, 1)
    assert rig.is_open() == [False] * 3


def test_what_replaced_an_end_is_what_counts(rig: Rig) -> None:
    """The shard is loaded anew while a marker is waited for: one end, not two."""
    producer = rig.open()
    rig.partition().offline = Unavailable("broken")
    token = rig.end(producer)
    rig.shards.holds = True
    rig.transactions.request_producer(InitProducerId("x", 1000))  # held: writes nothing
    other = next(name for name in map(str, range(1000)) if shard_of(name, 50) == shard_of("x", 50))
    rig.transactions.request_producer(InitProducerId(other, 1000))
    rig.shards.release(Unavailable("broken"))
    assert token.result == ErrorCode.COORDINATOR_NOT_AVAILABLE
    rig.shards.holds = False
    rig.partition().offline = None
    rig.env.advance(60_000)
    assert rig.state() is State.COMPLETE_COMMIT
    assert rig.env.points.count("txn.completed") == 1


# -- verify ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "code"),
    [(3, WRONG), (10, WRONG), (11, ABORTABLE), (12, OK)],
)
def test_a_partition_is_added_from_v12_on(rig: Rig, version: int, code: ErrorCode) -> None:
    producer = rig.init()
    assert rig.verify(producer, version=version) == code
    assert rig.state() is (State.EMPTY if code else State.ONGOING)


@pytest.mark.parametrize(
    ("version", "code"),
    [(0, WRONG), (3, WRONG), (4, ABORTABLE), (5, OK)],
)
def test_a_group_is_added_from_v5_on(rig: Rig, version: int, code: ErrorCode) -> None:
    producer = rig.init()
    assert rig.transactions.verify_offsets("x", producer.id, 0, "g", version) == code


def test_what_was_verified_is_verified_anew_after_each_change(rig: Rig) -> None:
    producer = rig.open()
    assert rig.verify(producer) == OK
    assert rig.verify(Producer(producer.id, 1)) == ErrorCode.PRODUCER_FENCED
    assert rig.verify(Producer(77, 0)) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    rig.partition().offline = Unavailable("broken")
    rig.end(producer)
    assert rig.verify(Producer(producer.id, 1)) == ErrorCode.CONCURRENT_TRANSACTIONS
    assert rig.transactions.verify_offsets("x", producer.id, 1, "g", 5) == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    rig.partition().offline = None
    rig.env.advance(10_000)
    assert rig.verify(producer) == ErrorCode.PRODUCER_FENCED
    assert rig.verify(Producer(producer.id, 1)) == OK


# -- a start --------------------------------------------------------------------------------------


def test_a_decision_is_driven_on_after_a_restart(rig: Rig) -> None:
    producer = rig.open()
    rig.partition(1).offline = Unavailable("broken")
    rig.end(producer)
    assert rig.is_open() == [False, True, True]
    again = rig.restarted()
    assert (again.is_open(), again.committed(), again.state()) == ([False] * 3, 7, State.COMPLETE_COMMIT)
    assert again.end(producer).result == Producer(producer.id, 1)


def test_what_is_open_goes_on_and_has_what_is_left_of_its_time(rig: Rig) -> None:
    producer = rig.open(timeout_ms=1000)
    again = rig.restarted()
    assert (again.state(), again.is_open()) == (State.ONGOING, [True] * 3)
    again.env.advance(999)
    assert again.state() is State.ONGOING
    again.env.advance(1)
    assert (again.state(), again.is_open()) == (State.COMPLETE_ABORT, [False] * 3)
    assert again.end(producer).result == ErrorCode.PRODUCER_FENCED


def test_what_no_row_knows_is_aborted(rig: Rig) -> None:
    rig.open()
    for name in rig.shards.shards():
        if name.startswith(PREFIX):
            rig.shards.write(name, [], [key for key, _ in rig.shards.load(name)])
    again = rig.restarted()
    assert (again.is_open(), again.committed()) == ([False] * 3, None)
    assert again.transactions.list_transactions(ListTransactions).result == []


def test_another_number_of_shards_is_refused(rig: Rig) -> None:
    rig.init()
    with pytest.raises(EngineError, match=r"transaction\.state\.log\.num\.partitions than 7"):
        rig.restarted(transaction_state_log_num_partitions="7")


def test_the_end_of_the_broker(rig: Rig) -> None:
    producer = rig.open()
    rig.partition().offline = Unavailable("broken")
    token = rig.end(producer)
    rig.transactions.close()
    assert token.result is Ended.SHUTDOWN
    assert rig.end(producer).result is Ended.SHUTDOWN
    rig.partition().offline = None
    rig.env.advance(60_000)
    assert rig.is_open() == [True, False, True], "what is left is for the next start"
    assert rig.restarted().is_open() == [False] * 3
