"""How a classic group moves from one generation to the next, and who is dropped on the way.

Source: prepareRebalance, completeClassicGroupJoin, tryCompleteInitialRebalanceElseSchedule,
expirePendingSync and expireClassicGroupMemberHeartbeat of Kafka's GroupMetadataManager.
"""

from __future__ import annotations

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer, Write
from flymq.core.group.events import GroupConfig, JoinResult, SyncResult
from flymq.core.group.group import ClassicGroup, Member, State
from flymq.core.group.rows import group_key, group_value
from flymq_protocol.errors import ErrorCode


def write_group(group: ClassicGroup, out: list[Effect]) -> None:
    out.append(Write([(group_key(group.group_id), group_value(group))]))


def rearm(member: Member, out: list[Effect]) -> None:
    """Expect the next sign of life within a session timeout."""
    out.append(SetTimer(member.timer_key, member.session_timeout_ms))


def answer_join(group: ClassicGroup, member: Member, result: JoinResult, out: list[Effect]) -> None:
    """Answer the member's parked JoinGroup, if there is one."""
    if member.join_token:
        out.append(Reply(member.join_token, result))
        group.set_join_token(member, 0)


def answer_sync(member: Member, result: SyncResult, out: list[Effect]) -> bool:
    """Answer the member's parked SyncGroup; False where there is none."""
    if not member.sync_token:
        return False
    out.append(Reply(member.sync_token, result))
    member.sync_token = 0
    return True


def current_generation(group: ClassicGroup, member_id: str) -> JoinResult:
    """What a member of the current generation is told: the leader gets the members."""
    return JoinResult(
        ErrorCode.NONE,
        member_id,
        generation_id=group.generation_id,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol_name,
        leader=group.leader_id or "",
        members=group.joined_members() if group.leader_id == member_id else None,
    )


def dismiss(group: ClassicGroup, member_id: str, out: list[Effect]) -> None:
    """Forget a member (or a pending one). What it waits with ends in UNKNOWN_MEMBER_ID: if it lives, it joins anew."""
    member = group.members.get(member_id)
    if member is not None:
        answer_join(group, member, JoinResult(ErrorCode.UNKNOWN_MEMBER_ID, ""), out)
        answer_sync(member, SyncResult(ErrorCode.UNKNOWN_MEMBER_ID), out)
    group.remove(member_id)
    out.append(CancelTimer(("session", group.group_id, member_id)))


