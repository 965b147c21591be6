"""Fetch sessions: how many there are, whose turn it is to go, epochs. What they tell is tested on the wire."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from flymq.runtime.fetch_sessions import EPOCH_FULL, EPOCH_NONE, EVICT_IDLE_MS, FetchSession, FetchSessions
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, PartitionData
from flymq_protocol.errors import ErrorCode

BY_NAME, BY_ID = 12, 13


class Env:
    """Time and chance, as told."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.random: Iterator[int] = itertools.count(1)

    def tick_ms(self) -> int:
        return self.now_ms

    def random_bytes(self, count: int) -> bytes:
        return (next(self.random) << 1).to_bytes(count, "big")


@pytest.fixture
def env() -> Env:
    return Env()


def sessions(env: Env, slots_max: int = 10) -> FetchSessions:
    return FetchSessions(env, slots_max)  # type: ignore[arg-type]


def asking(session_id: int, epoch: int, *indexes: int, forget: tuple[int, ...] = (), offset: int = 0) -> FetchRequest:
    return FetchRequest(
        session_id=session_id,
        session_epoch=epoch,
        topics=[FetchTopic("t", partitions=[FetchPartition(index, fetch_offset=offset) for index in indexes])]
        if indexes
        else [],
        forgotten_topics_data=[ForgottenTopic("t", partitions=list(forget))] if forget else [],
    )


def opened(all_of_them: FetchSessions, *indexes: int) -> FetchSession:
    session = all_of_them.plan(asking(0, EPOCH_FULL, *(indexes or (0,))), BY_NAME).session
    assert session is not None
    return session


def told(watermark: int, records: bytes = b"", error: int = 0) -> PartitionData:
    return PartitionData(0, error, watermark, log_start_offset=0, records=records)


def test_no_more_sessions_than_slots(env: Env) -> None:
    cache = sessions(env, 2)
    first, second = opened(cache), opened(cache)
    plan = cache.plan(asking(0, EPOCH_FULL, 0), BY_NAME)
    assert (plan.session, plan.error, len(plan.targets)) == (None, 0, 1)  # legal: the client goes on without
    assert len(cache) == 2
    env.now_ms = EVICT_IDLE_MS
    assert cache.plan(asking(second.id, 1), BY_NAME).session is second  # so the first is the one that idled
    third = opened(cache)
    assert len(cache) == 2
    assert cache.plan(asking(first.id, 1), BY_NAME).error == ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert cache.plan(asking(third.id, 1), BY_NAME).error == 0


@pytest.mark.parametrize("idle_ms", [0, EVICT_IDLE_MS - 1])
def test_nobody_is_evicted_before_two_minutes(env: Env, idle_ms: int) -> None:
    cache = sessions(env, 1)
    first = opened(cache)
    env.now_ms = idle_ms
    assert cache.plan(asking(0, EPOCH_FULL, 0), BY_NAME).session is None
    assert cache.plan(asking(first.id, 1), BY_NAME).session is first


def test_no_slots_no_sessions(env: Env) -> None:
    assert sessions(env, 0).plan(asking(0, EPOCH_FULL, 0), BY_NAME).session is None


def test_a_session_may_begin_with_nothing(env: Env) -> None:
    """As on Kafka: the client adds partitions later."""
    session = sessions(env).plan(asking(0, EPOCH_FULL), BY_NAME).session
    assert session is not None
    assert session.id > 0
    assert not session.targets


def test_ids_are_positive_and_of_nobody_else(env: Env) -> None:
    cache = sessions(env)
    env.random = iter([0, 7, 7, 8])
    assert [opened(cache).id, opened(cache).id] == [7, 8]


def test_epochs_count_and_wrap_to_one(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache)
    for epoch in (1, 2, 3):
        assert cache.plan(asking(session.id, epoch), BY_NAME).error == 0
    assert cache.plan(asking(session.id, 3), BY_NAME).error == ErrorCode.INVALID_FETCH_SESSION_EPOCH
    session.epoch = 2**31 - 1
    assert cache.plan(asking(session.id, 2**31 - 1), BY_NAME).error == 0
    assert cache.plan(asking(session.id, 1), BY_NAME).error == 0


def test_names_and_ids_do_not_mix(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache)
    assert cache.plan(asking(session.id, 1), BY_ID).error == ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    assert cache.plan(asking(session.id, 1), BY_NAME).error == 0


def test_closing(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache)
    plan = cache.plan(asking(session.id, EPOCH_NONE, 0), BY_NAME)
    assert (plan.session, len(plan.targets), len(cache)) == (None, 1, 0)


def test_added_changed_and_forgotten_in_one_request(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache, 0, 1, 2)
    plan = cache.plan(asking(session.id, 1, 3, 0, forget=(1,), offset=9), BY_NAME)
    assert [(target.index, target.offset) for target in plan.targets] == [(0, 9), (2, 0), (3, 9)]


def test_a_fetch_that_waits_keeps_what_it_asked_for(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache)
    waiting = cache.plan(asking(session.id, 1, 0, offset=5), BY_NAME)
    later = cache.plan(asking(session.id, 2, 0, offset=6), BY_NAME)
    assert [plan.targets[0].offset for plan in (waiting, later)] == [5, 6]


def test_what_was_told_outlives_a_change_of_offset(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache)
    target = session.targets["t", 0]
    assert session.keep(target, told(4))
    (target,) = cache.plan(asking(session.id, 1, 0, offset=3), BY_NAME).targets
    assert not session.keep(target, told(4))


def test_what_must_be_told(env: Env) -> None:
    session = opened(sessions(env))
    (target,) = session.targets.values()
    steps: list[tuple[Any, bool]] = [
        (told(4), True), (told(4), False), (told(4, b"records"), True), (told(5), True), (told(5), False),
        (told(-1, error=3), True), (told(-1, error=3), True), (told(5), True), (told(5), False),
    ]
    assert [session.keep(target, data) for data, _ in steps] == [must for _, must in steps]


def test_a_forgotten_partition_does_not_come_back_by_its_answer(env: Env) -> None:
    cache = sessions(env)
    session = opened(cache, 0, 1)
    (waiting, _) = cache.plan(asking(session.id, 1), BY_NAME).targets
    cache.plan(asking(session.id, 2, forget=(0,)), BY_NAME)
    assert session.keep(waiting, told(4, b"records"))
    assert list(session.targets) == [("t", 1)]
