"""EndTxn on the wire; every state is in tests/core/txn/test_ending.py."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k00_produce import ProduceRequest
from flymq_protocol.api.k26_end_txn import EndTxnRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import Topic, a_topic, fetch, list_offset, producing, until
from .marks import deviates
from .transactions import in_transaction
from .txn import add, end, init, start, take_over

NONE = ErrorCode.NONE
COMMITTED = 1


def writing(topic: Topic, one: tuple[str, int, int], sequence: int = 0, index: int = 0) -> ProduceRequest:
    name, producer_id, epoch = one
    return producing(topic, in_transaction(producer_id, sequence, epoch=epoch), index, transactional_id=name)


def write(
    client: Client, topic: Topic, one: tuple[str, int, int], sequence: int = 0, index: int = 0, version: int = 13
) -> int:
    """The error code."""
    answer = client.call(writing(topic, one, sequence, index), version).responses[0]
    return int(answer.partition_responses[0].error_code)


def stable_end(client: Client, topic: Topic) -> int:
    return int(fetch(client, topic, isolation_level=COMMITTED).last_stable_offset)


def happy(client: Client, version: int) -> None:
    topic = a_topic(client)
    for commit in (True, False):
        name, producer_id, epoch = start(client)
        assert add(client, name, producer_id, epoch, topic) == [NONE]
        assert write(client, topic, (name, producer_id, epoch), version=11) == NONE
        end_offset = list_offset(client, topic, -1).offset
        assert stable_end(client, topic) == end_offset - 1
        told = end(client, name, producer_id, epoch, commit, version=version)
        assert told == ((NONE, producer_id, epoch + 1) if version >= 5 else (NONE, -1, -1))
        until(lambda: stable_end(client, topic), end_offset + 1)


@deviates("EndTxn")
def test_the_last_stable_offset_has_moved_when_the_answer_is_there(client: Client) -> None:
    topic = a_topic(client)
    one = start(client)
    producer = one
    for number in range(20):  # often enough that Kafka is once too late
        assert write(client, topic, producer) == NONE
        assert stable_end(client, topic) == 2 * number
        code, producer_id, epoch = end(client, *producer, number % 2 == 0)
        assert code == NONE
        producer = (one[0], producer_id, epoch)
        assert stable_end(client, topic) == 2 * number + 2
    data = fetch(client, topic, isolation_level=COMMITTED)
    assert [aborted.first_offset for aborted in data.aborted_transactions] == list(range(2, 40, 4))


@pytest.mark.parametrize("version", range(6))
def test_whose_epoch_is_not_the_current_one(client: Client, version: int) -> None:
    name, producer_id, epoch = start(client)
    epoch = init(client, name)[1]
    fenced = ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
    mapping = ErrorCode.INVALID_PRODUCER_ID_MAPPING
    for epoch_of_old in (epoch - 1, epoch + 1):
        assert end(client, name, producer_id, epoch_of_old, True, version=version) == (fenced, -1, -1)
    assert end(client, name, producer_id + 1, epoch, True, version=version) == (mapping, -1, -1)
    assert end(client, "", producer_id, epoch, True, version=version) == (ErrorCode.INVALID_REQUEST, -1, -1)
    assert end(client, name, producer_id, epoch, True, version=version) == (ErrorCode.INVALID_TXN_STATE, -1, -1)


def test_a_repetition_is_answered_the_same_and_changes_nothing(client: Client) -> None:
    topic = a_topic(client)
    one = start(client)
    assert write(client, topic, one) == NONE
    ended = end(client, *one, True)
    assert ended == (NONE, one[1], one[2] + 1)
    until(lambda: end(client, *one, True), ended)
    assert end(client, *one, False)[0] == ErrorCode.INVALID_TXN_STATE
    assert list_offset(client, topic, -1).offset == 2
    following = (one[0], *ended[1:])
    assert write(client, topic, following) == NONE
    assert end(client, *one, True)[0] == ErrorCode.PRODUCER_FENCED, "it must not end the next one"
    assert stable_end(client, topic) == 2


def test_a_zombie_can_neither_write_nor_end(client: Client) -> None:
    topic = a_topic(client)
    zombie = start(client)
    assert write(client, topic, zombie) == NONE
    successor = (zombie[0], *take_over(client, zombie[0]))
    assert write(client, topic, successor) == NONE
    assert write(client, topic, zombie, 1) == ErrorCode.INVALID_PRODUCER_EPOCH
    assert end(client, *zombie, True)[0] == ErrorCode.PRODUCER_FENCED
    assert end(client, *successor, True)[0] == NONE
    until(lambda: stable_end(client, topic), 4)
    data = fetch(client, topic, isolation_level=COMMITTED)
    assert [aborted.producer_id for aborted in data.aborted_transactions] == [zombie[1]]


@pytest.mark.parametrize(
    ("version", "code"), [(10, ErrorCode.INVALID_TXN_STATE), (11, ErrorCode.TRANSACTION_ABORTABLE), (12, NONE)]
)
def test_a_partition_that_was_not_added(client: Client, version: int, code: ErrorCode) -> None:
    topic = a_topic(client)
    assert write(client, topic, start(client), version=version) == code


def test_pipelined_produces_of_a_new_transaction_keep_their_order(client: Client) -> None:
    """The partition is added by the first; none of them waits for that."""
    topic = a_topic(client, 2)
    one = start(client)
    calls = [(writing(topic, one, number // 2, number % 2), 13) for number in range(40)]
    answers = client.pipeline(*calls, (EndTxnRequest(*one, True), 5))
    offsets = [answer.responses[0].partition_responses[0].base_offset for answer in answers[:-1]]
    assert offsets == [number // 2 for number in range(40)]
    assert answers[-1].error_code == NONE
    until(lambda: stable_end(client, topic), 21)
