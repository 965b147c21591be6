"""Topics of a running broker: created, deleted and found, durably.

A topic exists when its row is committed. It becomes visible only once its partitions are open, so that who
sees it can write to it; and it disappears first, then its partitions close.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from flymq.core.catalog import SHARD, Catalog, NewTopic, Topic, TopicError
from flymq.core.settings import TOPIC_SETTINGS, BrokerConfig, TopicConfig
from flymq.env import Env, Token, completed, gather
from flymq.storage.api import ShardStore, StorageError
from flymq_protocol.errors import ErrorCode

_DEFAULTS = frozenset(name for setting in TOPIC_SETTINGS.values() for name in setting.synonyms)


class PartitionOwner(Protocol):
    """What topics need of `flymq.runtime.partitions.Partitions`."""

    def open_topic(self, topic: Topic, config: TopicConfig) -> Token:
        """Open every partition for reading and writing; a StorageError where that can't be."""

    def grow_topic(self, topic: Topic, config: TopicConfig) -> Token:
        """Open the partitions that it has more now; None or a StorageError."""

    def set_config(self, topic: Topic, config: TopicConfig) -> None:
        """Follow these settings from now on."""

    def close_topic(self, topic: Topic) -> None:
        """Refuse further use of its partitions, then delete what they hold."""


