"""JoinGroup: who may join, as whom, and whether that starts a rebalance.

Source: classicGroupJoinToClassicGroup and what it calls in Kafka's GroupMetadataManager; KIP-345
(static members), KIP-394 (MEMBER_ID_REQUIRED), KIP-814 (skip_assignment).
"""

from __future__ import annotations

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer
from flymq.core.group.events import GroupConfig, JoinGroup, JoinResult, SyncResult
from flymq.core.group.group import ClassicGroup, Member, State
from flymq.core.group.rebalance import (
    Rebalancer,
    answer_join,
    answer_sync,
    current_generation,
    dismiss,
    rearm,
    write_group,
)
from flymq_protocol.errors import ErrorCode


class Joiner:
    def __init__(self, config: GroupConfig, groups: dict[str, ClassicGroup], rebalancer: Rebalancer) -> None:
        self._config = config
        self._groups = groups
        self._rebalancer = rebalancer

    def join(self, now_ms: int, event: JoinGroup) -> list[Effect]:
        config = self._config
        if not event.group_id:
            return _refuse(event, ErrorCode.INVALID_GROUP_ID, event.member_id)
        if not config.group_min_session_timeout_ms <= event.session_timeout_ms <= config.group_max_session_timeout_ms:
            return _refuse(event, ErrorCode.INVALID_SESSION_TIMEOUT, event.member_id)
        group = self._groups.get(event.group_id)
        if group is None:
            if event.member_id:
                return _refuse(event, ErrorCode.UNKNOWN_MEMBER_ID, event.member_id)
            group = ClassicGroup(event.group_id, now_ms)  # registered once somebody is let in
        out: list[Effect] = []
        if not self._has_room(group, event.member_id):
            out = _refuse(event, ErrorCode.GROUP_MAX_SIZE_REACHED, "")
            if event.member_id in group.members or event.member_id in group.pending_members:
                dismiss(group, event.member_id, out)
                self._rebalancer.maybe_complete(now_ms, group, out)
        elif not group.supports(event.protocol_type, event.protocols):
            out = _refuse(event, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, event.member_id)
        elif event.member_id:
            self._join_known(now_ms, group, event, out)
        else:
            self._groups[event.group_id] = group
            self._join_new(now_ms, group, event, out)
        return out

    def _has_room(self, group: ClassicGroup, member_id: str) -> bool:
        """Members count from the moment that they wait: so the last to rejoin a group grown too big are out."""
        if group.state is State.EMPTY:
            return True
        member = group.members.get(member_id)
        if group.state is State.PREPARING:
            return (member is not None and member.join_token != 0) or group.joining < self._config.group_max_size
        return member is not None or len(group.members) < self._config.group_max_size

    # -- without a member id ----------------------------------------------------------------------

    def _join_new(self, now_ms: int, group: ClassicGroup, event: JoinGroup, out: list[Effect]) -> None:
        instance_id = event.instance_id
        if instance_id is not None:
            member_id = f"{instance_id}-{event.unique}"
            if instance_id in group.static_members:
                self._replace_static(now_ms, group, event, member_id, out)
            else:
                self._add(now_ms, group, event, member_id, out)
            return
        member_id = f"{event.client_id}-{event.unique}"
        if event.api_version < 4:
            self._add(now_ms, group, event, member_id, out)
            return
        group.pending_members[member_id] = None
        out.append(SetTimer(("session", group.group_id, member_id), event.session_timeout_ms))
        out.extend(_refuse(event, ErrorCode.MEMBER_ID_REQUIRED, member_id))

    def _add(self, now_ms: int, group: ClassicGroup, event: JoinGroup, member_id: str, out: list[Effect]) -> None:
        member = Member(
            group.group_id, member_id, event.instance_id, event.client_id, event.client_host,
            event.session_timeout_ms, event.rebalance_timeout_ms, event.protocols,
        )
        member.is_new = True
        if group.state is State.PREPARING and group.previous_state is State.EMPTY:
            group.has_newcomer = True
        group.add(member, event.protocol_type, event.token)
        # It does not know its id yet, so it can't send heartbeats; nor is a disconnect seen while a join is parked.
        # If the client is gone, this ends its membership; if not, it tries again.
        out.append(SetTimer(member.timer_key, self._config.new_member_join_timeout_ms))
        self._rebalancer.prepare_or_complete(now_ms, group, out)

    def _replace_static(
        self, now_ms: int, group: ClassicGroup, event: JoinGroup, member_id: str, out: list[Effect]
    ) -> None:
        """A static member restarted: it takes its own place under a new id, and whoever uses the old id is fenced."""
        assert event.instance_id is not None
        old = group.members[group.static_members[event.instance_id]]
        old_leader = group.leader_id or ""
        answer_join(group, old, JoinResult(ErrorCode.FENCED_INSTANCE_ID, old.member_id), out)
        answer_sync(old, SyncResult(ErrorCode.FENCED_INSTANCE_ID), out)
        out.append(CancelTimer(old.timer_key))
        member = group.replace_static(old, member_id)
        group.update(member, event.protocols, event.session_timeout_ms, event.rebalance_timeout_ms, 0)
        rearm(member, out)
        if group.state is not State.STABLE or group.select_protocol() != group.protocol_name:
            # In CompletingRebalance the leader may be assigning to the old id right now, so it starts over.
            group.set_join_token(member, event.token)
            self._rebalancer.prepare_or_complete(now_ms, group, out)
            return
        write_group(group, out)
        result = current_generation(group, member_id)
        if event.api_version >= 9:
            result.skip_assignment = group.leader_id == member_id
        else:
            # A leader before v9 can't be told to skip the assignment, so it isn't told that it leads.
            result.leader = old_leader
            result.members = []
        out.append(Reply(event.token, result))

    # -- with a member id -------------------------------------------------------------------------

    def _join_known(self, now_ms: int, group: ClassicGroup, event: JoinGroup, out: list[Effect]) -> None:
        member_id = event.member_id
        if member_id in group.pending_members and event.instance_id is None:
            self._add(now_ms, group, event, member_id, out)
            return
        error = group.check_member(member_id, event.instance_id)
        if error:
            out.extend(_refuse(event, error, member_id))
            return
        member = group.members[member_id]
        unchanged = member.protocols == event.protocols
        if unchanged and (
            group.state is State.COMPLETING or (group.state is State.STABLE and group.leader_id != member_id)
        ):
            # It missed the answer, or is a follower that asks again: it has to sync, nobody else is disturbed.
            # A leader's join in Stable is its way to ask for a rebalance (metadata of a topic changed).
            rearm(member, out)
            out.append(Reply(event.token, current_generation(group, member_id)))
            return
        answer_join(group, member, JoinResult(ErrorCode.REBALANCE_IN_PROGRESS, member_id), out)  # superseded
        group.update(member, event.protocols, event.session_timeout_ms, event.rebalance_timeout_ms, event.token)
        self._rebalancer.prepare_or_complete(now_ms, group, out)


def _refuse(event: JoinGroup, error: ErrorCode, member_id: str) -> list[Effect]:
    return [Reply(event.token, JoinResult(error, member_id))]
