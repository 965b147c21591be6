"""Offsets in transactions: what groups do for the coordinator, and what a store that is slow or fails means for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from flymq.env import Token
from flymq.runtime.groups import Groups
from flymq.runtime.waiting import Ended, Pending
from flymq.storage.api import EngineError, Unavailable
from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from flymq_protocol.api.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from flymq_protocol.errors import ErrorCode

from .test_groups import TOPIC_ID, Broker, Settings, Store, finished
from .test_groups import fetch as fetch_plain

OK = ErrorCode.NONE


class SlowStore(Store):
    """Writes are in force at once but told only when `release` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Token] = []

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        super().write(shard, puts, deletes)
        self.waiting.append(Token())
        return self.waiting[-1]

    def release(self, result: Any = None) -> None:
        waiting, self.waiting = self.waiting, []
        for token in waiting:
            token.complete(result)


class Verdict:
    """In the place of the transaction coordinator: says of every transaction what the test wants."""

    def __init__(self, error: ErrorCode = OK) -> None:
        self.error = error
        self.asked: list[tuple[str, int, int, str, int]] = []

    def verify_offsets(
        self, transactional_id: str, producer_id: int, producer_epoch: int, group_id: str, api_version: int
    ) -> ErrorCode:
        self.asked.append((transactional_id, producer_id, producer_epoch, group_id, api_version))
        return self.error


@pytest.fixture
def broker() -> Broker:
    return started()


def started(store: Store | None = None) -> Broker:
    broker = Broker(store)
    broker.services.transactions = Verdict()
    broker.groups.load()
    return broker


def asking(
    offset: int = 8, *, group: str = "g", producer: int = 7, epoch: int = 2, partition: int = 0, topic: str = "t",
    **fields: Any,
) -> TxnOffsetCommitRequest:
    wanted = TxnOffsetCommitRequestPartition(partition, offset, committed_metadata="m")
    return TxnOffsetCommitRequest(
        "x", group, producer, epoch, topics=[TxnOffsetCommitRequestTopic(topic, [wanted])], **fields
    )


def code(answer: Any) -> int:
    ((error,),) = [[partition.error_code for partition in topic.partitions] for topic in answer.topics]
    return int(error)


def stable(broker: Broker, version: int, partitions: list[int] | None) -> list[tuple[int, int, int]]:
    """OffsetFetch with require_stable: (partition, offset, error)."""
    topics: Any
    if version < 8:
        topics = None if partitions is None else [OffsetFetchRequestTopic("t", partitions)]
        answer = broker.send(9, version, OffsetFetchRequest("g", topics=topics, require_stable=True))
    else:
        topics = None if partitions is None else [OffsetFetchRequestTopics("t", TOPIC_ID, partitions)]
        groups = [OffsetFetchRequestGroup("g", topics=topics)]
        (answer,) = broker.send(9, version, OffsetFetchRequest(groups=groups, require_stable=True)).groups
    assert answer.error_code == OK
    return [(p.partition_index, p.committed_offset, p.error_code) for topic in answer.topics for p in topic.partitions]


# -- TxnOffsetCommit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", range(6))
def test_commit_in_every_version(broker: Broker, version: int) -> None:
    assert code(broker.send(28, version, asking())) == OK
    assert broker.services.transactions.asked == [("x", 7, 2, "g", version)]
    assert broker.groups.open_transactions() == {broker.groups.shard_of("g"): {7: 2}}
    assert fetch_plain(broker, 9, [0]) == [(0, -1, -1, "", 0)]
    ended = broker.groups.end_transaction(broker.groups.shard_of("g"), 7, True)
    assert (ended.done, ended.result) == (True, None)
    assert fetch_plain(broker, 9, [0]) == [(0, 8, -1, "m", 0)]
    assert broker.groups.open_transactions() == {}


@pytest.mark.parametrize(("told", "error"), [
    (ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH),
    (ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.INVALID_PRODUCER_ID_MAPPING),
    (ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.CONCURRENT_TRANSACTIONS),
])
def test_what_the_transaction_does_not_allow(broker: Broker, told: ErrorCode, error: ErrorCode) -> None:
    broker.services.transactions = Verdict(told)
    assert code(broker.send(28, 5, asking())) == error
    assert broker.store.rows == {}


def test_partitions_that_do_not_exist_are_refused_alone(broker: Broker) -> None:
    request = asking()
    request.topics[0].partitions.append(TxnOffsetCommitRequestPartition(2, 8, committed_metadata=None))
    request.topics.append(TxnOffsetCommitRequestTopic("other", [
        TxnOffsetCommitRequestPartition(0, 8, committed_metadata=None)
    ]))
    answer = broker.send(28, 5, request)
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert [[p.error_code for p in topic.partitions] for topic in answer.topics] == [[OK, unknown], [unknown]]


def test_without_a_partition_that_exists_the_transaction_is_not_asked(broker: Broker) -> None:
    assert code(broker.send(28, 5, asking(topic="other"))) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert broker.services.transactions.asked == []
    assert code(broker.send(28, 5, asking(group=""))) == ErrorCode.INVALID_GROUP_ID
    assert broker.services.transactions.asked == []