class Topics:
    """`version` rises at every change that a Metadata answer could show."""

    def __init__(self, env: Env, shards: ShardStore, partitions: PartitionOwner, config: BrokerConfig) -> None:
        self._env = env
        self._shards = shards
        self._partitions = partitions
        self._config = config
        self._catalog = Catalog(config)
        self._creating: dict[str, Token] = {}
        self._deleting: set[bytes] = set()
        self._changing: dict[bytes, tuple[Topic, Token]] = {}  # by id, the newest change, not durable yet
        self.on_changed: list[Callable[[Topic], None]] = []
        """Called with each topic that was loaded, created or given more partitions, once it can be written to."""
        self.on_deleted: list[Callable[[Topic], None]] = []
        """Called with each topic that is gone, after its partitions were closed."""
        self.version = 0
        self.answers: dict[Hashable, Any] = {}
        """For handlers: whatever follows from the topics alone. Emptied at every change."""

    def load(self) -> Token:
        """Open what the store has; None, or the first StorageError once all have been tried."""
        opening = []
        for key, value in self._shards.load(SHARD):
            topic = Topic.from_row(key, value)
            if topic is not None:
                self._catalog.add(topic)
                opening.append(self._partitions.open_topic(topic, self.config_of(topic)))
        self.changed()
        loaded = Token()

        def all_tried(results: list[object]) -> None:
            for topic in self.all():
                self._tell_changed(topic)
            loaded.complete(next((result for result in results if isinstance(result, StorageError)), None))

        gather(opening).then(all_tried)
        return loaded

    # -- looking up -------------------------------------------------------------------------------

    def get(self, name: str) -> Topic | None:
        return self._catalog.get(name)

    def by_id(self, topic_id: bytes) -> Topic | None:
        return self._catalog.by_id(topic_id)

    def all(self) -> list[Topic]:
        """Every topic, internal ones too."""
        return self._catalog.all()

    def config_of(self, topic: Topic) -> TopicConfig:
        """The settings in force for it."""
        return TopicConfig.in_force(self._config, topic.overrides)

    def changed(self) -> None:
        """Something that Metadata shows is different now: cached answers are void."""
        self.version += 1
        self.answers.clear()

    # -- creating ---------------------------------------------------------------------------------

    def check(self, new: NewTopic) -> Topic | TopicError:
        """What `create` would make, without making it; the id is of no topic. Errors as in `Catalog.plan`."""
        return self._catalog.plan(new, self._new_id())

    def create(self, new: NewTopic) -> Token:
        """A token of the `Topic`, visible and writable by then, or of a `TopicError`.

        Errors as in `Catalog.plan`, and KAFKA_STORAGE_ERROR where the store or a partition failed.
        """
        planned = self.check(new)
        if isinstance(planned, TopicError):
            return completed(planned)
        created = Token()
        self._creating[planned.name] = created
        self._catalog.reserve(planned)
        self._shards.write(SHARD, [planned.row()]).then(lambda result: self._row_written(planned, created, result))
        return created

    def auto_create(self, name: str) -> Token:
        """As `create` with the broker's defaults, but joins a creation of that name that is under way."""
        return self._creating.get(name) or self.create(NewTopic(name))

    def _row_written(self, topic: Topic, created: Token, result: object) -> None:
        if isinstance(result, StorageError):
            self._creation_failed(topic, created, result)
            return
        self._partitions.open_topic(topic, self.config_of(topic)).then(
            lambda opened: self._opened(topic, created, opened)
        )

    def _opened(self, topic: Topic, created: Token, result: object) -> None:
        if isinstance(result, StorageError):
            self._partitions.close_topic(topic)
            self._creation_failed(topic, created, result)
            return
        del self._creating[topic.name]
        self._catalog.add(topic)
        self.changed()
        self._tell_changed(topic)
        created.complete(topic)

    def _tell_changed(self, topic: Topic) -> None:
        for tell in self.on_changed:
            tell(topic)

    def _creation_failed(self, topic: Topic, created: Token, error: StorageError) -> None:
        """Take the row back, which may or may not be there; only then may the name be used again."""

        def taken_back(_: object) -> None:
            del self._creating[topic.name]
            self._catalog.release(topic)
            created.complete(TopicError(ErrorCode.KAFKA_STORAGE_ERROR, f"Topic '{topic.name}' not created: {error}"))

        self._shards.write(SHARD, [], [topic.key]).then(taken_back)

    def _new_id(self) -> bytes:
        """A random UUID (version 4) that no topic has.

        Its base64 text never begins with `-`, which tools would take for an option.
        """
        while True:
            raw = bytearray(self._env.random_bytes(16))
            raw[6] = raw[6] & 0x0F | 0x40
            raw[8] = raw[8] & 0x3F | 0x80
            topic_id = bytes(raw)
            if topic_id[0] >> 2 != 62 and self._catalog.by_id(topic_id) is None:
                return topic_id

    # -- changing ---------------------------------------------------------------------------------

    def latest(self, topic: Topic) -> Topic:
        """The topic as it will be once the changes under way are durable: the next one builds on them."""
        changing = self._changing.get(topic.id)
        return topic if changing is None else changing[0]

    def plan_settings(self, topic: Topic, overrides: Mapping[str, str]) -> Topic | TopicError:
        """`topic` with these settings of its own, for `change`. Errors as in `Catalog.plan_change`."""
        return self._catalog.plan_change(topic, overrides)

    def plan_growth(self, topic: Topic, count: int, assignments: Sequence[list[int]] | None) -> Topic | TopicError:
        """`topic` with more partitions, for `change`. Errors as in `Catalog.plan_growth`."""
        return self._catalog.plan_growth(topic, count, assignments)

    def why_assignment_refused(self, brokers: list[int]) -> TopicError | None:
        """Why a partition can't be on these brokers: INVALID_REPLICA_ASSIGNMENT; None where it can."""
        return self._catalog.why_assignment_refused(brokers)

    def change(self, planned: Topic) -> Token:
        """Make `planned`, built on `latest`, the topic: durably, then for its partitions, then visibly.

        A token of the `Topic`, or of a `TopicError`: UNKNOWN_TOPIC_OR_PARTITION (it is being deleted),
        KAFKA_STORAGE_ERROR.
        """
        changed = Token()
        earlier = self._changing.get(planned.id)
        self._changing[planned.id] = planned, changed

        def go_on(outcome: object) -> None:
            if isinstance(outcome, TopicError):  # what this one builds on is not there
                self._change_ends(planned, changed, outcome)
            elif planned.id in self._deleting or self._catalog.by_id(planned.id) is None:
                self._change_ends(planned, changed, _gone(planned))
            else:
                write = self._shards.write(SHARD, [planned.row()])
                write.then(lambda result: self._row_changed(planned, changed, result))

        if earlier is None:
            go_on(None)
        else:
            earlier[1].then(go_on)
        return changed

    def _row_changed(self, topic: Topic, changed: Token, result: object) -> None:
        before = self._catalog.by_id(topic.id)
        if before is None:
            self._change_ends(topic, changed, _gone(topic))
        elif isinstance(result, StorageError):
            self._change_failed(topic, before, changed, result)
        elif topic.partition_count == before.partition_count:
            self._change_opened(topic, changed, None)
        else:
            self._partitions.grow_topic(topic, self.config_of(topic)).then(
                lambda opened: self._change_opened(topic, changed, opened)
            )

    def _change_opened(self, topic: Topic, changed: Token, result: object) -> None:
        before = self._catalog.by_id(topic.id)
        if before is None:
            self._change_ends(topic, changed, _gone(topic))
            return
        if isinstance(result, StorageError):
            self._change_failed(topic, before, changed, result)
            return
        self._catalog.add(topic)
        self._partitions.set_config(topic, self.config_of(topic))
        self.changed()
        if topic.partition_count != before.partition_count:
            self._tell_changed(topic)
        self._change_ends(topic, changed, topic)

    def _change_failed(self, topic: Topic, before: Topic, changed: Token, error: StorageError) -> None:
        """Whether the row was written is not known: write the one that it had."""
        failed = TopicError(ErrorCode.KAFKA_STORAGE_ERROR, f"Topic '{topic.name}' not changed: {error}")
        if topic.id in self._deleting:  # that would bring it back
            self._change_ends(topic, changed, failed)
            return
        self._shards.write(SHARD, [before.row()]).then(lambda _: self._change_ends(topic, changed, failed))

    def _change_ends(self, topic: Topic, changed: Token, outcome: Topic | TopicError) -> None:
        if self._changing[topic.id][1] is changed:
            del self._changing[topic.id]
        changed.complete(outcome)

    def defaults_changed(self, names: frozenset[str]) -> None:
        """The broker's settings of these names have other values: so may topics that have none of their own."""
        if names & _DEFAULTS:
            configs: dict[tuple[tuple[str, str], ...], TopicConfig] = {}  # most topics share a few
            for topic in self.all():
                own = tuple(topic.overrides.items())
                if own not in configs:
                    configs[own] = self.config_of(topic)
                self._partitions.set_config(topic, configs[own])

    # -- deleting ---------------------------------------------------------------------------------

    def delete(self, topic: Topic) -> Token:
        """A token of None once it is gone for good, or of a `TopicError`.

        TOPIC_DELETION_DISABLED, INVALID_TOPIC_EXCEPTION (internal), UNKNOWN_TOPIC_OR_PARTITION (being
        deleted already), KAFKA_STORAGE_ERROR (then it is still there).
        """
        refused = self._catalog.plan_delete(topic)
        if refused is None and (topic.id in self._deleting or self._catalog.by_id(topic.id) is None):
            refused = _gone(topic)
        if refused is not None:
            return completed(refused)
        deleted = Token()
        self._deleting.add(topic.id)
        self._shards.write(SHARD, [], [topic.key]).then(lambda result: self._row_gone(topic, deleted, result))
        return deleted

    def _row_gone(self, topic: Topic, deleted: Token, result: object) -> None:
        self._deleting.discard(topic.id)
        if isinstance(result, StorageError):
            deleted.complete(TopicError(ErrorCode.KAFKA_STORAGE_ERROR, f"Topic '{topic.name}' not deleted: {result}"))
            return
        self._catalog.remove(topic)
        self.changed()
        self._partitions.close_topic(topic)
        for tell in self.on_deleted:
            tell(topic)
        deleted.complete(None)


def _gone(topic: Topic) -> TopicError:
    return TopicError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Topic '{topic.name}' is deleted already.")
