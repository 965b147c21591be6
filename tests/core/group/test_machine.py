"""Every state x every event: a legal state or a stated error; and what must always hold."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flymq.core.group.events import FetchOffsets, GroupConfig, Heartbeat, JoinResult, SyncResult
from flymq.core.group.group import State
from flymq_protocol.errors import ErrorCode

from .harness import OTHER_TOPIC, TOPIC, Script, subscription
from .test_rows import picture

JOIN_ERRORS = {
    ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID,
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL, ErrorCode.GROUP_MAX_SIZE_REACHED, ErrorCode.REBALANCE_IN_PROGRESS,
}
SYNC_ERRORS = {
    ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID, ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.REBALANCE_IN_PROGRESS,
}
LIFE_ERRORS = SYNC_ERRORS
COMMIT_ERRORS = SYNC_ERRORS | {ErrorCode.GROUP_ID_NOT_FOUND}
LEAVE_ERRORS = {ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}
TXN_COMMIT_ERRORS = LIFE_ERRORS - {ErrorCode.REBALANCE_IN_PROGRESS}
DELETE_ERRORS = {ErrorCode.NONE, ErrorCode.NON_EMPTY_GROUP, ErrorCode.GROUP_ID_NOT_FOUND}

PROTOCOLS = st.sampled_from([
    (("range", subscription("t")),),
    (("range", subscription("t")), ("sticky", b"s")),
    (("sticky", b"s"), ("range", subscription("t", "u"))),
    (("sticky", b"other"),),
])
TOPICS = st.sampled_from([(TOPIC, "t"), (OTHER_TOPIC, "u")])
CONFIG = GroupConfig(group_max_size=4)


class GroupModel(RuleBasedStateMachine):
    """One group of up to four members on a shard. The script asserts by itself that each request is answered once."""

    def __init__(self) -> None:
        super().__init__()
        self.script = Script(CONFIG)
        self.ids: list[str] = ["", "ghost"]  # every member id ever handed out
        self.joins: set[int] = set()
        self.syncs: dict[int, str] = {}
        self.generations: dict[str, int] = {}  # as members were told
        self.highest = 0
        self.offsets: dict[tuple[bytes, int], int] = {}
        self.staged: dict[tuple[bytes, int], int] = {}  # in the transaction of the one producer
        self.seen: set[int] = set()

    # -- bookkeeping ------------------------------------------------------------------------------

    def look(self) -> None:
        """Judge every new answer."""
        for token in sorted(set(self.script.answers) - self.seen):
            self.seen.add(token)
            result = self.script.answers[token]
            if isinstance(result, JoinResult):
                self.judge_join(result)
            elif isinstance(result, SyncResult):
                self.judge_sync(self.syncs[token], result)
        group = self.script.machine.groups.get("g")
        if group is not None:
            assert group.generation_id >= self.highest, "generation went back"
            self.highest = group.generation_id

    def judge_join(self, result: JoinResult) -> None:
        assert result.error in JOIN_ERRORS
        if result.member_id and result.member_id not in self.ids:
            self.ids.append(result.member_id)
        if result.error:
            assert (result.generation_id, result.members) == (-1, [])
            return
        self.generations[result.member_id] = result.generation_id
        told = [member.member_id for member in result.members]
        assert not told or result.member_id in told
        assert not told or result.leader == result.member_id, "members told to a follower"

    def judge_sync(self, member_id: str, result: SyncResult) -> None:
        assert result.error in SYNC_ERRORS
        if result.error:
            assert result.assignment == b""
        elif result.assignment:
            # It is this member's own; a static one's may be from before it restarted.
            owner = result.assignment.decode().split("@")[0]
            assert owner == member_id or owner[:2] == member_id[:2] in ("a-", "b-")

    def pick(self, number: int) -> str:
        """Mostly a member; also ids that were, and that never were."""
        group = self.script.machine.groups.get("g")
        ids = list(group.members) if group is not None and group.members and number % 4 else self.ids
        return ids[number // 4 % len(ids)]

    # -- events -----------------------------------------------------------------------------------

    @rule(number=st.integers(0, 60), protocols=PROTOCOLS, version=st.sampled_from([3, 9]),
          instance=st.sampled_from([None, None, "a", "b"]), kind=st.sampled_from(["consumer"] * 9 + ["connect"]))
    def join(self, number: int, protocols: Any, version: int, instance: str | None, kind: str) -> None:
        self.joins.add(self.script.join(
            self.pick(number), protocols=protocols, api_version=version, instance_id=instance, protocol_type=kind,
            rebalance_timeout_ms=20_000,
        ))
        self.look()

    @rule(instance=st.sampled_from([None, "a", "b"]), protocols=PROTOCOLS)
    def arrive(self, instance: str | None, protocols: Any) -> None:
        """A client as it is: joins, and again with the id that it is given."""
        token = self.script.join(protocols=protocols, instance_id=instance, rebalance_timeout_ms=20_000)
        self.look()
        answer = self.script.answers.get(token)
        if answer is not None and answer.error == ErrorCode.MEMBER_ID_REQUIRED:
            self.script.join(answer.member_id, protocols=protocols, rebalance_timeout_ms=20_000)
            self.look()

    @precondition(lambda self: self.has_members)
    @rule()
    def all_rejoin(self) -> None:
        group = self.script.group()
        for member in list(group.members.values()):
            if member.member_id in group.members and not member.join_token:
                self.script.join(member.member_id, protocols=member.protocols, instance_id=member.instance_id,
                                 rebalance_timeout_ms=20_000, protocol_type=group.protocol_type or "consumer")
        self.look()

    @precondition(lambda self: self.has_members)
    @rule()
    def settle(self) -> None:
        """All do what clients do, until the group is Stable (or its members are gone)."""
        self.all_form()
        self.all_sync()

    @precondition(lambda self: self.has_members)
    @rule()
    def all_form(self) -> None:
        self.all_rejoin()
        self.script.advance(3_000)
        self.look()
        self.script.advance(3_000)
        self.look()

    @property
    def has_members(self) -> bool:
        group = self.script.machine.groups.get("g")
        return group is not None and bool(group.members)

    @rule(number=st.integers(0, 60), generation_off=st.sampled_from([0, 0, 0, -1, 1]),
          instance=st.sampled_from([None, None, "a"]))
    def sync(self, number: int, generation_off: int, instance: str | None) -> None:
        self.one_sync(self.pick(number), generation_off, instance)

    @precondition(lambda self: self.has_members)
    @rule()
    def all_sync(self) -> None:
        for member_id in list(self.script.members()):
            self.one_sync(member_id, 0, None)

    @precondition(lambda self: self.state is State.COMPLETING)
    @rule()
    def followers_sync(self) -> None:
        for member_id in list(self.script.members()):
            if member_id != self.script.group().leader_id:
                self.one_sync(member_id, 0, None)

    @property
    def state(self) -> State:
        group = self.script.machine.groups.get("g")
        return State.DEAD if group is None else group.state

    def one_sync(self, member_id: str, generation_off: int, instance: str | None) -> None:
        generation_id = self.generations.get(member_id, 1) + generation_off
        assignments = {other: f"{other}@{generation_id}".encode() for other in self.ids if other}
        # The token must be known before the answer is judged.
        self.syncs[self.script.next_token] = member_id
        self.script.sync(member_id, generation_id, assignments, instance_id=instance)
        self.look()

    @rule(number=st.integers(0, 60), generation_off=st.sampled_from([0, 0, -1]),
          instance=st.sampled_from([None, None, "a"]))
    def heartbeat(self, number: int, generation_off: int, instance: str | None) -> None:
        member_id = self.pick(number)
        answer = self.script.ask(
            Heartbeat("g", self.generations.get(member_id, 1) + generation_off, member_id, instance)
        )
        assert answer in LIFE_ERRORS

    @rule(number=st.integers(0, 60), instance=st.sampled_from([None, None, "a", "b"]))
    def leave(self, number: int, instance: str | None) -> None:
        (answer,) = self.script.leave((self.pick(number), instance))
        assert answer in LEAVE_ERRORS
        self.look()

    @rule(number=st.integers(0, 60), topic=TOPICS, partition=st.integers(0, 1), offset=st.integers(0, 1000),
          outside=st.booleans())
    def commit(self, number: int, topic: tuple[bytes, str], partition: int, offset: int, outside: bool) -> None:
        member_id = "" if outside else self.pick(number)
        generation_id = -1 if outside else self.generations.get(member_id, 1)
        before = self.script.machine.groups.get("g")
        completing = before is not None and before.state is State.COMPLETING
        answer = self.script.commit(offset, member_id, generation_id, topic_id=topic[0], topic=topic[1],
                                    partition=partition)
        assert answer in COMMIT_ERRORS
        if answer == ErrorCode.NONE:
            assert not completing
            self.offsets[topic[0], partition] = offset
            self.staged.pop((topic[0], partition), None)  # it came later
        self.look()

    @rule(number=st.integers(0, 60), topic=TOPICS, partition=st.integers(0, 1), offset=st.integers(0, 1000),
          outside=st.booleans())
    def commit_in_txn(
        self, number: int, topic: tuple[bytes, str], partition: int, offset: int, outside: bool
    ) -> None:
        member_id = "" if outside else self.pick(number)
        generation_id = -1 if outside else self.generations.get(member_id, 1)
        answer = self.script.commit_in_txn(7, offset, member_id, generation_id, topic_id=topic[0], partition=partition)
        assert answer in TXN_COMMIT_ERRORS
        if outside:
            assert answer == ErrorCode.NONE, "not fenced"
        if answer == ErrorCode.NONE:
            self.staged[topic[0], partition] = offset
        self.look()

    @rule(commit=st.booleans())
    def end_txn(self, commit: bool) -> None:
        self.script.end_txn(7, commit=commit)
        if commit:
            self.offsets.update(self.staged)
        self.staged.clear()

    @rule(topic=TOPICS, partition=st.integers(0, 1))
    def delete_offset(self, topic: tuple[bytes, str], partition: int) -> None:
        group = self.script.machine.groups.get("g")
        answer = self.script.delete_offsets((*topic, partition))
        if group is None:
            assert answer == ErrorCode.GROUP_ID_NOT_FOUND
        elif group.state is not State.EMPTY and group.protocol_type != "consumer":
            assert answer == ErrorCode.NON_EMPTY_GROUP
        elif group.is_subscribed(topic[1]):
            assert answer == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC]
        else:
            assert answer == [ErrorCode.NONE]
            self.offsets.pop((topic[0], partition), None)
            self.staged.pop((topic[0], partition), None)

    @rule(topic=TOPICS)
    def delete_topic(self, topic: tuple[bytes, str]) -> None:
        self.script.delete_topic(topic[0])
        self.offsets = {key: offset for key, offset in self.offsets.items() if key[0] != topic[0]}
        self.staged = {key: offset for key, offset in self.staged.items() if key[0] != topic[0]}

    @precondition(lambda self: not self.has_members or self.script.now_ms % 7_000 == 0)
    @rule()
    def delete_group(self) -> None:
        group = self.script.machine.groups.get("g")
        was_empty = group is not None and group.state is State.EMPTY
        (answer,) = self.script.delete("g")
        assert answer in DELETE_ERRORS
        assert (answer == ErrorCode.NONE) == was_empty
        if answer == ErrorCode.NONE:
            self.gone()

    @rule(delay_ms=st.sampled_from([1_000, 1_000, 3_000, 3_000, 6_000, 20_000, 300_000, 600_000]))
    def time_passes(self, delay_ms: int) -> None:
        # A run is far shorter than the retention: only groups without offsets go.
        existed = "g" in self.script.machine.groups
        self.script.advance(delay_ms)
        if existed and "g" not in self.script.machine.groups:
            assert not self.offsets
            assert not self.staged
            self.gone()
        self.look()

    @rule()
    def restart(self) -> None:
        """Parked requests die with the broker; a generation that was not stored never was."""
        self.script = self.script.restarted()
        self.joins.clear()
        self.syncs.clear()
        self.seen.clear()
        self.highest = 0
        for group in self.script.machine.groups.values():
            assert group.state in (State.EMPTY, State.STABLE)
            assert picture(group) == picture(self.script.restarted().group())

    def gone(self) -> None:
        self.offsets.clear()
        self.staged.clear()
        self.generations.clear()
        self.highest = 0

    # -- what always holds ------------------------------------------------------------------------

    @invariant()
    def consistent(self) -> None:
        group = self.script.machine.groups.get("g")
        if group is None:
            return
        members = group.members
        assert group.joining == sum(m.join_token != 0 for m in members.values())
        assert {m.instance_id: m.member_id for m in members.values() if m.instance_id} == group.static_members
        assert group.leader_id in members if members else group.leader_id is None
        assert set(group.pending_sync) <= set(members)
        assert not set(group.pending_members) & set(members)
        assert len(members) <= CONFIG.group_max_size or group.state is State.PREPARING
        assert bool(members) or group.state in (State.EMPTY, State.PREPARING)
        if group.state is not State.PREPARING:
            assert not group.joining
        if group.state is not State.COMPLETING:
            assert not any(m.sync_token for m in members.values())
        if group.state in (State.COMPLETING, State.STABLE):
            size = len(members)
            assert group.protocol_counts.get(group.protocol_name or "", 0) == size
        if group.state is State.PREPARING:
            assert group.join_key in self.script.timers, "nothing would end this rebalance"
        if group.pending_sync:
            assert group.sync_key in self.script.timers

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        group = self.script.machine.groups.get("g")
        held = set() if group is None else {
            token for m in group.members.values() for token in (m.join_token, m.sync_token) if token
        }
        assert self.script.parked == held

    @invariant()
    def every_member_is_watched(self) -> None:
        group = self.script.machine.groups.get("g")
        if group is not None:
            latest_ms = self.script.now_ms + 10_000
            for member in group.members.values():
                if not member.join_token and not member.sync_token:
                    assert self.script.timers[member.timer_key][0] <= latest_ms
            for member_id in group.pending_members:
                assert ("session", "g", member_id) in self.script.timers

    @invariant()
    def offsets_are_not_lost(self) -> None:
        for (topic_id, partition), offset in self.offsets.items():
            assert self.script.offset(partition, topic_id) == offset
        fetched = self.script.ask(FetchOffsets("g", None))
        stored = {(t.topic_id, p): row.offset for t in fetched for p, row in t.partitions.items()}
        assert stored == self.offsets


GroupModel.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestGroupModel = GroupModel.TestCase
