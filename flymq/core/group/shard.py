"""The machine: many groups of both protocols, one event at a time, effects out.

Requests are answered once the writes before their answer are durable; Heartbeat alone need not wait.
Rows go in through `apply`, then `loaded` arms the timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer, TimerFired, Write
from flymq.core.group.consumer import admin
from flymq.core.group.consumer.classic_members import ClassicMembers
from flymq.core.group.consumer.coordinator import ConsumerGroups
from flymq.core.group.consumer.events import ConsumerHeartbeat, DescribeConsumerGroups, TopicChanged
from flymq.core.group.consumer.group import ConsumerGroup
from flymq.core.group.consumer.migration import Migration
from flymq.core.group.consumer.rows import (
    CONSUMER,
    MEMBER,
    apply_group,
    parse_group_key,
    parse_member,
    parse_member_key,
)
from flymq.core.group.consumer.settings import ConsumerConfig, ConsumerSettings
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import (
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
    LeaveGroup,
    ListedGroup,
    ListGroups,
    MemberDescription,
    OpenTransactions,
    SyncGroup,
    TopicDeleted,
)
from flymq.core.group.group import ClassicGroup, State
from flymq.core.group.join import Joiner
from flymq.core.group.membership import Membership
from flymq.core.group.offsets import Offsets, drop_topic, put
from flymq.core.group.pending import PENDING, PendingOffsets
from flymq.core.group.rebalance import Rebalancer, rearm
from flymq.core.group.rows import GROUP, group_key, parse_group, parse_offset_key, parse_offset_value, unescape
from flymq.core.group.txn_offsets import TxnOffsets
from flymq_protocol.errors import ErrorCode

EXPIRE_OFFSETS = ("expire offsets",)


class GroupShard:
    """`consumer_settings` and `topics` may be shared by the shards of a broker. A group id is in `groups` or in
    `consumer_groups`, never in both."""

    def __init__(
        self, config: GroupConfig, consumer_settings: ConsumerSettings | None = None, topics: KnownTopics | None = None
    ) -> None:
        self.config = config
        self.groups: dict[str, ClassicGroup] = {}
        self._rebalancer = Rebalancer(config)
        settings = consumer_settings or ConsumerSettings(ConsumerConfig())
        self.topics = KnownTopics() if topics is None else topics
        self._migration = Migration(settings, self.topics, self.groups, self._rebalancer, config.group_max_size)
        self.consumer_groups = self._migration.groups
        self._consumers = ConsumerGroups(settings, self.topics, self._migration)
        self.pending = PendingOffsets()
        self._offsets = Offsets(config, self.groups, self.consumer_groups, self.pending)
        txn_offsets = TxnOffsets(config, self.groups, self._offsets, self.pending)
        joiner = Joiner(config, self.groups, self._rebalancer)
        membership = Membership(self.groups, self._rebalancer)
        classic = ClassicMembers(config, settings, self.topics, self._consumers)
        self._join_classic = joiner.join
        self._steps: dict[type, Callable[[int, Any], list[Effect]]] = {
            Heartbeat: self._either(membership.heartbeat, classic.heartbeat),
            CommitOffsets: self._offsets.commit,
            FetchOffsets: self._offsets.fetch,
            JoinGroup: self._either(self._join, classic.join),
            SyncGroup: self._either(membership.sync, classic.sync),
            LeaveGroup: self._either(membership.leave, classic.leave),
            ConsumerHeartbeat: self._consumers.heartbeat,
            DescribeConsumerGroups: self._describe_consumers,
            TopicChanged: self._consumers.topic_changed,
            TimerFired: self._timer_fired,
            DescribeGroups: self._describe,
            ListGroups: self._list,
            DeleteGroups: self._delete,
            TopicDeleted: self._topic_deleted,
            DeleteOffsets: self._offsets.delete,
            CommitTxnOffsets: txn_offsets.commit,
            EndTransaction: txn_offsets.end,
            OpenTransactions: txn_offsets.open,
        }

    def _either(
        self, in_classic: Callable[[int, Any], list[Effect]],
        in_consumer: Callable[[int, Any, ConsumerGroup], list[Effect]],
    ) -> Callable[[int, Any], list[Effect]]:
        """A request of the classic protocol goes to the group of its id, of whichever protocol that is."""
        consumer_groups = self.consumer_groups

        def step(now_ms: int, event: Any) -> list[Effect]:
            group = consumer_groups.get(event.group_id)
            if group is None or not group.members:
                return in_classic(now_ms, event)
            return in_consumer(now_ms, event, group)

        return step

    def step(self, now_ms: int, event: Any) -> list[Effect]:
        """`now_ms`: wall clock. `event`: one of `events`, or `TimerFired`."""
        return self._steps[type(event)](now_ms, event)

    def all_groups(self) -> Iterable[ClassicGroup | ConsumerGroup]:
        return self._offsets.all_groups()

    # -- load -------------------------------------------------------------------------------------

    def apply(self, key: str, value: str) -> None:
        """A stored row, in any order."""
        if key.startswith(CONSUMER):
            apply_group(self._loading(parse_group_key(key)), value)
            return
        if key.startswith(MEMBER):
            group_id, member_id = parse_member_key(key)
            self._loading(group_id).add(parse_member(group_id, member_id, value))
            return
        if key.startswith(GROUP):
            group = parse_group(unescape(key[len(GROUP) :]), value)
            known = self.groups.get(group.group_id)
            if known is not None:
                group.offsets = known.offsets
            self.groups[group.group_id] = group
            return
        if key.startswith(PENDING):
            group_id, commit_ms = self.pending.apply(key, value)
            if self._offsets.find(group_id) is None:
                self.groups[group_id] = ClassicGroup(group_id, commit_ms)
            return
        group_id, topic_id, partition = parse_offset_key(key)
        topic, row = parse_offset_value(value)
        owner = self._offsets.find(group_id)
        if owner is None:  # a simple group has no row of its own
            owner = self.groups[group_id] = ClassicGroup(group_id, row.commit_timestamp_ms)
        put(owner, topic_id, topic, partition, row)

    def _loading(self, group_id: str) -> ConsumerGroup:
        group = self.consumer_groups.get(group_id)
        if group is None:
            group = self.consumer_groups[group_id] = ConsumerGroup(group_id)
            simple = self.groups.pop(group_id, None)  # its offsets came first
            if simple is not None:
                group.offsets = simple.offsets
        return group

    def loaded(self, now_ms: int) -> list[Effect]:
        """All rows are in: members must be heard of within a session timeout; too big a group rejoins."""
        out: list[Effect] = [SetTimer(EXPIRE_OFFSETS, self.config.offsets_retention_check_interval_ms)]
        for group in self.groups.values():
            for member in group.members.values():
                rearm(member, out)
            if len(group.members) > self.config.group_max_size:
                self._rebalancer.prepare(now_ms, group, out)
        out.extend(self._consumers.loaded(now_ms))
        return out

    # -- timers -----------------------------------------------------------------------------------

    def _timer_fired(self, now_ms: int, event: TimerFired) -> list[Effect]:
        key: Any = event.key
        if key == EXPIRE_OFFSETS:
            deletes = self._offsets.expire(now_ms)
            timer = SetTimer(EXPIRE_OFFSETS, self.config.offsets_retention_check_interval_ms)
            return [Write([], deletes), timer] if deletes else [timer]
        if key[0].startswith("consumer "):
            return self._consumers.timer_fired(now_ms, key)
        out: list[Effect] = []
        group = self.groups.get(key[1])
        if group is None:
            return out
        if key[0] == "session":
            self._rebalancer.session_is_over(now_ms, group, key[2], out)
        elif key[0] == "join":
            self._rebalancer.join_time_is_up(now_ms, group, out)
        else:
            self._rebalancer.sync_time_is_up(now_ms, group, out)
        return out

    # -- both protocols ---------------------------------------------------------------------------

    def _join(self, now_ms: int, event: JoinGroup) -> list[Effect]:
        out: list[Effect] = []
        if not event.member_id:  # who has one is none of its members: refused, as where there is no group
            self._migration.make_classic_if_empty(event.group_id, now_ms, out)
        return out + self._join_classic(now_ms, event)

    def _topic_deleted(self, now_ms: int, event: TopicDeleted) -> list[Effect]:
        return self._offsets.topic_deleted(now_ms, event) + self._consumers.topic_deleted(now_ms, event.topic_id)

    # -- admin ------------------------------------------------------------------------------------

    def _describe(self, now_ms: int, event: DescribeGroups) -> list[Effect]:
        return [Reply(event.token, [self._description(group_id) for group_id in event.group_ids])]

    def _describe_consumers(self, now_ms: int, event: DescribeConsumerGroups) -> list[Effect]:
        return [Reply(event.token, [
            self._migration.why_not_found(group_id) if group_id not in self.consumer_groups
            else admin.describe(self.consumer_groups[group_id], self._consumers, self.topics)
            for group_id in event.group_ids
        ])]

    def _description(self, group_id: str) -> GroupDescription:
        group = self.groups.get(group_id)
        if group is None:
            is_other = group_id in self.consumer_groups
            why = f"Group {group_id} {'is not a classic group' if is_other else 'not found'}."
            return GroupDescription(group_id, State.DEAD.value, "", "", [], why)
        stable = group.state is State.STABLE
        name = group.protocol_name
        members = [
            MemberDescription(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.metadata(name) if stable else b"",
                member.assignment,
            )
            for member in group.members.values()
        ]
        protocol_name = (name or "") if stable else ""
        return GroupDescription(group_id, group.state.value, group.protocol_type or "", protocol_name, members)

    def _list(self, now_ms: int, event: ListGroups) -> list[Effect]:
        listed = [
            ListedGroup(group.group_id, group.protocol_type or "", group.state.value, "classic")
            for group in self.groups.values()
            if not event.states or group.state.value.lower() in event.states
        ]
        listed += admin.listed(self.consumer_groups, event.states)
        return [Reply(event.token, listed)]

    def _delete(self, now_ms: int, event: DeleteGroups) -> list[Effect]:
        out: list[Effect] = []
        errors = [self._delete_one(now_ms, group_id, out) for group_id in event.group_ids]
        out.append(Reply(event.token, errors))
        return out

    def _delete_one(self, now_ms: int, group_id: str, out: list[Effect]) -> ErrorCode:
        if group_id in self.consumer_groups:
            return admin.delete(self.consumer_groups, self.pending, group_id, out)
        group = self.groups.get(group_id)
        if group is None:
            return ErrorCode.GROUP_ID_NOT_FOUND
        if group.state is not State.EMPTY:
            return ErrorCode.NON_EMPTY_GROUP
        out.extend(CancelTimer(("session", group_id, member_id)) for member_id in group.pending_members)
        deletes = [key for topic_id in list(group.offsets) for key in drop_topic(group, topic_id)]
        deletes.extend(self.pending.forget_group(group_id))
        deletes.append(group_key(group_id))
        out.append(Write([], deletes))
        group.become(State.DEAD, now_ms)
        del self.groups[group_id]
        return ErrorCode.NONE
