"""A sequence of requests, sent to both brokers in the same order; their answers compared."""

from __future__ import annotations

import select
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from compat_tests.differential.comparer import Comparison, Ids
from compat_tests.differential.requests import Step, build
from compat_tests.differential.world import TOPICS, World
from flymq_protocol.api.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from flymq_protocol.api.k03_metadata import MetadataRequest, MetadataRequestTopic
from flymq_protocol.api.k65_describe_transactions import DescribeTransactionsRequest
from flymq_protocol.errors import ErrorCode
from flymq_protocol.message import Message, Struct
from flymq_protocol.registry import API
from tests.wire.client import Client, Closed

SAME_WITHIN_S = 5.0
"""Kafka tells its parts of a change one after the other: so long until a read shows it."""
_ANSWERED_WITHIN_S = 15.0
_PARKED_AFTER_S = 0.25
_REPLACED_WITHIN_S = 1.0
_MAY_PARK = (11, 14)
_READS = frozenset((2, 3, 9, 10, 15, 16, 23, 32, 35, 46, 60, 61, 65, 66, 69, 74, 75))
_CHANGES_TOPICS = (3, 19, 20, 37)
_OVER = frozenset((ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.UNKNOWN_MEMBER_ID))
_NOT_YET = frozenset((14, 15, 16, 51))
"""Loading, no coordinator yet, concurrent transactions: what Kafka says while it is still at the request before."""


class Finding(NamedTuple):
    """A difference, and after how many steps of which sequence."""

    steps: list[Step]
    differences: list[str]


def error_codes(value: Any) -> list[int]:
    """All that an answer holds, wherever they are."""
    if isinstance(value, list):
        return [code for one in value for code in error_codes(one)]
    if not isinstance(value, Struct):
        return []
    found = []
    for spec in value.FIELDS:
        inner = getattr(value, spec.name)
        found += [inner] if spec.name.endswith("error_code") else error_codes(inner)
    return found


