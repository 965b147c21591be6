"""A partition between its rules and its store: what a failing store leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flymq.core.catalog import Topic
from flymq.core.log.plan import AppendError, AppendPlan
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.env import Env
from flymq.runtime.partitions import Partition, Partitions
from flymq.storage.api import StorageError
from flymq.storage.memory import MemoryEngine
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.record import Record, build_batch

NOW = 1_700_000_000_000


@pytest.fixture
def partition() -> Iterator[Partition]:
    loop = asyncio.new_event_loop()
    env = Env(loop)
    partitions = Partitions(env, MemoryEngine(env).logs, 86_400_000)
    topic = Topic("orders", b"\1" * 16, 1, {})
    partitions.open_topic(topic, TopicConfig.of(BrokerConfig(), {}))
    found = partitions.find("orders", 0)
    assert found is not None
    yield found
    env.close()
    loop.close()


def a_batch(sequence: int) -> memoryview:
    records = [Record(0, NOW, None, b"x", [])]
    return memoryview(build_batch(records, producer_id=7, producer_epoch=0, base_sequence=sequence))


def failing(error: Exception) -> Any:
    def append(plan: AppendPlan) -> None:
        raise error

    return append


class Store:
    """The partition's store with another `append`."""

    def __init__(self, real: Any, append: Any) -> None:
        self._real = real
        self.append = append

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_a_refused_append_leaves_nothing_and_its_retry_is_appended(partition: Partition) -> None:
    real = partition.store
    assert isinstance(partition.append(a_batch(0), NOW), AppendPlan)
    partition.store = Store(real, failing(StorageError("no room")))  # type: ignore[assignment]
    refused = partition.append(a_batch(1), NOW)
    assert isinstance(refused, AppendError)
    assert (refused.code, partition.log.end) == (ErrorCode.KAFKA_STORAGE_ERROR, 1)
    partition.store = real
    retried = partition.append(a_batch(1), NOW)
    assert isinstance(retried, AppendPlan)
    assert retried.base_offset == 1


def test_after_a_failure_of_unknown_outcome_nothing_more_is_appended(partition: Partition) -> None:
    real = partition.store
    partition.store = Store(real, failing(ZeroDivisionError()))  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError):
        partition.append(a_batch(0), NOW)
    partition.store = real
    refused = partition.append(a_batch(0), NOW)
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.KAFKA_STORAGE_ERROR
