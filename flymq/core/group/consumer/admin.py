"""Describing, listing and deleting consumer groups."""

from __future__ import annotations

from flymq.core.effects import CancelTimer, Effect, Write
from flymq.core.group.consumer.coordinator import ConsumerGroups
from flymq.core.group.consumer.events import ConsumerGroupDescription, ConsumerMemberDescription
from flymq.core.group.consumer.group import ConsumerGroup
from flymq.core.group.consumer.rows import all_keys
from flymq.core.group.consumer.topics import KnownTopics
from flymq.core.group.events import ListedGroup
from flymq.core.group.group import CONSUMER
from flymq.core.group.offsets import drop_topic
from flymq.core.group.pending import PendingOffsets
from flymq_protocol.errors import ErrorCode


def describe(
    group: ConsumerGroup, coordinator: ConsumerGroups, topics: KnownTopics
) -> ConsumerGroupDescription:
    names: dict[bytes, str] = {}
    members = []
    for member in group.members.values():
        held = {*member.assigned, *member.pending_revocation}  # what it has not given back it still has
        for topic_id in {topic_id for topic_id, _ in (*held, *member.target)}:
            name = topics.name_of(topic_id)
            if name is not None:
                names[topic_id] = name
        members.append(ConsumerMemberDescription(
            member.member_id, member.instance_id, member.rack_id, member.epoch, member.client_id, member.client_host,
            sorted(member.topic_names), member.regex or "", sorted(held), sorted(member.target),
            member.classic is not None,
        ))
    return ConsumerGroupDescription(
        group.group_id, group.state.value, group.epoch, group.target_epoch, coordinator.assignor(group), members, names
    )


def listed(groups: dict[str, ConsumerGroup], states: frozenset[str]) -> list[ListedGroup]:
    """Those in one of the states (lower case; none given: any)."""
    return [
        ListedGroup(group.group_id, CONSUMER, group.state.value, "consumer")
        for group in groups.values() if not states or group.state.value.lower() in states
    ]


def delete(
    groups: dict[str, ConsumerGroup], pending: PendingOffsets, group_id: str, out: list[Effect]
) -> ErrorCode:
    """Forget an empty group and its offsets."""
    group = groups[group_id]
    if group.members:
        return ErrorCode.NON_EMPTY_GROUP
    deletes = [key for topic_id in list(group.offsets) for key in drop_topic(group, topic_id)]
    out.append(CancelTimer(("consumer assign", group_id)))
    out.append(Write([], deletes + pending.forget_group(group_id) + all_keys(group)))
    del groups[group_id]
    return ErrorCode.NONE
