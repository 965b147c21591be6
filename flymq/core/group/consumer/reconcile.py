"""How a member moves from what it owns to what it is to own, without ever sharing a partition.

    1. What is not in its target it gives up first: UNREVOKED_PARTITIONS, at its old epoch, until its heartbeat
       no longer lists them.
    2. Then it takes the target's epoch, and of the target what is free. Where something is not, it is
       UNRELEASED_PARTITIONS and tries again with each heartbeat; else STABLE.

A member that has nothing to do here, or has not given up yet, but subscribes to other topics now, is told at once
that those which it left are not its own: the target may be older than that.

Source: CurrentAssignmentBuilder in Apache Kafka 4.3.
"""

from __future__ import annotations

from collections.abc import Callable

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
    before = (member.epoch, member.state, member.assigned, member.pending_revocation)
    is_there = member.state is STABLE and member.epoch == group.target_epoch
    if is_there or (member.state is UNREVOKED and _owns_some(owned, member.pending_revocation)):
        if resubscribed:
            _leave_topics(group, member, owned, topics)
    else:
        _advance(group, member, owned, topics)
    return before != (member.epoch, member.state, member.assigned, member.pending_revocation)


def _leave_topics(
    group: ConsumerGroup, member: ConsumerMember, owned: frozenset[Partition] | None, topics: KnownTopics
) -> None:
    kept, left = _split(member.assigned, lambda partition: _is_subscribed(group, member, partition, topics))
    if not left:
        return
    member.assigned = kept
    pending = member.pending_revocation | left
    if _owns_some(owned, pending):
        member.state = UNREVOKED
        member.pending_revocation = pending
    else:
        group.release(member, left)


def _advance(
    group: ConsumerGroup, member: ConsumerMember, owned: frozenset[Partition] | None, topics: KnownTopics
) -> None:
    target = member.target
    if group.epoch > group.target_epoch:  # the target is being computed anew: nothing it unsubscribed from
        target = frozenset(partition for partition in target if _is_subscribed(group, member, partition, topics))
    kept, revoked = _split(member.assigned, target.__contains__)
    group.release(member, member.pending_revocation)  # given up, or we would not be here
    if revoked and _owns_some(owned, revoked):
        member.state = UNREVOKED
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


def _split(
    assigned: dict[Partition, int], keeps: Callable[[Partition], bool]
) -> tuple[dict[Partition, int], dict[Partition, int]]:
    """What it keeps, and the rest."""
    kept: dict[Partition, int] = {}
    rest: dict[Partition, int] = {}
    for partition, since in assigned.items():
        (kept if keeps(partition) else rest)[partition] = since
    return kept, rest


def _is_subscribed(group: ConsumerGroup, member: ConsumerMember, partition: Partition, topics: KnownTopics) -> bool:
    return topics.name_of(partition[0]) in group.topics_of(member)


def _owns_some(owned: frozenset[Partition] | None, revoked: dict[Partition, int]) -> bool:
    if owned is None:
        return True
    return any(partition in owned for partition in revoked)
