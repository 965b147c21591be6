"""Retention over partitions with records: what it takes, when, and how long the loop is held up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flymq.core.catalog import Topic
from flymq.core.log.plan import AppendPlan, Duplicate
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.env import Env
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.retention import Retention
from flymq.storage.api import StorageError
from flymq.storage.files import FilesEngine
from flymq.storage.memory import MemoryEngine
from flymq_protocol.records.record import Record, build_batch

TOPIC = Topic("orders", b"\1" * 16, 3, {})


def config(**settings: object) -> TopicConfig:
    return TopicConfig.of(BrokerConfig(), {name.replace("_", "."): str(value) for name, value in settings.items()})


class Place:
    """Partitions over an engine, and a loop that runs while something is waited for."""

    def __init__(self, path: Path | None) -> None:
        self.loop = asyncio.new_event_loop()
        self.env = Env(self.loop)
        self.engine = MemoryEngine(self.env) if path is None else FilesEngine(str(path), self.env, node_id=1)
        self.partitions = Partitions(self.env, self.engine.logs, 86_400_000)
        self.wait(self.partitions.open_topic(TOPIC, config()))

    def __getitem__(self, index: int) -> Partition:
        found = self.partitions.find("orders", index)
        assert found is not None
        return found

    def wait(self, token: object) -> object:
        async def waiting() -> object:
            future = self.loop.create_future()
            token.then(future.set_result)  # type: ignore[attr-defined]
            return await asyncio.wait_for(future, 30)

        return self.loop.run_until_complete(waiting())

    def load_again(self) -> None:
        """As a start does, over the same engine."""
        self.partitions = Partitions(self.env, self.engine.logs, 86_400_000)
        self.wait(self.partitions.open_topic(TOPIC, config()))

    def until(self, holds: Callable[[], bool]) -> None:
        """Let the loop turn until it holds."""
        while not holds():
            self.loop.run_until_complete(asyncio.sleep(0))

    def append(self, index: int, age_ms: int, count: int = 1) -> None:
        now_ms = self.env.now_ms()
        partition = self[index]
        for _ in range(count):
            batch = build_batch([Record(0, now_ms - age_ms, b"k", b"x" * 1000)])
            assert isinstance(partition.append(memoryview(batch), now_ms), AppendPlan)
        token = partition.when_durable(partition.log.end - 1)
        if token is not None:
            self.wait(token)

    def close(self) -> None:
        self.partitions.close()
        self.wait(self.engine.close())
        self.env.close()
        self.loop.close()


@pytest.fixture(params=["memory", "files"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    opened = Place(None if request.param == "memory" else tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def retention(place: Place) -> Iterator[Retention]:
    made = Retention(place.env, place.partitions, 3_600_000)
    yield made
    made.close()


def test_old_records_go_the_active_segment_too(place: Place, retention: Retention) -> None:
    place.append(0, 5000, 3)
    place.append(1, 0)
    for index in range(3):
        place[index].log.config = config(retention_ms=1000)
    place.wait(retention.run_now())
    assert [(place[i].log.log_start, place[i].log.end) for i in range(3)] == [(3, 3), (0, 1), (0, 0)]
    assert place[0].store.segments() == []
    place.append(0, 0)
    assert [segment.base_offset for segment in place[0].store.segments()] == [3]


def test_producers_outlive_their_records(place: Place) -> None:
    now_ms = place.env.now_ms()
    record = Record(0, now_ms, b"k", b"x")
    batch = build_batch([record], producer_id=7, producer_epoch=0, base_sequence=0)
    assert isinstance(place[0].append(memoryview(bytearray(batch)), now_ms), AppendPlan)
    place.append(0, 0)
    place.wait(place[0].trim(2))
    assert isinstance(place[0].append(memoryview(bytearray(batch)), now_ms), Duplicate)
    place.load_again()
    assert isinstance(place[0].append(memoryview(bytearray(batch)), now_ms), Duplicate)
    assert place[0].log.end == 2


def test_settings_act_at_the_next_check(place: Place, retention: Retention) -> None:
    place.append(0, 5000, 2)
    place.wait(retention.run_now())
    assert place[0].log.log_start == 0
    place[0].log.config = config(retention_bytes=0, cleanup_policy="compact")
    place.wait(retention.run_now())
    assert place[0].log.log_start == 0
    place[0].log.config = config(retention_bytes=0)
    place.wait(retention.run_now())
    assert place[0].log.log_start == 2


def test_it_runs_by_itself_until_it_is_closed(place: Place) -> None:
    place[0].log.config = config(retention_ms=0)
    retention = Retention(place.env, place.partitions, 5)
    for _ in range(2):
        place.append(0, 1000)
        place.until(lambda: place[0].log.log_start == place[0].log.end)
    retention.close()
    assert place[0].log.log_start == 2


def test_partitions_that_fail_or_go_meanwhile_do_not_stop_it(place: Place, retention: Retention) -> None:
    for index in range(3):
        place.append(index, 5000)
        place[index].log.config = config(retention_ms=0)
    place[0].offline = StorageError("gone")
    place[1].is_closed = True
    place.wait(retention.run_now())
    assert [place[index].log.log_start for index in range(3)] == [0, 0, 1]


def test_files_descriptors_and_unflushed_bytes_are_given_back(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    retention = Retention(place.env, place.partitions, 3_600_000)
    place[0].log.config = config(segment_ms=1, retention_ms=-1)
    for age_ms in (9000, 6000, 3000):
        place.append(0, age_ms, 2)
    logs = place.engine.logs
    assert len(list(tmp_path.rglob("*.log"))) == 3
    place[0].log.config = config(retention_ms=0)
    place.wait(retention.run_now())
    place.until(lambda: not [*tmp_path.rglob("*.log"), *tmp_path.rglob("*.index")])
    assert len(logs.open_files) == 0  # type: ignore[union-attr]
    assert logs.flusher.written == logs.flusher.flushed  # type: ignore[union-attr]
    retention.close()
    place.close()
    reopened = Place(tmp_path / "data")
    log = reopened[0].log
    assert (log.log_start, log.end) == (6, 6)
    reopened.append(0, 0)
    assert log.end == 7
    reopened.close()


def test_ten_thousand_idle_partitions_take_no_time() -> None:
    place = Place(None)
    many = Topic("many", b"\2" * 16, 10_000, {})
    place.wait(place.partitions.open_topic(many, config()))
    batch = build_batch([Record(0, place.env.now_ms(), b"k", b"x")])
    for index in range(0, 10_000, 2):
        partition = place.partitions.find("many", index)
        assert partition is not None
        partition.append(memoryview(bytearray(batch)), place.env.now_ms())
    retention = Retention(place.env, place.partitions, 3_600_000)
    started = time.process_time()
    place.wait(retention.run_now())
    assert time.process_time() - started < 0.5
    retention.close()
    place.close()
