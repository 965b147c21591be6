"""The topics there are, and what may be created or deleted.

Pure and synchronous. A creation is `plan`ned, then `reserve`d while its row is written, then `add`ed or
`release`d; so two creations of one name never both succeed, though each waits for the disk.

Source: ReplicationControlManager and ControllerApis in Apache Kafka 4.3; KIP-464 (defaults), KIP-516 (ids).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from flymq.core.catalog.names import (
    CLUSTER_METADATA,
    CONSUMER_OFFSETS,
    TRANSACTION_STATE,
    collision_key,
    why_illegal,
)
from flymq.core.catalog.topic import Topic
from flymq.core.settings import BrokerConfig, SettingError, TopicConfig, check_overrides
from flymq_protocol.errors import ErrorCode

PARTITIONS_MAX = 10_000
"""Most partitions that one topic may be created with (Kafka: one request)."""

# Not in the store, so that no engine can lose or duplicate them. The ids are any fixed ones, in the form of
# random ones (version 4).
_INTERNAL_IDS = {
    CONSUMER_OFFSETS: (bytes.fromhex("0f1e9a52c0664c1f8b5dd0c7a1f10001"), "offsets.topic.num.partitions"),
    TRANSACTION_STATE: (bytes.fromhex("0f1e9a52c0664c1f8b5dd0c7a1f10002"), "transaction.state.log.num.partitions"),
}

_INTERNAL_OVERRIDES = {"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": "104857600"}


class TopicError:
    """Why a topic is not created, deleted or found: the wire's error code and a text for the user."""

    __slots__ = ("code", "message")

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code = code
        self.message = message

    def __repr__(self) -> str:
        return f"TopicError({self.code.name}, {self.message!r})"


class NewTopic:
    """What a client asks for. -1: the broker's default; `assignments` are (partition, brokers), or empty."""

    __slots__ = ("assignments", "name", "overrides", "partition_count", "replication_factor")

    def __init__(
        self,
        name: str,
        partition_count: int = -1,
        replication_factor: int = -1,
        assignments: Iterable[tuple[int, list[int]]] = (),
        overrides: Mapping[str, str | None] | None = None,
    ) -> None:
        self.name = name
        self.partition_count = partition_count
        self.replication_factor = replication_factor
        self.assignments = list(assignments)
        self.overrides = dict(overrides or {})


