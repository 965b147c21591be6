"""What can happen to a consumer group, and what a request gets back; as in `flymq.core.group.events`."""

from __future__ import annotations

from typing import NamedTuple

from flymq_protocol.errors import ErrorCode

Partition = tuple[bytes, int]
"""A topic id and a partition of it."""

LEAVE = -1
LEAVE_FOR_A_WHILE = -2
"""Member epoch of a static member that says goodbye, to be back within its session."""


class TopicChanged(NamedTuple):
    """A topic was loaded or created, or has more partitions. No reply."""

    name: str
    topic_id: bytes
    partition_count: int


class ConsumerHeartbeat:
    """Reply: `HeartbeatResult`. None (-1 for `rebalance_timeout_ms`) means unchanged.

    `unique` becomes the id of a member that brings none (v0).
    """

    __slots__ = ("api_version", "assignor", "client_host", "client_id", "group_id", "instance_id", "member_epoch",
                 "member_id", "owned", "rack_id", "rebalance_timeout_ms", "regex", "token", "topic_names", "unique")

    def __init__(
        self,
        group_id: str,
        member_id: str,
        member_epoch: int,
        *,
        instance_id: str | None = None,
        rack_id: str | None = None,
        rebalance_timeout_ms: int = -1,
        topic_names: frozenset[str] | None = None,
        regex: str | None = None,
        assignor: str | None = None,
        owned: frozenset[Partition] | None = None,
        api_version: int = 1,
        client_id: str = "",
        client_host: str = "",
        unique: str = "",
    ) -> None:
        self.token = 0
        self.group_id = group_id
        self.member_id = member_id
        self.member_epoch = member_epoch
        self.instance_id = instance_id
        self.rack_id = rack_id
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.topic_names = topic_names
        self.regex = regex
        self.assignor = assignor
        self.owned = owned
        self.api_version = api_version
        self.client_id = client_id
        self.client_host = client_host
        self.unique = unique


class HeartbeatResult(NamedTuple):
    """`assignment` is None where the member need not be told."""

    error: ErrorCode
    message: str | None = None
    member_id: str | None = None
    member_epoch: int = 0
    heartbeat_interval_ms: int = 0
    assignment: list[Partition] | None = None


class DescribeConsumerGroups:
    """Reply: for each, in order, a `ConsumerGroupDescription`, or why there is none, in words."""

    __slots__ = ("group_ids", "token")

    def __init__(self, group_ids: list[str]) -> None:
        self.token = 0
        self.group_ids = group_ids


class ConsumerMemberDescription(NamedTuple):
    """Partitions are sorted; their topics are named in the group's description."""

    member_id: str
    instance_id: str | None
    rack_id: str | None
    member_epoch: int
    client_id: str
    client_host: str
    topic_names: list[str]
    regex: str | None
    assigned: list[Partition]
    target: list[Partition]
    is_classic: bool


class ConsumerGroupDescription(NamedTuple):
    group_id: str
    state: str
    group_epoch: int
    assignment_epoch: int
    assignor: str
    members: list[ConsumerMemberDescription]
    topic_names: dict[bytes, str]  # of all topics in assignments that exist


class Refused(Exception):
    """A request can't be: the code and the text that its sender gets. Never leaves the coordinator."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
