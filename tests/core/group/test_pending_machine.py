"""Any order of commits, in transactions and not, ends, deletions, expiry and restarts, against Kafka's own rule: every
commit has a record offset, and of those that count the highest is the offset."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flymq.core.group.events import UNSTABLE, CommittedOffset, FetchOffsets, GroupConfig
from flymq.core.group.pending import (
    PendingOffset,
    parse_pending_key,
    parse_pending_value,
    pending_key,
    pending_value,
)
from flymq_protocol.errors import ErrorCode

from .harness import OTHER_TOPIC, TOPIC, Script
from .test_rows import TEXT, TRICKY

HOUR_MS = 3_600_000
CONFIG = GroupConfig(offsets_retention_ms=HOUR_MS)
GROUPS = ("g", "a/b%")
TOPICS = (TOPIC, OTHER_TOPIC)
PARTITIONS = (0, 1)

PRODUCERS = (7, 9)

Place = tuple[str, bytes, int]
# One place above all: what is to be found needs several commits of the same partition.
PLACES = [(group, topic, partition) for group in GROUPS for topic in TOPICS for partition in PARTITIONS]
PLACE = st.sampled_from(PLACES[:1] * 8 + PLACES)
PRODUCER = st.sampled_from(PRODUCERS)


class Commit(NamedTuple):
    record: int
    offset: int
    epoch: int = -1


class PendingModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.script = Script(CONFIG)
        self.record = 0
        self.groups: set[str] = set()
        self.committed: dict[Place, Commit] = {}
        self.pending: dict[int, dict[Place, Commit]] = {}

    def has_pending(self, place: Place) -> bool:
        return any(place in places for places in self.pending.values())

    def forget(self, places: set[Place]) -> None:
        for place in places:
            self.committed.pop(place, None)
            for pending in self.pending.values():
                pending.pop(place, None)
        self.pending = {producer: pending for producer, pending in self.pending.items() if pending}

    @property
    def places(self) -> set[Place]:
        return set(self.committed).union(*self.pending.values())

    # -- events -----------------------------------------------------------------------------------

    @rule(place=PLACE)
    def commit(self, place: Place) -> None:
        group, topic, partition = place
        self.record += 1
        answer = self.script.commit(self.record * 10, group_id=group, topic_id=topic, partition=partition)
        assert answer == ErrorCode.NONE
        self.committed[place] = Commit(self.record, self.record * 10)
        self.groups.add(group)

    @rule(producer=PRODUCER, epoch=st.integers(0, 3), place=PLACE)
    def commit_in_txn(self, producer: int, epoch: int, place: Place) -> None:
        group, topic, partition = place
        self.record += 1
        assert self.script.commit_in_txn(
            producer, self.record * 10, group_id=group, topic_id=topic, partition=partition, producer_epoch=epoch
        ) == ErrorCode.NONE
        self.pending.setdefault(producer, {})[place] = Commit(self.record, self.record * 10, epoch)
        self.groups.add(group)

    @rule(place=PLACE)
    def commit_in_both(self, place: Place) -> None:
        for producer in PRODUCERS:
            self.commit_in_txn(producer, 0, place)

    @rule(producer=PRODUCER, commit=st.booleans())
    def end(self, producer: int, commit: bool) -> None:
        self.script.end_txn(producer, commit=commit)
        for place, pending in self.pending.pop(producer, {}).items():
            known = self.committed.get(place)
            if commit and (known is None or pending.record > known.record):
                self.committed[place] = pending

    @rule(what=st.sampled_from(["offset", "offset", "topic", "group", "expired"]), place=PLACE)
    def delete(self, what: str, place: Place) -> None:
        group, topic, partition = place
        known = group in self.groups
        if what == "offset":
            answer = self.script.delete_offsets((topic, "t", partition), group_id=group)
            assert answer == ([ErrorCode.NONE] if known else ErrorCode.GROUP_ID_NOT_FOUND)
            self.forget({place})
        elif what == "topic":
            self.script.delete_topic(topic)
            self.forget({place for place in self.places if place[1] == topic})
        elif what == "group":
            assert self.script.delete(group) == [ErrorCode.NONE if known else ErrorCode.GROUP_ID_NOT_FOUND]
            self.forget({place for place in self.places if place[0] == group})
            self.groups.discard(group)
        else:
            self.script.advance(2 * HOUR_MS)
            self.committed = {place: commit for place, commit in self.committed.items() if self.has_pending(place)}
            self.groups = {group for group, _, _ in self.places}

    @rule()
    def restart(self) -> None:
        self.script = self.script.restarted()
        self.groups = {group for group, _, _ in self.places}  # one without offsets has no row

    # -- what must hold ---------------------------------------------------------------------------

    @invariant()
    def offsets_are_as_in_kafka(self) -> None:
        wanted = [(topic, list(PARTITIONS)) for topic in TOPICS]
        for group in GROUPS:
            plain = self.script.ask(FetchOffsets(group, wanted))
            found = {(group, t, p): row.offset for t, rows in plain for p, row in rows.items()}
            assert found == {place: one.offset for place, one in self.committed.items() if place[0] == group}
            stable = self.script.ask(FetchOffsets(group, wanted, require_stable=True))
            unstable = {(group, t, p) for t, rows in stable for p, row in rows.items() if row is UNSTABLE}
            assert unstable == {place for place in self.places if place[0] == group and self.has_pending(place)}

    @invariant()
    def open_transactions_are_told(self) -> None:
        assert self.script.open_transactions() == {
            producer: max(one.epoch for one in pending.values()) for producer, pending in self.pending.items()
        }

    @invariant()
    def groups_are_there(self) -> None:
        assert {group for group, _, _ in self.script.listed()} == self.groups

    @invariant()
    def no_row_is_left_over(self) -> None:
        rows = [key.split("/")[0] for key in self.script.rows]
        assert rows.count("offset") == len(self.committed)
        assert rows.count("pending") == sum(map(len, self.pending.values()))
        assert len(rows) == rows.count("offset") + rows.count("pending")


TestPending = PendingModel.TestCase
TestPending.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


PRODUCER_ID = st.integers(0, 2**63 - 1)


@given(TRICKY, PRODUCER_ID, st.binary(min_size=16, max_size=16), st.integers(0, 2**31 - 1))
def test_keys_name_one_partition_of_one_producer(group: str, producer: int, topic: bytes, partition: int) -> None:
    key = pending_key(group, producer, topic, partition)
    assert parse_pending_key(key) == (group, producer, topic, partition)
    assert "\0" not in key


@given(TEXT, st.integers(-1, 2**63 - 1), st.integers(-1, 2**31 - 1), TEXT, st.integers(0, 2**15 - 1))
def test_values_round_trip(topic: str, offset: int, leader_epoch: int, metadata: str, epoch: int) -> None:
    pending = PendingOffset(topic, CommittedOffset(offset, leader_epoch, metadata, 5, -1), epoch, 3)
    assert parse_pending_value(pending_value(pending)) == pending
