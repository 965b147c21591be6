"""Offsets in transactions: TxnOffsetCommit, and the end of a transaction in this shard.

Source: Kafka's OffsetMetadataManager.commitTransactionalOffset and replayEndTransactionMarker; KIP-98, KIP-447.
"""

from __future__ import annotations

from flymq.core.effects import Effect, Reply, Write
from flymq.core.group.consumer.group import ConsumerGroup
from flymq.core.group.events import (
    CommittedOffset,
    CommitTxnOffsets,
    EndTransaction,
    GroupConfig,
    OpenTransactions,
)
from flymq.core.group.group import ClassicGroup
from flymq.core.group.offsets import AnyGroup, Offsets, check_commit, put
from flymq.core.group.pending import VOID, PendingOffsets, pending_key
from flymq.core.group.rows import offset_key, offset_value
from flymq_protocol.errors import ErrorCode

# What is said instead of what OffsetCommit says: a group that waits for its assignment is no obstacle.
_SAID = {
    ErrorCode.REBALANCE_IN_PROGRESS: ErrorCode.NONE,
    ErrorCode.STALE_MEMBER_EPOCH: ErrorCode.ILLEGAL_GENERATION,
}


class TxnOffsets:
    def __init__(
        self, config: GroupConfig, groups: dict[str, ClassicGroup], offsets: Offsets, pending: PendingOffsets
    ) -> None:
        self._config = config
        self._groups = groups
        self._find = offsets.find
        self._pending = pending

    def commit(self, now_ms: int, event: CommitTxnOffsets) -> list[Effect]:
        """Whether the producer may is the transaction's to say, and was asked before."""
        group = self._find(event.group_id)
        if group is not None:
            error = _check(group, event)
        else:
            error = ErrorCode.ILLEGAL_GENERATION if event.generation_id >= 0 else ErrorCode.NONE
        if error:
            return [Reply(event.token, error)]
        puts = []
        errors = []
        for topic_id, topic, partition, offset, leader_epoch, metadata in event.entries:
            if len(metadata) > self._config.offset_metadata_max_bytes:
                errors.append(ErrorCode.OFFSET_METADATA_TOO_LARGE)
                continue
            row = CommittedOffset(offset, leader_epoch, metadata, now_ms, -1)
            puts.append(self._pending.put(
                event.group_id, event.producer_id, event.producer_epoch, topic_id, topic, partition, row
            ))
            errors.append(ErrorCode.NONE)
        if not puts:
            return [Reply(event.token, errors)]
        if group is None:  # a simple group: offsets without members
            self._groups[event.group_id] = ClassicGroup(event.group_id, now_ms)
        return [Write(puts), Reply(event.token, errors)]

    def end(self, now_ms: int, event: EndTransaction) -> list[Effect]:
        """All that was pending becomes committed, or goes: in one write."""
        puts: list[tuple[str, str]] = []
        deletes = []
        for group_id, topic_id, partition, pending in self._pending.take(event.producer_id):
            deletes.append(pending_key(group_id, event.producer_id, topic_id, partition))
            if event.commit and pending.order != VOID:
                group = self._find(group_id)
                assert group is not None, f"{group_id!r} went without its pending offsets"
                put(group, topic_id, pending.topic, partition, pending.row)
                puts.append((offset_key(group_id, topic_id, partition), offset_value(pending.topic, pending.row)))
                puts.extend(self._pending.overtaken(group_id, topic_id, partition, pending.order))
        reply = Reply(event.token, None)
        return [Write(puts, deletes), reply] if deletes else [reply]

    def open(self, now_ms: int, event: OpenTransactions) -> list[Effect]:
        return [Reply(event.token, self._pending.open_transactions(), barrier=False)]


def _check(group: AnyGroup, event: CommitTxnOffsets) -> ErrorCode:
    # Producers before v3 can't say where they belong.
    says_nothing = event.generation_id == -1 if isinstance(group, ConsumerGroup) else event.generation_id < 0
    if says_nothing and not event.member_id and event.instance_id is None:
        return ErrorCode.NONE
    error = check_commit(group, event)
    return _SAID.get(error, error)
