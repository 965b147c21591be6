"""Consumer groups of this broker: a group id names a shard, as it names a partition of __consumer_offsets in Kafka."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol

from flymq.core.group.consumer.events import DescribeConsumerGroups, TopicChanged
from flymq.core.group.consumer.settings import ConsumerConfig, ConsumerSettings
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import (
    DeleteGroups,
    DescribeGroups,
    EndTransaction,
    GroupConfig,
    ListGroups,
    OpenTransactions,
    TopicDeleted,
)
from flymq.core.group.shard import GroupShard
from flymq.env import Env, Token, completed, gather
from flymq.runtime.shards import ShardRunner
from flymq.runtime.waiting import Ended, Pending
from flymq.storage.api import EngineError, ShardStore
from flymq_protocol.errors import ErrorCode

PREFIX = "groups/"


class Settings(Protocol):
    """What groups need of the broker's configuration."""

    def int(self, name: builtins.str) -> builtins.int:
        """The value of a numeric setting, by Kafka's dotted name."""

    def str(self, name: builtins.str) -> builtins.str:
        """The value of a text setting."""

    def list(self, name: builtins.str) -> builtins.list[builtins.str]:
        """The value of a list setting."""


def group_config(settings: Settings) -> GroupConfig:
    return GroupConfig(
        group_initial_rebalance_delay_ms=settings.int("group.initial.rebalance.delay.ms"),
        group_min_session_timeout_ms=settings.int("group.min.session.timeout.ms"),
        group_max_session_timeout_ms=settings.int("group.max.session.timeout.ms"),
        group_max_size=settings.int("group.max.size"),
        offset_metadata_max_bytes=settings.int("offset.metadata.max.bytes"),
        offsets_retention_ms=settings.int("offsets.retention.minutes") * 60_000,
        offsets_retention_check_interval_ms=settings.int("offsets.retention.check.interval.ms"),
    )


def consumer_config(settings: Settings) -> ConsumerConfig:
    return ConsumerConfig(
        session_timeout_ms=settings.int("group.consumer.session.timeout.ms"),
        heartbeat_interval_ms=settings.int("group.consumer.heartbeat.interval.ms"),
        assignment_interval_ms=settings.int("group.consumer.assignment.interval.ms"),
        max_size=settings.int("group.consumer.max.size"),
        assignors=tuple(settings.list("group.consumer.assignors")),
        migration_policy=settings.str("group.consumer.migration.policy").lower(),
    )


@lru_cache(maxsize=65536)
def java_hash(text: str) -> int:
    """String.hashCode: over UTF-16 code units, a signed 32-bit number."""
    units = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8) + low) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def shard_of(group_id: str, count: int) -> int:
    """Which of `count` shards a group is in. Kafka's abs makes the smallest integer 0."""
    value = java_hash(group_id)
    return 0 if value == -(1 << 31) else abs(value) % count


