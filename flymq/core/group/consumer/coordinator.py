"""ConsumerGroupHeartbeat, and what moves a group from one epoch to the next.

The group's epoch rises with each change of members, subscriptions or subscribed topics. Then the target is
computed, at most once in `assignment_interval_ms`; and each member is brought there, heartbeat by heartbeat
(`reconcile`). A heartbeat that changes nothing writes nothing.

Source: GroupMetadataManager (consumerGroupHeartbeat and what it calls), TargetAssignmentBuilder in Apache Kafka 4.
"""

from __future__ import annotations

from typing import Any

from flymq.core.effects import CancelTimer, Effect, Reply, SetTimer
from flymq.core.group.consumer.assignors import ASSIGNORS, Subscriber
from flymq.core.group.consumer.events import (
    LEAVE,
    LEAVE_FOR_A_WHILE,
    ConsumerHeartbeat,
    HeartbeatResult,
    Partition,
    Refused,
    TopicChanged,
)
from flymq.core.group.consumer.group import ConsumerGroup, ConsumerMember, MemberState, cancel_timers, is_away
from flymq.core.group.consumer.migration import Migration
from flymq.core.group.consumer.reconcile import reconcile
from flymq.core.group.consumer.rows import Changes
from flymq.core.group.consumer.settings import ConsumerSettings
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.consumer.validation import check_epoch, check_request
from flymq_protocol.errors import ErrorCode

_NONE = ErrorCode.NONE
REGEX_AT_ONCE_MAX = 1000
"""Up to so many topics a pattern is looked up within the request (2 ms); else in a timer right after it."""