class Rebalancer:
    def __init__(self, config: GroupConfig) -> None:
        self._config = config

    def prepare_or_complete(self, now_ms: int, group: ClassicGroup, out: list[Effect]) -> None:
        """Something about the members changed: begin a rebalance, or see whether the current one is done."""
        if group.state is State.PREPARING:
            self.maybe_complete(now_ms, group, out)
        else:
            self.prepare(now_ms, group, out)

    def prepare(self, now_ms: int, group: ClassicGroup, out: list[Effect]) -> None:
        """-> PreparingRebalance. From Empty, wait for more members to come; else, for all to rejoin."""
        if group.state is State.COMPLETING:
            self._fail_syncs(group, out)
        initial = group.state is State.EMPTY
        if not initial:
            group.pending_sync.clear()
            out.append(CancelTimer(group.sync_key))
        group.become(State.PREPARING, now_ms)
        if initial:
            delay_ms = self._config.group_initial_rebalance_delay_ms
            group.has_newcomer = False
            group.initial_delay_ms = delay_ms
            group.initial_remaining_ms = max(group.rebalance_timeout_ms - delay_ms, 0)
            out.append(SetTimer(group.join_key, delay_ms))
        elif group.all_joined:
            self._complete(now_ms, group, out)
        else:
            out.append(SetTimer(group.join_key, group.rebalance_timeout_ms))

    def maybe_complete(self, now_ms: int, group: ClassicGroup, out: list[Effect]) -> None:
        """End the join phase if everybody is in; the first rebalance lasts until its timer says so."""
        if group.state is State.PREPARING and group.previous_state is not State.EMPTY and group.all_joined:
            self._complete(now_ms, group, out)

    def join_time_is_up(self, now_ms: int, group: ClassicGroup, out: list[Effect]) -> None:
        """The timer `join_key` fired."""
        if group.state is not State.PREPARING:
            return
        if group.previous_state is State.EMPTY and group.has_newcomer and group.initial_remaining_ms:
            # Somebody came: wait once more, in all no longer than the rebalance timeout.
            group.has_newcomer = False
            delay_ms = min(self._config.group_initial_rebalance_delay_ms, group.initial_remaining_ms)
            group.initial_remaining_ms = max(group.initial_remaining_ms - group.initial_delay_ms, 0)
            group.initial_delay_ms = delay_ms
            out.append(SetTimer(group.join_key, delay_ms))
        else:
            self._complete(now_ms, group, out)

    def sync_time_is_up(self, now_ms: int, group: ClassicGroup, out: list[Effect]) -> None:
        """The timer `sync_key` fired: who has not synced is out, static members too."""
        if group.state not in (State.COMPLETING, State.STABLE) or not group.pending_sync:
            return
        for member_id in list(group.pending_sync):
            dismiss(group, member_id, out)
        self.prepare(now_ms, group, out)

    def session_is_over(self, now_ms: int, group: ClassicGroup, member_id: str, out: list[Effect]) -> None:
        """The member's session timer fired."""
        member = group.members.get(member_id)
        if member is not None and not member.is_new and (member.join_token or member.sync_token):
            return  # it waits for us; the answer re-arms the timer
        if member is None and member_id not in group.pending_members:
            return
        self.expel(now_ms, group, member_id, out)

    def expel(self, now_ms: int, group: ClassicGroup, member_id: str, out: list[Effect]) -> None:
        """Remove a member that failed, and go on without it."""
        was_member = member_id in group.members
        dismiss(group, member_id, out)
        if group.state is State.PREPARING:
            if group.all_joined:
                self._complete(now_ms, group, out)
        elif was_member:
            self.prepare(now_ms, group, out)

    def _complete(self, now_ms: int, group: ClassicGroup, out: list[Effect]) -> None:
        """-> CompletingRebalance with a new generation, or -> Empty."""
        out.append(CancelTimer(group.join_key))
        for member in list(group.members.values()):
            if not member.join_token and member.instance_id is None:
                dismiss(group, member.member_id, out)
        if not group.elect_joined_leader() and group.members:
            # Only static members are left and none has rejoined: their sessions must end, or they must come.
            out.append(SetTimer(group.join_key, group.rebalance_timeout_ms))
            return
        group.next_generation(now_ms)
        if group.state is State.EMPTY:
            write_group(group, out)
            return
        for member in group.members.values():
            answer_join(group, member, current_generation(group, member.member_id), out)
            rearm(member, out)
            member.is_new = False
            group.pending_sync[member.member_id] = None
        out.append(SetTimer(group.sync_key, group.rebalance_timeout_ms))

    def _fail_syncs(self, group: ClassicGroup, out: list[Effect]) -> None:
        for member in group.members.values():
            member.assignment = b""
            if answer_sync(member, SyncResult(ErrorCode.REBALANCE_IN_PROGRESS), out):
                rearm(member, out)

    def assign(self, now_ms: int, group: ClassicGroup, assignments: dict[str, bytes], out: list[Effect]) -> None:
        """-> Stable: the leader's assignment becomes the group's. Answers wait for the row (they follow the write)."""
        for member in group.members.values():
            member.assignment = assignments.get(member.member_id, b"")
        group.become(State.STABLE, now_ms)
        write_group(group, out)
        for member in group.members.values():
            answer = SyncResult(ErrorCode.NONE, member.assignment, group.protocol_type, group.protocol_name)
            if answer_sync(member, answer, out):
                rearm(member, out)
