"""A log and batches for it."""

from __future__ import annotations

from typing import Any

from flymq.core.log.partition_log import PartitionLog
from flymq.core.log.plan import AppendError, AppendPlan
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq_protocol.records.record import Record, build_batch

NOW = 1_700_000_000_000


def a_log(**overrides: Any) -> PartitionLog:
    config = TopicConfig.of(BrokerConfig(), {name.replace("_", "."): str(value) for name, value in overrides.items()})
    return PartitionLog(config, 0, 0, [(0, 0)])


def a_batch(count: int = 1, timestamp: int = NOW, size: int = 10, **fields: Any) -> memoryview:
    records = [Record(i, timestamp, None, b"x" * size, []) for i in range(count)]
    return memoryview(bytearray(build_batch(records, **fields)))


def planned(log: PartitionLog, batch: memoryview, now_ms: int = NOW) -> AppendPlan:
    plan = log.plan(batch, now_ms)
    assert isinstance(plan, AppendPlan), plan.message if isinstance(plan, AppendError) else plan
    return plan
