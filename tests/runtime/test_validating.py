"""Appends that a thread looks at first: their order, their limits, and what a partition's end makes of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flymq.core.catalog import Topic
from flymq.core.log.plan import AppendError, AppendPlan
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.env import Env, Token
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.validating import Validation
from flymq.runtime.waiting import Ended
from flymq.storage.memory import MemoryEngine
from flymq_protocol.errors import ErrorCode
from flymq_protocol.records.batch import BatchHeader
from flymq_protocol.records.record import Record, build_batch, decode_batch

NOW = 1_700_000_000_000
LARGE = 200_000
HELD_MAX = 1_000_000
INFLATED_MAX = 4_000_000


class HeldEnv(Env):
    """Its threads' results come in the order and at the time that a test wants."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.jobs: list[tuple[Token, Callable[..., Any], tuple[Any, ...]]] = []

    def offload(self, fn: Callable[..., Any], *args: Any) -> Token:
        token = Token()
        self.jobs.append((token, fn, args))
        return token

    def finish(self, at: int = 0) -> None:
        token, fn, args = self.jobs.pop(at)
        try:
            result = fn(*args)
        except Exception as error:
            result = error
        token.complete(result)


def config(**settings: object) -> TopicConfig:
    return TopicConfig.of(BrokerConfig(), {name.replace("_", "."): str(value) for name, value in settings.items()})


@pytest.fixture
def env() -> Iterator[HeldEnv]:
    loop = asyncio.new_event_loop()
    made = HeldEnv(loop)
    yield made
    made.close()
    loop.close()


@pytest.fixture
def partitions(env: HeldEnv) -> Partitions:
    made = Partitions(env, MemoryEngine(env).logs, 86_400_000)
    made.open_topic(Topic("orders", b"\1" * 16, 2, {}), config(compression_type="gzip"))
    return made


@pytest.fixture
def partition(partitions: Partitions) -> Partition:
    found = partitions.find("orders", 0)
    assert found is not None
    return found


@pytest.fixture
def validation(env: HeldEnv, partitions: Partitions) -> Validation:
    return Validation(env, partitions, INFLATED_MAX, HELD_MAX)


def a_batch(size: int, sequence: int = -1, codec: int = 0, value: bytes | None = None) -> memoryview:
    producer = {"producer_id": 7, "producer_epoch": 0, "base_sequence": sequence} if sequence >= 0 else {}
    record = Record(0, NOW, b"k", os.urandom(size) if value is None else value)
    return memoryview(build_batch([record], codec=codec, **producer))


def appended(answer: object) -> AppendPlan:
    if isinstance(answer, Token):
        assert answer.done
        answer = answer.result
    assert isinstance(answer, AppendPlan)
    return answer


def test_a_small_batch_is_looked_at_where_it_is(env: HeldEnv, partition: Partition, validation: Validation) -> None:
    plan = appended(validation.append(partition, a_batch(1000), NOW, partition.append))
    assert BatchHeader(plan.batch).codec == 1
    assert (plan.base_offset, env.jobs, partition.is_queueing) == (0, [], False)


def test_a_batch_that_has_the_codec_is_not_looked_at(
    env: HeldEnv, partition: Partition, validation: Validation
) -> None:
    batch = a_batch(LARGE, codec=1)
    assert appended(validation.append(partition, batch, NOW, partition.append)).batch is batch
    assert env.jobs == []


def test_appends_of_a_partition_keep_their_order(
    env: HeldEnv, partitions: Partitions, partition: Partition, validation: Validation
) -> None:
    batches = [a_batch(LARGE, 0), a_batch(LARGE, 1), a_batch(100, 2), a_batch(100, 3, codec=1), a_batch(LARGE, 4)]
    values = [decode_batch(batch)[0].value for batch in batches]
    answers = [validation.append(partition, batch, NOW, partition.append) for batch in batches]
    for batch in batches:
        batch[:] = bytes(len(batch))  # the receive buffer is used again
    other = partitions.find("orders", 1)
    assert other is not None
    assert appended(validation.append(other, a_batch(100), NOW, other.append)).base_offset == 0
    assert len(env.jobs) == 4
    env.finish(2)
    env.finish(1)
    assert partition.log.end == 0
    env.finish(0)
    assert partition.log.end == 4
    assert partition.is_queueing
    env.finish(0)
    assert [appended(answer).base_offset for answer in answers] == [0, 1, 2, 3, 4]
    assert not partition.is_queueing
    chunk: Any = [partition.store.read(offset, 5, 1 << 20, at_least_one=True) for offset in range(5)]
    assert [decode_batch(one.data)[0].value for one in chunk] == values
    assert all(BatchHeader(one.data).codec == 1 for one in chunk)


