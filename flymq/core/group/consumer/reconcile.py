"""How a member moves from what it owns to what it is to own, without ever sharing a partition.

    1. What is not in its target it gives up first: UNREVOKED_PARTITIONS, at its old epoch, until its heartbeat
       no longer lists them.
    2. Then it takes the target's epoch, and of the target what is free. Where something is not, it is
       UNRELEASED_PARTITIONS and tries again with each heartbeat; else STABLE.

Source: CurrentAssignmentBuilder in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.core.group.consumer.events import Partition
from flymq.core.group.consumer.group import ConsumerGroup, ConsumerMember, MemberState
from flymq.core.group.consumer.topics import KnownTopics

STABLE = MemberState.STABLE
UNREVOKED = MemberState.UNREVOKED_PARTITIONS
UNRELEASED = MemberState.UNRELEASED_PARTITIONS


def reconcile(
    group: ConsumerGroup,
    member: ConsumerMember,
    owned: frozenset[Partition] | None,
    topics: KnownTopics,
    *,
    resubscribed: bool = False,
) -> bool:
    """Take the next step; whether anything about the member is different now.

    `owned` is what it says it owns, None where it doesn't say: then nothing counts as given up. `resubscribed`:
    its topics changed, though the target may be older.
    """
    epoch = member.epoch
    if member.state is STABLE and epoch == group.target_epoch and not resubscribed:
        return False
    if member.state is UNREVOKED:
        if _owns_some(owned, member.pending_revocation):
            return False
        epoch += 1
    target = member.target
    if group.epoch > group.target_epoch:  # the target is being computed anew: nothing it unsubscribed from
        subscribed = group.topics_of(member)
        target = frozenset(partition for partition in target if topics.name_of(partition[0]) in subscribed)
    before = (member.epoch, member.state, member.assigned, member.pending_revocation)
    _step(group, member, epoch, target, owned)
    return before != (member.epoch, member.state, member.assigned, member.pending_revocation)


def _step(
    group: ConsumerGroup, member: ConsumerMember, epoch: int, target: frozenset[Partition],
    owned: frozenset[Partition] | None,
) -> None:
    kept = {partition: since for partition, since in member.assigned.items() if partition in target}
    revoked = {partition: since for partition, since in member.assigned.items() if partition not in target}
    group.release(member, member.pending_revocation)  # given up, or we would not be here
    if revoked and _owns_some(owned, revoked):
        member.state = UNREVOKED
        member.advance_to(min(epoch, group.target_epoch))
        member.assigned = kept
        member.pending_revocation = revoked
        return
    group.release(member, revoked)
    waiting = False
    for partition in sorted(target):
        if partition in kept:
            continue
        if group.is_free(partition, member):
            kept[partition] = group.target_epoch
            group.owners[partition] = member.member_id
        else:
            waiting = True
    member.state = UNRELEASED if waiting else STABLE
    member.advance_to(group.target_epoch)
    member.assigned = kept
    member.pending_revocation = {}


def _owns_some(owned: frozenset[Partition] | None, revoked: dict[Partition, int]) -> bool:
    if owned is None:
        return True
    return any(partition in owned for partition in revoked)
