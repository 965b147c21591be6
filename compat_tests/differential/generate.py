"""Random requests: every field of every version from the messages' own declarations, so that none is forgotten.

A field's value depends on its name; the request's parts fit together because one `Focus` feeds them. Now and then a
value is one that does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from compat_tests.differential.requests import BROKEN
from compat_tests.differential.world import CONSUMER_GROUPS, GROUPS, TOPICS, Due, Focus, World
from flymq_protocol.message import FieldSpec, Struct
from flymq_protocol.registry import load
from flymq_protocol.types import Array, Bool, Fixed, Uuid

_WEIGHTS = {0: 14, 1: 10, 2: 5, 8: 6, 9: 5, 11: 8, 12: 3, 14: 7, 22: 5, 24: 4, 25: 2, 26: 7, 28: 4, 68: 4, 27: 0.3}
"""API key -> how often, where it is not once."""
_SETTINGS = {
    "retention.ms": "1000000000", "cleanup.policy": "compact", "max.message.bytes": "2000", "segment.bytes": "1048576",
    "min.insync.replicas": "1", "message.timestamp.type": "CreateTime", "compression.type": "gzip",
    "unclean.leader.election.enable": "true", "nonsense": "1", "retention.bytes": "many", "flush.ms": "-1",
    "consumer.session.timeout.ms": "46000",
}  # fmt: skip


def draw(world: World, random: Random, versions: dict[int, tuple[int, int]]) -> tuple[int, int, dict[str, Any]]:
    """(API key, version, fields) of the next request."""
    if world.due:
        return _write_due(world, world.due.pop(0))
    keys = list(versions)
    key = random.choices(keys, [_WEIGHTS.get(key, 1) for key in keys])[0]
    low, high = versions[key]
    version = random.randint(low, high)
    return key, version, Drawing(world, random, key, version).request()


def _write_due(world: World, due: Due) -> tuple[int, int, dict[str, Any]]:
    who, producer, topic, partition, version = due
    sequence = world.sequences.get((who, topic, partition), 0)
    batch = {"times": [0], "producer": [*producer, sequence], "mine": [who, topic, partition], "transactional": True,
             "is_due": True}  # fmt: skip
    data = [{"name": topic, "partition_data": [{"index": partition, "records": {"batch": batch}}]}]
    return 0, version, {"transactional_id": who, "acks": -1, "timeout_ms": 30000, "topic_data": data}


class Drawing:
    """One request in the making."""

    def __init__(self, world: World, random: Random, key: int, version: int) -> None:
        self._world = world
        self._random = random
        self._key = key
        self._version = version
        self._focus = Focus(world, random, key)

    def request(self) -> dict[str, Any]:
        fields = self._struct(load(self._key)[0])
        special = getattr(self, f"_special_{self._key}", None)
        if special is not None:
            special(fields)
        return fields

    def _odd(self, chance: float = 0.06) -> bool:
        return self._random.random() < chance

    def _struct(self, cls: type[Struct]) -> dict[str, Any]:
        return {spec.name: self._field(cls, spec) for spec in cls.FIELDS if spec.in_version(self._version)}

    def _field(self, cls: type[Struct], spec: FieldSpec) -> Any:
        if spec.nullable_in(self._version) and self._odd(_NULL.get(spec.name, 0.06)):
            return None
        if isinstance(spec.type, Array):
            length = 0 if self._odd(_EMPTY.get(spec.name, 0.06)) else self.pick(1, 1, 1, 1, 2)
            return _distinct([self._element(cls, spec, spec.type.element) for _ in range(length)])
        return self._element(cls, spec, spec.type)

    def _element(self, cls: type[Struct], spec: FieldSpec, type_: Any) -> Any:
        if isinstance(type_, type):
            return self._struct(type_)
        value = self._of_class(cls.__name__, spec.name)
        if value is not _NONE:
            return value
        pool = _POOLS.get(spec.name)
        if pool is not None:
            return pool(self)
        if type_ is Bool:
            return self._random.random() < 0.5
        if type_ is Uuid:
            return {"hex": "00" * 16}
        if isinstance(type_, Fixed):
            return spec.default if isinstance(spec.default, int) else 0
        return "" if type_.name == "string" else {"hex": "ab"}

    def _of_class(self, cls: str, name: str) -> Any:
        make = _OF_CLASS.get((cls, name))
        return _NONE if make is None else make(self)

    def pick(self, *values: Any) -> Any:
        return self._random.choice(values)

    def mostly(self, value: Any, *others: Any, odd: float = 0.06) -> Any:
        return self._random.choice(others) if self._odd(odd) else value

    def topic(self) -> str:
        return str(self.mostly(self._focus.topic, *TOPICS, "@missing", "", "bad name!", "."))

    def topic_id(self) -> Any:
        known = self._world.topic_ids.get(self._focus.topic, {"hex": "07" * 16})
        return self.mostly(known, {"hex": "00" * 16}, {"hex": "09" * 16}, *self._world.topic_ids.values())

    def group(self) -> str:
        return str(self.mostly(self._focus.group, "", "@none", *GROUPS))

    def member(self) -> Any:
        return self.mostly(self._focus.member, "", "nobody")

    def setting(self) -> str:
        self._setting = self.pick(*_SETTINGS)
        return str(self._setting)

    def setting_value(self) -> str:
        value = str(self.mostly(_SETTINGS[self._setting], *_SETTINGS.values()))
        if self._setting == "max.message.bytes" and value == "1":
            return "2000"  # no marker would fit, and Kafka's transactions never end (docs/deviations.md)
        return value

    def _special_0(self, fields: dict[str, Any]) -> None:
        """Produce: a batch that fits the producer."""
        who = fields["transactional_id"] = self.pick(None, None, self._focus.transaction)
        producer = self._world.producers.get(who)
        if producer is not None:  # one for all its batches
            id, epoch = producer
            producer = id, self.mostly(epoch, epoch + 1, max(epoch - 1, 0), odd=0.1)
        for topic in fields["topic_data"]:
            for data in topic["partition_data"]:
                name = self._world.topic_name(topic) or self._focus.topic
                sequence = self._world.sequences.get((who, name, data["index"]), 0)
                times = [self._random.randrange(-1000, 1000) for _ in range(self.pick(1, 1, 3))]
                batch: dict[str, Any] = {"times": times}
                if producer is not None and (who is not None or self.pick(True, False)):
                    id, epoch = producer
                    batch |= {"producer": [id, epoch,
                              self.mostly(sequence, max(sequence - 1, 0), sequence + 1, 0, odd=0.15)],
                              "mine": [who, name, data["index"]]}  # fmt: skip
                    batch["transactional"] = self.mostly(who is not None, True, False)
                batch["codec"] = self.pick(0, 0, 0, 1)
                if self._odd(0.12):
                    batch["broken"] = self.pick(*BROKEN)
                data["records"] = {"batch": batch}  # null is never answered by Kafka

    def _special_1(self, fields: dict[str, Any]) -> None:
        """Fetch: with a session, or without."""
        if self._version >= 7:
            alike = [known for *known, by_id in self._world.sessions if by_id == (self._version >= 13)]
            session = alike[-1] if alike else (0, 0)
            id, epoch = self.pick((0, -1), (0, -1), (0, 0), session, session)
            fields["session_id"], fields["session_epoch"] = id, self.mostly(epoch, epoch + 1, 0, -1, odd=0.1)

    def _special_2(self, fields: dict[str, Any]) -> None:
        """ListOffsets: Kafka finds the times of deleted records, as long as their segment is there."""
        for topic in fields["topics"]:
            for one in topic["partitions"]:
                # Where the largest is beyond what may be read, Kafka finds nothing (docs/deviations.md).
                is_open = one["timestamp"] == -3 and fields.get("isolation_level") == 1
                if is_open or (topic["name"], one["partition_index"]) in self._world.deleted:
                    one["timestamp"] = self.pick(-1, -2)

    def _special_3(self, fields: dict[str, Any]) -> None:
        """Metadata: neither a name nor an id is something that Kafka fails at."""
        for topic in fields["topics"] or ():
            if topic["name"] is None and topic.get("topic_id", {}).get("hex") == "00" * 16:
                topic["name"] = "@missing"

    def _special_21(self, fields: dict[str, Any]) -> None:
        """DeleteRecords: not of an open transaction; Kafka's last stable offset is then below the log's start."""
        written = {name for names in self._world.written.values() for name in names}
        fields["topics"] = [topic for topic in fields["topics"] if topic["name"] not in written]

    def _special_22(self, fields: dict[str, Any]) -> None:
        """InitProducerId: at the current epoch; at another one Kafka aborts what is open (docs/deviations.md)."""
        if fields.get("producer_id", -1) == self._focus.producer and fields["transactional_id"] is not None:
            fields["transactional_id"] = self._focus.transaction
            fields["producer_epoch"] = self._focus.producer_epoch

    def _special_26(self, fields: dict[str, Any]) -> None:
        """EndTxn: not with epoch -1, which Kafka takes for the epoch before the first (docs/deviations.md)."""
        if fields["producer_epoch"] == -1:
            fields["producer_epoch"] = self._focus.producer_epoch

    def _special_27(self, fields: dict[str, Any]) -> None:
        """WriteTxnMarkers: one; of several, Kafka never answers some."""
        fields["markers"] = fields["markers"][:1]

    def _special_8(self, fields: dict[str, Any]) -> None:
        """OffsetCommit: nothing that is refused before there is a group; it would stay behind, at Kafka only."""
        if fields["group_id"] not in self._world.joined:
            for topic in fields["topics"]:
                for one in topic["partitions"]:
                    one["committed_metadata"] = "m"

    def _special_28(self, fields: dict[str, Any]) -> None:
        """TxnOffsetCommit: Kafka does not look at the id again while the producer's transaction is open."""
        fields["transactional_id"] = self._focus.transaction
        self._special_8(fields)

    def _special_11(self, fields: dict[str, Any]) -> None:
        """JoinGroup: one protocol type, mostly. Of consumer groups only into those that have members: an empty one
        Kafka forgets, also where it refuses the member (docs/deviations.md)."""
        if fields["group_id"] in CONSUMER_GROUPS and not self._world.has_consumers(fields["group_id"]):
            fields["group_id"] = GROUPS[0]
        names = ["range", "roundrobin"] if self._odd(0.2) else ["range"]
        protocols = [{"name": name, "metadata": {"hex": self.mostly("ab", "cd")}} for name in names]
        fields["protocols"] = protocols
        if self._world.members.get(fields["group_id"]):  # else a refusal leaves a group behind, at Kafka only
            fields["protocols"] = self.mostly(protocols, [])
        elif not fields["protocol_type"]:
            fields["protocol_type"] = "consumer"
        if "group_instance_id" in fields:
            fields["group_instance_id"] = self.mostly(None, "@i0", odd=0.1)

    def _special_13(self, fields: dict[str, Any]) -> None:
        """LeaveGroup: not before the group's first generation; at Kafka only, it would stay behind."""
        if fields["group_id"] not in self._world.joined:
            fields["group_id"] = "@none"

    def _special_14(self, fields: dict[str, Any]) -> None:
        """SyncGroup: by the leader, mostly."""
        joined = self._world.joined.get(fields["group_id"])
        if joined is not None:
            members = [self._world.named("member_id", member.member_id) for member in joined.members]
            fields["assignments"] = [{"member_id": member, "assignment": {"hex": "0a0b"}} for member in members]
        if "protocol_name" in fields:
            fields["protocol_type"] = self.mostly("consumer", None, "other")
            fields["protocol_name"] = self.mostly("range", None, "other")

    def _special_20(self, fields: dict[str, Any]) -> None:
        """The topic that consumer groups read stays as it is: Kafka's groups learn of changes at no known time. What a
        transaction may have written to stays: Kafka would describe it still."""
        kept = {TOPICS[0], *(name for names in self._world.written.values() for name in names)}
        ids = [self._world.topic_ids.get(name) for name in kept]
        if self._key == 37:
            fields["topics"] = [one for one in fields["topics"] if one["name"] != TOPICS[0]]
        elif self._version >= 6:
            fields["topics"] = [
                one for one in fields["topics"] if one["name"] not in kept and one["topic_id"] not in ids
            ]
        else:
            fields["topic_names"] = [name for name in fields["topic_names"] if name not in kept]

    _special_37 = _special_20

    def _special_32(self, fields: dict[str, Any]) -> None:
        """Configs: one resource, and so none twice."""
        fields["resources"] = fields["resources"][:1]

    _special_33 = _special_44 = _special_32

    def _special_75(self, fields: dict[str, Any]) -> None:
        """DescribeTopicPartitions: of an empty name Kafka says UNKNOWN_SERVER_ERROR, of all the others, too."""
        fields["topics"] = [topic for topic in fields["topics"] if topic["name"]]

    def _special_68(self, fields: dict[str, Any]) -> None:
        """ConsumerGroupHeartbeat: a join with all fields, or a heartbeat. Not of a classic group: its members' metadata
        mean nothing here, so Kafka does not convert it, but it has answered their joins by then."""
        if fields["group_id"] in GROUPS:
            fields["group_id"] = self._focus.group
        if fields["member_epoch"] == 0:
            fields |= {"rebalance_timeout_ms": 60000, "topic_partitions": [], "subscribed_topic_names": [TOPICS[0]]}
            if (fields["group_id"], fields["member_id"]) in self._world.epochs:
                fields["instance_id"] = None  # the same static member again: docs/deviations.md
        else:
            fields |= {"topic_partitions": None, "rebalance_timeout_ms": -1}
            if fields["subscribed_topic_names"]:  # not those that come and go: FlyMQ's groups hear of it earlier
                fields["subscribed_topic_names"] = self.pick([TOPICS[0]], ["@missing"])
        fields["server_assignor"] = self.mostly(None, "range", "uniform", "other", odd=0.2)


