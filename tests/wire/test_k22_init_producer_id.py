"""InitProducerId on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import a_name, a_topic, produce
from .marks import deviates
from .txn import add, init, start


def happy(client: Client, version: int) -> None:
    first, second = (client.call(InitProducerIdRequest(None, 1000), version) for _ in range(2))
    assert (first.error_code, first.producer_epoch) == (ErrorCode.NONE, 0)
    assert second.producer_id > first.producer_id
    topic = a_topic(client)
    batch = a_batch(producer=(second.producer_id, 0, 0))
    assert [produce(client, topic, batch).base_offset for _ in range(2)] == [0, 0]
    name = a_name("txn")
    third, fourth = (client.call(InitProducerIdRequest(name, 1000), version) for _ in range(2))
    assert (third.error_code, third.producer_epoch) == (ErrorCode.NONE, 0)
    assert (fourth.error_code, fourth.producer_id, fourth.producer_epoch) == (0, third.producer_id, 1)
    if version >= 3:
        named = InitProducerIdRequest(name, 1000, fourth.producer_id, fourth.producer_epoch)
        assert [client.call(named, version).producer_epoch for _ in range(2)] == [2, 2]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (InitProducerIdRequest("", 1000), ErrorCode.INVALID_REQUEST),
        (InitProducerIdRequest("t", 1000, 5, -1), ErrorCode.INVALID_REQUEST),
        (InitProducerIdRequest("t", 1000, -1, 5), ErrorCode.INVALID_REQUEST),
        (InitProducerIdRequest("t", 0), ErrorCode.INVALID_TRANSACTION_TIMEOUT),
        (InitProducerIdRequest("t", 900_001), ErrorCode.INVALID_TRANSACTION_TIMEOUT),
    ],
)
def test_what_is_refused(client: Client, request_: InitProducerIdRequest, code: ErrorCode) -> None:
    refused = client.call(request_, 4)
    assert (refused.error_code, refused.producer_id, refused.producer_epoch) == (code, -1, -1)


@pytest.mark.parametrize(("version", "code"), [(3, ErrorCode.INVALID_PRODUCER_EPOCH), (4, ErrorCode.PRODUCER_FENCED)])
def test_the_fenced_are_told_so_in_words_they_know(client: Client, version: int, code: ErrorCode) -> None:
    name, producer_id, epoch = start(client)
    init(client, name)
    refused = client.call(InitProducerIdRequest(name, 1000, producer_id, epoch), version)
    assert (refused.error_code, refused.producer_id, refused.producer_epoch) == (code, -1, -1)


@deviates("CONCURRENT_TRANSACTIONS, and the client asks again")
def test_an_open_transaction_is_aborted_before_the_answer(client: Client) -> None:
    topic = a_topic(client)
    name, producer_id, epoch = start(client)
    assert add(client, name, producer_id, epoch, topic) == [ErrorCode.NONE]
    assert init(client, name) == (producer_id, 2), "one for the abort, one for the new producer"


def test_ids_are_never_given_twice(client: Client, other: Client) -> None:
    calls = [(InitProducerIdRequest(None, 1000), 4)] * 1500  # more than a block
    answers = [answer for one in (client, other) for answer in one.pipeline(*calls)]
    # Kafka lets some ask again while it gets its next block of 1000.
    assert {answer.error_code for answer in answers} <= {ErrorCode.NONE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS}
    found = [answer.producer_id for answer in answers if answer.error_code == ErrorCode.NONE]
    assert len(set(found)) == len(found) > 1000
