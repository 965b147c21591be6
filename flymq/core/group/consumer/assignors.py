"""Who is to own what: the assignors `uniform` and `range`. Pure functions, the same answer for the same question.

uniform: every member has as many partitions as any other that could have them, give or take one, and keeps what
    it had as far as that allows.
range: topic by topic, a run of partitions for each subscriber. Members with the same topics get the same
    partition numbers of topics with as many partitions (co-partitioned).

Source: UniformAssignor, RangeAssignor in Apache Kafka 4; KIP-848.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heapify, heapreplace
from typing import NamedTuple

from flymq.core.group.consumer.events import Partition

Target = dict[str, frozenset[Partition]]


class Subscriber(NamedTuple):
    """A member, the topics (ids) that it wants, and what its target is so far."""

    member_id: str
    instance_id: str | None
    topics: frozenset[bytes]
    current: frozenset[Partition]


def assign_range(members: list[Subscriber], counts: Mapping[bytes, int]) -> Target:
    """`counts`: partitions of each subscribed topic. Static members first, by instance id: so they keep their runs."""
    ordered = sorted(members, key=lambda m: (m.instance_id is None, m.instance_id or m.member_id, m.member_id))
    target: dict[str, set[Partition]] = {member.member_id: set() for member in members}
    for topic_id in sorted(counts):
        subscribers = [member for member in ordered if topic_id in member.topics]
        if not subscribers:
            continue
        quota, extra = divmod(counts[topic_id], len(subscribers))
        start = 0
        for number, member in enumerate(subscribers):
            end = start + quota + (number < extra)
            target[member.member_id].update((topic_id, partition) for partition in range(start, end))
            start = end
    return {member_id: frozenset(partitions) for member_id, partitions in target.items()}


def assign_uniform(members: list[Subscriber], counts: Mapping[bytes, int]) -> Target:
    """`counts`: partitions of each subscribed topic."""
    if not members:
        return {}
    ordered = sorted(members, key=lambda m: m.member_id)
    first = ordered[0].topics
    if all(member.topics == first for member in ordered):
        return _same_topics(ordered, counts)
    return _different_topics(ordered, counts)


def _same_topics(members: list[Subscriber], counts: Mapping[bytes, int]) -> Target:
    """Everybody gets the quota, the first few that have more already one above it."""
    partitions = [
        (topic_id, partition)
        for topic_id in sorted(members[0].topics) for partition in range(counts.get(topic_id, 0))
    ]
    quota, extra = divmod(len(partitions), len(members))
    free = set(partitions)
    kept: dict[str, list[Partition]] = {}
    for member in members:
        valid = sorted(partition for partition in member.current if partition in free)
        limit = quota
        if extra and len(valid) > quota:
            limit += 1
            extra -= 1
        kept[member.member_id] = valid[:limit]
        free.difference_update(valid[:limit])
    hungry: deque[tuple[list[Partition], int]] = deque()
    for member in members:
        mine = kept[member.member_id]
        limit = quota
        if extra and len(mine) <= quota:
            limit += 1
            extra -= 1
        if len(mine) < limit:
            hungry.append((mine, limit))
    for partition in partitions:  # in turn, so that a topic's partitions go to many
        if partition in free:
            mine, limit = hungry.popleft()
            mine.append(partition)
            if len(mine) < limit:
                hungry.append((mine, limit))
    return {member_id: frozenset(mine) for member_id, mine in kept.items()}


def _different_topics(members: list[Subscriber], counts: Mapping[bytes, int]) -> Target:
    """Keep what may be kept, give the rest to the least laden, then move single partitions down until nobody has two
    more than another that could take one."""
    target: dict[str, set[Partition]] = {member.member_id: set() for member in members}
    subscribers: dict[bytes, list[str]] = {topic_id: [] for topic_id in counts}
    owner: dict[Partition, str] = {}
    for member in members:
        for topic_id in member.topics:
            if topic_id in subscribers:
                subscribers[topic_id].append(member.member_id)
        for partition in sorted(member.current):
            topic_id, number = partition
            if topic_id in member.topics and number < counts.get(topic_id, 0) and partition not in owner:
                owner[partition] = member.member_id
                target[member.member_id].add(partition)

    def by_load(topic_id: bytes) -> list[tuple[int, str]]:
        """A heap of those who could take the topic. Who gives on the way has less than it says; never more."""
        heap = [(len(target[member_id]), member_id) for member_id in subscribers[topic_id]]
        heapify(heap)
        return heap

    def take(heap: list[tuple[int, str]], partition: Partition) -> None:
        load, taker = heap[0]
        owner[partition] = taker
        target[taker].add(partition)
        heapreplace(heap, (load + 1, taker))

    topics = sorted((topic_id for topic_id in counts if subscribers[topic_id]),
                    key=lambda topic_id: (len(subscribers[topic_id]), topic_id))
    for topic_id in topics:  # those that few can take first
        heap = by_load(topic_id)
        for number in range(counts[topic_id]):
            if (topic_id, number) not in owner:
                take(heap, (topic_id, number))
    moved = True
    while moved:  # each move makes the sum of squared loads smaller, so this ends
        moved = False
        for topic_id in topics:
            heap = by_load(topic_id)
            for number in range(counts[topic_id]):
                partition = (topic_id, number)
                giver = owner[partition]
                if len(target[giver]) > heap[0][0] + 1:
                    target[giver].remove(partition)
                    take(heap, partition)
                    moved = True
    return {member_id: frozenset(mine) for member_id, mine in target.items()}


ASSIGNORS: dict[str, Callable[[list[Subscriber], Mapping[bytes, int]], Target]] = {
    "uniform": assign_uniform,
    "range": assign_range,
}