def _distinct(values: list[Any]) -> list[Any]:
    """Without those that name what one before names: the brokers merge such in different ways."""
    first = {json.dumps(next(iter(value.values())) if isinstance(value, dict) and value else value): value
             for value in reversed(values)}  # fmt: skip
    return list(reversed(first.values()))


_NONE: Any = object()
_NULL = {"group_instance_id": 0.95, "instance_id": 0.95, "subscribed_topic_regex": 1.0, "cursor": 0.7,
         "transactional_id": 0.3, "configuration_keys": 0.1, "rack_id": 0.9, "groups": 0.0}  # fmt: skip
_EMPTY = {"transactions": 0.0, "assignments": 0.9, "configs": 0.4, "forgotten_topics_data": 0.8, "state_filters": 0.6,
          "types_filter": 0.6,
          "states_filter": 0.6, "producer_id_filters": 0.6}  # fmt: skip

_POOLS: dict[str, Callable[[Drawing], Any]] = {
    "name": Drawing.topic, "topic": Drawing.topic, "topic_name": Drawing.topic, "topic_names": Drawing.topic,
    "subscribed_topic_names": Drawing.topic,
    "topic_id": Drawing.topic_id,
    "partition": lambda d: d.mostly(d._focus.partition, 0, 7, -1),
    "partition_index": lambda d: d.mostly(d._focus.partition, 0, 7, -1),
    "index": lambda d: d.mostly(d._focus.partition, 0, 7, -1),
    "partitions": lambda d: d.mostly(d._focus.partition, 0, 7, -1),
    "partition_indexes": lambda d: d.mostly(d._focus.partition, 0, 7, -1),
    "group_id": Drawing.group, "groups": Drawing.group, "groups_names": Drawing.group, "group_ids": Drawing.group,
    "member_id": Drawing.member,
    "generation_id": lambda d: d.mostly(d._focus.generation, -1, 0, 99, -2),
    "generation_id_or_member_epoch": lambda d: d.mostly(d.pick(d._focus.generation, -1), 0, 99, -2),
    "member_epoch": lambda d: d.mostly(d._focus.generation, 0, -1, -2, 99, odd=0.2),
    "group_instance_id": lambda d: "@i0", "instance_id": lambda d: "@i0",
    "key": lambda d: d.pick("@g0", "@x0", ""), "coordinator_keys": lambda d: d.pick("@g0", "@x0", ""),
    "key_type": lambda d: d.mostly(d.pick(0, 1), 2, 9, -1),
    "transactional_id": lambda d: d.mostly(d._focus.transaction, "", "@nobody"),
    "v3_and_below_transactional_id": lambda d: d.mostly(d._focus.transaction, "", "@nobody"),
    "transactional_ids": lambda d: d.mostly(d._focus.transaction, "", "@nobody"),
    "producer_id": lambda d: d.mostly(d._focus.producer, -1, 424242),
    "v3_and_below_producer_id": lambda d: d.mostly(d._focus.producer, -1, 424242),
    "producer_epoch": lambda d: d.mostly(d._focus.producer_epoch, -1, 0, d._focus.producer_epoch + 1),
    "v3_and_below_producer_epoch": lambda d: d.mostly(d._focus.producer_epoch, -1, 0),
    "producer_id_filters": lambda d: d._focus.producer,
    "transaction_timeout_ms": lambda d: d.mostly(60000, 0, -1, 2**31 - 1),
    "acks": lambda d: d.mostly(d.pick(-1, 1), 2, -2),
    "timeout_ms": lambda d: d.mostly(30000, 60000),
    "fetch_offset": lambda d: d.mostly(d.pick(0, 1, 3), -1, 1000),
    "partition_max_bytes": lambda d: d.mostly(1 << 20, 1, 0), "max_bytes": lambda d: d.mostly(1 << 20, 1),
    "isolation_level": lambda d: d.pick(0, 1),
    "timestamp": lambda d: d.mostly(d.pick(-1, -2, -3, 0), -4, -5, -9, 2**62),
    "replica_id": lambda d: -1,
    "current_leader_epoch": lambda d: d.mostly(-1, 0, 5), "leader_epoch": lambda d: d.mostly(0, 5, -1),
    "offset": lambda d: d.mostly(d.pick(0, 1, -1), -2, 1000),
    "committed_offset": lambda d: d.mostly(d.pick(0, 5, 17), -1),
    "committed_leader_epoch": lambda d: d.mostly(-1, 0, 3),
    "committed_metadata": lambda d: d.mostly("m", "", "m" * 5000),
    "session_timeout_ms": lambda d: d.mostly(30000, 0, 2**31 - 1), "rebalance_timeout_ms": lambda d: 60000,
    "protocol_type": lambda d: d.mostly("consumer", "other", ""),
    "states_filter": lambda d: d.pick("Stable", "empty", "Nonsense"),
    "types_filter": lambda d: d.pick("classic", "Consumer", "share", "nonsense"),
    "state_filters": lambda d: d.pick("Ongoing", "Empty", "Nonsense"),
    "transactional_id_pattern": lambda d: d.mostly("@.*", "(", ""),
    "client_software_name": lambda d: d.mostly("a", "", "bad name"), "client_software_version": lambda d: "1.0",
    "num_partitions": lambda d: d.mostly(d.pick(1, 2, -1), 0, -2),
    "replication_factor": lambda d: d.mostly(1, -1, 2, 0),
    "count": lambda d: d.mostly(3, 1, 0, -1), "broker_ids": lambda d: d.mostly(1, 2),
    "replicas": lambda d: d.mostly(1, 2),
    "resource_type": lambda d: d.mostly(d.pick(2, 2, 32), 99, 0),
    "resource_types": lambda d: d.mostly(d.pick(2, 16, 32), 99),
    "resource_name": lambda d: d.mostly(d._focus.topic, "", "@g0"),
    "configuration_keys": Drawing.setting,
    "config_operation": lambda d: d.mostly(d.pick(0, 1), 2, 3),
    "path": lambda d: d.mostly(d._world.log_dir, "/nowhere", "relative"),
    "election_type": lambda d: d.mostly(0, 1),
    "response_partition_limit": lambda d: d.mostly(2000, 1, 0),
    "endpoint_type": lambda d: d.mostly(1, 2, 3),
    "include_documentation": lambda d: False,  # the texts are Kafka's own
    "max_version_level": lambda d: d.pick(2, 99), "upgrade_type": lambda d: d.mostly(1, 9),
    "feature": lambda d: d.mostly("transaction.version", "nonsense"),
    "coordinator_epoch": lambda d: 0, "transaction_version": lambda d: d.pick(0, 2),
}  # fmt: skip
_OF_CLASS: dict[tuple[str, str], Callable[[Drawing], Any]] = {
    ("CreatableTopicConfig", "name"): Drawing.setting, ("AlterableConfig", "name"): Drawing.setting,
    ("CreatableTopicConfig", "value"): Drawing.setting_value,
    ("AlterableConfig", "value"): Drawing.setting_value,
    ("JoinGroupRequestProtocol", "name"): lambda d: "range",
    ("TopicData", "topic_name"): lambda d: d.mostly("__cluster_metadata", "@t0"),
    ("ReplicaState", "replica_id"): lambda d: -1,
    ("Cursor", "topic_name"): lambda d: d._focus.topic,
}  # fmt: skip
