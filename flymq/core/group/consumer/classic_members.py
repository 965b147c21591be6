"""Members of a consumer group that speak the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

Their subscription and what they own stand in the metadata of JoinGroup; the group assigns, not a leader among them.
Generation = member epoch. Heartbeat says REBALANCE_IN_PROGRESS where a rejoin would bring the member on, and SyncGroup
gives it what it owns now.

Source: classicGroupJoinToConsumerGroup, classicGroupSyncToConsumerGroup, classicGroupHeartbeatToConsumerGroup,
classicGroupLeaveToConsumerGroup in Kafka's GroupMetadataManager.
"""

from __future__ import annotations

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer
from flymq.core.group.consumer.coordinator import ConsumerGroups, find_member
from flymq.core.group.consumer.embedded import CONSUMER, by_id, read_subscription, write_assignment
from flymq.core.group.consumer.events import Refused
from flymq.core.group.consumer.group import ClassicSide, ConsumerGroup, ConsumerMember, MemberState
from flymq.core.group.consumer.rows import Changes
from flymq.core.group.consumer.settings import ConsumerSettings
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import (
    GroupConfig,
    Heartbeat,
    JoinGroup,
    JoinResult,
    LeaveGroup,
    SyncGroup,
    SyncResult,
)
from flymq_protocol.errors import ErrorCode, ProtocolError

_NONE = ErrorCode.NONE
_REBALANCE_IN_PROGRESS = ErrorCode.REBALANCE_IN_PROGRESS


