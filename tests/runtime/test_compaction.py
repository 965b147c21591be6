"""Which partitions are cleaned when: over the memory engine, with real batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from flymq.core.catalog import Topic
from flymq.core.log.cleaning import Cleaned, CleaningTask
from flymq.core.log.plan import AppendPlan
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.env import Env, Token
from flymq.runtime.compaction import Compaction
from flymq.runtime.partitions import Partition, Partitions
from flymq.runtime.timestamps import find_timestamp
from flymq.storage.api import Corrupt, StorageError, Unavailable
from flymq.storage.memory import MemoryEngine
from flymq_protocol.records.record import Record, build_batch

NOW = 1_700_000_000_000


class Broker:
    """What compaction needs of one."""

    def __init__(self, **settings: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.env = Env(self.loop)
        self.config = BrokerConfig([{name.replace("_", "."): (text, "test") for name, text in settings.items()}])
        self.partitions = Partitions(self.env, MemoryEngine(self.env).logs, 86_400_000)
        self.compaction = Compaction(self.env, self.partitions, self.config)

    def topic(self, name: str, **overrides: str) -> Partition:
        topic = Topic(name, name.encode().ljust(16, b"."), 1, {})
        named = {key.replace("_", "."): text for key, text in overrides.items()}
        config = TopicConfig.of(self.config, {"cleanup.policy": "compact", **named})
        self.partitions.open_topic(topic, config)
        found = self.partitions.find(name, 0)
        assert found is not None
        return found

    def wait(self, token: Token) -> Any:
        future = self.loop.create_future()
        token.then(future.set_result)
        return self.loop.run_until_complete(asyncio.wait_for(future, 30))

    def run(self) -> list[Cleaned]:
        cleaned: list[Cleaned] = self.wait(self.compaction.run_now())
        return cleaned

    def close(self) -> None:
        self.compaction.close()
        self.env.close()
        self.loop.close()


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker()
    yield made
    made.close()


def write(partition: Partition, segments: int, *, keys: int = 3, producer_id: int = -1) -> None:
    """So many segments of ten batches of one record."""
    for _ in range(segments):
        partition.log._segment_bytes = partition.log.config.segment_bytes  # full: the next batch rolls
        for _ in range(10):
            sequence = partition.log.end if producer_id >= 0 else -1
            record = Record(0, NOW, b"key-%d" % (partition.log.end % keys), b"v" * 50)
            batch = build_batch(
                [record], producer_id=producer_id, producer_epoch=min(0, producer_id), base_sequence=sequence
            )
            assert isinstance(partition.append(memoryview(batch), NOW), AppendPlan)


def sizes(partition: Partition) -> list[int]:
    return [segment.size_bytes for segment in partition.store.segments()]


def test_what_is_dirty_is_cleaned_and_then_is_clean(broker: Broker) -> None:
    partition = broker.topic("dirty")
    write(partition, 4)
    (cleaned,) = broker.run()
    assert cleaned.end == partition.store.clean_end == 30
    assert len(sizes(partition)) == 2
    assert broker.run() == []
    write(partition, 4)
    (cleaned,) = broker.run()
    assert cleaned.end == 70


def test_what_is_not_compacted_is_left_alone(broker: Broker) -> None:
    kept = broker.topic("kept", cleanup_policy="delete")
    everything = broker.topic("everything", cleanup_policy="")
    both = broker.topic("both", cleanup_policy="compact,delete")
    for partition in (kept, everything, both):
        write(partition, 3)
    assert len(broker.run()) == 1
    assert [len(sizes(partition)) for partition in (kept, everything, both)] == [3, 3, 2]


def test_the_dirtiest_is_first(broker: Broker) -> None:
    asked: list[str] = []
    less, more, least = broker.topic("less"), broker.topic("more"), broker.topic("least")
    for partition in (less, more, least):
        write(partition, 3, keys=20)
    broker.run()
    write(less, 3)
    write(more, 9)
    write(least, 1)
    for partition in (less, more, least):
        clean = partition.store.clean

        def noted(task: CleaningTask, partition: Partition = partition, clean: Any = clean) -> Token:
            asked.append(partition.ref.topic)
            token: Token = clean(task)
            return token

        partition.store = Store(partition.store, noted)  # type: ignore[assignment]
    broker.run()
    assert asked == ["more", "less"]


class Store:
    """The partition's store with another `clean`."""

    def __init__(self, real: Any, clean: Any) -> None:
        self._real = real
        self.clean = clean

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def failing(partition: Partition, failure: StorageError) -> list[CleaningTask]:
    tasks: list[CleaningTask] = []

    def clean(task: CleaningTask) -> Token:
        tasks.append(task)
        raise failure

    partition.store = Store(partition.store, clean)  # type: ignore[assignment]
    return tasks


