"""Produce of transactional batches: who is asked, what is refused, and as what."""

from __future__ import annotations

from typing import Any

import pytest

from flymq.storage.memory import MemoryShardStore
from flymq_protocol.api.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from flymq_protocol.errors import ErrorCode

from .batches import CRC, a_batch, patched
from .client import Client
from .kit import NO_ID, Topic, a_topic, fetch, producing
from .transactions import ABORT, COMMIT, Ledger, append, end, in_transaction
from .txn import start

OK = ErrorCode.NONE
REFUSED = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def code(client: Client, topic: Topic, batch: bytes, *, version: int = 13, transactional_id: str | None = "t") -> int:
    response = client.call(producing(topic, batch, transactional_id=transactional_id), version)
    return int(response.responses[0].partition_responses[0].error_code)


@pytest.mark.parametrize("version", range(3, 14))
def test_the_coordinator_is_asked(client: Client, ledger: Ledger, version: int) -> None:
    topic = a_topic(client)
    assert code(client, topic, in_transaction(7, 0, epoch=3), version=version) == OK
    assert ledger.asked == [("t", 7, 3, topic.name, 0, version)]
    data = fetch(client, topic)
    assert (data.high_watermark, data.last_stable_offset) == (1, 0)


def test_only_about_transactional_batches(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    assert code(client, topic, a_batch(producer=(7, 0, 0))) == OK
    assert code(client, topic, a_batch()) == OK
    assert ledger.asked == []
    assert fetch(client, topic).last_stable_offset == 2


@pytest.mark.parametrize("version", range(3, 14))
def test_not_without_a_transactional_id(client: Client, ledger: Ledger, version: int) -> None:
    topic = a_topic(client)
    assert code(client, topic, in_transaction(7, 0), version=version, transactional_id=None) == REFUSED
    assert (ledger.asked, fetch(client, topic).high_watermark) == ([], 0)


def test_one_batch_without_a_transactional_id_fails_all(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client, 2)
    data = [PartitionProduceData(0, a_batch()), PartitionProduceData(1, in_transaction(7, 0))]
    request = ProduceRequest(None, -1, 30_000, [TopicProduceData(topic.name, topic.id, data)])
    answers = client.call(request, 13).responses[0].partition_responses
    assert [(answer.index, answer.error_code) for answer in answers] == [(0, REFUSED), (1, REFUSED)]
    assert fetch(client, topic).high_watermark == 0


@pytest.mark.parametrize("batch", [[in_transaction(7, 0)], [a_batch(), in_transaction(7, 0)]])
def test_acks_0_without_a_transactional_id_hangs_up(client: Client, other: Client, batch: list[bytes]) -> None:
    topic = a_topic(other, 2)
    data = [PartitionProduceData(index, one) for index, one in enumerate(batch)]
    client.send(ProduceRequest(None, 0, 30_000, [TopicProduceData(topic.name, topic.id, data)]), 13, answered=False)
    assert client.is_closed()
    assert fetch(other, topic).high_watermark == 0


def test_a_missing_topic_comes_after_the_missing_id(client: Client) -> None:
    assert code(client, Topic("t", NO_ID), in_transaction(7, 0), transactional_id=None) == REFUSED
    assert code(client, Topic("t", NO_ID), in_transaction(7, 0)) == ErrorCode.UNKNOWN_TOPIC_ID


@pytest.mark.parametrize(("says", "versions", "expected"), [
    (ErrorCode.INVALID_TXN_STATE, range(3, 11), ErrorCode.INVALID_TXN_STATE),
    (ErrorCode.INVALID_TXN_STATE, [11], ErrorCode.TRANSACTION_ABORTABLE),
    (ErrorCode.CONCURRENT_TRANSACTIONS, range(3, 12), ErrorCode.NOT_ENOUGH_REPLICAS),
    (ErrorCode.CONCURRENT_TRANSACTIONS, [12, 13], ErrorCode.CONCURRENT_TRANSACTIONS),
    (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, [3, 13], ErrorCode.NOT_ENOUGH_REPLICAS),
    (ErrorCode.PRODUCER_FENCED, range(3, 14), ErrorCode.INVALID_PRODUCER_EPOCH),
    (ErrorCode.INVALID_PRODUCER_EPOCH, [3, 13], ErrorCode.INVALID_PRODUCER_EPOCH),
    (ErrorCode.INVALID_PRODUCER_ID_MAPPING, [3, 13], ErrorCode.INVALID_PRODUCER_ID_MAPPING),
])
def test_what_the_coordinator_says_as_producers_understand_it(
    client: Client, ledger: Ledger, says: ErrorCode, versions: list[int], expected: ErrorCode
) -> None:
    topic = a_topic(client)
    ledger.says["t"] = says
    for version in versions:
        assert code(client, topic, in_transaction(7, 0), version=version) == expected
    assert fetch(client, topic).high_watermark == 0


def test_each_partition_is_asked_about(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client, 3)
    batches = [in_transaction(7, 0), a_batch(), in_transaction(7, 0)]
    data = [PartitionProduceData(index, batch) for index, batch in enumerate(batches)]
    request = ProduceRequest("t", -1, 30_000, [TopicProduceData(topic.name, topic.id, data)])
    answers = client.call(request, 13).responses[0].partition_responses
    assert [answer.error_code for answer in answers] == [OK, OK, OK]
    assert [asked[4] for asked in ledger.asked] == [0, 2]


@pytest.mark.parametrize(("version", "expected"), [(11, OK), (12, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)])
def test_from_v12_an_unknown_producer_begins_at_0(
    client: Client, ledger: Ledger, version: int, expected: ErrorCode
) -> None:
    topic = a_topic(client)
    assert code(client, topic, in_transaction(7, 3), version=version) == expected


def test_a_batch_outside_the_open_transaction(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    append(client, topic, 7, 0)
    plain = a_batch(producer=(7, 0, 1))
    assert code(client, topic, plain) == ErrorCode.INVALID_TXN_STATE
    assert code(client, topic, plain, transactional_id=None) == ErrorCode.INVALID_TXN_STATE
    end(client, topic, 7, COMMIT)
    assert code(client, topic, plain) == OK


def test_damaged_batches_open_nothing(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    batch = in_transaction(7, 0)
    assert code(client, topic, patched(batch, CRC, b"\0\0\0\0")) == ErrorCode.CORRUPT_MESSAGE
    assert code(client, topic, batch[:40]) == ErrorCode.INVALID_RECORD
    assert code(client, topic, in_transaction(-1, 0)) == ErrorCode.INVALID_RECORD
    assert code(client, topic, batch) == OK
    end(client, topic, 7, ABORT)
    assert fetch(client, topic).last_stable_offset == 2


@pytest.mark.parametrize("version", [12, 13])
def test_many_partitions_join_in_one_go(client: Client, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """The transaction's row names them all: written for each of 4000, it would take seconds."""
    rows = []
    write: Any = MemoryShardStore.write

    def counting(store: MemoryShardStore, shard: str, *more: Any) -> Any:
        rows.append(shard.partition("/")[0])
        return write(store, shard, *more)

    topic = a_topic(client, 40)
    name, producer_id, epoch = start(client)
    monkeypatch.setattr(MemoryShardStore, "write", counting)
    batches = [PartitionProduceData(index, in_transaction(producer_id, 0, epoch=epoch)) for index in range(40)]
    request = ProduceRequest(name, -1, 30_000, [TopicProduceData(topic.name, topic.id, batches)])
    answers = client.call(request, version).responses[0].partition_responses
    assert {answer.error_code for answer in answers} == {OK}
    assert rows == ["transactions"]
    stale = [PartitionProduceData(index, in_transaction(producer_id, 1, epoch=epoch + 1)) for index in range(40)]
    request = ProduceRequest(name, -1, 30_000, [TopicProduceData(topic.name, topic.id, stale)])
    answers = client.call(request, version).responses[0].partition_responses
    assert {answer.error_code for answer in answers} == {ErrorCode.INVALID_PRODUCER_EPOCH}


def test_what_the_partition_and_the_batch_say_comes_before_the_transaction(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    assert code(client, topic, a_batch(producer=(7, 1, 0))) == OK
    batch = in_transaction(7, 0, epoch=0)
    assert code(client, topic, batch + batch) == ErrorCode.INVALID_RECORD
    response = client.call(producing(topic, batch, transactional_id="t"), 11)
    answer = response.responses[0].partition_responses[0]
    assert (answer.error_code, answer.log_start_offset) == (ErrorCode.INVALID_PRODUCER_EPOCH, -1)
    assert ledger.asked == []


def test_wrong_acks_come_after_the_transaction(client: Client, ledger: Ledger) -> None:
    topic = a_topic(client)
    request = producing(topic, in_transaction(7, 0), transactional_id="t", acks=2)
    (answer,) = client.call(request, 11).responses[0].partition_responses
    assert (answer.error_code, len(ledger.asked)) == (ErrorCode.INVALID_REQUIRED_ACKS, 1)
