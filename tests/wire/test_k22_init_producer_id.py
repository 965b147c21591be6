"""InitProducerId on the wire."""

from __future__ import annotations

from flymq_protocol.api.k22_init_producer_id import InitProducerIdRequest
from flymq_protocol.errors import ErrorCode

from .batches import a_batch
from .client import Client
from .kit import a_topic, produce


def happy(client: Client, version: int) -> None:
    first, second = (client.call(InitProducerIdRequest(None, 1000), version) for _ in range(2))
    assert (first.error_code, first.producer_epoch) == (ErrorCode.NONE, 0)
    assert second.producer_id > first.producer_id
    topic = a_topic(client)
    batch = a_batch(producer=(second.producer_id, 0, 0))
    assert [produce(client, topic, batch).base_offset for _ in range(2)] == [0, 0]


def test_transactions_are_refused(client: Client) -> None:
    for name, code in (("", ErrorCode.INVALID_REQUEST), ("t", ErrorCode.CLUSTER_AUTHORIZATION_FAILED)):
        refused = client.call(InitProducerIdRequest(name, 1000), 4)
        assert (refused.error_code, refused.producer_id, refused.producer_epoch) == (code, -1, -1)


def test_ids_are_never_given_twice(client: Client, other: Client) -> None:
    calls = [(InitProducerIdRequest(None, 1000), 4)] * 1500  # more than a block
    found = [answer.producer_id for one in (client, other) for answer in one.pipeline(*calls)]
    assert len(set(found)) == 3000
