"""A group changes its protocol: an empty one either way, a live one while its members consume.

Upgrade: the first new-style member of a live classic group. Its members become members of the consumer group, with
what they were assigned, and are made to rejoin (`classic_members` serves them from then on). Downgrade: the last
new-style member is gone, and the rest rebalance among themselves.

Source: convertToConsumerGroup, convertToClassicGroup in Kafka's GroupMetadataManager; KIP-848.
"""

from __future__ import annotations

from flymq.core.effects import CancelTimer, Effect, SetTimer
from flymq.core.group.consumer.embedded import (
    CONSUMER,
    by_id,
    read_assignment,
    read_subscription,
    write_assignment,
)
from flymq.core.group.consumer.events import Partition, Refused
from flymq.core.group.consumer.group import ClassicSide, ConsumerGroup, ConsumerMember, cancel_timers
from flymq.core.group.consumer.rows import Changes, all_keys
from flymq.core.group.consumer.settings import ConsumerSettings
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import JoinResult, SyncResult
from flymq.core.group.group import ClassicGroup, Member, State
from flymq.core.group.rebalance import Rebalancer, answer_join, answer_sync, rearm
from flymq.core.group.rows import group_key, group_value
from flymq_protocol.errors import ErrorCode, ProtocolError


class Migration:
    """`classic` and `groups` are the shard's: classic and consumer groups by id."""

    def __init__(
        self, settings: ConsumerSettings, topics: KnownTopics, classic: dict[str, ClassicGroup], rebalancer: Rebalancer,
        classic_max_size: int,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._classic = classic
        self._rebalancer = rebalancer
        self._classic_max_size = classic_max_size
        self.groups: dict[str, ConsumerGroup] = {}

    # -- to a consumer group ----------------------------------------------------------------------

    def find_or_make(self, group_id: str) -> ConsumerGroup:
        """The group that a new-style member may join. Where there is none yet, or a classic one, it is made but not
        in `groups`, and nothing is changed before `adopt`. Raises `Refused`."""
        group = self.groups.get(group_id)
        if group is not None:
            return group
        group = ConsumerGroup(group_id)
        classic = self._classic.get(group_id)
        if classic is None:
            return group
        if classic.state is not State.EMPTY:
            self._check_upgrade(classic)
            try:
                self._take_members(classic, group)
            except ProtocolError:
                raise Refused(
                    ErrorCode.GROUP_ID_NOT_FOUND,
                    f"Cannot upgrade the classic group {group_id} to consumer group because the embedded consumer "
                    "protocol is malformed.",
                ) from None
        return group

    def why_not_found(self, group_id: str, what: str = "Group") -> str:
        if group_id in self._classic:
            return f"Group {group_id} is not a consumer group."
        return f"{what} {group_id} not found."

    def _check_upgrade(self, classic: ClassicGroup) -> None:
        config = self._settings.config
        if not config.can_upgrade or classic.protocol_type != CONSUMER or len(classic.members) > config.max_size:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, self.why_not_found(classic.group_id))

    def _take_members(self, classic: ClassicGroup, group: ConsumerGroup) -> None:
        """Raises `ProtocolError`. Members that have not been told their id yet are left out: they'll join anew."""
        group.epoch = group.target_epoch = classic.generation_id
        claims: list[tuple[ConsumerMember, frozenset[Partition]]] = []
        for old in classic.members.values():
            if old.is_new:
                continue
            subscription = read_subscription(old.metadata(classic.protocol_name) or old.protocols[0][1])
            member = ConsumerMember(group.group_id, old.member_id, old.instance_id)
            member.rack_id = subscription.rack_id
            member.client_id = old.client_id
            member.client_host = old.client_host
            member.rebalance_timeout_ms = old.rebalance_timeout_ms
            member.topic_names = frozenset(subscription.topics)
            member.classic = ClassicSide(old.session_timeout_ms, old.protocols)
            member.epoch = member.previous_epoch = classic.generation_id
            member.target = read_assignment(old.assignment, self._topics)
            member.assigned = dict.fromkeys(sorted(member.target), classic.generation_id)
            group.add(member)
            claims.append((member, by_id(subscription.owned_partitions, self._topics)))
        for member, owned in claims:  # amid a rebalance cooperative members own what no assignment says any more
            for partition in sorted(owned):
                if group.owners.setdefault(partition, member.member_id) == member.member_id:
                    member.assigned.setdefault(partition, classic.generation_id)

    def adopt(self, group: ConsumerGroup, changes: Changes, out: list[Effect]) -> bool:
        """From now on this is the consumer group of its id; True where it was a live classic one."""
        if group.group_id in self.groups:
            return False
        self.groups[group.group_id] = group
        classic = self._classic.pop(group.group_id, None)
        if classic is None:
            return False
        group.offsets = classic.offsets
        if classic.protocol_type is not None:
            changes.delete_too(group_key(group.group_id))
        out.extend((CancelTimer(classic.join_key), CancelTimer(classic.sync_key)))
        out.extend(CancelTimer(("session", group.group_id, member_id)) for member_id in classic.pending_members)
        for old in classic.members.values():
            told_id = "" if old.is_new else old.member_id
            answer_join(classic, old, JoinResult(ErrorCode.REBALANCE_IN_PROGRESS, told_id), out)
            answer_sync(old, SyncResult(ErrorCode.REBALANCE_IN_PROGRESS), out)
            out.append(CancelTimer(old.timer_key))
        for member in group.members.values():
            changes.member(member)
            assert member.classic is not None
            out.append(SetTimer(member.timer_key, member.classic.session_timeout_ms))
        return bool(classic.members)

    # -- to a classic group -----------------------------------------------------------------------

    def make_classic_if_empty(self, group_id: str, now_ms: int, out: list[Effect]) -> None:
        """A classic member joins: an empty consumer group is no more, but for its offsets."""
        group = self.groups.get(group_id)
        if group is None or group.members:
            return
        changes = Changes(group)
        self._hand_over(group, ClassicGroup(group_id, now_ms), changes)
        changes.write(out)

    def may_downgrade(self, group: ConsumerGroup) -> bool:
        """There are members, all of them classic."""
        return (
            self._settings.config.can_downgrade
            and group.only_classic_but(None)
            and len(group.members) <= self._classic_max_size
        )

    def downgrade(self, now_ms: int, group: ConsumerGroup, changes: Changes, out: list[Effect]) -> None:
        """Its members are those of a classic group now, assigned what they own; and rebalance, for what the others left
        behind."""
        classic = ClassicGroup(group.group_id, now_ms)
        classic.generation_id = group.epoch
        for member in group.members.values():
            side = member.classic
            assert side is not None
            classic.add(
                Member(
                    group.group_id, member.member_id, member.instance_id, member.client_id, member.client_host,
                    side.session_timeout_ms, member.rebalance_timeout_ms, side.protocols,
                ),
                CONSUMER, 0,
            )
        classic.protocol_name = classic.select_protocol()
        for old in classic.members.values():
            metadata = old.metadata(classic.protocol_name)
            member = group.members[old.member_id]
            # Not its target: what it may own still, should a new-style member come again before it has rejoined.
            owned = (*member.assigned, *member.pending_revocation)
            old.assignment = write_assignment(owned, metadata, self._topics)
        classic.late = {member.member_id: member.epoch for member in group.members.values()}
        classic.state = State.STABLE
        classic.learn_subscriptions()
        out.append(CancelTimer(("consumer assign", group.group_id)))
        for member in group.members.values():
            cancel_timers(group, member, out)
        for old in classic.members.values():
            rearm(old, out)
        self._hand_over(group, classic, changes)
        # Stored with the generation to come: should a crash make us forget the rebalance, members that come with
        # the old one begin it.
        classic.generation_id += 1
        changes.put_too(group_key(group.group_id), group_value(classic))
        classic.generation_id -= 1
        changes.write(out)
        self._rebalancer.prepare(now_ms, classic, out)

    def _hand_over(self, group: ConsumerGroup, classic: ClassicGroup, changes: Changes) -> None:
        for key in all_keys(group):
            changes.delete_too(key)
        changes.forget()
        classic.offsets = group.offsets
        del self.groups[group.group_id]
        self._classic[group.group_id] = classic
