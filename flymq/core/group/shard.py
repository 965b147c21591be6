"""The machine: many groups, one event at a time, effects out.

Requests are answered once the writes before their answer are durable; Heartbeat alone need not wait.
Rows go in through `apply`, then `loaded` arms the timers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer, TimerFired, Write
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
    def __init__(self, config: GroupConfig) -> None:
        self.config = config
        self.groups: dict[str, ClassicGroup] = {}
        self._rebalancer = Rebalancer(config)
        self.pending = PendingOffsets()
        self._offsets = Offsets(config, self.groups, self.pending)
        txn_offsets = TxnOffsets(config, self.groups, self._offsets, self.pending)
        joiner = Joiner(config, self.groups, self._rebalancer)
        membership = Membership(self.groups, self._rebalancer)
        self._steps: dict[type, Callable[[int, Any], list[Effect]]] = {
            Heartbeat: membership.heartbeat,
            CommitOffsets: self._offsets.commit,
            FetchOffsets: self._offsets.fetch,
            JoinGroup: joiner.join,
            SyncGroup: membership.sync,
            LeaveGroup: membership.leave,
            TimerFired: self._timer_fired,
            DescribeGroups: self._describe,
            ListGroups: self._list,
            DeleteGroups: self._delete,
            TopicDeleted: self._offsets.topic_deleted,
            DeleteOffsets: self._offsets.delete,
            CommitTxnOffsets: txn_offsets.commit,
            EndTransaction: txn_offsets.end,
            OpenTransactions: txn_offsets.open,
        }

    def step(self, now_ms: int, event: Any) -> list[Effect]:
        """`now_ms`: wall clock. `event`: one of `events`, or `TimerFired`."""
        return self._steps[type(event)](now_ms, event)

    # -- load -------------------------------------------------------------------------------------

    def apply(self, key: str, value: str) -> None:
        """A stored row, in any order."""
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
        owner = self.groups.get(group_id)
        if owner is None:  # a simple group has no row of its own
            owner = self.groups[group_id] = ClassicGroup(group_id, row.commit_timestamp_ms)
        put(owner, topic_id, topic, partition, row)

    def loaded(self, now_ms: int) -> list[Effect]:
        """All rows are in: members must be heard of within a session timeout; too big a group rejoins."""
        out: list[Effect] = [SetTimer(EXPIRE_OFFSETS, self.config.offsets_retention_check_interval_ms)]
        for group in self.groups.values():
            for member in group.members.values():
                rearm(member, out)
            if len(group.members) > self.config.group_max_size:
                self._rebalancer.prepare(now_ms, group, out)
        return out

    # -- timers -----------------------------------------------------------------------------------

    def _timer_fired(self, now_ms: int, event: TimerFired) -> list[Effect]:
        key: Any = event.key
        if key == EXPIRE_OFFSETS:
            deletes = self._offsets.expire(now_ms)
            timer = SetTimer(EXPIRE_OFFSETS, self.config.offsets_retention_check_interval_ms)
            return [Write([], deletes), timer] if deletes else [timer]
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

    # -- admin ------------------------------------------------------------------------------------

    def _describe(self, now_ms: int, event: DescribeGroups) -> list[Effect]:
        return [Reply(event.token, [self._description(group_id) for group_id in event.group_ids])]

    def _description(self, group_id: str) -> GroupDescription:
        group = self.groups.get(group_id)
        if group is None:
            return GroupDescription(group_id, State.DEAD.value, "", "", [])
        stable = group.state is State.STABLE
        name = group.protocol_name
        members = [
            MemberDescription(
                member.member_id,
                member.instance_id,
                member.client_id,
                member.client_host,
                member.metadata(name) if stable else b"",
                member.assignment if stable else b"",
            )
            for member in group.members.values()
        ]
        protocol_name = (name or "") if stable else ""
        return GroupDescription(group_id, group.state.value, group.protocol_type or "", protocol_name, members)

    def _list(self, now_ms: int, event: ListGroups) -> list[Effect]:
        listed = [
            ListedGroup(group.group_id, group.protocol_type or "", group.state.value)
            for group in self.groups.values()
            if not event.states or group.state.value.lower() in event.states
        ]
        return [Reply(event.token, listed)]

    def _delete(self, now_ms: int, event: DeleteGroups) -> list[Effect]:
        out: list[Effect] = []
        errors = [self._delete_one(now_ms, group_id, out) for group_id in event.group_ids]
        out.append(Reply(event.token, errors))
        return out

    def _delete_one(self, now_ms: int, group_id: str, out: list[Effect]) -> ErrorCode:
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
