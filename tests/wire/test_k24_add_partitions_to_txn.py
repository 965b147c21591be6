"""AddPartitionsToTxn on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k24_add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTransaction,
)
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import Topic, a_topic, drop_topic
from .txn import add, end, in_order, start

NONE, NOT_ATTEMPTED = ErrorCode.NONE, ErrorCode.OPERATION_NOT_ATTEMPTED
UNKNOWN, MAPPING = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.INVALID_PRODUCER_ID_MAPPING
ABORTABLE = ErrorCode.TRANSACTION_ABORTABLE

One = tuple[str, int, int]


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, 2)
    one, another = start(client), start(client)
    if version < 4:
        assert add(client, *one, topic, 0, 1, version=version) == [NONE, NONE]
        return
    answers = many(client, [(one, False), (another, False)], topic, version=version)
    assert answers == {one[0]: [NONE, NONE], another[0]: [NONE, NONE]}


def many(
    client: Client, transactions: list[tuple[One, bool]], topic: Topic, *indexes: int, version: int = 5
) -> dict[str, list[int]]:
    """Error codes by transactional id, in the partitions' order; the second of a pair says whether only to verify."""
    topics = [AddPartitionsToTxnTopic(topic.name, list(indexes or (0, 1)))]
    request = AddPartitionsToTxnRequest([
        AddPartitionsToTxnTransaction(*one, verify_only, topics) for one, verify_only in transactions
    ])
    return {
        result.transactional_id: in_order(result.topic_results)
        for result in client.call(request, version).results_by_transaction
    }


@pytest.mark.parametrize("version", range(6))
def test_one_bad_partition_fails_all(client: Client, version: int) -> None:
    topic = a_topic(client)
    one = start(client)
    if version < 4:
        assert add(client, *one, topic, 0, 1, version=version) == [NOT_ATTEMPTED, UNKNOWN]
    else:
        assert many(client, [(one, False)], topic, version=version) == {one[0]: [NOT_ATTEMPTED, UNKNOWN]}
    assert many(client, [(one, True)], topic, 0) == {one[0]: [ABORTABLE]}


@pytest.mark.parametrize("version", range(4))
def test_whose_epoch_is_not_the_current_one(client: Client, version: int) -> None:
    topic = a_topic(client)
    name, producer_id, epoch = start(client)
    fenced = ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
    assert add(client, name, producer_id, epoch + 1, topic, version=version) == [fenced]
    assert add(client, name, producer_id + 1, epoch, topic, version=version) == [MAPPING]
    assert add(client, "nobody", producer_id, epoch, topic, version=version) == [MAPPING]
    assert add(client, "", producer_id, epoch, topic, version=version) == [ErrorCode.INVALID_REQUEST]


def test_to_verify_adds_nothing(client: Client) -> None:
    topic = a_topic(client, 2)
    one = start(client)
    assert many(client, [(one, True)], topic) == {one[0]: [ABORTABLE, ABORTABLE]}
    assert add(client, *one, topic, 1) == [NONE]
    assert many(client, [(one, True)], topic) == {one[0]: [ABORTABLE, NONE]}


def test_each_transaction_is_by_itself(client: Client) -> None:
    topic = a_topic(client, 2)
    good, unknown = start(client), ("nobody", 1, 0)
    assert many(client, [(unknown, False), (good, False)], topic) == {
        "nobody": [MAPPING, MAPPING], good[0]: [NONE, NONE]
    }


def test_a_topic_that_is_deleted_does_not_hold_up_the_end(client: Client) -> None:
    topic, stays = a_topic(client), a_topic(client)
    one = start(client)
    assert add(client, *one, topic) == add(client, *one, stays) == [NONE]
    drop_topic(client, topic)
    assert end(client, *one, True) == (NONE, one[1], one[2] + 1)