class Pair:
    """FlyMQ (side 0) and Kafka (side 1) for one sequence: its connections, its ids, what was compared."""

    def __init__(self, ports: tuple[int, int], prefix: str, seen: Counter[tuple[int, int, bool]]) -> None:
        self._ports = ports
        self._prefix = prefix
        self._seen = seen
        """(API key, version, whether it was answered without any error) -> how often."""
        self._ids = Ids()
        self._connections: dict[int, tuple[Client, Client]] = {}
        self._parked: dict[int, Step] = {}
        self.world = World(prefix, self._ids)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in list(self._connections):
            self._drop(connection)

    def is_parked(self, connection: int) -> bool:
        return connection in self._parked

    def run(self, step: Step) -> list[str]:
        """The differences that it shows."""
        if step.connection in self._parked:
            return []  # only where steps before it were dropped
        clients = self._clients(step.connection)
        messages = [build(step, self._prefix, lambda name, side=side: self._ids.value(name, side)) for side in (0, 1)]  # type: ignore[misc]
        closed = [self._send(client, message, step) for client, message in zip(clients, messages, strict=True)]
        if step.key == 0 and step.fields["acks"] == 0:
            return []
        if step.key in _MAY_PARK and not any(closed) and not self._readable(clients, _PARKED_AFTER_S):
            self._parked[step.connection] = step
            return []
        differences = self._compare(step, messages)
        if not differences:
            differences = self._settle(step)
        for connection in list(self._parked):
            if not differences and self._readable(self._connections[connection], 0):
                differences = self._compare(self._parked.pop(connection), None)
        return differences

    def _clients(self, connection: int) -> tuple[Client, Client]:
        if connection not in self._connections:
            made = [Client(port, "differential") for port in self._ports]
            for client in made:
                client.socket.settimeout(_ANSWERED_WITHIN_S)
            self._connections[connection] = made[0], made[1]
        return self._connections[connection]

    def _drop(self, connection: int) -> None:
        for client in self._connections.pop(connection):
            client.close()

    def _send(self, client: Client, message: Message, step: Step) -> bool:
        """Whether the connection is gone."""
        try:
            client.send(message, step.version)
        except OSError:
            return True
        return False

    def _readable(self, clients: Sequence[Client], within_s: float) -> bool:
        return bool(select.select([client.socket for client in clients], [], [], within_s)[0])

    def _receive(self, client: Client) -> Any:
        """An answer, or what happened instead."""
        try:
            return client.receive()
        except Closed:
            return "closed"
        except TimeoutError:
            return "no answer"
        except (AssertionError, ValueError) as error:
            return f"undecodable: {error}"

    def _compare(self, step: Step, messages: list[Message] | None) -> list[str]:
        clients = self._connections[step.connection]
        ours = self._receive(clients[0])
        is_over = step.key in _MAY_PARK and getattr(ours, "error_code", 0) in _OVER
        if is_over and not self._readable(clients[1:], _REPLACED_WITHIN_S):
            # Another request of the member replaces it, or the member leaves: Kafka never answers then
            # (docs/deviations.md).
            self._drop(step.connection)
            return []
        theirs = self._receive(clients[1])
        if isinstance(ours, str) or isinstance(theirs, str):
            self._drop(step.connection)
            self._seen[step.key, step.version, False] += 1
            return [] if ours == theirs else [f"{API[step.key].name}: FlyMQ {ours!r:.300} | Kafka {theirs!r:.300}"]
        differences = self._differences(step, ours, theirs)
        until = time.monotonic() + SAME_WITHIN_S
        while differences and messages and time.monotonic() < until and self._may_change(step, theirs, ours):
            if step.key in _READS:
                ours = clients[0].call(messages[0], step.version)
            theirs = clients[1].call(messages[1], step.version)
            differences = self._differences(step, ours, theirs)
        if not differences:
            self._seen[step.key, step.version, not any(error_codes(ours))] += 1
            if getattr(theirs, "error_code", 0) == ErrorCode.UNKNOWN_SERVER_ERROR:
                self.world.sessions.clear()
            else:
                self.world.learn(step, ours)
        return differences

    def _differences(self, step: Step, ours: Any, theirs: Any) -> list[str]:
        return Comparison(step.key, self._ids, self._prefix, step.number).run(ours, theirs)

    def _may_change(self, step: Step, theirs: Any, ours: Any) -> bool:
        return step.key in _READS or bool(_NOT_YET & set(error_codes(theirs)) - set(error_codes(ours)))

    def _settle(self, step: Step) -> list[str]:
        """Wait until Kafka is where FlyMQ is: topics known to all its parts, transactions ended."""
        if step.key in _CHANGES_TOPICS:
            return self._settle_topics(step)
        if step.key == 13:
            return self._settle_group(step)
        if step.key in (22, 26) and step.fields["transactional_id"]:
            kafka = self._clients(0)[1]
            request = DescribeTransactionsRequest([step.fields["transactional_id"].replace("@", self._prefix)])
            until = time.monotonic() + SAME_WITHIN_S
            while time.monotonic() < until:
                if "Prepare" not in kafka.call(request, 0).transaction_states[0].transaction_state:
                    break
        return []

    def _settle_group(self, step: Step) -> list[str]:
        """Without members, a group that waits for some has no time to wait for, but what ends it is a timer."""
        fields = {"groups": [step.fields["group_id"]], "include_authorized_operations": False}
        self._clients(0)
        return self.run(Step(step.number, 0, 15, 5, fields))

    def _settle_topics(self, step: Step) -> list[str]:
        topics = [MetadataRequestTopic(name=name.replace("@", self._prefix)) for name in TOPICS]
        message: Message = MetadataRequest(topics, False)
        asked = Step(step.number, 0, 3, 12, {})
        clients = self._clients(0)
        until = time.monotonic() + SAME_WITHIN_S
        while True:
            ours, theirs = (client.call(message, 12) for client in clients)
            differences = self._differences(asked, ours, theirs)
            if not differences and self._listed(clients[1], theirs):
                self.world.learn(asked, ours)
                return []
            if time.monotonic() > until:
                return differences or ["Kafka's topics are not led"]

    def _listed(self, kafka: Client, metadata: Any) -> bool:
        """Whether the partitions that it tells of can be read."""
        topics = [
            ListOffsetsTopic(
                topic.name, [ListOffsetsPartition(row.partition_index, timestamp=-1) for row in topic.partitions]
            )
            for topic in metadata.topics
            if topic.error_code == 0
        ]
        return not any(error_codes(kafka.call(ListOffsetsRequest(-1, 0, topics), 7)))
