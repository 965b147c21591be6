"""What a sequence has made so far, as the answers told: where the next request's values come from."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from compat_tests.differential.comparer import Ids
from compat_tests.differential.requests import Step
from flymq_protocol.errors import ErrorCode

TOPICS = ("@t0", "@t1", "@t2")
GROUPS = ("@g0", "@g1", "@g2")
CONSUMER_GROUPS = ("@c0", "@c1")
TRANSACTIONS = ("@x0", "@x1")
Named = Any
"""A plain value, or `{"id": name}`."""
_ADDS_PARTITIONS_FROM = 12


class Due(NamedTuple):
    """A batch that must be written to a partition: by whom, and with which version of Produce."""

    transactional_id: str
    producer: tuple[Named, int]
    topic: str
    partition: int
    version: int


class World:
    """All of it is known from FlyMQ's answers: Kafka's were the same."""

    def __init__(self, prefix: str, ids: Ids) -> None:
        self._prefix = prefix
        self._ids = ids
        self.topic_ids: dict[str, Named] = {}
        self.members: dict[str, dict[str, Named]] = {group: {} for group in GROUPS}
        """Group -> member id at FlyMQ -> its name."""
        self.generations: dict[str, int] = dict.fromkeys(GROUPS, 1)
        self.joined: dict[str, Any] = {}
        """Group -> the last answer of a join that gave a generation."""
        self.epochs: dict[tuple[str, str], Named] = {}
        """(consumer group, member) -> epoch."""
        self.producers: dict[str | None, tuple[Named, int]] = {}
        """Transactional id, None for the idempotent one -> (producer id, epoch)."""
        self.sequences: dict[tuple[str | None, str, int], int] = {}
        self.due: list[Due] = []
        """Partitions that a transaction has and holds nothing in, to be written to next: Kafka would end the
        transaction there, too, with a marker (docs/deviations.md)."""
        self.written: dict[str, set[str]] = {}
        """Transactional id -> topics that it has in its transaction, perhaps."""
        self.is_lost = False
        """One of those could not be written: from now on offsets may differ."""
        self.sessions: list[tuple[Named, int, bool]] = []
        """(id, epoch, whether it has topics' ids)."""
        self.deleted: set[tuple[str, int]] = set()
        """Partitions where DeleteRecords was at work."""
        self.log_dir: Named = "/nowhere"

    def named(self, field: str, value: Any) -> Named:
        name = self._ids.name(field, value)
        return value if name is None else {"id": name}

    def plain(self, text: str) -> str:
        return text.replace(self._prefix, "@")

    def learn(self, step: Step, answer: Any) -> None:
        learn = getattr(self, f"_learn_{step.key}", None)
        if learn is not None:
            learn(step, answer)

    def _learn_3(self, step: Step, answer: Any) -> None:
        if step.version >= 10:
            for topic in answer.topics:
                if topic.name and topic.name.startswith(self._prefix) and any(topic.topic_id):
                    self.topic_ids[self.plain(topic.name)] = self.named("topic_id", topic.topic_id)

    def _learn_35(self, step: Step, answer: Any) -> None:
        for result in answer.results:
            self.log_dir = self.named("log_dir", result.log_dir)

    def _learn_0(self, step: Step, answer: Any) -> None:
        for topic, told in zip(step.fields["topic_data"], answer.responses, strict=False):
            for data, partition in zip(topic["partition_data"], told.partition_responses, strict=False):
                batch = data["records"]["batch"]
                if "mine" not in batch:
                    continue
                who, name, index = batch["mine"]
                if who is not None:
                    self.written.setdefault(who, set()).add(name)
                id, epoch, sequence = batch["producer"]
                if partition.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
                    self.is_lost = True  # Kafka, which verified the producer for it, takes no later sequence first
                is_new = sequence == self.sequences.get((who, name, index), 0)
                if partition.error_code == ErrorCode.NONE and is_new:
                    self.sequences[who, name, index] = sequence + len(batch["times"])
                elif batch.get("is_due"):
                    self.is_lost = True
                elif step.version >= _ADDS_PARTITIONS_FROM and who is not None and batch.get("transactional"):
                    # Added, perhaps, before the log refused it, or had it already.
                    self._owe(Due(who, (id, epoch), name, index, _ADDS_PARTITIONS_FROM))

    def _owe(self, due: Due) -> None:
        self.written.setdefault(due.transactional_id, set()).add(due.topic)
        if self.producers.get(due.transactional_id) == due.producer:
            self.due.append(due)

    def _learn_24(self, step: Step, answer: Any) -> None:
        fields = step.fields
        if step.version <= 3:
            who = fields["v3_and_below_transactional_id"]
            producer = fields["v3_and_below_producer_id"], fields["v3_and_below_producer_epoch"]
            self._added(who, producer, answer.results_by_topic_v3_and_below)
            return
        asked = {one["transactional_id"]: one for one in fields["transactions"]}
        for result in answer.results_by_transaction:
            who = self.plain(result.transactional_id)
            if not asked[who]["verify_only"]:
                producer = asked[who]["producer_id"], asked[who]["producer_epoch"]
                self._added(who, producer, result.topic_results)

    def _added(self, who: str, producer: tuple[Named, int], topics: Any) -> None:
        for topic in topics:
            for result in topic.results_by_partition:
                if result.partition_error_code == ErrorCode.NONE:
                    self._owe(Due(who, producer, self.plain(topic.name), result.partition_index, 11))

    def topic_name(self, topic: dict[str, Any]) -> str | None:
        """Of a topic in a request, by name or by id."""
        if "name" in topic:
            return str(topic["name"])
        return next((name for name, id in self.topic_ids.items() if id == topic.get("topic_id")), None)

    def _learn_1(self, step: Step, answer: Any) -> None:
        if step.version >= 7 and answer.session_id:
            epoch = 1 if step.fields["session_epoch"] == 0 else step.fields["session_epoch"] + 1
            by_id = step.version >= 13
            self.sessions = [(self.named("session_id", answer.session_id), epoch, by_id)]

    def _learn_11(self, step: Step, answer: Any) -> None:
        group = step.fields["group_id"]
        if group not in self.members:
            return
        if answer.error_code == ErrorCode.NONE:
            self.generations[group] = answer.generation_id
            self.joined[group] = answer
        if answer.error_code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED) and answer.member_id:
            self.members[group][answer.member_id] = self.named("member_id", answer.member_id)

    def _learn_13(self, step: Step, answer: Any) -> None:
        group = step.fields["group_id"]
        if group in self.members and answer.error_code == ErrorCode.NONE and len(self.members[group]) > 2:
            self.members[group].clear()

    def _learn_21(self, step: Step, answer: Any) -> None:
        for topic in answer.topics:
            self.deleted |= {(self.plain(topic.name), one.partition_index) for one in topic.partitions}

    def _learn_42(self, step: Step, answer: Any) -> None:
        for result in answer.results:
            if result.error_code == ErrorCode.NONE and self.plain(result.group_id) in self.members:
                self.members[self.plain(result.group_id)].clear()
                self.joined.pop(self.plain(result.group_id), None)

    def _learn_22(self, step: Step, answer: Any) -> None:
        if answer.error_code == ErrorCode.NONE:
            who = step.fields["transactional_id"]
            self.written.pop(who, None)
            self.producers[who] = self.named("producer_id", answer.producer_id), answer.producer_epoch
            for known in [known for known in self.sequences if known[0] == who]:
                del self.sequences[known]

    def _learn_26(self, step: Step, answer: Any) -> None:
        if answer.error_code == ErrorCode.NONE:
            self.written.pop(step.fields["transactional_id"], None)
        if step.version >= 5 and answer.error_code == ErrorCode.NONE and answer.producer_id != -1:
            who = step.fields["transactional_id"]
            self.producers[who] = self.named("producer_id", answer.producer_id), answer.producer_epoch
            for known in [known for known in self.sequences if known[0] == who]:
                del self.sequences[known]

    def _learn_27(self, step: Step, answer: Any) -> None:
        """Markers end what a transaction wrote, and leave the partition in it."""
        for marker, told in zip(step.fields["markers"], answer.markers, strict=False):
            producer = marker["producer_id"], marker["producer_epoch"]
            for who in [who for who, known in self.producers.items() if who is not None and known == producer]:
                for topic in told.topics:
                    name = self.plain(topic.name)
                    for result in topic.partitions:
                        if name in self.written.get(who, ()) and result.error_code == ErrorCode.NONE:
                            self._owe(Due(who, producer, name, result.partition_index, 11))

    def has_consumers(self, group: str) -> bool:
        return any(epoch for (of, _), epoch in self.epochs.items() if of == group)

    def _learn_68(self, step: Step, answer: Any) -> None:
        if answer.error_code == ErrorCode.NONE and isinstance(step.fields["member_id"], str):
            self.epochs[step.fields["group_id"], step.fields["member_id"]] = (
                self.named("member_epoch", answer.member_epoch) if answer.member_epoch > 0 else 0
            )


class Focus:
    """What one request is about, so that its fields fit together: most of the time."""

    def __init__(self, world: World, random: Random, key: int) -> None:
        self.topic = random.choice(TOPICS)
        self.partition = random.choice((0, 0, 0, 1))
        self.group = random.choice(CONSUMER_GROUPS if key in (68, 69) or random.random() < 0.1 else GROUPS)
        members = list(world.members.get(self.group, {}).values())
        self.member: Named = members[-1] if members and random.random() < 0.8 else random.choice([*members, ""])
        if self.group in CONSUMER_GROUPS:
            self.member = random.choice(("@m0", "@m1"))
            self.generation: Named = world.epochs.get((self.group, self.member), 0)
        else:
            self.generation = world.generations[self.group]
        self.transaction = random.choice(TRANSACTIONS)
        self.producer: Named
        self.producer, self.producer_epoch = world.producers.get(self.transaction, (424242, 0))
