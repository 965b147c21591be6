"""SyncGroup, Heartbeat and LeaveGroup of the classic protocol."""

from __future__ import annotations

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer
from flymq.core.group.events import Heartbeat, LeaveGroup, SyncGroup, SyncResult
from flymq.core.group.group import ClassicGroup, State
from flymq.core.group.rebalance import Rebalancer, answer_sync, dismiss, rearm
from flymq_protocol.errors import ErrorCode

_NONE = ErrorCode.NONE
_REBALANCE_IN_PROGRESS = ErrorCode.REBALANCE_IN_PROGRESS


class Membership:
    def __init__(self, groups: dict[str, ClassicGroup], rebalancer: Rebalancer) -> None:
        self._groups = groups
        self._rebalancer = rebalancer

    def heartbeat(self, now_ms: int, event: Heartbeat) -> list[Effect]:
        group = self._groups.get(event.group_id) if event.group_id else None  # it may hold offsets
        if group is None:
            return [Reply(event.token, _no_group(event.group_id), False)]
        member_id = event.member_id
        error = group.check_member(member_id, event.instance_id)
        if error:
            return [Reply(event.token, error, False)]
        if event.generation_id != group.generation_id and not group.is_late(member_id, event.generation_id):
            return [Reply(event.token, ErrorCode.ILLEGAL_GENERATION, False)]
        member = group.members[member_id]
        answer = _REBALANCE_IN_PROGRESS if group.state is State.PREPARING else _NONE
        return [SetTimer(member.timer_key, member.session_timeout_ms), Reply(event.token, answer, False)]

    def sync(self, now_ms: int, event: SyncGroup) -> list[Effect]:
        group = self._groups.get(event.group_id) if event.group_id else None  # it may hold offsets
        error = _no_group(event.group_id) if group is None else _check_sync(group, event)
        if error or group is None:
            return [Reply(event.token, SyncResult(error))]
        if group.state is State.PREPARING:
            return [Reply(event.token, SyncResult(_REBALANCE_IN_PROGRESS))]
        out: list[Effect] = []
        member = group.members[event.member_id]
        if event.member_id in group.pending_sync:
            del group.pending_sync[event.member_id]
            if not group.pending_sync:
                out.append(CancelTimer(group.sync_key))
        if group.state is State.STABLE:
            rearm(member, out)
            result = SyncResult(_NONE, member.assignment, group.protocol_type, group.protocol_name)
            out.append(Reply(event.token, result))
            return out
        answer_sync(member, SyncResult(_REBALANCE_IN_PROGRESS), out)  # superseded
        member.sync_token = event.token
        rearm(member, out)
        if group.leader_id == event.member_id:
            self._rebalancer.assign(now_ms, group, event.assignments, out)
        return out

    def leave(self, now_ms: int, event: LeaveGroup) -> list[Effect]:
        group = self._groups.get(event.group_id)
        if not event.group_id:
            return [Reply(event.token, ErrorCode.INVALID_GROUP_ID)]
        if group is None:
            return [Reply(event.token, [ErrorCode.UNKNOWN_MEMBER_ID] * len(event.members))]
        out: list[Effect] = []
        errors = [self._leave_one(group, member_id, instance_id, out) for member_id, instance_id in event.members]
        if _NONE in errors and group.state is not State.EMPTY:
            self._rebalancer.prepare_or_complete(now_ms, group, out)
        out.append(Reply(event.token, errors))
        return out

    def _leave_one(
        self, group: ClassicGroup, member_id: str, instance_id: str | None, out: list[Effect]
    ) -> ErrorCode:
        if not member_id:  # an admin removes whoever has the instance id
            if instance_id is None or instance_id not in group.static_members:
                return ErrorCode.UNKNOWN_MEMBER_ID
            member_id = group.static_members[instance_id]
        elif member_id not in group.pending_members:
            error = group.check_member(member_id, instance_id)
            if error:
                return error
        dismiss(group, member_id, out)
        return _NONE


def _no_group(group_id: str) -> ErrorCode:
    return ErrorCode.UNKNOWN_MEMBER_ID if group_id else ErrorCode.INVALID_GROUP_ID


def _check_sync(group: ClassicGroup, event: SyncGroup) -> ErrorCode:
    error = group.check_member(event.member_id, event.instance_id)
    if error:
        return error
    if event.generation_id != group.generation_id and not group.is_late(event.member_id, event.generation_id):
        return ErrorCode.ILLEGAL_GENERATION
    if (event.protocol_type is not None and event.protocol_type != group.protocol_type) or (
        event.protocol_name is not None and event.protocol_name != group.protocol_name
    ):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    return _NONE