def test_metadata_too_large(broker: Broker) -> None:
    request = asking()
    request.topics[0].partitions[0].committed_metadata = "x" * 4097
    assert code(broker.send(28, 5, request)) == ErrorCode.OFFSET_METADATA_TOO_LARGE


def test_members_are_fenced(broker: Broker) -> None:
    member = broker.stable()
    assert code(broker.send(28, 3, asking(generation_id=1, member_id=member))) == OK
    assert code(broker.send(28, 3, asking(generation_id=0, member_id=member))) == ErrorCode.ILLEGAL_GENERATION
    assert code(broker.send(28, 3, asking(generation_id=1, member_id="ghost"))) == ErrorCode.UNKNOWN_MEMBER_ID
    assert code(broker.send(28, 2, asking())) == OK


# -- OffsetFetch with require_stable ------------------------------------------------------------------


@pytest.mark.parametrize("version", range(7, 11))
def test_unstable_offsets(broker: Broker, version: int) -> None:
    broker.commit(9, partition=0)
    broker.commit(9, partition=1)
    broker.send(28, 5, asking(partition=1))
    expected = [(0, 5, OK), (1, -1, ErrorCode.UNSTABLE_OFFSET_COMMIT)]
    assert stable(broker, version, [0, 1]) == expected
    assert stable(broker, version, None) == expected
    assert [row[:2] for row in fetch_plain(broker, version, [0, 1])] == [(0, 5), (1, 5)]
    broker.groups.end_transaction(broker.groups.shard_of("g"), 7, True)
    assert stable(broker, version, [0, 1]) == [(0, 5, OK), (1, 8, OK)]


# -- for the coordinator ------------------------------------------------------------------------------


def test_answers_wait_until_it_is_durable() -> None:
    store = SlowStore()
    broker = started(store)
    waiting = broker.send(28, 5, asking())
    assert isinstance(waiting, Pending)
    assert not waiting.token.done
    store.release()
    assert code(finished(waiting, 5)) == OK
    shard = broker.groups.shard_of("g")
    ended = broker.groups.end_transaction(shard, 7, True)
    again = broker.groups.end_transaction(shard, 7, True)  # nothing is left to end, yet it isn't durable that it ended
    assert (ended.done, again.done) == (False, False)
    assert broker.groups.open_transactions() == {}
    store.release()
    assert (ended.done, ended.result, again.done, again.result) == (True, None, True, None)


def test_an_end_that_could_not_be_stored_is_tried_again() -> None:
    store = SlowStore()
    broker = started(store)
    broker.send(28, 5, asking())
    store.release()
    kept = {shard: dict(rows) for shard, rows in store.rows.items()}
    shard = broker.groups.shard_of("g")
    ended = broker.groups.end_transaction(shard, 7, True)
    store.rows = kept
    store.release(Unavailable("broken"))
    assert ended.result == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert broker.groups.open_transactions() == {shard: {7: 2}}
    ended = broker.groups.end_transaction(shard, 7, True)
    store.release()
    assert ended.result is None
    assert [row[:2] for row in fetch_plain(broker, 9, [0])] == [(0, 8)]


def test_a_shard_that_has_nothing_is_done(broker: Broker) -> None:
    for shard in range(3):
        ended = broker.groups.end_transaction(shard, 7, True)
        assert (ended.done, ended.result) == (True, None)
    assert broker.store.rows == {}


def test_a_restart_tells_what_is_open(broker: Broker) -> None:
    for group, producer in (("g", 7), ("h", 7), ("h", 9)):
        broker.send(28, 5, asking(group=group, producer=producer))
    again = started(broker.store)
    one, other = map(again.groups.shard_of, "gh")
    assert one != other
    assert again.groups.open_transactions() == {one: {7: 2}, other: {7: 2, 9: 2}}


def test_a_restart_forgets_pending_offsets_of_topics_that_are_gone(broker: Broker) -> None:
    broker.send(28, 5, asking())
    again = Broker(broker.store)
    again.groups.load(lambda topic_id: topic_id != TOPIC_ID)
    assert again.groups.open_transactions() == {}
    assert not any(broker.store.rows.values())


def test_another_count_of_shards_is_noticed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.send(28, 5, asking())
    monkeypatch.setitem(Settings.values, "offsets.topic.num.partitions", 49)
    with pytest.raises(EngineError, match="than 49"):
        Groups(broker.env, broker.store, Settings(), broker.fatal.append).load()


def test_after_close(broker: Broker) -> None:
    broker.send(28, 5, asking())
    broker.groups.close()
    ended = broker.groups.end_transaction(broker.groups.shard_of("g"), 7, True)
    assert ended.result is Ended.SHUTDOWN
    assert code(broker.send(28, 5, asking())) == ErrorCode.COORDINATOR_NOT_AVAILABLE
