"""TxnOffsetCommit on the wire, and what OffsetFetch tells of an open transaction."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from flymq_protocol.api.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
)
from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from flymq_protocol.api.k26_end_txn import EndTxnRequest
from flymq_protocol.api.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from flymq_protocol.api.k42_delete_groups import DeleteGroupsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import NO_ID, Topic, a_name, a_topic, drop_topic, join, until
from .test_k08_offset_commit import commit, committed
from .test_k47_offset_delete import codes, delete
from .test_k65_describe_transactions import described

OK = ErrorCode.NONE
NEWEST = 5  # needs no AddOffsetsToTxn


class Producer(NamedTuple):
    name: str  # transactional id
    id: int
    epoch: int


def a_producer(client: Client, name: str | None = None) -> Producer:
    name = name or a_name("txn")
    answer = client.call(InitProducerIdRequest(name, 60_000), 5)
    assert answer.error_code == OK
    return Producer(name, answer.producer_id, answer.producer_epoch)


def add(client: Client, producer: Producer, group: str) -> None:
    assert client.call(AddOffsetsToTxnRequest(*producer, group), 4).error_code == OK


def stage(
    client: Client, producer: Producer, group: str, topic: Topic, offset: int, *, version: int = NEWEST, index: int = 0,
    metadata: str | None = "", member: tuple[str, int] = ("", -1),
) -> int:
    """The partition's error code."""
    partition = TxnOffsetCommitRequestPartition(index, offset, committed_metadata=metadata)
    request = TxnOffsetCommitRequest(
        producer.name, group, producer.id, producer.epoch, member[1], member[0],
        topics=[TxnOffsetCommitRequestTopic(topic.name, [partition])],
    )
    ((answer,),) = [answered.partitions for answered in client.call(request, version).topics]
    assert answer.partition_index == index
    return int(answer.error_code)


def end(client: Client, producer: Producer, *, commit: bool, version: int = 5) -> Producer:
    """The producer of the next transaction."""
    answer = client.call(EndTxnRequest(*producer, commit), version)
    assert answer.error_code == OK
    return Producer(producer.name, answer.producer_id, answer.producer_epoch) if version >= 5 else producer


def stable(client: Client, group: str, topic: Topic) -> tuple[int, int]:
    """(offset, error) for who requires a stable one."""
    wanted = OffsetFetchRequestGroup(group, topics=[OffsetFetchRequestTopics(topic.name, topic.id, [0])])
    (answer,) = client.call(OffsetFetchRequest(groups=[wanted], require_stable=True), 10).groups
    found = answer.topics[0].partitions[0]
    return int(found.committed_offset), int(found.error_code)


def happy(client: Client, version: int) -> None:
    topic, group, producer = a_topic(client), a_name("group"), a_producer(client)
    name, ending = producer.name, 5 if version >= NEWEST else 4
    for offset, commits, expected in ((7, True, 7), (8, False, 7), (9, True, 9)):
        before = committed(client, group, topic)
        if version < NEWEST:
            add(client, producer, group)
        assert stage(client, producer, group, topic, offset, version=version, metadata=None) == OK
        assert committed(client, group, topic) == before
        assert stable(client, group, topic) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        producer = end(client, producer, commit=commits, version=ending)
        until(lambda: stable(client, group, topic), (expected, OK))
        assert committed(client, group, topic) == expected
        # Kafka would refuse the next transaction until then.
        until(lambda: described(client, name).transaction_state, "CompleteCommit" if commits else "CompleteAbort")


def test_members_are_fenced_and_others_are_not(client: Client) -> None:
    topic, group, producer = a_topic(client), a_name("group"), a_producer(client)
    member, generation = join(client, group)
    assert stage(client, producer, group, topic, 7, member=(member, generation)) == OK
    assert stage(client, producer, group, topic, 8, member=(member, generation + 1)) == ErrorCode.ILLEGAL_GENERATION
    assert stage(client, producer, group, topic, 8, member=("nobody", generation)) == ErrorCode.UNKNOWN_MEMBER_ID
    end(client, producer, commit=True)
    until(lambda: committed(client, group, topic), 7)
    other = a_producer(client)
    assert stage(client, other, group, topic, 9) == OK
    end(client, other, commit=True)
    until(lambda: committed(client, group, topic), 9)


