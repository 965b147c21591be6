"""Consumer groups as rows of a shard: text keys, JSON values. One row for each member, so that a step of one
writes one.

    consumer/<group id>              epochs, and the topics that the epoch stands for
    member/<group id>/<member id>    who it is, subscription, epochs, what it owns, what it is to own

A slash in a member id is written %2F, so that keys can be read from the right.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from flymq.core.effects import Effect, Write
from flymq.core.group.consumer.events import Partition
from flymq.core.group.consumer.group import ClassicSide, ConsumerGroup, ConsumerMember, MemberState
from flymq.core.group.rows import escape, unescape

CONSUMER = "consumer/"
MEMBER = "member/"


class Changes:
    """What a step changed in a group, to be written in one go."""

    __slots__ = ("_deletes", "_gone", "_group", "_members", "_puts", "group_changed")

    def __init__(self, group: ConsumerGroup) -> None:
        self._group = group
        self._members: dict[str, ConsumerMember] = {}
        self._gone: dict[str, None] = {}
        self._puts: list[tuple[str, str]] = []
        self._deletes: list[str] = []
        self.group_changed = False

    def member(self, member: ConsumerMember) -> None:
        self._members[member.member_id] = member
        self._gone.pop(member.member_id, None)

    def gone(self, member_id: str) -> None:
        self._gone[member_id] = None
        self._members.pop(member_id, None)

    def put_too(self, key: str, value: str) -> None:
        """Another row, to be written in the same go."""
        self._puts.append((key, value))

    def delete_too(self, key: str) -> None:
        self._deletes.append(key)

    def forget(self) -> None:
        """The group itself goes: what was to be put needn't be."""
        self._members.clear()
        self.group_changed = False

    def write(self, out: list[Effect]) -> None:
        group = self._group
        puts = [(member_key(group.group_id, member_id), member_value(m)) for member_id, m in self._members.items()]
        if self.group_changed:
            puts.append((consumer_key(group.group_id), consumer_value(group)))
        deletes = [member_key(group.group_id, member_id) for member_id in self._gone]
        puts += self._puts
        deletes += self._deletes
        if puts or deletes:
            out.append(Write(puts, deletes))


def consumer_key(group_id: str) -> str:
    return CONSUMER + escape(group_id)


def member_key(group_id: str, member_id: str) -> str:
    return f"{MEMBER}{escape(group_id)}/{escape(member_id).replace('/', '%2F')}"


def all_keys(group: ConsumerGroup) -> list[str]:
    """Every row of a group, but for its offsets."""
    return [consumer_key(group.group_id), *(member_key(group.group_id, member_id) for member_id in group.members)]


def consumer_value(group: ConsumerGroup) -> str:
    topics = {name: [topic_id.hex(), count] for name, (topic_id, count) in group.topics_seen.items()}
    row = {"epoch": group.epoch, "target_epoch": group.target_epoch, "topics": topics}
    return json.dumps(row, separators=(",", ":"))


def apply_group(group: ConsumerGroup, value: str) -> None:
    row = json.loads(value)
    group.epoch = row["epoch"]
    group.target_epoch = row["target_epoch"]
    group.topics_seen = {name: (bytes.fromhex(topic_id), count) for name, (topic_id, count) in row["topics"].items()}


def parse_group_key(key: str) -> str:
    return unescape(key[len(CONSUMER) :])


def parse_member_key(key: str) -> tuple[str, str]:
    """Group id, member id."""
    group_id, member_id = key[len(MEMBER) :].rsplit("/", 1)
    return unescape(group_id), unescape(member_id.replace("%2F", "/"))


def member_value(member: ConsumerMember) -> str:
    row: dict[str, Any] = {
        "instance": member.instance_id,
        "rack": member.rack_id,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "rebalance_timeout_ms": member.rebalance_timeout_ms,
        "topics": sorted(member.topic_names),
        "regex": member.regex,
        "assignor": member.assignor,
        "epoch": member.epoch,
        "previous_epoch": member.previous_epoch,
        "state": member.state.value,
        "assigned": _by_topic(member.assigned),
        "pending_revocation": _by_topic(member.pending_revocation),
        "target": _sorted_by_topic(member.target),
        "classic": None,
    }
    if member.classic is not None:
        row["classic"] = {
            "session_timeout_ms": member.classic.session_timeout_ms,
            "protocols": [[name, b64encode(metadata).decode()] for name, metadata in member.classic.protocols],
        }
    return json.dumps(row, separators=(",", ":"))


def parse_member(group_id: str, member_id: str, value: str) -> ConsumerMember:
    row: dict[str, Any] = json.loads(value)
    member = ConsumerMember(group_id, member_id, row["instance"])
    member.rack_id = row["rack"]
    member.client_id = row["client_id"]
    member.client_host = row["client_host"]
    member.rebalance_timeout_ms = row["rebalance_timeout_ms"]
    member.topic_names = frozenset(row["topics"])
    member.regex = row["regex"]
    member.assignor = row["assignor"]
    member.epoch = row["epoch"]
    member.previous_epoch = row["previous_epoch"]
    member.state = MemberState(row["state"])
    member.assigned = _from_topics(row["assigned"])
    member.pending_revocation = _from_topics(row["pending_revocation"])
    member.target = frozenset(
        (bytes.fromhex(topic_id), partition)
        for topic_id, partitions in row["target"].items() for partition in partitions
    )
    if row["classic"] is not None:
        member.classic = ClassicSide(
            row["classic"]["session_timeout_ms"],
            tuple((name, b64decode(metadata)) for name, metadata in row["classic"]["protocols"]),
        )
    return member


def _by_topic(partitions: dict[Partition, int]) -> dict[str, dict[int, int]]:
    """Topic id -> partition -> epoch."""
    topics: dict[str, dict[int, int]] = {}
    for (topic_id, partition), epoch in partitions.items():
        topics.setdefault(topic_id.hex(), {})[partition] = epoch
    return topics


def _from_topics(topics: dict[str, dict[str, int]]) -> dict[Partition, int]:
    return {
        (bytes.fromhex(topic_id), int(partition)): epoch
        for topic_id, partitions in topics.items() for partition, epoch in partitions.items()
    }


def _sorted_by_topic(partitions: Iterable[Partition]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for topic_id, partition in sorted(partitions):
        topics.setdefault(topic_id.hex(), []).append(partition)
    return topics
