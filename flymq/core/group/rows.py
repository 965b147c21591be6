"""Groups and offsets as rows of a shard: text keys, JSON values.

    group/<group id>                             generation, protocol, leader, members with their assignments
    offset/<group id>/<topic id hex>/<partition>   offset, epoch, metadata, times, topic name

Keys are read from the right, so a group id may contain slashes. NUL (which PostgreSQL's text can't
hold) is written %00, and % itself %25.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from json.encoder import encode_basestring_ascii
from typing import Any

from flymq.core.group.events import CommittedOffset
from flymq.core.group.group import ClassicGroup, Member, State

GROUP = "group/"
OFFSET = "offset/"


def escape(group_id: str) -> str:
    return group_id.replace("%", "%25").replace("\0", "%00")


def unescape(text: str) -> str:
    return text.replace("%00", "\0").replace("%25", "%")


def group_key(group_id: str) -> str:
    return GROUP + escape(group_id)


def offset_key(group_id: str, topic_id: bytes, partition: int) -> str:
    return f"{OFFSET}{escape(group_id)}/{topic_id.hex()}/{partition}"


def parse_offset_key(key: str) -> tuple[str, bytes, int]:
    """Group id, topic id, partition."""
    group_id, topic_id, partition = key[len(OFFSET) :].rsplit("/", 2)
    return unescape(group_id), bytes.fromhex(topic_id), int(partition)


def offset_value(topic: str, row: CommittedOffset) -> str:
    # By hand: json.dumps of a dict costs five times as much, and this is the hot path.
    offset, leader_epoch, metadata, commit_ms, expire_ms = row
    return (
        f'{{"topic":{encode_basestring_ascii(topic)},"offset":{offset},"leader_epoch":{leader_epoch},'
        f'"commit_ms":{commit_ms},"expire_ms":{expire_ms},"metadata":{encode_basestring_ascii(metadata)}}}'
    )


def parse_offset_value(value: str) -> tuple[str, CommittedOffset]:
    """Topic name and offset."""
    row = json.loads(value)
    return row["topic"], CommittedOffset(
        row["offset"], row["leader_epoch"], row["metadata"], row["commit_ms"], row["expire_ms"]
    )


def group_value(group: ClassicGroup) -> str:
    """Only Empty and Stable groups are stored: a rebalance begun but not ended is begun again after a restart."""
    return json.dumps({
        "generation": group.generation_id,
        "protocol_type": group.protocol_type,
        "protocol": group.protocol_name,
        "leader": group.leader_id,
        "state_ms": group.state_timestamp_ms,
        "members": [
            {
                "id": member.member_id,
                "instance": member.instance_id,
                "client_id": member.client_id,
                "client_host": member.client_host,
                "session_timeout_ms": member.session_timeout_ms,
                "rebalance_timeout_ms": member.rebalance_timeout_ms,
                "protocols": [[name, b64encode(metadata).decode()] for name, metadata in member.protocols],
                "assignment": b64encode(member.assignment).decode(),
            }
            for member in group.members.values()
        ],
    }, separators=(",", ":"))


def parse_group(group_id: str, value: str) -> ClassicGroup:
    """The group without its offsets: Stable where it has members, else Empty."""
    row: dict[str, Any] = json.loads(value)
    group = ClassicGroup(group_id, row["state_ms"])
    group.generation_id = row["generation"]
    for stored in row["members"]:
        member = Member(
            group_id, stored["id"], stored["instance"], stored["client_id"], stored["client_host"],
            stored["session_timeout_ms"], stored["rebalance_timeout_ms"],
            tuple((name, b64decode(metadata)) for name, metadata in stored["protocols"]),
            b64decode(stored["assignment"]),
        )
        group.add(member, row["protocol_type"], 0)
    group.state = State.STABLE if group.members else State.EMPTY
    group.protocol_type = row["protocol_type"]
    group.protocol_name = row["protocol"]
    group.leader_id = row["leader"]
    group.learn_subscriptions()
    return group