def test_settings_that_change_meanwhile_change_no_order(
    env: HeldEnv, partition: Partition, validation: Validation
) -> None:
    first = validation.append(partition, a_batch(LARGE, 0), NOW, partition.append)
    partition.log.config = config()
    second = validation.append(partition, a_batch(100, 1), NOW, partition.append)
    env.finish()
    assert (appended(first).base_offset, appended(second).base_offset) == (0, 1)


def test_who_is_answered_may_append_at_once(env: HeldEnv, partition: Partition, validation: Validation) -> None:
    again: list[object] = []
    for sequence in (0, 1):
        answer = validation.append(partition, a_batch(LARGE, sequence), NOW, partition.append)
        assert isinstance(answer, Token)
        following = a_batch(100, 2 + sequence)
        answer.then(lambda _, b=following: again.append(validation.append(partition, b, NOW, partition.append)))
    for _ in range(4):
        env.finish()
    assert [appended(answer).base_offset for answer in again] == [2, 3]


def test_a_refused_batch_holds_up_nobody(env: HeldEnv, partition: Partition, validation: Validation) -> None:
    bomb = validation.append(partition, a_batch(0, codec=4, value=bytes(INFLATED_MAX + 1)), NOW, partition.append)
    large = validation.append(partition, a_batch(LARGE), NOW, partition.append)
    env.finish()
    env.finish()
    assert isinstance(bomb, Token)
    refused = bomb.result
    assert isinstance(refused, AppendError)
    assert refused.code == ErrorCode.MESSAGE_TOO_LARGE
    assert "flymq.inflate.bytes.max" in refused.message
    assert appended(large).base_offset == 0


def test_a_batch_that_grows_is_measured_again(env: HeldEnv, partition: Partition, validation: Validation) -> None:
    partition.log.config = config(compression_type="uncompressed", max_message_bytes=100_000)
    answer = validation.append(partition, a_batch(0, codec=4, value=bytes(200_000)), NOW, partition.append)
    env.finish()
    assert isinstance(answer, Token)
    assert answer.result.code == ErrorCode.MESSAGE_TOO_LARGE
    assert partition.log.end == 0


@pytest.mark.parametrize("reason", [Ended.DELETED, Ended.SHUTDOWN])
def test_the_partition_closes_meanwhile(
    env: HeldEnv, partition: Partition, validation: Validation, reason: Ended
) -> None:
    answers = [validation.append(partition, a_batch(LARGE), NOW, partition.append) for _ in range(2)]
    partition.close(reason)
    env.finish()
    env.finish()
    assert [answer.result for answer in answers if isinstance(answer, Token)] == [reason, reason]
    assert partition.log.end == 0


def test_a_bug_is_an_error_of_its_batch(env: HeldEnv, partition: Partition, validation: Validation) -> None:
    answer = validation.append(partition, a_batch(LARGE), NOW, partition.append)
    token, _, _ = env.jobs.pop()
    token.complete(ZeroDivisionError())
    assert isinstance(answer, Token)
    assert answer.result.code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert not partition.is_queueing


def test_threads_and_bytes_are_bounded(
    env: HeldEnv, partitions: Partitions, partition: Partition, validation: Validation
) -> None:
    relieved = []
    validation.on_relief = lambda: relieved.append(partitions.is_backlogged)
    for _ in range(6):
        validation.append(partition, a_batch(LARGE), NOW, partition.append)
    assert len(env.jobs) == 4
    assert partitions.is_backlogged
    for _ in range(3):
        env.finish()
    assert (partitions.is_backlogged, relieved) == (True, [])
    for _ in range(3):
        env.finish()
    assert (partitions.is_backlogged, relieved) == (False, [False])
    assert partition.log.end == 6