class Groups:
    """Made without a look at the store: call `load` before the first request.

    Tokens complete with what the event's docstring in `flymq.core.group.events` says, or with an `ErrorCode`
    or a member of `Ended`: `failure` tells.
    """

    def __init__(
        self, env: Env, shards: ShardStore, config: Settings, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._env = env
        self._store = shards
        self._on_fatal = on_fatal
        self._config = group_config(config)
        self.consumer_settings = ConsumerSettings(consumer_config(config))
        """Its `configure` gives a group settings of its own."""
        self._topics = KnownTopics()
        self._count = config.int("offsets.topic.num.partitions")
        self._runners: dict[int, ShardRunner] = {}
        self._closed = False

    def load(self, topic_exists: Callable[[bytes], bool] | None = None) -> None:
        """Load every shard that has rows, and drop the offsets of topics that are gone.

        Raises `EngineError` where `offsets.topic.num.partitions` is not what the rows were written with.
        """
        for name in self._store.shards():
            if name.startswith(PREFIX):
                self._load_shard(int(name[len(PREFIX) :]), topic_exists)

    def _load_shard(self, number: int, topic_exists: Callable[[bytes], bool] | None) -> None:
        machines: list[GroupShard] = []

        def make() -> GroupShard:
            machines[:] = [self._make()]
            return machines[0]

        self._runners[number] = runner = ShardRunner(self._env, self._store, f"{PREFIX}{number}", make, self._on_fatal)
        runner.load()
        topics: set[bytes] = set()
        for group in machines[0].all_groups():
            if shard_of(group.group_id, self._count) != number:
                raise EngineError(
                    f"group {group.group_id!r} was stored with another offsets.topic.num.partitions than {self._count}",
                    "set offsets.topic.num.partitions back to what it was when this data folder was made",
                )
            topics.update(group.offsets)
        topics.update(machines[0].pending.topics())
        if topic_exists is not None:
            for topic_id in sorted(topics):
                if not topic_exists(topic_id):
                    runner.tell(TopicDeleted(topic_id))

    def _make(self) -> GroupShard:
        return GroupShard(self._config, self.consumer_settings, self._topics)

    def settings_changed(self, settings: Settings) -> None:
        """Those of consumer groups may change while the broker runs; the others are as they were at its start."""
        self.consumer_settings.config = consumer_config(settings)

    def _runner(self, group_id: str) -> ShardRunner:
        number = shard_of(group_id, self._count)
        runner = self._runners.get(number)
        return self._new_runner(number) if runner is None else runner

    def _new_runner(self, number: int) -> ShardRunner:
        name = f"{PREFIX}{number}"
        runner = ShardRunner(self._env, self._store, name, self._make, self._on_fatal)
        self._runners[number] = runner
        runner.load()
        return runner

    # -- requests ---------------------------------------------------------------------------------

    def request(self, event: Any) -> Token:
        """Feed an event that names one group (JoinGroup, SyncGroup, Heartbeat, ...)."""
        if self._closed:
            return completed(Ended.SHUTDOWN)
        return self._runner(event.group_id).request(event)

    def unique(self) -> str:
        """The tail of a new member id: a random UUID, as text."""
        random = bytearray(self._env.random_bytes(16))
        random[6] = random[6] & 0x0F | 0x40  # version 4
        random[8] = random[8] & 0x3F | 0x80
        text = random.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def describe(self, group_ids: list[str]) -> Token:
        """Completes with a list of `GroupDescription` or `ErrorCode`, in order of `group_ids`."""
        return self._each(group_ids, DescribeGroups)

    def describe_consumer_groups(self, group_ids: list[str]) -> Token:
        """Completes with a list in order of `group_ids`: `ConsumerGroupDescription`, why there is none, `ErrorCode`."""
        return self._each(group_ids, DescribeConsumerGroups)

    def delete(self, group_ids: list[str]) -> Token:
        """Completes with a list of `ErrorCode`, in order of `group_ids`."""
        return self._each(group_ids, DeleteGroups)

    def list_groups(self, states: frozenset[str]) -> Token:
        """All groups in those states (lower-case names; empty for any): a list of `ListedGroup`, or an `ErrorCode`."""
        whole = Token()

        def listed(results: list[Any]) -> None:
            error = next(filter(None, map(failure, results)), None)
            whole.complete(list(chain.from_iterable(results)) if error is None else error)

        gather([runner.request(ListGroups(states)) for runner in self._runners.values()]).then(listed)
        return whole

    def _each(
        self, group_ids: list[str], event: type[DescribeGroups | DescribeConsumerGroups | DeleteGroups]
    ) -> Token:
        """One event for all groups of a shard; their answers go back to where the groups were named."""
        if self._closed:
            return completed(Ended.SHUTDOWN)
        places: dict[ShardRunner, list[int]] = {}
        for place, group_id in enumerate(group_ids):
            places.setdefault(self._runner(group_id), []).append(place)
        tokens = [runner.request(event([group_ids[place] for place in at])) for runner, at in places.items()]
        whole = Token()

        def answered(results: list[Any]) -> None:
            answers: list[Any] = [None] * len(group_ids)
            for at, result in zip(places.values(), results, strict=True):
                error = failure(result)
                for number, place in enumerate(at):
                    answers[place] = result[number] if error is None else error
            whole.complete(answers)

        gather(tokens).then(answered)
        return whole

    # -- transactions -----------------------------------------------------------------------------

    def shard_of(self, group_id: str) -> int:
        """The shard that keeps the group: a target of the transactions that commit its offsets."""
        return shard_of(group_id, self._count)

    def end_transaction(self, shard: int, producer_id: int, commit: bool) -> Token:
        """Commit or drop what is pending there, as often as you like: None once it is durable, or that nothing was
        pending. Else an `ErrorCode` (try again) or `Ended.SHUTDOWN`."""
        if self._closed:
            return completed(Ended.SHUTDOWN)
        runner = self._runners.get(shard)
        return completed() if runner is None else runner.request(EndTransaction(producer_id, commit))

    def open_transactions(self) -> dict[int, dict[int, int]]:
        """Shard -> producer id -> epoch of all that have pending offsets. Call it after `load`."""
        found = {}
        for number, runner in self._runners.items():
            producers = runner.request(OpenTransactions()).result
            if isinstance(producers, dict) and producers:
                found[number] = producers
        return found

    # -- from outside -----------------------------------------------------------------------------

    def topic_changed(self, name: str, topic_id: bytes, partition_count: int) -> None:
        """A topic was loaded or created, or has more partitions: consumer groups may want it."""
        self._topics.put(name, topic_id, partition_count)  # for the shards to come
        for runner in list(self._runners.values()):
            runner.tell(TopicChanged(name, topic_id, partition_count))

    def topic_deleted(self, topic_id: bytes) -> None:
        """Forget its offsets in every group, and take it from those that consume it."""
        self._topics.drop(topic_id)
        for runner in list(self._runners.values()):
            runner.tell(TopicDeleted(topic_id))

    def close(self) -> None:
        """Complete what waits with `Ended.SHUTDOWN`; further requests too."""
        self._closed = True
        for runner in self._runners.values():
            runner.close()


def failure(result: object) -> ErrorCode | None:
    """The error to answer with where the whole request failed; None where `result` is a proper result, or NONE."""
    if isinstance(result, ErrorCode):
        return result or None
    return ErrorCode.COORDINATOR_NOT_AVAILABLE if isinstance(result, Ended) else None


def when_done(token: Token, finish: Callable[[Any], Any]) -> Any:
    """The response at once where there is nothing to wait for, else `Pending`."""
    return finish(token.result) if token.done else Pending(token, finish)