def test_a_damaged_partition_is_said_once_and_does_not_hold_up_the_others(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, other = broker.topic("damaged"), broker.topic("other")
    for partition in (damaged, other):
        write(partition, 3)
    tasks = failing(damaged, Corrupt("byte 7"))
    with caplog.at_level(logging.WARNING, "flymq.compaction"):
        assert len(broker.run()) == 1
        broker.run()
    assert len(tasks) == 1
    assert [record.message for record in caplog.records] == ["damaged-0 is not compacted until restart: byte 7"]


def test_a_failure_that_may_pass_is_tried_again(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    partition = broker.topic("orders")
    write(partition, 3)
    tasks = failing(partition, Unavailable("no room"))
    with caplog.at_level(logging.WARNING, "flymq.compaction"):
        assert broker.run() == broker.run() == []
    assert len(tasks) == 2
    assert "could not be compacted: no room" in caplog.records[0].message


def test_the_task_says_what_the_settings_say() -> None:
    broker = Broker(
        log_cleaner_dedupe_buffer_size="1600",
        log_cleaner_io_max_bytes_per_second="1000.5",
        flymq_inflate_bytes_max="777",
    )
    partition = broker.topic("orders", delete_retention_ms="123", segment_bytes=str(1 << 20))
    write(partition, 3)
    tasks = failing(partition, Unavailable(""))
    broker.run()
    broker.close()
    task = tasks[0]
    assert (task.keys_max, task.bytes_per_second, task.inflate_bytes_max) == (10, 1000.5, 777)
    assert (task.delete_retention_ms, task.segment_bytes) == (123, 1 << 20)


def test_producers_are_remembered(broker: Broker) -> None:
    partition = broker.topic("orders", delete_retention_ms="123")
    write(partition, 2, producer_id=5)
    write(partition, 1)
    tasks = failing(partition, Unavailable(""))
    broker.run()
    assert tasks[0].last_batches == {5: (0, 19)}
    assert (tasks[0].first_dirty, tasks[0].end, tasks[0].delete_retention_ms) == (0, 20, 123)


def test_a_time_is_found_behind_a_batch_that_was_emptied(broker: Broker) -> None:
    """The header of a producer's last batch still tells of the record that it held."""
    partition = broker.topic("orders")
    write(partition, 1, keys=1, producer_id=5)
    write(partition, 2, keys=1)
    assert len(broker.run()) == 1
    assert sizes(partition)[0] < 250  # one empty batch, one record
    found = broker.wait(find_timestamp(broker.env, partition, NOW, partition.log.end, 1 << 20))
    assert found == (19, NOW)
    assert broker.wait(find_timestamp(broker.env, partition, NOW + 1, partition.log.end, 1 << 20)) is None


def test_two_runs_at_once_are_one_after_the_other(broker: Broker) -> None:
    partition = broker.topic("orders")
    write(partition, 3)
    first, second = broker.compaction.run_now(), broker.compaction.run_now()
    assert broker.wait(second) == []
    assert len(first.result) == 1


def test_a_topic_that_goes_while_it_is_cleaned(broker: Broker) -> None:
    partition = broker.topic("orders")
    write(partition, 3, keys=1)
    running = broker.compaction.run_now()
    broker.partitions.close_topic(Topic("orders", partition.ref.topic_id, 1, {}))
    broker.wait(running)
    assert broker.run() == []


def test_it_looks_by_itself_and_not_after_close() -> None:
    broker = Broker(log_cleaner_backoff_ms="1")
    partition = broker.topic("orders")
    write(partition, 3)
    broker.compaction.start()
    while not partition.store.clean_end:
        broker.loop.run_until_complete(asyncio.sleep(0))
    broker.compaction.close()
    write(partition, 3)
    assert broker.run() == []
    broker.close()


def test_it_can_be_switched_off() -> None:
    broker = Broker(log_cleaner_enable="false", log_cleaner_backoff_ms="0")
    broker.compaction.start()
    assert broker.compaction._timer is None
    broker.close()
