"""A group shard with a clock of its own: scripts feed requests and time, and read the answers."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterator
from typing import Any

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer, TimerFired, Write
from flymq.core.group.consumer.settings import ConsumerConfig, ConsumerSettings
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import (
    UNSTABLE,
    CommitOffsets,
    CommitTxnOffsets,
    DeleteGroups,
    DeleteOffsets,
    DescribeGroups,
    EndTransaction,
    FetchOffsets,
    GroupConfig,
    GroupDescription,
    Heartbeat,
    JoinGroup,
    JoinResult,
    LeaveGroup,
    ListGroups,
    OffsetEntry,
    OpenTransactions,
    SyncGroup,
    SyncResult,
    TopicDeleted,
)
from flymq.core.group.group import ClassicGroup
from flymq.core.group.shard import GroupShard
from flymq_protocol.errors import ErrorCode

START_MS = 1_700_000_000_000
TOPIC = bytes(range(16))
OTHER_TOPIC = bytes(range(16, 32))


def subscription(*topics: str) -> bytes:
    """A consumer's metadata, version 0."""
    names = b"".join(struct.pack(">h", len(topic)) + topic.encode() for topic in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class Script:
    """Runs one shard as the runtime would: timers fire in order of deadline, rows are kept, tokens answered once."""

    def __init__(
        self, config: GroupConfig | None = None, rows: dict[str, str] | None = None, now_ms: int = START_MS,
        consumers: ConsumerConfig | None = None, topics: KnownTopics | None = None,
    ) -> None:
        self.config = config or GroupConfig()
        self.consumers = consumers or ConsumerConfig()
        self.now_ms = now_ms
        self.rows = dict(rows or {})
        self.machine = GroupShard(self.config, ConsumerSettings(self.consumers), topics)
        for key in sorted(self.rows):
            self.machine.apply(key, self.rows[key])
        self.answers: dict[int, Any] = {}
        self.timers: dict[Hashable, tuple[int, int]] = {}  # key -> (deadline, order of arming)
        self._armed = 0
        self._token = 0
        self._open: set[int] = set()
        self.effects: list[Effect] = []  # of the last step
        self._carry_out(self.machine.loaded(self.now_ms))

    def restarted(self) -> Script:
        """A new broker over the same rows. Member ids stay unique: in life they hold a UUID."""
        again = type(self)(self.config, self.rows, self.now_ms, self.consumers, self.machine.topics)
        again._token = self._token
        return again

    @property
    def next_token(self) -> int:
        """The number that the next request will get."""
        return self._token + 1

    def group(self, group_id: str = "g") -> ClassicGroup:
        return self.machine.groups[group_id]

    @property
    def state(self) -> str:
        return self.group().state.value

    # -- running ----------------------------------------------------------------------------------

    def send(self, event: Any) -> int:
        """Feed a request; its token."""
        self._token += 1
        event.token = self._token
        self._open.add(self._token)
        self._carry_out(self.machine.step(self.now_ms, event))
        return self._token

    def ask(self, event: Any) -> Any:
        """Feed a request that is answered at once; the answer."""
        return self.answers[self.send(event)]

    def advance(self, delay_ms: int) -> None:
        """Let time pass; timers fire when due."""
        end_ms = self.now_ms + delay_ms
        while True:
            due = min(((at, key) for key, at in self.timers.items() if at[0] <= end_ms), default=None,
                      key=lambda item: item[0])
            if due is None:
                break
            (deadline_ms, _), key = due
            del self.timers[key]
            self.now_ms = max(self.now_ms, deadline_ms)
            self._carry_out(self.machine.step(self.now_ms, TimerFired(key)))
        self.now_ms = end_ms

    def _carry_out(self, effects: list[Effect]) -> None:
        self.effects = effects
        for number, effect in enumerate(effects):
            if isinstance(effect, Reply):
                if isinstance(effect.result, SyncResult) and effect.result.assignment:
                    # An assignment must be durable before a member acts on it.
                    assert effect.barrier
                    assert not any(isinstance(later, Write) for later in effects[number:])
                assert effect.token in self._open, f"answered twice, or never asked: {effect}"
                self._open.remove(effect.token)
                self.answers[effect.token] = effect.result
            elif isinstance(effect, Write):
                assert not {key for key, _ in effect.puts} & set(effect.deletes)
                self.rows.update(effect.puts)
                for key in effect.deletes:
                    self.rows.pop(key, None)
            elif isinstance(effect, SetTimer):
                self._armed += 1
                self.timers[effect.key] = (self.now_ms + effect.delay_ms, self._armed)
            else:
                assert isinstance(effect, CancelTimer)
                self.timers.pop(effect.key, None)

    @property
    def parked(self) -> set[int]:
        """Tokens not answered yet."""
        return set(self._open)

    def written(self) -> list[Write]:
        """The writes of the last step."""
        return [effect for effect in self.effects if isinstance(effect, Write)]

    # -- requests ---------------------------------------------------------------------------------

    def join(
        self, member_id: str = "", *, group_id: str = "g", protocol_type: str = "consumer",
        protocols: tuple[tuple[str, bytes], ...] = (("range", b"m"),), session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 60_000, instance_id: str | None = None, api_version: int = 9,
        client_id: str = "client",
    ) -> int:
        return self.send(JoinGroup(
            group_id, member_id, protocol_type, protocols, session_timeout_ms=session_timeout_ms,
            rebalance_timeout_ms=rebalance_timeout_ms, instance_id=instance_id, api_version=api_version,
            client_id=client_id, client_host="/127.0.0.1", unique=f"u{self._token + 1}",
        ))

    def new_member(self, **options: Any) -> tuple[str, int]:
        """Join without an id, then with the one given: the member id, and the token that waits."""
        refused = self.answers[self.join(**options)]
        assert refused.error == ErrorCode.MEMBER_ID_REQUIRED
        return refused.member_id, self.join(refused.member_id, **options)

    def joined(self, token: int) -> JoinResult:
        result: JoinResult = self.answers[token]
        assert result.error == ErrorCode.NONE, result
        return result

    def sync(
        self, member_id: str, generation_id: int, assignments: dict[str, bytes] | None = None, **options: Any
    ) -> int:
        group_id = options.pop("group_id", "g")
        return self.send(SyncGroup(group_id, generation_id, member_id, assignments or {}, **options))

    def heartbeat(self, member_id: str, generation_id: int, instance_id: str | None = None) -> ErrorCode:
        answer: ErrorCode = self.ask(Heartbeat("g", generation_id, member_id, instance_id))
        return answer

    def leave(self, *members: tuple[str, str | None]) -> list[ErrorCode]:
        answer: list[ErrorCode] = self.ask(LeaveGroup("g", list(members)))
        return answer

    def commit(
        self, offset: int, member_id: str = "", generation_id: int = -1, *, group_id: str = "g", partition: int = 0,
        topic_id: bytes = TOPIC, topic: str = "t", metadata: str = "", leader_epoch: int = -1, **options: Any,
    ) -> Any:
        entry = OffsetEntry(topic_id, topic, partition, offset, leader_epoch, metadata)
        return self.ask(CommitOffsets(group_id, generation_id, member_id, [entry], **options))

    def offset(self, partition: int = 0, topic_id: bytes = TOPIC, group_id: str = "g") -> int:
        """The committed offset, -1 for none."""
        (fetched,) = self.ask(FetchOffsets(group_id, [(topic_id, [partition])]))
        return fetched.partitions[partition].offset if partition in fetched.partitions else -1

    def commit_in_txn(
        self, producer_id: int, offset: int, member_id: str = "", generation_id: int = -1, *, group_id: str = "g",
        partition: int = 0, topic_id: bytes = TOPIC, producer_epoch: int = 0, metadata: str = "",
        instance_id: str | None = None,
    ) -> Any:
        """The error of the only entry, or of all."""
        entry = OffsetEntry(topic_id, "t", partition, offset, -1, metadata)
        answer = self.ask(CommitTxnOffsets(
            group_id, generation_id, member_id, [entry], producer_id=producer_id, producer_epoch=producer_epoch,
            instance_id=instance_id,
        ))
        return answer[0] if isinstance(answer, list) else answer

    def end_txn(self, producer_id: int, *, commit: bool) -> None:
        assert self.ask(EndTransaction(producer_id, commit)) is None

    def open_transactions(self) -> dict[int, int]:
        answer: dict[int, int] = self.ask(OpenTransactions())
        return answer

    def is_unstable(self, partition: int = 0, topic_id: bytes = TOPIC, group_id: str = "g") -> bool:
        (fetched,) = self.ask(FetchOffsets(group_id, [(topic_id, [partition])], require_stable=True))
        return fetched.partitions.get(partition) is UNSTABLE

    def delete_offsets(self, *entries: tuple[bytes, str, int], group_id: str = "g") -> Any:
        return self.ask(DeleteOffsets(group_id, list(entries)))

    def tell(self, event: Any) -> None:
        """Feed an event that has no answer."""
        self._carry_out(self.machine.step(self.now_ms, event))

    def delete_topic(self, topic_id: bytes = TOPIC) -> None:
        self.tell(TopicDeleted(topic_id))

    def describe(self, group_id: str = "g") -> GroupDescription:
        (found,) = self.ask(DescribeGroups([group_id]))
        assert isinstance(found, GroupDescription)
        return found

    def listed(self, *states: str) -> list[tuple[str, str, str]]:
        return [tuple(row[:3]) for row in self.ask(ListGroups(frozenset(states)))]

    def delete(self, *group_ids: str) -> list[ErrorCode]:
        answer: list[ErrorCode] = self.ask(DeleteGroups(list(group_ids)))
        return answer

    # -- whole stories ----------------------------------------------------------------------------

    def completing(self, count: int = 2, **options: Any) -> list[str]:
        """A new group in CompletingRebalance; member ids, the leader first."""
        members = [self.new_member(**options) for _ in range(count)]
        while self.parked:
            self.advance(500)
        assert all(self.joined(token).generation_id for _, token in members)
        return [member_id for member_id, _ in members]

    def stable(self, count: int = 2, **options: Any) -> list[str]:
        """A new group in Stable, member n assigned b"n"; member ids, the leader first."""
        members = self.completing(count, **options)
        generation_id = self.group().generation_id
        for member_id in members[1:]:
            self.sync(member_id, generation_id)
        self.sync(members[0], generation_id, {member_id: b"%d" % n for n, member_id in enumerate(members)})
        assert self.state == "Stable"
        return members

    def members(self) -> Iterator[str]:
        return iter(self.group().members)
