"""Committed offsets: OffsetCommit, OffsetFetch, OffsetDelete, expiry, and what a deleted topic takes along.

Source: Kafka's OffsetMetadataManager; ClassicGroup.validateOffsetCommit, validateOffsetDelete and
offsetExpirationCondition.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from flymq.core.effects import Effect, Reply, SetTimer, Write
from flymq.core.group.consumer.group import ConsumerGroup
from flymq.core.group.consumer.rows import consumer_key
from flymq.core.group.events import (
    UNSTABLE,
    CommitOffsets,
    CommittedOffset,
    DeleteOffsets,
    FetchedTopic,
    FetchOffsets,
    GroupConfig,
    TopicDeleted,
)
from flymq.core.group.group import CONSUMER, ClassicGroup, State, TopicOffsets
from flymq.core.group.pending import PendingOffsets
from flymq.core.group.rows import group_key, offset_key, offset_value
from flymq_protocol.errors import ErrorCode

_NONE = ErrorCode.NONE

AnyGroup = ClassicGroup | ConsumerGroup


class Offsets:
    def __init__(
        self, config: GroupConfig, groups: dict[str, ClassicGroup], consumer_groups: dict[str, ConsumerGroup],
        pending: PendingOffsets,
    ) -> None:
        self._config = config
        self._groups = groups
        self._consumer_groups = consumer_groups
        self._pending = pending

    def find(self, group_id: str) -> AnyGroup | None:
        """A group of either protocol."""
        return self._groups.get(group_id) or self._consumer_groups.get(group_id)

    def all_groups(self) -> Iterator[AnyGroup]:
        return chain(self._groups.values(), self._consumer_groups.values())

    # -- commit -----------------------------------------------------------------------------------

    def commit(self, now_ms: int, event: CommitOffsets) -> list[Effect]:
        group = self.find(event.group_id)
        if group is None:
            if event.generation_id >= 0:
                error = ErrorCode.GROUP_ID_NOT_FOUND if event.api_version >= 9 else ErrorCode.ILLEGAL_GENERATION
                return [Reply(event.token, error)]
            group = ClassicGroup(event.group_id, now_ms)  # a simple group: offsets without members
        else:
            error = check_commit(group, event)
            if error:
                return [Reply(event.token, error)]
        out: list[Effect] = []
        if isinstance(group, ClassicGroup):
            member = group.members.get(event.member_id)
            if member is not None:
                out.append(SetTimer(member.timer_key, member.session_timeout_ms))
        errors = self._store(now_ms, group, event, out)
        out.append(Reply(event.token, errors or _NONE))
        return out

    def _store(
        self, now_ms: int, group: AnyGroup, event: CommitOffsets, out: list[Effect]
    ) -> list[ErrorCode] | None:
        """Remember and write what may be; None where all of it may."""
        limit = self._config.offset_metadata_max_bytes
        expire_ms = now_ms + event.retention_ms if event.retention_ms >= 0 else -1
        puts = []
        too_large = []
        in_transaction = event.group_id in self._pending
        for number, (topic_id, topic, partition, offset, leader_epoch, metadata) in enumerate(event.entries):
            if len(metadata) > limit:
                too_large.append(number)
                continue
            row = CommittedOffset(offset, leader_epoch, metadata, now_ms, expire_ms)
            put(group, topic_id, topic, partition, row)
            puts.append((offset_key(group.group_id, topic_id, partition), offset_value(topic, row)))
            if in_transaction:
                puts.extend(self._pending.overtaken(group.group_id, topic_id, partition))
        if puts:
            if isinstance(group, ClassicGroup):
                self._groups[group.group_id] = group
            out.append(Write(puts))
        if not too_large:
            return None
        errors = [_NONE] * len(event.entries)
        for number in too_large:
            errors[number] = ErrorCode.OFFSET_METADATA_TOO_LARGE
        return errors

    # -- fetch ------------------------------------------------------------------------------------

    def fetch(self, now_ms: int, event: FetchOffsets) -> list[Effect]:
        group = self.find(event.group_id)
        if isinstance(group, ConsumerGroup):
            error = group.check_fetch(event.member_id, event.member_epoch)
            if error:
                return [Reply(event.token, error)]
        offsets: dict[bytes, TopicOffsets] = {} if group is None else group.offsets
        # Copies: the answer may be held while a later commit changes the group.
        if event.wanted is None:
            topics = [FetchedTopic(topic_id, dict(found.partitions)) for topic_id, found in offsets.items()]
        else:
            topics = []
            for topic_id, partitions in event.wanted:
                found = offsets.get(topic_id)
                rows = {} if found is None else found.partitions
                topics.append(FetchedTopic(topic_id, {p: rows[p] for p in partitions if p in rows}))
        if event.require_stable and event.group_id in self._pending:
            self._mark_unstable(event, topics)
        return [Reply(event.token, topics)]

    def _mark_unstable(self, event: FetchOffsets, topics: list[FetchedTopic]) -> None:
        """Of what was asked for; where all was, of what has an offset."""
        asked = event.wanted or [(topic_id, list(partitions)) for topic_id, partitions in topics]
        for (topic_id, partitions), (_, found) in zip(asked, topics, strict=True):
            for partition in partitions:
                if self._pending.has(event.group_id, topic_id, partition):
                    found[partition] = UNSTABLE

    # -- going ------------------------------------------------------------------------------------

    def delete(self, now_ms: int, event: DeleteOffsets) -> list[Effect]:
        """Pending ones too. What has no offset is no error."""
        group = self.find(event.group_id)
        if group is None:
            return [Reply(event.token, ErrorCode.GROUP_ID_NOT_FOUND)]
        if isinstance(group, ClassicGroup) and group.state is not State.EMPTY and group.protocol_type != CONSUMER:
            return [Reply(event.token, ErrorCode.NON_EMPTY_GROUP)]
        errors = []
        deletes: list[str] = []
        for topic_id, topic, partition in event.entries:
            if group.is_subscribed(topic):
                errors.append(ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC)
                continue
            errors.append(_NONE)
            deletes.extend(self._pending.forget_partition(group.group_id, topic_id, partition))
            found = group.offsets.get(topic_id)
            if found is not None and found.partitions.pop(partition, None) is not None:
                deletes.append(offset_key(group.group_id, topic_id, partition))
                if not found.partitions:
                    del group.offsets[topic_id]
        reply = Reply(event.token, errors)
        return [Write([], deletes), reply] if deletes else [reply]

    def topic_deleted(self, now_ms: int, event: TopicDeleted) -> list[Effect]:
        deletes = [
            key
            for group in self.all_groups()
            if event.topic_id in group.offsets
            for key in drop_topic(group, event.topic_id)
        ]
        deletes.extend(self._pending.forget_topic(event.topic_id))
        return [Write([], deletes)] if deletes else []

    def expire(self, now_ms: int) -> list[str]:
        """Forget expired offsets, and Empty groups that have none: the keys of their rows. What is in an open
        transaction stays."""
        deletes: list[str] = []
        for group in list(self._groups.values()):
            deletes.extend(self._expire(now_ms, group))
            if group.offsets or group.group_id in self._pending:
                continue
            if group.state is State.EMPTY and not group.pending_members:
                deletes.append(group_key(group.group_id))
                group.become(State.DEAD, now_ms)
                del self._groups[group.group_id]
        for consumer_group in list(self._consumer_groups.values()):
            deletes.extend(self._expire_unsubscribed(now_ms, consumer_group))
            if consumer_group.group_id in self._pending:
                continue
            if not consumer_group.offsets and not consumer_group.members:
                deletes.append(consumer_key(consumer_group.group_id))
                del self._consumer_groups[consumer_group.group_id]
        return deletes

    def _expire(self, now_ms: int, group: ClassicGroup) -> Iterator[str]:
        simple = group.protocol_type is None
        empty = group.state is State.EMPTY and not simple
        if not (simple or empty or (group.state is State.STABLE and group.protocol_type == CONSUMER)):
            return  # a rebalance, or members whose subscriptions are not ours to read
        yield from self._expire_unsubscribed(now_ms, group, group.state_timestamp_ms if empty else None)

    def _expire_unsubscribed(self, now_ms: int, group: AnyGroup, empty_since_ms: int | None = None) -> Iterator[str]:
        """Counted from when the group became Empty, where that is told, else from the commit."""
        retention_ms = self._config.offsets_retention_ms
        for topic_id, found in list(group.offsets.items()):
            if group.is_subscribed(found.topic):
                continue
            for partition, row in list(found.partitions.items()):
                since_ms = row.commit_timestamp_ms if empty_since_ms is None else empty_since_ms
                due_ms = row.expire_timestamp_ms if row.expire_timestamp_ms >= 0 else since_ms + retention_ms
                if now_ms >= due_ms and not self._pending.has(group.group_id, topic_id, partition):
                    del found.partitions[partition]
                    yield offset_key(group.group_id, topic_id, partition)
            if not found.partitions:
                del group.offsets[topic_id]


def check_commit(group: AnyGroup, event: CommitOffsets) -> ErrorCode:
    """Group.validateOffsetCommit."""
    if isinstance(group, ConsumerGroup):
        return group.check_commit(event.member_id, event.generation_id, event.entries, api_version=event.api_version)
    if group.state is State.EMPTY and event.generation_id < 0:
        return _NONE
    if event.generation_id < 0 and not event.member_id and event.instance_id is None:
        return ErrorCode.UNKNOWN_MEMBER_ID  # from outside, while the group has members
    error = group.check_member(event.member_id, event.instance_id)
    if error:
        return error
    if event.generation_id != group.generation_id and not group.is_late(event.member_id, event.generation_id):
        return ErrorCode.ILLEGAL_GENERATION
    return ErrorCode.REBALANCE_IN_PROGRESS if group.state is State.COMPLETING else _NONE


def put(group: AnyGroup, topic_id: bytes, topic: str, partition: int, row: CommittedOffset) -> None:
    found = group.offsets.get(topic_id)
    if found is None:
        found = group.offsets[topic_id] = TopicOffsets(topic)
    found.partitions[partition] = row


def drop_topic(group: AnyGroup, topic_id: bytes) -> list[str]:
    """Forget a topic's offsets: the keys of their rows."""
    found = group.offsets.pop(topic_id)
    return [offset_key(group.group_id, topic_id, partition) for partition in found.partitions]
