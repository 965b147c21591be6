"""Transactions without a coordinator: what partitions see of them."""

from __future__ import annotations

from typing import Any

from flymq.runtime.partitions import Partition
from flymq_protocol.api.k27_write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from flymq_protocol.errors import ErrorCode

from .batches import TRANSACTIONAL_BIT, a_batch
from .client import Client
from .kit import Topic, producing

COMMIT, ABORT = True, False


class Ledger:
    """Who may append: a coordinator of few words. Everybody may, but where `says` something else."""

    def __init__(self) -> None:
        self.says: dict[str, ErrorCode] = {}  # by transactional id
        self.asked: list[tuple[str, int, int, str, int, int]] = []

    def verify(
        self, transactional_id: str, producer_id: int, producer_epoch: int, partition: Partition, api_version: int
    ) -> int:
        self.asked.append(
            (transactional_id, producer_id, producer_epoch, partition.ref.topic, partition.index, api_version)
        )
        return self.says.get(transactional_id, ErrorCode.NONE)

    def close(self) -> None:
        """The broker stops."""


def in_transaction(producer_id: int, sequence: int, *, epoch: int = 0, count: int = 1) -> bytes:
    values = [b"%d-%d" % (producer_id, sequence + i) for i in range(count)]
    return a_batch(values, producer=(producer_id, epoch, sequence), attributes=TRANSACTIONAL_BIT)


def append(client: Client, topic: Topic, producer_id: int, sequence: int, index: int = 0, **fields: int) -> int:
    """One transactional batch; its offset."""
    batch = in_transaction(producer_id, sequence, **fields)
    request = producing(topic, batch, index, transactional_id=f"txn-{producer_id}")
    answer = client.call(request, 13).responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.NONE, answer
    return int(answer.base_offset)


def marking(
    topic: Topic, producer_id: int, commit: bool, *, epoch: int = 0, coordinator: int = 0, version: int = 0,
    indexes: tuple[int, ...] = (0,),
) -> WriteTxnMarkersRequest:
    topics = [WritableTxnMarkerTopic(topic.name, list(indexes))]
    return WriteTxnMarkersRequest([WritableTxnMarker(producer_id, epoch, commit, topics, coordinator, version)])


def mark(client: Client, topic: Topic, producer_id: int, commit: bool, **fields: Any) -> int:
    """Partition 0's error code."""
    response = client.call(marking(topic, producer_id, commit, **fields), 2)
    return int(response.markers[0].topics[0].partitions[0].error_code)


def end(client: Client, topic: Topic, producer_id: int, commit: bool, **fields: Any) -> None:
    assert mark(client, topic, producer_id, commit, **fields) == ErrorCode.NONE