def test_a_generation_of_no_group(client: Client) -> None:
    producer, topic = a_producer(client), a_topic(client)
    assert stage(client, producer, a_name("group"), topic, 7, member=("m", 1)) == ErrorCode.ILLEGAL_GENERATION
    end(client, producer, commit=False)


@pytest.mark.parametrize("version", [3, NEWEST])
@pytest.mark.parametrize(("name", "index"), [("wire-none", 0), (None, 1), (None, -1)])
def test_missing_partitions_are_refused(client: Client, version: int, name: str | None, index: int) -> None:
    topic = a_topic(client) if name is None else Topic(name, NO_ID)
    nobody = Producer(a_name("txn"), 0, 0)  # a transaction is not even asked for
    assert stage(client, nobody, a_name("group"), topic, 1, version=version, index=index) == (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    )


def test_an_empty_group_id(client: Client) -> None:
    assert stage(client, a_producer(client), "", a_topic(client), 1) == ErrorCode.INVALID_GROUP_ID


def test_metadata_too_large(client: Client) -> None:
    topic, group, producer = a_topic(client), a_name("group"), a_producer(client)
    assert stage(client, producer, group, topic, 1, metadata="x" * 4097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert stage(client, producer, group, topic, 2, metadata="x" * 4096) == OK
    end(client, producer, commit=True)
    until(lambda: committed(client, group, topic), 2)


def test_a_producer_that_was_replaced(client: Client) -> None:
    topic, group, old = a_topic(client), a_name("group"), a_producer(client)
    assert a_producer(client, old.name).epoch > old.epoch
    assert stage(client, old, group, topic, 1) == ErrorCode.INVALID_PRODUCER_EPOCH
    nobody = Producer(old.name, old.id + 1_000_000, 0)
    assert stage(client, nobody, group, topic, 1) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert committed(client, group, topic) == -1


@pytest.mark.parametrize(("version", "code"), [
    (3, ErrorCode.INVALID_TXN_STATE), (4, ErrorCode.TRANSACTION_ABORTABLE),
])
def test_a_group_that_was_not_added(client: Client, version: int, code: ErrorCode) -> None:
    topic, group, producer = a_topic(client), a_name("group"), a_producer(client)
    assert stage(client, producer, group, topic, 1, version=version) == code
    assert committed(client, group, topic) == -1


def test_a_later_commit_outside_the_transaction_stays(client: Client) -> None:
    topic, group, producer = a_topic(client), a_name("group"), a_producer(client)
    assert stage(client, producer, group, topic, 7) == OK
    assert commit(client, group, topic, 5) == OK
    assert stable(client, group, topic) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    end(client, producer, commit=True)
    until(lambda: stable(client, group, topic), (5, OK))


def test_the_later_of_two_transactions_counts_whichever_ends_first(client: Client) -> None:
    topic, group = a_topic(client), a_name("group")
    first, second = a_producer(client), a_producer(client)
    assert stage(client, first, group, topic, 7) == OK
    assert stage(client, second, group, topic, 8) == OK
    end(client, second, commit=True)
    until(lambda: committed(client, group, topic), 8)
    assert stable(client, group, topic) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    end(client, first, commit=True)
    until(lambda: stable(client, group, topic), (8, OK))


def test_what_is_deleted_meanwhile_does_not_come_back(client: Client) -> None:
    kept, topic, gone, producer = a_topic(client), a_topic(client), a_topic(client), a_producer(client)
    group, deleted = a_name("group"), a_name("group")
    for where, what in ((group, kept), (group, topic), (group, gone), (deleted, kept)):
        assert stage(client, producer, where, what, 7) == OK
    assert codes(delete(client, group, topic)) == {topic.name: {0: OK}}
    drop_topic(client, gone)
    assert client.call(DeleteGroupsRequest([deleted]), 2).results[0].error_code == OK
    assert stable(client, group, kept) == (-1, ErrorCode.UNSTABLE_OFFSET_COMMIT)
    assert stable(client, group, topic) == stable(client, deleted, kept) == (-1, OK)
    end(client, producer, commit=True)
    until(lambda: [committed(client, group, one) for one in (kept, topic)], [7, -1])
    assert committed(client, deleted, kept) == -1