class ConsumerGroups:
    """The consumer groups of a shard. No id is in `groups` and among the shard's classic groups at once."""

    def __init__(self, settings: ConsumerSettings, topics: KnownTopics, migration: Migration) -> None:
        self._settings = settings
        self._topics = topics
        self.migration = migration
        self.groups = migration.groups

    # -- heartbeat --------------------------------------------------------------------------------

    def heartbeat(self, now_ms: int, event: ConsumerHeartbeat) -> list[Effect]:
        group = self.groups.get(event.group_id)
        if group is not None:
            member = group.members.get(event.member_id)
            if member is not None and self._changes_nothing(group, member, event):
                return [
                    SetTimer(member.timer_key, self._settings.session_timeout_ms(event.group_id)),
                    Reply(event.token, self._result(group, member)),
                ]
        out: list[Effect] = []
        try:
            check_request(event, self._settings.config.assignors)
            if event.member_epoch in (LEAVE, LEAVE_FOR_A_WHILE):
                result = self._leave(now_ms, event, out)
            else:
                result = self._heartbeat(now_ms, event, out)
        except Refused as refusal:
            result = HeartbeatResult(refusal.code, refusal.message)
        out.append(Reply(event.token, result))
        return out

    def _changes_nothing(self, group: ConsumerGroup, member: ConsumerMember, event: ConsumerHeartbeat) -> bool:
        return (
            event.member_epoch == member.epoch == group.target_epoch == group.epoch
            and member.state is MemberState.STABLE
            and event.owned is None
            and event.instance_id == member.instance_id
            and event.topic_names is None
            and event.regex is None
            and event.assignor is None
            and event.rebalance_timeout_ms in (-1, member.rebalance_timeout_ms)
            and event.rack_id in (None, member.rack_id)
            and event.client_id == member.client_id
            and event.client_host == member.client_host
            and member.classic is None
        )

    def _heartbeat(self, now_ms: int, event: ConsumerHeartbeat, out: list[Effect]) -> HeartbeatResult:
        joining = event.member_epoch == 0
        # Refusals come first: from the first change on, all must succeed.
        group = self.migration.find_or_make(event.group_id) if joining else self._find(event, "Consumer group")
        member_id = event.member_id or event.unique
        self._check_room(group, member_id)
        changes = Changes(group)
        member = self._enter(group, event, member_id, changes, out) if joining else self._known(group, event)
        upgraded = joining and self.migration.adopt(group, changes, out)
        resubscribed = self._update(group, member, event, changes, out)
        if resubscribed or upgraded:
            self.bump(group, changes)
        self.advance(now_ms, group, changes, out)
        had = member.assigned
        self.step(group, member, event.owned, changes, out, resubscribed=resubscribed)
        changes.write(out)
        out.append(SetTimer(member.timer_key, self._settings.session_timeout_ms(group.group_id)))
        is_full = joining or (
            event.rebalance_timeout_ms != -1
            and (event.topic_names is not None or event.regex is not None)
            and event.owned is not None
        )
        tell = is_full or had.keys() != member.assigned.keys()
        return self._result(group, member, sorted(member.assigned) if tell else None)

    def _result(
        self, group: ConsumerGroup, member: ConsumerMember, assignment: list[Partition] | None = None
    ) -> HeartbeatResult:
        interval_ms = self._settings.heartbeat_interval_ms(group.group_id)
        return HeartbeatResult(_NONE, None, member.member_id, member.epoch, interval_ms, assignment)

    def _find(self, event: ConsumerHeartbeat, what: str = "Group") -> ConsumerGroup:
        group = self.groups.get(event.group_id)
        if group is None:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, self.migration.why_not_found(event.group_id, what))
        return group

    def _check_room(self, group: ConsumerGroup, member_id: str) -> None:
        limit = self._settings.config.max_size
        if len(group.members) >= limit and member_id not in group.members:
            raise Refused(
                ErrorCode.GROUP_MAX_SIZE_REACHED,
                f"The consumer group has reached its maximum capacity of {limit} members.",
            )

    def _known(self, group: ConsumerGroup, event: ConsumerHeartbeat) -> ConsumerMember:
        member = find_member(group, event.member_id, event.instance_id)
        check_epoch(member, event.member_epoch, event.owned)
        return member

    def _enter(
        self, group: ConsumerGroup, event: ConsumerHeartbeat, member_id: str, changes: Changes, out: list[Effect]
    ) -> ConsumerMember:
        """The member that (re)joins: a new one, a known one, or one that takes a static member's place."""
        instance_id = event.instance_id
        holder = group.members.get(group.static_members.get(instance_id, "")) if instance_id is not None else None
        if holder is not None:
            if holder.classic is None and not is_away(holder) and holder.member_id != member_id:
                raise Refused(
                    ErrorCode.UNRELEASED_INSTANCE_ID,
                    f"Static member {member_id} with instance id {instance_id} cannot join the group because the "
                    f"instance id is owned by {holder.member_id} member.",
                )
            return self.replace(group, holder, member_id, changes, out)
        member = group.members.get(member_id)
        if member is None:
            return ConsumerMember(group.group_id, member_id, instance_id)
        if instance_id is not None:
            group.rename(member, instance_id)
            changes.member(member)
        return member

    def replace(
        self, group: ConsumerGroup, old: ConsumerMember, member_id: str, changes: Changes, out: list[Effect]
    ) -> ConsumerMember:
        """A static member is back, under a new id: it gets its predecessor's place, and what that owned."""
        member = ConsumerMember(group.group_id, member_id, old.instance_id)
        for name in ("rack_id", "client_id", "client_host", "rebalance_timeout_ms", "topic_names", "regex", "assignor",
                     "classic", "state", "assigned", "target"):
            setattr(member, name, getattr(old, name))
        namesake = group.members.get(member_id, old)
        if namesake is not old:  # it takes over from another instance: its own place is free
            self._forget(group, namesake, changes, out)
        self._forget(group, old, changes, out)
        group.add(member)
        changes.member(member)
        return member

    def _update(
        self, group: ConsumerGroup, member: ConsumerMember, event: ConsumerHeartbeat, changes: Changes,
        out: list[Effect],
    ) -> bool:
        """Take what the heartbeat says about the member; whether its subscription is another now."""
        is_new = member.member_id not in group.members
        before = _about(member)
        asked = (member.topic_names, member.regex or None)
        if event.rack_id is not None:
            member.rack_id = event.rack_id
        if event.rebalance_timeout_ms != -1:
            member.rebalance_timeout_ms = event.rebalance_timeout_ms
        if event.topic_names is not None:
            member.topic_names = event.topic_names
        if event.regex is not None:
            member.regex = event.regex or None
        if event.assignor is not None:
            member.assignor = event.assignor
        if member.classic is not None:  # it was upgraded
            member.classic = None
            out.append(CancelTimer(("consumer join", group.group_id, member.member_id)))
            out.append(CancelTimer(("consumer sync", group.group_id, member.member_id)))
        member.client_id = event.client_id
        member.client_host = event.client_host
        if is_new:
            group.add(member)
        if is_new or before != _about(member):
            changes.member(member)
        if member.regex and member.regex not in group.regexes:
            self._resolve(group, member.regex, out)
        return is_new or asked != (member.topic_names, member.regex)

    # -- leaving ----------------------------------------------------------------------------------

    def _leave(self, now_ms: int, event: ConsumerHeartbeat, out: list[Effect]) -> HeartbeatResult:
        group = self._find(event)
        member = find_member(group, event.member_id, event.instance_id)
        changes = Changes(group)
        if event.member_epoch == LEAVE_FOR_A_WHILE:
            group.release(member, member.pending_revocation)
            member.pending_revocation = {}
            member.epoch = LEAVE_FOR_A_WHILE
            changes.member(member)
            changes.write(out)
            out.append(CancelTimer(("consumer rebalance", group.group_id, member.member_id)))
        else:
            self.remove(now_ms, group, [member], out)
        return HeartbeatResult(_NONE, None, member.member_id, event.member_epoch)

    def remove(self, now_ms: int, group: ConsumerGroup, members: list[ConsumerMember], out: list[Effect]) -> None:
        """Members left or were fenced: what they owned is free, and the others get it with the next epoch; a group
        that has only classic members now is theirs again."""
        changes = Changes(group)
        for member in members:
            self._forget(group, member, changes, out)
        if any(member.classic is None for member in members) and self.migration.may_downgrade(group):
            self.migration.downgrade(now_ms, group, changes, out)
            return
        self.bump(group, changes)
        self.advance(now_ms, group, changes, out)
        changes.write(out)

    def _forget(self, group: ConsumerGroup, member: ConsumerMember, changes: Changes, out: list[Effect]) -> None:
        group.remove(member)
        changes.gone(member.member_id)
        cancel_timers(group, member, out)

    # -- epochs and targets -----------------------------------------------------------------------

    def bump(self, group: ConsumerGroup, changes: Changes) -> None:
        group.learn_subscriptions(self._topics)
        group.epoch += 1
        changes.group_changed = True

    def advance(self, now_ms: int, group: ConsumerGroup, changes: Changes, out: list[Effect]) -> None:
        """Compute the target where the epoch asks for it, now or when the interval has passed."""
        if group.epoch == group.target_epoch:
            return
        if group.assigned_ms is not None and group.members:
            wait_ms = group.assigned_ms + self._settings.assignment_interval_ms(group.group_id) - now_ms
            if 0 < wait_ms <= self._settings.assignment_interval_ms(group.group_id):  # else the clock was set back
                out.append(SetTimer(("consumer assign", group.group_id), wait_ms))
                return
        out.append(CancelTimer(("consumer assign", group.group_id)))
        group.assigned_ms = now_ms if group.members else None
        counts = dict(group.topics_seen.values())
        ids = {name: topic_id for name, (topic_id, _) in group.topics_seen.items()}
        subscribers = [
            Subscriber(
                member.member_id,
                member.instance_id,
                frozenset(ids[name] for name in group.topics_of(member) if name in ids),
                member.target,
            )
            for member in group.members.values()
        ]
        targets = ASSIGNORS[self.assignor(group)](subscribers, counts)
        for member in group.members.values():
            target = targets[member.member_id]
            if target != member.target:
                member.target = target
                changes.member(member)
        group.target_epoch = group.epoch
        changes.group_changed = True

    def assignor(self, group: ConsumerGroup) -> str:
        """The one that most members ask for; of equals, the one that comes first in the broker's settings."""
        votes: dict[str, int] = {}
        for member in group.members.values():
            if member.assignor is not None:
                votes[member.assignor] = votes.get(member.assignor, 0) + 1
        return max(self._settings.config.assignors, key=lambda name: votes.get(name, 0))

    def step(
        self, group: ConsumerGroup, member: ConsumerMember, owned: frozenset[Partition] | None, changes: Changes,
        out: list[Effect], *, resubscribed: bool = False,
    ) -> None:
        """Bring a member nearer to its target."""
        if not reconcile(group, member, owned, self._topics, resubscribed=resubscribed):
            return
        changes.member(member)
        timer = ("consumer rebalance", group.group_id, member.member_id)
        if member.state is MemberState.UNREVOKED_PARTITIONS:
            out.append(SetTimer(timer, member.rebalance_timeout_ms))
        else:
            out.append(CancelTimer(timer))

    # -- topics and patterns ----------------------------------------------------------------------

    def topic_changed(self, now_ms: int, event: TopicChanged) -> list[Effect]:
        self._topics.put(event.name, event.topic_id, event.partition_count)
        out: list[Effect] = []
        for group in self.groups.values():
            if group.matches(event.name) or event.name in group.subscribed_topics:
                self._topics_moved(now_ms, group, out)
        return out

    def topic_deleted(self, now_ms: int, topic_id: bytes) -> list[Effect]:
        self._topics.drop(topic_id)
        out: list[Effect] = []
        for group in self.groups.values():
            names = [name for name, (seen_id, _) in group.topics_seen.items() if seen_id == topic_id]
            if names:
                for matching in group.regexes.values():
                    matching.difference_update(names)
                self._topics_moved(now_ms, group, out)
        return out

    def _topics_moved(self, now_ms: int, group: ConsumerGroup, out: list[Effect]) -> None:
        if group.learn_subscriptions(self._topics) and group.members:
            changes = Changes(group)
            self.bump(group, changes)
            self.advance(now_ms, group, changes, out)
            changes.write(out)

    def _resolve(self, group: ConsumerGroup, pattern: str, out: list[Effect]) -> None:
        if len(self._topics) <= REGEX_AT_ONCE_MAX:
            group.regexes[pattern] = self._topics.matching(pattern)
        else:
            group.regexes[pattern] = set()
            out.append(SetTimer(("consumer regex", group.group_id, pattern), 0))

    # -- load and timers --------------------------------------------------------------------------

    def loaded(self, now_ms: int) -> list[Effect]:
        """All rows are in: members must be heard of within their sessions; topics may have changed meanwhile."""
        out: list[Effect] = []
        for group in self.groups.values():
            for member in group.members.values():
                self.rearm(group, member, out)
                if member.state is MemberState.UNREVOKED_PARTITIONS:
                    timer = ("consumer rebalance", group.group_id, member.member_id)
                    out.append(SetTimer(timer, member.rebalance_timeout_ms))
                if member.regex and member.regex not in group.regexes:
                    group.regexes[member.regex] = self._topics.matching(member.regex)
            self._topics_moved(now_ms, group, out)
        return out

    def rearm(self, group: ConsumerGroup, member: ConsumerMember, out: list[Effect]) -> None:
        """Expect the next sign of life within a session timeout."""
        if member.classic is None:
            out.append(SetTimer(member.timer_key, self._settings.session_timeout_ms(group.group_id)))
        else:
            out.append(SetTimer(member.timer_key, member.classic.session_timeout_ms))

    def timer_fired(self, now_ms: int, key: Any) -> list[Effect]:
        """`key`: what kind of timer, the group, and a member or a pattern."""
        out: list[Effect] = []
        group = self.groups.get(key[1])
        if group is None:
            return out
        if key[0] == "consumer assign":
            changes = Changes(group)
            self.advance(now_ms, group, changes, out)
            changes.write(out)
        elif key[0] == "consumer regex":
            if key[2] in group.regexes:
                group.regexes[key[2]] = self._topics.matching(key[2])
                self._topics_moved(now_ms, group, out)
        else:  # a session is over, or a member did not revoke, join or sync in time
            member = group.members.get(key[2])
            if member is not None:
                self.remove(now_ms, group, [member], out)
        return out


def find_member(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    """UNKNOWN_MEMBER_ID; FENCED_INSTANCE_ID where the instance id has another member id by now."""
    if instance_id is None:
        member = group.members.get(member_id)
        if member is None:
            raise Refused(
                ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}."
            )
        return member
    holder = group.static_members.get(instance_id)
    if holder is None:
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if holder != member_id:
        raise Refused(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member {holder}.",
        )
    return group.members[holder]


def _about(member: ConsumerMember) -> tuple[Any, ...]:
    return (member.rack_id, member.rebalance_timeout_ms, member.topic_names, member.regex, member.assignor,
            member.classic, member.client_id, member.client_host)
