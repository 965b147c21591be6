"""Offsets of transactions that are not over: kept beside a group's offsets, and seen by nobody until then.

    pending/<group id>/<producer id>/<topic id hex>/<partition>    offset, epochs, metadata, time, order, topic name

Of several commits of one partition the latest made counts, whenever its transaction ends: so pending offsets are
numbered, and one that a later commit has overtaken is `VOID`. It stays until its transaction ends, as OffsetFetch
with require_stable waits for that.

Source: pendingTransactionalOffsets and replayEndTransactionMarker of Kafka's OffsetMetadataManager; there the
record's offset is the order.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from flymq.core.group.events import CommittedOffset
from flymq.core.group.rows import escape, unescape

PENDING = "pending/"
VOID = 0

_Row = tuple[str, str]
_Partition = tuple[bytes, int]  # topic id, partition


class PendingOffset(NamedTuple):
    topic: str
    row: CommittedOffset
    producer_epoch: int
    order: int  # rises with every commit of the shard; VOID: overtaken


class PendingOffsets:
    """Of all groups of a shard. Methods that change it return the rows to put, or the keys to delete."""

    def __init__(self) -> None:
        self._order = VOID
        self._groups: dict[str, dict[int, dict[_Partition, PendingOffset]]] = {}  # by group id, then producer id

    def __contains__(self, group_id: str) -> bool:
        """Whether the group has pending offsets."""
        return group_id in self._groups

    def has(self, group_id: str, topic_id: bytes, partition: int) -> bool:
        return any((topic_id, partition) in offsets for offsets in self._groups.get(group_id, {}).values())

    def topics(self) -> set[bytes]:
        """Ids of all topics that it has offsets of."""
        return {
            topic_id for producers in self._groups.values() for offsets in producers.values() for topic_id, _ in offsets
        }

    def open_transactions(self) -> dict[int, int]:
        """Producer id -> the highest epoch that it committed with."""
        found: dict[int, int] = {}
        for producers in self._groups.values():
            for producer_id, offsets in producers.items():
                epoch = max(pending.producer_epoch for pending in offsets.values())
                found[producer_id] = max(epoch, found.get(producer_id, epoch))
        return found

    # -- commits ----------------------------------------------------------------------------------

    def put(
        self, group_id: str, producer_id: int, producer_epoch: int, topic_id: bytes, topic: str, partition: int,
        row: CommittedOffset,
    ) -> _Row:
        """The producer's latest offset of that partition."""
        self._order += 1
        pending = PendingOffset(topic, row, producer_epoch, self._order)
        self._keep(group_id, producer_id, (topic_id, partition), pending)
        return pending_key(group_id, producer_id, topic_id, partition), pending_value(pending)

    def overtaken(self, group_id: str, topic_id: bytes, partition: int, order: int | None = None) -> list[_Row]:
        """That partition was committed: what is older (than `order`, where given) counts no more."""
        puts = []
        for producer_id, offsets in self._groups.get(group_id, {}).items():
            pending = offsets.get((topic_id, partition))
            if pending is not None and pending.order != VOID and (order is None or pending.order < order):
                void = offsets[topic_id, partition] = pending._replace(order=VOID)
                puts.append((pending_key(group_id, producer_id, topic_id, partition), pending_value(void)))
        return puts

    def take(self, producer_id: int) -> list[tuple[str, bytes, int, PendingOffset]]:
        """Its transaction is over: (group id, topic id, partition, offset) of all that were pending."""
        taken = []
        for group_id in [group_id for group_id, producers in self._groups.items() if producer_id in producers]:
            producers = self._groups[group_id]
            for (topic_id, partition), pending in producers.pop(producer_id).items():
                taken.append((group_id, topic_id, partition, pending))
            if not producers:
                del self._groups[group_id]
        return taken

    # -- going ------------------------------------------------------------------------------------

    def forget_group(self, group_id: str) -> list[str]:
        return self._forget(group_id, None, None)

    def forget_partition(self, group_id: str, topic_id: bytes, partition: int) -> list[str]:
        return self._forget(group_id, topic_id, partition)

    def forget_topic(self, topic_id: bytes) -> list[str]:
        return [key for group_id in list(self._groups) for key in self._forget(group_id, topic_id, None)]

    def _forget(self, group_id: str, topic_id: bytes | None, partition: int | None) -> list[str]:
        """None stands for all."""
        keys = []
        producers = self._groups.get(group_id, {})
        for producer_id, offsets in list(producers.items()):
            for place in list(offsets):
                if topic_id in (None, place[0]) and partition in (None, place[1]):
                    del offsets[place]
                    keys.append(pending_key(group_id, producer_id, *place))
            if not offsets:
                del producers[producer_id]
        if not producers:
            self._groups.pop(group_id, None)
        return keys

    # -- load -------------------------------------------------------------------------------------

    def apply(self, key: str, value: str) -> tuple[str, int]:
        """A stored row: its group id, and when it was committed."""
        group_id, producer_id, topic_id, partition = parse_pending_key(key)
        pending = parse_pending_value(value)
        self._order = max(self._order, pending.order)
        self._keep(group_id, producer_id, (topic_id, partition), pending)
        return group_id, pending.row.commit_timestamp_ms

    def _keep(self, group_id: str, producer_id: int, place: _Partition, pending: PendingOffset) -> None:
        self._groups.setdefault(group_id, {}).setdefault(producer_id, {})[place] = pending


def pending_key(group_id: str, producer_id: int, topic_id: bytes, partition: int) -> str:
    return f"{PENDING}{escape(group_id)}/{producer_id}/{topic_id.hex()}/{partition}"


def parse_pending_key(key: str) -> tuple[str, int, bytes, int]:
    """Group id, producer id, topic id, partition."""
    group_id, producer_id, topic_id, partition = key[len(PENDING) :].rsplit("/", 3)
    return unescape(group_id), int(producer_id), bytes.fromhex(topic_id), int(partition)


def pending_value(pending: PendingOffset) -> str:
    row = pending.row
    return json.dumps({
        "topic": pending.topic,
        "offset": row.offset,
        "leader_epoch": row.leader_epoch,
        "commit_ms": row.commit_timestamp_ms,
        "producer_epoch": pending.producer_epoch,
        "order": pending.order,
        "metadata": row.metadata,
    }, separators=(",", ":"))


def parse_pending_value(value: str) -> PendingOffset:
    row = json.loads(value)
    offset = CommittedOffset(row["offset"], row["leader_epoch"], row["metadata"], row["commit_ms"], -1)
    return PendingOffset(row["topic"], offset, row["producer_epoch"], row["order"])