class ClassicMembers:
    def __init__(
        self, config: GroupConfig, settings: ConsumerSettings, topics: KnownTopics, coordinator: ConsumerGroups
    ) -> None:
        self._config = config
        self._settings = settings
        self._topics = topics
        self._coordinator = coordinator

    # -- join -------------------------------------------------------------------------------------

    def join(self, now_ms: int, event: JoinGroup, group: ConsumerGroup) -> list[Effect]:
        out: list[Effect] = []
        try:
            result = self._join(now_ms, event, group, out)
        except Refused as refusal:
            result = JoinResult(refusal.code, "")
        out.append(Reply(event.token, result))
        return out

    def _join(self, now_ms: int, event: JoinGroup, group: ConsumerGroup, out: list[Effect]) -> JoinResult:
        config = self._config
        if not config.group_min_session_timeout_ms <= event.session_timeout_ms <= config.group_max_session_timeout_ms:
            return JoinResult(ErrorCode.INVALID_SESSION_TIMEOUT, event.member_id)
        member_id = event.member_id or f"{event.instance_id or event.client_id}-{event.unique}"
        if len(group.members) >= self._settings.config.max_size and member_id not in group.members:
            return JoinResult(ErrorCode.GROUP_MAX_SIZE_REACHED, "")
        if not group.supports(event.protocol_type, event.protocols):
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "")
        if not event.member_id and event.instance_id is None and event.api_version >= 4:
            return JoinResult(ErrorCode.MEMBER_ID_REQUIRED, member_id)
        if event.instance_id is not None and event.member_id:
            find_member(group, event.member_id, event.instance_id)  # before a subscription that can't be read
        protocol_name, metadata = event.protocols[0]
        try:
            subscription = read_subscription(metadata)
        except ProtocolError:
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "") from None
        changes = Changes(group)
        member = self._enter(event, group, member_id, changes, out)
        names = frozenset(subscription.topics)
        resubscribed = member_id not in group.members or names != member.topic_names or member.regex is not None
        member.rack_id = subscription.rack_id
        member.rebalance_timeout_ms = event.rebalance_timeout_ms
        member.topic_names = names
        member.regex = None
        member.assignor = None
        member.client_id = event.client_id
        member.client_host = event.client_host
        member.classic = ClassicSide(event.session_timeout_ms, event.protocols)
        if member_id not in group.members:
            group.add(member)
        changes.member(member)
        if resubscribed:
            self._coordinator.bump(group, changes)
        self._coordinator.advance(now_ms, group, changes, out)
        owned = by_id(subscription.owned_partitions, self._topics)
        self._coordinator.step(group, member, owned, changes, out, resubscribed=resubscribed)
        member.told_to_rejoin = False
        out.append(CancelTimer(("consumer join", group.group_id, member_id)))
        result = JoinResult(
            _NONE, member_id, generation_id=member.epoch, protocol_type=CONSUMER, protocol_name=protocol_name
        )
        if self._coordinator.migration.may_downgrade(group):  # it took the place of the last new-style member
            self._coordinator.migration.downgrade(now_ms, group, changes, out)
            return result
        changes.write(out)
        out.append(SetTimer(member.timer_key, event.session_timeout_ms))
        out.append(SetTimer(("consumer sync", group.group_id, member_id), event.rebalance_timeout_ms))
        return result

    def _enter(
        self, event: JoinGroup, group: ConsumerGroup, member_id: str, changes: Changes, out: list[Effect]
    ) -> ConsumerMember:
        if event.instance_id is not None:
            if event.member_id:
                return find_member(group, event.member_id, event.instance_id)
            holder = group.static_members.get(event.instance_id)
            if holder is not None:
                return self._coordinator.replace(group, group.members[holder], member_id, changes, out)
        return group.members.get(member_id) or ConsumerMember(group.group_id, member_id, event.instance_id)

    # -- sync, heartbeat, leave -------------------------------------------------------------------

    def sync(self, now_ms: int, event: SyncGroup, group: ConsumerGroup) -> list[Effect]:
        try:
            member, side = self._find(group, event.member_id, event.instance_id, event.generation_id)
        except Refused as refusal:
            return [Reply(event.token, SyncResult(refusal.code))]
        protocol_name, metadata = side.protocols[0]
        if event.protocol_type not in (None, CONSUMER) or event.protocol_name not in (None, protocol_name):
            return [Reply(event.token, SyncResult(ErrorCode.INCONSISTENT_GROUP_PROTOCOL))]
        out: list[Effect] = []
        if group.epoch > member.epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
            self._wait_to_join(group, member, out)
            out.append(Reply(event.token, SyncResult(_REBALANCE_IN_PROGRESS)))
            return out
        out.append(CancelTimer(("consumer sync", group.group_id, member.member_id)))
        out.append(SetTimer(member.timer_key, side.session_timeout_ms))
        assignment = write_assignment(member.assigned, metadata, self._topics)
        out.append(Reply(event.token, SyncResult(_NONE, assignment, CONSUMER, protocol_name)))
        return out

    def heartbeat(self, now_ms: int, event: Heartbeat, group: ConsumerGroup) -> list[Effect]:
        try:
            member, side = self._find(group, event.member_id, event.instance_id, event.generation_id)
        except Refused as refusal:
            return [Reply(event.token, refusal.code, False)]
        out: list[Effect] = [SetTimer(member.timer_key, side.session_timeout_ms)]
        answer = _NONE
        if (
            member.epoch < group.epoch
            or member.state is MemberState.UNREVOKED_PARTITIONS
            or (member.state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member))
        ):
            answer = _REBALANCE_IN_PROGRESS
            self._wait_to_join(group, member, out)
        out.append(Reply(event.token, answer, False))
        return out

    def leave(self, now_ms: int, event: LeaveGroup, group: ConsumerGroup) -> list[Effect]:
        out: list[Effect] = []
        errors: list[ErrorCode] = []
        leaving: dict[str, ConsumerMember] = {}
        for member_id, instance_id in event.members:
            try:
                if not member_id:  # an admin removes whoever has the instance id
                    member_id = group.static_members.get(instance_id or "", "")
                member = find_member(group, member_id, instance_id)
                leaving[member.member_id] = member
                errors.append(_NONE)
            except Refused as refusal:
                errors.append(refusal.code)
        if leaving:
            self._coordinator.remove(now_ms, group, list(leaving.values()), out)
        out.append(Reply(event.token, errors))
        return out

    def _find(
        self, group: ConsumerGroup, member_id: str, instance_id: str | None, generation_id: int
    ) -> tuple[ConsumerMember, ClassicSide]:
        member = find_member(group, member_id, instance_id)
        if member.classic is None:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} does not use the classic protocol.")
        if generation_id != member.epoch:
            raise Refused(ErrorCode.ILLEGAL_GENERATION, "")
        return member, member.classic

    def _wait_to_join(self, group: ConsumerGroup, member: ConsumerMember, out: list[Effect]) -> None:
        """From the first time that it is told to rejoin, the member has its rebalance timeout to do so."""
        if not member.told_to_rejoin:
            member.told_to_rejoin = True
            out.append(SetTimer(("consumer join", group.group_id, member.member_id), member.rebalance_timeout_ms))
