"""Topics over stores and partitions that answer late, or not at all."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from flymq.core.catalog import NewTopic, Topic, TopicError
from flymq.core.settings import BrokerConfig, TopicConfig
from flymq.env import Env, Token, completed
from flymq.runtime.topics import Topics
from flymq.storage.api import ShardStore, StorageError, Unavailable
from flymq_protocol.errors import ErrorCode


class LateShards(ShardStore):
    """Writes complete when the test says so, in order, as the contract wants."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        self._writes: list[tuple[str, list[tuple[str, str]], list[str], Token]] = []

    def load(self, shard: str, epoch: int = 0) -> Iterator[tuple[str, str]]:
        return iter(sorted(self.rows.get(shard, {}).items()))

    def shards(self) -> list[str]:
        return list(self.rows)

    def write(self, shard: str, puts: Iterable[tuple[str, str]], deletes: Iterable[str] = (), epoch: int = 0) -> Token:
        token = Token()
        self._writes.append((shard, list(puts), list(deletes), token))
        return token

    def complete(self, failure: StorageError | None = None) -> None:
        """The oldest write is durable, or has failed."""
        shard, puts, deletes, token = self._writes.pop(0)
        if failure is None:
            rows = self.rows.setdefault(shard, {})
            rows.update(puts)
            for key in deletes:
                rows.pop(key, None)
        token.complete(failure)


