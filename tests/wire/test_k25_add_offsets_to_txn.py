"""AddOffsetsToTxn on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from flymq_protocol.api.k65_describe_transactions import DescribeTransactionsRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .txn import start

MAPPING = ErrorCode.INVALID_PRODUCER_ID_MAPPING


def ask(client: Client, name: str, producer_id: int, epoch: int, version: int) -> int:
    return int(client.call(AddOffsetsToTxnRequest(name, producer_id, epoch, "group"), version).error_code)


def happy(client: Client, version: int) -> None:
    one = start(client)
    assert ask(client, *one, version) == ErrorCode.NONE
    (state,) = client.call(DescribeTransactionsRequest([one[0]]), 0).transaction_states
    assert (state.transaction_state, [topic.topic for topic in state.topics]) == ("Ongoing", ["__consumer_offsets"])


@pytest.mark.parametrize("version", range(5))
def test_whose_epoch_is_not_the_current_one(client: Client, version: int) -> None:
    name, producer_id, epoch = start(client)
    fenced = ErrorCode.PRODUCER_FENCED if version >= 2 else ErrorCode.INVALID_PRODUCER_EPOCH
    assert ask(client, name, producer_id, epoch + 1, version) == fenced
    assert ask(client, name, producer_id + 1, epoch, version) == MAPPING
    assert ask(client, "nobody", producer_id, epoch, version) == MAPPING
    assert ask(client, "", producer_id, epoch, version) == ErrorCode.INVALID_REQUEST
