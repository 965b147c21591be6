"""What tests do with a broker besides connecting their client: put messages in, look at what is there, wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flymq.client.client import FlyMQClient
from flymq.client.errors import FlyMQError, GroupNotFoundError, TopicNotFoundError
from flymq.client.messages import Message, Partition, ProduceReport

HELPER_CLIENT_ID = "flymq-testing"
_LOOK_AGAIN_S = 0.005
_SHOWN_MAX = 20


class BrokerHelpers:
    """Over `bootstrap_servers` of whoever inherits this; works with any Kafka.

    Each returns when the broker has it, or has told it: no sleeping in tests.
    """

    _helper: FlyMQClient | None = None

    @property
    def bootstrap_servers(self) -> str:
        raise NotImplementedError

    def _client(self) -> FlyMQClient:
        if self._helper is None:
            self._helper = FlyMQClient(self.bootstrap_servers, client_id=HELPER_CLIENT_ID)
        return self._helper

    def _close_helper(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.close()

    def seed(self, topic: str, items: Iterable[Any], *, partitions: int = 1) -> ProduceReport:
        """Write items to a topic, which is created where it is missing.

        An item is a value (bytes or str), a (key, value) pair, or a mapping with value, key, partition, headers,
        timestamp.

            flymq.seed("orders", ["one", ("ada", "two"), {"value": "three", "headers": {"a": "b"}}])
        """
        self._client().create_topic(topic, partitions=partitions, exist_ok=True)
        report = self._client().produce_many(topic, items)
        report.raise_for_errors()
        return report

    def records(self, topic: str, *, partition: int | None = None) -> list[Message[bytes | None, bytes | None]]:
        """All that is in a topic, or in one of its partitions, by partition and offset. Does not wait.

        Raises `TopicNotFoundError`, which is a LookupError.
        """
        found = list(self._client().read(topic, partitions=None if partition is None else [partition]))
        return sorted(found, key=lambda message: (message.partition, message.offset))

    def expect(
        self,
        topic: str,
        wanted: int | Sequence[str | bytes] = 1,
        *,
        match: Callable[[Message[Any, Any]], bool] | None = None,
        timeout: float = 5.0,
    ) -> list[Message[bytes | None, bytes | None]]:
        """Wait until a topic has what is wanted; return it. An AssertionError says what came in `timeout` seconds.

        `wanted`: how many messages, at least; or their values, exactly: in this order where the topic has one
        partition, in any order else. `match` picks those that count. The topic need not exist yet.

            first, second = flymq.expect("invoices", 2)
            flymq.expect("invoices", ["coffee", "tea"])
            flymq.expect("invoices", match=lambda message: message.key == b"ada")
        """
        count = wanted if isinstance(wanted, int) else len(wanted)
        deadline = time.monotonic() + timeout
        found: list[Message[Any, Any]] = []
        ends: dict[int, int] = {}
        while True:
            now_at = self._ends(topic)
            if now_at != ends:
                ends = now_at
                found = [message for message in self.records(topic) if match is None or match(message)]
            if len(found) >= count:
                break
            if time.monotonic() > deadline:
                what = f"wanted {count} messages in {topic}, {len(found)} came in {timeout:g} s"
                raise AssertionError(_told(what, found))
            time.sleep(_LOOK_AGAIN_S)
        if not isinstance(wanted, int):
            _compare(topic, found, [value.encode() if isinstance(value, str) else value for value in wanted], len(ends))
        return found

    def _ends(self, topic: str) -> dict[int, int]:
        try:
            return self._client().topics.offsets(topic)
        except TopicNotFoundError:
            return {}

    def committed(self, group: str, topic: str | None = None) -> dict[Partition, int]:
        """What a group has committed: partition -> offset; {} for a group that nobody knows.

            assert flymq.committed("kitchen") == {("orders", 0): 3}
        """
        offsets = self._client().groups.offsets(group)
        return {partition: offset for partition, offset in offsets.items() if topic in (None, partition.topic)}

    def lag(self, group: str) -> int:
        """Messages that a group has yet to commit, over all partitions that it has committed before."""
        return sum(row.lag or 0 for row in self._client().groups.lag(group))

    def wait_for_group(
        self, group: str, *, state: str = "Stable", members: int | None = None, timeout: float = 10.0
    ) -> None:
        """Return when a group is in a state, with that many members. AssertionError after `timeout` seconds.

        Of a Stable group every member knows its partitions, but a client may not have asked for messages yet.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                found = self._client().groups.describe(group)
                is_now, size = found.state, len(found.members)
            except GroupNotFoundError:
                is_now, size = "unknown", 0
            except FlyMQError as error:
                if not error.retriable:
                    raise
                is_now, size = str(error), 0
            if is_now == state and members in (None, size):
                return
            if time.monotonic() > deadline:
                not_that = state if members is None else f"{state} with {members}"
                is_now += f" with {size} members after {timeout:g} s"
                raise AssertionError(f"group {group} is {is_now}, not {not_that}")
            time.sleep(_LOOK_AGAIN_S)


def _compare(topic: str, found: list[Message[Any, Any]], wanted: list[bytes], partitions: int) -> None:
    values = [message.value for message in found]
    same = values == wanted if partitions == 1 else sorted(map(repr, values)) == sorted(map(repr, wanted))
    if not same:
        lines = "".join(f"\n    {value!r}" for value in wanted[:_SHOWN_MAX])
        raise AssertionError(_told(f"{topic} has other messages than wanted:{lines}\n  It has", found))


def _told(what: str, found: Sequence[Message[Any, Any]]) -> str:
    lines = [
        f"    {message.topic}-{message.partition}@{message.offset} key={message.key!r:.60} value={message.value!r:.200}"
        for message in found[:_SHOWN_MAX]
    ]
    if len(found) > _SHOWN_MAX:
        lines.append(f"    and {len(found) - _SHOWN_MAX} more")
    return "\n".join([f"{what}{':' if lines else ''}", *lines])
