"""A fetch over a partition with a history: leader epochs, a trimmed start, parking that leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flymq.core.catalog import Topic
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.env import Env
from flymq.runtime.fetching import FetchTarget, ParkedFetch, read, survey
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.waiting import Ended
from flymq.storage.api import Chunk, Unavailable
from flymq.storage.memory import MemoryEngine
from flymq_protocol.errors import ErrorCode
from tests.wire.batches import a_batch, now_ms

ID = b"i" * 16


@pytest.fixture
def env() -> Iterator[Env]:
    loop = asyncio.new_event_loop()
    env = Env(loop)
    yield env
    env.close()
    loop.close()


@pytest.fixture
def partitions(env: Env) -> Partitions:
    made = Partitions(env, MemoryEngine(env).logs, 1000)
    made.open_topic(Topic("t", ID, 2), TopicConfig.of(BrokerConfig(), {}))
    return made


@pytest.fixture
def partition(partitions: Partitions) -> Partition:
    """Offsets 0-2 of epoch 0, 3-4 of epoch 2."""
    found = partitions.find("t", 0)
    assert found is not None
    append(found, 3)
    found.log.leader_epoch = 2
    found.log.epochs.append((2, 3))
    append(found, 2)
    return found


def append(partition: Partition, count: int) -> None:
    partition.append(memoryview(bytearray(a_batch([b"x"] * count))), now_ms())


def target(offset: int, *, epoch: int = -1, last_fetched: int = -1, index: int = 0, by_id: bool = True) -> FetchTarget:
    return FetchTarget("t", ID if by_id else None, index, offset, 1 << 20, epoch, last_fetched)


@pytest.mark.parametrize(("epoch", "code"), [
    (-1, 0), (2, 0), (1, ErrorCode.FENCED_LEADER_EPOCH), (0, ErrorCode.FENCED_LEADER_EPOCH),
    (3, ErrorCode.UNKNOWN_LEADER_EPOCH),
])
def test_epochs_are_checked_before_offsets(partitions: Partitions, partition: Partition, epoch: int, code: int) -> None:
    assert target(5, epoch=epoch).check(partitions) == code
    assert target(99, epoch=epoch).check(partitions) == (code or ErrorCode.OFFSET_OUT_OF_RANGE)


@pytest.mark.parametrize(("last_fetched", "offset", "diverging"), [
    (0, 3, None), (0, 4, (0, 3)),  # of epoch 0 we have but three
    (1, 3, (0, 3)), (1, 5, (0, 3)),  # an epoch that we never had
    (2, 5, None), (3, 5, None), (-1, 5, None),
])
def test_where_two_logs_part(
    partitions: Partitions, partition: Partition, last_fetched: int, offset: int, diverging: tuple[int, int] | None
) -> None:
    one = target(offset, last_fetched=last_fetched)
    assert one.check(partitions) == 0
    assert one.diverging_epoch() == diverging
    if diverging is not None:
        assert survey([one], partitions, 1 << 20, False)  # told at once, without data
        assert read([one], 1 << 20, False) == ([None], [])


def test_below_the_log_start_is_out_of_range(partitions: Partitions, partition: Partition) -> None:
    partition.log.log_start = 2
    assert [target(offset).check(partitions) for offset in (1, 2, 5, 6)] == [1, 0, 0, 1]


def test_an_offline_partition_says_so(partitions: Partitions, partition: Partition) -> None:
    one = target(0)
    partition.offline = Unavailable("gone")
    assert one.check(partitions) == ErrorCode.KAFKA_STORAGE_ERROR
    assert survey([one], partitions, 1 << 20, False)
    assert read([one], 1 << 20, False) == ([None], [])


def test_a_read_that_fails_is_an_error_of_its_partition_alone(
    partitions: Partitions, partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = partitions.find("t", 1)
    assert second is not None
    append(second, 1)
    targets = [target(0), target(0, index=1)]
    assert survey(targets, partitions, 1, False)

    def fail(*_: Any, **__: Any) -> None:
        raise Unavailable("no disk")

    monkeypatch.setattr(type(partition.store), "read", lambda log, *args, **kwargs: (
        fail() if log is partition.store else Chunk(memoryview(b"whatever"))
    ))
    found, cold = read(targets, 1 << 20, False)
    assert ([one is None for one in found], cold) == ([True, False], [])
    assert [one.error for one in targets] == [ErrorCode.KAFKA_STORAGE_ERROR, 0]


def parked(env: Env, partitions: Partitions, targets: list[FetchTarget], bytes_min: int = 1) -> ParkedFetch:
    assert not survey(targets, partitions, bytes_min, False)
    return ParkedFetch(env, partitions, targets, bytes_min, 60_000, False)


@pytest.mark.parametrize("ended", [Ended.DISCONNECT, Ended.DEADLINE, Ended.SHUTDOWN, None])
def test_however_a_wait_ends_nothing_is_left_behind(
    env: Env, partitions: Partitions, partition: Partition, ended: Ended | None
) -> None:
    timers = len(env._timers)
    fetch = parked(env, partitions, [target(5), target(0, index=1)])
    assert (len(partition.waiters), len(env._timers)) == (1, timers + 1)
    fetch.token.complete(ended)
    assert [len(one.waiters) for one in partitions] == [0, 0]
    assert len(env._timers) == timers


@pytest.mark.parametrize("by_id", [True, False])
@pytest.mark.parametrize("bytes_min", [1, 1 << 20])
def test_who_waits_hears_of_a_deletion(
    env: Env, partitions: Partitions, partition: Partition, bytes_min: int, by_id: bool
) -> None:
    targets = [target(5, by_id=by_id)]
    fetch = parked(env, partitions, targets, bytes_min)
    partitions.close_topic(Topic("t", ID, 2))
    assert fetch.token.done
    assert survey(targets, partitions, 1, False)
    assert targets[0].error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert read(targets, 1 << 20, False) == ([None], [])


def test_by_name_a_topic_made_anew_is_found_again(env: Env, partitions: Partitions, partition: Partition) -> None:
    by_name, by_id = target(0, by_id=False), target(0)
    assert not by_name.check(partitions)
    assert not by_id.check(partitions)
    partitions.close_topic(Topic("t", ID, 2))
    partitions.open_topic(Topic("t", b"j" * 16, 1), TopicConfig.of(BrokerConfig(), {}))
    assert (by_name.check(partitions), by_id.check(partitions)) == (0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert target(0).check(partitions) == ErrorCode.UNKNOWN_TOPIC_ID  # who comes anew
    assert by_name.partition is partitions.find("t", 0)


def test_a_failed_disk_wakes_who_waits(env: Env, partitions: Partitions, partition: Partition) -> None:
    fetch = parked(env, partitions, [target(5)], 1 << 20)
    partition.store.on_offline(Unavailable("no disk"))
    assert fetch.token.done


def test_many_who_wait_are_woken_in_turns_of_the_loop(env: Env, partitions: Partitions, partition: Partition) -> None:
    fetches = [parked(env, partitions, [target(5)]) for _ in range(200)]
    append(partition, 1)
    assert not any(fetch.token.done for fetch in fetches)  # the producer is answered first
    woken = []
    while len(woken) < 4:
        env.loop.call_soon(env.loop.stop)
        env.loop.run_forever()  # one turn
        woken.append(sum(fetch.token.done for fetch in fetches))
    assert woken == [64, 128, 192, 200]


def test_a_partition_that_is_not_there_waits_with_the_others(partitions: Partitions, partition: Partition) -> None:
    missing, out_of_range = target(0, index=9), target(99)
    assert survey([missing], partitions, 1, False)
    assert not survey([missing, target(5)], partitions, 1, False)
    assert missing.error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert survey([missing, target(4)], partitions, 1, False)
    assert survey([missing, out_of_range], partitions, 1, False)