class Partitions:
    """Records what is open; opens at once unless told to be late."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.grown: list[int] = []
        self.configs: dict[str, TopicConfig] = {}
        self.late: Token | None = None

    def open_topic(self, topic: Topic, config: TopicConfig) -> Token:
        self.open.append(topic.name)
        return self.late or completed()

    def grow_topic(self, topic: Topic, config: TopicConfig) -> Token:
        self.grown.append(topic.partition_count)
        return self.late or completed()

    def set_config(self, topic: Topic, config: TopicConfig) -> None:
        self.configs[topic.name] = config

    def close_topic(self, topic: Topic) -> None:
        self.open.remove(topic.name)


@pytest.fixture
def env() -> Iterator[Env]:
    loop = asyncio.new_event_loop()
    env = Env(loop)
    yield env
    env.close()
    loop.close()


class World:
    def __init__(self, env: Env) -> None:
        self.env = env
        self.shards = LateShards()
        self.start()

    def start(self) -> None:
        """A broker starts on what the store has."""
        self.partitions = Partitions()
        self.config = BrokerConfig()
        self.topics = Topics(self.env, self.shards, self.partitions, self.config)
        self.told: list[tuple[str, int]] = []
        self.topics.on_changed.append(lambda topic: self.told.append((topic.name, topic.partition_count)))
        assert self.topics.load().done

    def names(self) -> list[str]:
        return [topic.name for topic in self.topics.all() if not topic.is_internal]


@pytest.fixture
def world(env: Env) -> World:
    return World(env)


def error_of(token: Token) -> ErrorCode:
    assert token.done
    assert isinstance(token.result, TopicError), token.result
    return token.result.code


def test_a_topic_is_visible_once_it_is_durable_and_open(world: World) -> None:
    world.partitions.late = Token()
    version = world.topics.version
    created = world.topics.create(NewTopic("t", 2))
    assert (world.names(), world.partitions.open, created.done) == ([], [], False)
    world.shards.complete()
    assert (world.names(), world.partitions.open, created.done) == ([], ["t"], False)
    world.partitions.late.complete()
    assert (world.names(), created.result.partition_count) == (["t"], 2)
    assert world.topics.by_id(created.result.id) is world.topics.get("t") is created.result
    assert world.topics.version > version


def test_topics_are_there_again_after_a_restart(world: World) -> None:
    created = world.topics.create(NewTopic("t", 2, overrides={"retention.ms": "5"}))
    world.shards.complete()
    world.start()
    assert world.topics.get("t") == created.result
    assert world.topics.config_of(created.result).retention_ms == 5
    assert world.partitions.open == ["t"]


def test_a_second_creation_is_refused_and_an_automatic_one_joins(world: World) -> None:
    first = world.topics.create(NewTopic("t"))
    assert error_of(world.topics.create(NewTopic("t"))) == ErrorCode.TOPIC_ALREADY_EXISTS
    joined = world.topics.auto_create("t")
    assert not joined.done
    world.shards.complete()
    assert joined.result is first.result is world.topics.get("t")


def test_check_changes_nothing(world: World) -> None:
    assert isinstance(world.topics.check(NewTopic("t")), Topic)
    assert isinstance(world.topics.check(NewTopic("t", 0)), TopicError)
    assert world.names() == []
    assert isinstance(world.topics.check(NewTopic("t")), Topic)


@pytest.mark.parametrize("fails", ["row", "partitions"])
def test_a_failed_creation_leaves_nothing_and_frees_the_name(world: World, fails: str) -> None:
    world.partitions.late = Token() if fails == "partitions" else None
    created = world.topics.create(NewTopic("t"))
    if world.partitions.late is None:
        world.shards.complete(Unavailable("no disk"))
    else:
        world.shards.complete()
        world.partitions.late.complete(Unavailable("no disk"))
    assert not created.done  # the row is still to be taken back
    assert error_of(world.topics.create(NewTopic("t"))) == ErrorCode.TOPIC_ALREADY_EXISTS
    world.shards.complete()
    assert error_of(created) == ErrorCode.KAFKA_STORAGE_ERROR
    assert (world.names(), world.partitions.open, world.shards.rows.get("catalog")) == ([], [], {})
    world.partitions.late = None
    again = world.topics.create(NewTopic("t"))
    world.shards.complete()
    assert world.topics.get("t") is again.result


def created(world: World, name: str) -> Topic:
    token = world.topics.create(NewTopic(name))
    world.shards.complete()
    assert isinstance(token.result, Topic)
    return token.result


def test_a_topic_is_gone_once_its_row_is(world: World) -> None:
    topic = created(world, "t")
    told: list[Topic] = []
    world.topics.on_deleted.append(told.append)
    deleted = world.topics.delete(topic)
    assert world.names() == ["t"]
    assert error_of(world.topics.delete(topic)) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    world.shards.complete()
    assert (deleted.done, deleted.result, world.names(), world.partitions.open, told) == (True, None, [], [], [topic])
    assert error_of(world.topics.delete(topic)) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    world.start()
    assert world.names() == []


def test_who_listens_hears_of_topics_created_and_loaded(world: World) -> None:
    told: list[str] = []
    world.topics.on_changed.append(lambda topic: told.append(topic.name))
    topic = created(world, "t")
    assert told == ["t"]
    world.topics.delete(topic)
    world.shards.complete()
    assert told == ["t"]


def test_a_created_again_topic_has_another_id(world: World) -> None:
    first = created(world, "t")
    world.topics.delete(first)
    world.shards.complete()
    assert created(world, "t").id != first.id


def test_a_failed_deletion_leaves_the_topic(world: World) -> None:
    topic = created(world, "t")
    deleted = world.topics.delete(topic)
    world.shards.complete(Unavailable("no disk"))
    assert error_of(deleted) == ErrorCode.KAFKA_STORAGE_ERROR
    assert (world.names(), world.partitions.open) == (["t"], ["t"])
    assert not world.topics.delete(topic).done


def test_loading_tells_which_store_failed(world: World) -> None:
    created(world, "t")
    failure = Unavailable("damaged")
    partitions = Partitions()
    partitions.late = completed(failure)
    assert Topics(world.env, world.shards, partitions, BrokerConfig()).load().result is failure


class FewBytes(Env):
    """Random bytes from a list, then zeros."""

    given: list[bytes]

    def random_bytes(self, count: int) -> bytes:
        return self.given.pop(0) if self.given else bytes(count)


def test_ids_are_new_and_never_begin_with_a_dash() -> None:
    loop = asyncio.new_event_loop()
    env = FewBytes(loop)
    env.given = [b"\xfb" + bytes(15), b"\x01" * 16, b"\x01" * 16, b"\x02" * 16]
    world = World(env)
    ids = [created(world, "a").id, created(world, "b").id]
    assert [topic_id[0] for topic_id in ids] == [1, 2]
    for topic_id in ids:
        assert not base64.urlsafe_b64encode(topic_id).startswith(b"-")
        assert (topic_id[6] >> 4, topic_id[8] >> 6) == (4, 2)  # a random UUID (RFC 4122)
    env.close()
    loop.close()


def test_answers_are_kept_until_something_changes(world: World) -> None:
    world.topics.answers["question"] = "answer"
    topic: Any = created(world, "t")
    assert world.topics.answers == {}
    world.topics.answers["question"] = "answer"
    world.topics.delete(topic)
    world.shards.complete()
    assert world.topics.answers == {}


# -- changes --------------------------------------------------------------------------------------


def a_topic(world: World, partition_count: int = 1) -> Topic:
    created = world.topics.create(NewTopic("t", partition_count))
    world.shards.complete()
    topic: Topic = created.result
    return topic


def grow(world: World, topic: Topic, count: int) -> Token:
    planned = world.topics.plan_growth(world.topics.latest(topic), count, None)
    assert isinstance(planned, Topic)
    return world.topics.change(planned)


def configure(world: World, topic: Topic, **own: str) -> Token:
    latest = world.topics.latest(topic)
    values = {**latest.overrides, **{name.replace("_", "."): text for name, text in own.items()}}
    planned = world.topics.plan_settings(latest, values)
    assert isinstance(planned, Topic)
    return world.topics.change(planned)


def test_new_partitions_are_durable_then_open_then_visible(world: World) -> None:
    topic = a_topic(world)
    world.partitions.late = Token()
    version = world.topics.version
    grown = grow(world, topic, 3)
    assert (world.partitions.grown, world.topics.version) == ([], version)
    world.shards.complete()
    assert (world.partitions.grown, grown.done, world.topics.get("t")) == ([3], False, topic)
    world.partitions.late.complete()
    assert grown.result is world.topics.get("t") is world.topics.by_id(topic.id)
    assert (grown.result.partition_count, grown.result.id) == (3, topic.id)
    assert world.topics.version > version


def test_who_wants_to_know_is_told_of_topics_loaded_created_and_grown(world: World) -> None:
    topic = a_topic(world)
    configure(world, topic, retention_ms="5")
    world.shards.complete()
    grow(world, topic, 2)
    world.shards.complete()
    ours = [told for told in world.told if told[0] == "t"]
    assert ours == [("t", 1), ("t", 2)]
    world.start()
    assert ("t", 2) in world.told


def test_settings_are_durable_then_in_force(world: World) -> None:
    topic = a_topic(world)
    changed = configure(world, topic, retention_ms="5")
    assert (changed.done, world.partitions.configs) == (False, {})
    world.shards.complete()
    assert changed.result.overrides == {"retention.ms": "5"}
    assert world.partitions.configs["t"].retention_ms == 5
    world.start()
    found = world.topics.get("t")
    assert found is not None
    assert world.topics.config_of(found).retention_ms == 5


def test_changes_under_way_build_on_each_other(world: World) -> None:
    topic = a_topic(world)
    tokens = [configure(world, topic, retention_ms="5"), configure(world, topic, segment_ms="6"), grow(world, topic, 2)]
    for _ in tokens:
        world.shards.complete()
    assert all(token.done for token in tokens)
    found = world.topics.get("t")
    assert found is not None
    assert (found.overrides, found.partition_count) == ({"retention.ms": "5", "segment.ms": "6"}, 2)
    world.start()
    assert world.topics.get("t") == found


@pytest.mark.parametrize("fails", ["row", "partitions"])
def test_a_failed_change_leaves_what_was_there_and_fails_what_builds_on_it(world: World, fails: str) -> None:
    topic = a_topic(world)
    row = dict(world.shards.rows["catalog"])
    world.partitions.late = Token()
    first, second = grow(world, topic, 2), configure(world, topic, retention_ms="5")
    if fails == "row":
        world.shards.complete(Unavailable("no disk"))
    else:
        world.shards.complete()
        world.partitions.late.complete(Unavailable("no disk"))
    assert not first.done  # the row is still to be written back
    world.shards.complete()
    assert error_of(first) == error_of(second) == ErrorCode.KAFKA_STORAGE_ERROR
    assert (world.topics.get("t"), world.shards.rows["catalog"]) == (topic, row)
    world.partitions.late = None
    third = grow(world, topic, 2)
    world.shards.complete()
    assert third.result.partition_count == 2


@pytest.mark.parametrize("when", ["before", "while the row is written", "while the partitions open"])
def test_a_topic_that_is_deleted_meanwhile_stays_deleted(world: World, when: str) -> None:
    topic = a_topic(world)
    world.partitions.late = Token()
    if when == "before":
        world.topics.delete(topic)
        grown = grow(world, topic, 2)
    else:
        grown = grow(world, topic, 2)
        if when == "while the partitions open":
            world.shards.complete()
        world.topics.delete(topic)
        if when == "while the row is written":
            world.shards.complete()
    world.shards.complete()
    world.partitions.late.complete()
    assert error_of(grown) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (world.names(), world.shards.rows["catalog"]) == ([], {})


def test_a_failed_change_of_a_topic_being_deleted_does_not_bring_it_back(world: World) -> None:
    topic = a_topic(world)
    changed = configure(world, topic, retention_ms="5")
    world.topics.delete(topic)
    world.shards.complete(Unavailable("no disk"))
    world.shards.complete()
    assert error_of(changed) == ErrorCode.KAFKA_STORAGE_ERROR
    assert (world.names(), world.shards.rows["catalog"]) == ([], {})


def test_the_brokers_new_defaults_reach_topics_without_a_value_of_their_own(world: World) -> None:
    topic = a_topic(world)
    world.config.on_changed.append(world.topics.defaults_changed)
    world.config.set_dynamic({"log.retention.ms": "7", "log.segment.bytes": "2000000"}, {})
    assert (world.partitions.configs["t"].retention_ms, world.partitions.configs["t"].segment_bytes) == (7, 2_000_000)
    configure(world, topic, retention_ms="5")
    world.shards.complete()
    world.config.set_dynamic({"log.retention.ms": "8"}, {})
    assert world.partitions.configs["t"].retention_ms == 5
    assert world.partitions.configs["t"].segment_bytes == 1 << 30
    world.partitions.configs.clear()
    world.config.set_dynamic({"log.retention.ms": "8", "max.connections": "7"}, {})
    assert world.partitions.configs == {}  # nothing that a topic falls back to