class Catalog:
    """All topics, by name and by id. Internal ones are there from the start, so that tools which look for
    `__consumer_offsets` find it; they hold nothing that can be read."""

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._by_name: dict[str, Topic] = {}
        self._by_id: dict[bytes, Topic] = {}
        self._taken: dict[str, str] = {}  # collision key -> name, of topics and of creations under way
        for name, (topic_id, partitions) in _INTERNAL_IDS.items():
            self.add(Topic(name, topic_id, config.int(partitions), _INTERNAL_OVERRIDES, is_internal=True))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Topic | None:
        return self._by_name.get(name)

    def by_id(self, topic_id: bytes) -> Topic | None:
        return self._by_id.get(topic_id)

    def all(self) -> list[Topic]:
        """In the order of their creation; after a restart, by name."""
        return list(self._by_name.values())

    # -- changes ----------------------------------------------------------------------------------

    def plan(self, new: NewTopic, topic_id: bytes) -> Topic | TopicError:
        """The topic that `new` asks for, or why it can't be. Changes nothing.

        Errors, in this order: INVALID_TOPIC_EXCEPTION (name, or one that differs only in `.` and `_`),
        TOPIC_ALREADY_EXISTS, INVALID_CONFIG, INVALID_REQUEST, INVALID_REPLICA_ASSIGNMENT,
        INVALID_REPLICATION_FACTOR (below 1), INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR (above 1),
        POLICY_VIOLATION (more than `PARTITIONS_MAX`).
        """
        refused = self._why_name_refused(new.name)
        if refused is not None:
            return refused
        try:
            overrides = check_overrides(new.overrides)
            TopicConfig.of(self._config, overrides)
        except SettingError as error:
            return TopicError(ErrorCode.INVALID_CONFIG, error.whole)
        count = self._partition_count(new)
        if isinstance(count, TopicError):
            return count
        if count > PARTITIONS_MAX:
            message = f"{count} partitions are more than {PARTITIONS_MAX}, the most for one topic."
            return TopicError(ErrorCode.POLICY_VIOLATION, message)
        return Topic(new.name, topic_id, count, overrides)

    def reserve(self, topic: Topic) -> None:
        """Hold the name of a planned topic until `add` or `release`."""
        self._taken[collision_key(topic.name)] = topic.name

    def release(self, topic: Topic) -> None:
        """Give up a reservation."""
        if topic.name not in self._by_name:
            self._taken.pop(collision_key(topic.name), None)

    def add(self, topic: Topic) -> None:
        """From now on the topic exists: created, or loaded."""
        self._by_name[topic.name] = topic
        self._by_id[topic.id] = topic
        self._taken[collision_key(topic.name)] = topic.name

    def remove(self, topic: Topic) -> None:
        """From now on it does not."""
        if self._by_id.pop(topic.id, None) is not None:
            del self._by_name[topic.name]
            del self._taken[collision_key(topic.name)]

    def plan_delete(self, topic: Topic) -> TopicError | None:
        """Why it may not be deleted: TOPIC_DELETION_DISABLED, INVALID_TOPIC_EXCEPTION (internal); else None."""
        if not self._config.bool("delete.topic.enable"):
            return TopicError(ErrorCode.TOPIC_DELETION_DISABLED, "delete.topic.enable is false.")
        if topic.is_internal:
            return TopicError(
                ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{topic.name}' is internal and can't be deleted."
            )
        return None

    def plan_change(self, topic: Topic, overrides: Mapping[str, str]) -> Topic | TopicError:
        """The topic with these settings of its own; INVALID_TOPIC_EXCEPTION (internal), INVALID_CONFIG."""
        if topic.is_internal:
            return _internal(topic)
        try:
            TopicConfig.of(self._config, overrides)
        except SettingError as error:
            return TopicError(ErrorCode.INVALID_CONFIG, error.whole)
        return topic.changed(overrides=check_overrides(overrides))

    def plan_growth(self, topic: Topic, count: int, assignments: Sequence[list[int]] | None) -> Topic | TopicError:
        """The topic with `count` partitions in all; `assignments`: the brokers of each new one, None for any.

        Errors, in this order: INVALID_TOPIC_EXCEPTION (internal), INVALID_PARTITIONS, POLICY_VIOLATION (more than
        `PARTITIONS_MAX`), INVALID_REPLICA_ASSIGNMENT. Source: ReplicationControlManager.createPartitions.
        """
        if topic.is_internal:
            return _internal(topic)
        now = topic.partition_count
        if count == now:
            return TopicError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {now} partition(s).")
        if count < now:
            return TopicError(
                ErrorCode.INVALID_PARTITIONS,
                f"The topic {topic.name} currently has {now} partition(s); {count} would not be an increase.",
            )
        if count > PARTITIONS_MAX:
            return TopicError(ErrorCode.POLICY_VIOLATION, f"A topic can have at most {PARTITIONS_MAX} partitions.")
        if assignments is not None:
            if len(assignments) != count - now:
                return _bad_assignment(
                    f"Attempted to add {count - now} additional partition(s), "
                    f"but only {len(assignments)} assignment(s) were specified."
                )
            for brokers in assignments:
                refused = self.why_assignment_refused(brokers)
                if refused is not None:
                    return refused
        return topic.changed(partition_count=count)

    def why_assignment_refused(self, brokers: list[int]) -> TopicError | None:
        """INVALID_REPLICA_ASSIGNMENT for anything but this broker, once."""
        if not brokers:
            return _bad_assignment("The manual partition assignment includes an empty replica list.")
        if len(set(brokers)) != len(brokers):
            twice = next(broker for broker in brokers if brokers.count(broker) > 1)
            return _bad_assignment(f"The manual partition assignment includes the broker {twice} more than once.")
        for broker in brokers:
            if broker != self._config.node_id:
                return _bad_assignment(
                    f"The manual partition assignment includes broker {broker}, but no such broker is registered."
                )
        return None

    # -- checks -----------------------------------------------------------------------------------

    def _why_name_refused(self, name: str) -> TopicError | None:
        if name == CLUSTER_METADATA:
            return TopicError(ErrorCode.INVALID_REQUEST, f"Creation of internal topic {name} is prohibited.")
        illegal = why_illegal(name)
        if illegal is not None:
            return TopicError(ErrorCode.INVALID_TOPIC_EXCEPTION, illegal)
        taken_by = self._taken.get(collision_key(name))
        if taken_by is None:
            return None
        if taken_by == name:
            return TopicError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        return TopicError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{name}' collides with existing topic: {taken_by}")

    def _partition_count(self, new: NewTopic) -> int | TopicError:
        if new.assignments:
            return self._assigned_count(new)
        if new.replication_factor == 0 or new.replication_factor < -1:
            return TopicError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )
        if new.partition_count == 0 or new.partition_count < -1:
            return TopicError(
                ErrorCode.INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value."
            )
        if new.replication_factor > 1:
            return TopicError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"Unable to replicate the partition {new.replication_factor} time(s): there is 1 broker.",
            )
        return self._config.int("num.partitions") if new.partition_count == -1 else new.partition_count

    def _assigned_count(self, new: NewTopic) -> int | TopicError:
        """Partitions that the client has laid out itself: numbered 0, 1, 2, ... and all on this broker."""
        if new.replication_factor != -1:
            return TopicError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but replication factor was not set to -1.",
            )
        if new.partition_count != -1:
            return TopicError(
                ErrorCode.INVALID_REQUEST,
                "A manual partition assignment was specified, but numPartitions was not set to -1.",
            )
        indexes = set()
        for index, brokers in new.assignments:
            if index in indexes:
                return _bad_assignment(f"Found multiple manual partition assignments for partition {index}")
            refused = self.why_assignment_refused(brokers)
            if refused is not None:
                return refused
            indexes.add(index)
        if indexes != set(range(len(indexes))):
            return _bad_assignment("partitions should be a consecutive 0-based integer sequence")
        return len(indexes)


def _internal(topic: Topic) -> TopicError:
    return TopicError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"Topic '{topic.name}' is internal and can't be changed.")


def _bad_assignment(message: str) -> TopicError:
    return TopicError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
