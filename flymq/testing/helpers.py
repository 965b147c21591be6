"""What tests do with a broker besides connecting their client: put messages in, look at what is there, wait."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flymq.client.errors import FlyMQError, GroupNotFoundError, TopicNotFoundError, did_you_mean
from flymq.client.messages import Message, Partition, ProduceReport
from flymq.testing.telling import shown, shown_difference, shown_members

if TYPE_CHECKING:
    from flymq.client.admin.types import Member
    from flymq.client.client import FlyMQClient

Value = str | bytes | None

HELPER_CLIENT_ID = "flymq-testing"
_LOOK_AGAIN_S = 0.005
_NAMES_MAX = 10
_STATES = ("Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Assigning", "Reconciling")
_MAKING = threading.Lock()  # AsyncEmbeddedBroker has a thread for each helper that is awaited


class BrokerHelpers:
    """Over `bootstrap_servers` of whoever inherits this; works with any Kafka.

    Each returns when the broker has it, or has told it: no sleeping in tests.
    """

    _helper: FlyMQClient | None = None

    @property
    def bootstrap_servers(self) -> str:
        raise NotImplementedError

    def _client(self) -> FlyMQClient:
        with _MAKING:
            if self._helper is None:
                from flymq.client.client import FlyMQClient  # not before a test needs it

                # It knows topics for longer than they live: asking about one that was deleted must not bring it back.
                self._helper = FlyMQClient(
                    self.bootstrap_servers, client_id=HELPER_CLIENT_ID, auto_create_topics=False
                )
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
        if isinstance(items, str | bytes | Mapping):
            raise TypeError(f"seed() takes a list of items: seed({topic!r}, [{items!r:.60}])")
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
        wanted: int | Value | Sequence[Value] = 1,
        *,
        match: Callable[[Message[Any, Any]], bool] | None = None,
        timeout: float = 5.0,
    ) -> list[Message[bytes | None, bytes | None]]:
        """Wait until a topic has what is wanted; return it. An AssertionError says what came in `timeout` seconds.

        `wanted`: how many messages, at least; or the value of the only one, or the values of all: in this order where
        the topic has one partition, in any order else. `match` picks those that count. The topic need not exist yet.

            first, second = flymq.expect("invoices", 2)
            flymq.expect("invoices", ["coffee", "tea"])
            (from_ada,) = flymq.expect("invoices", match=lambda message: message.key == b"ada")
        """
        __tracebackhide__ = True
        values = None if isinstance(wanted, int) else _values(wanted)
        count = wanted if isinstance(wanted, int) else len(values or ())
        deadline = time.monotonic() + timeout
        there: list[Message[Any, Any]] = []
        ends: dict[int, int] | None = None
        while True:
            now_at = self._ends(topic)
            if now_at != ends:
                ends = now_at
                there = self.records(topic) if ends else []
            found = [message for message in there if match is None or match(message)]
            late = time.monotonic() > deadline
            if len(found) >= count and (values is None or _same(found, values, ordered=len(ends) == 1)):
                return found
            if late or len(found) >= count:
                break
            time.sleep(_LOOK_AGAIN_S)
        if len(ends) > 1 and values is not None:
            found, values = sorted(found, key=lambda message: repr(message.value)), sorted(values, key=repr)
        after = f" after {timeout:g} s" if late else ""
        what = f"wanted {_count(count, 'message')} in {topic}, found {len(found)}{after}"
        raise AssertionError(what + self._found_instead(topic, values, found, there))

    def _ends(self, topic: str) -> dict[int, int]:
        try:
            return self._client().topics.offsets(topic)
        except TopicNotFoundError:
            return {}

    def _found_instead(
        self,
        topic: str,
        values: list[bytes | None] | None,
        found: list[Message[Any, Any]],
        there: list[Message[Any, Any]],
    ) -> str:
        """The rest of what `expect` has to tell."""
        if not there and topic not in (topics := self._client().list_topics()):
            return f": {_missing('topic', topic, topics)}"
        text = f":{shown(found)}" if values is None and found else ""
        if values is not None:
            text = shown_difference(found, values)
        if len(found) < len(there):
            matching = {id(message) for message in found}
            text += f"\n  and, not matching:{shown([message for message in there if id(message) not in matching])}"
        return text

    def committed(self, group: str, topic: str | None = None) -> dict[Partition, int]:
        """What a group has committed: partition -> offset; {} for a group that nobody knows.

            assert flymq.committed("kitchen") == {("orders", 0): 3}
        """
        offsets = self._client().groups.offsets(group)
        return {partition: offset for partition, offset in offsets.items() if topic in (None, partition.topic)}

    def lag(self, group: str) -> int:
        """Messages that a group has yet to commit, over all partitions that it has committed or a member has; where
        there is no commit, all of the partition's. Raises `GroupNotFoundError`, which is a LookupError.
        """
        rows = self._client().groups.lag(group)
        unread = {row.topic for row in rows if row.committed is None and row.end is not None}
        first = {topic: self._client().topics.offsets(topic, at="earliest") for topic in unread}
        return sum(
            row.lag if row.lag is not None else row.end - first[row.topic].get(row.partition, row.end)
            for row in rows
            if row.end is not None  # a topic that was deleted has no messages
        )

    def wait_for_group(
        self, group: str, *, state: str = "Stable", members: int | None = None, timeout: float = 10.0
    ) -> None:
        """Return when a group is in a state, with that many members. AssertionError after `timeout` seconds.

        Of a Stable group every member knows its partitions, but a client may not have asked for messages yet.

            flymq.wait_for_group("kitchen", members=2)
        """
        __tracebackhide__ = True
        if state not in _STATES:
            raise ValueError(f"there is no state {state!r}: {did_you_mean(state, _STATES) or ', '.join(_STATES)}")
        deadline = time.monotonic() + timeout
        while True:
            late = time.monotonic() > deadline
            is_now, rows = self._group(group)
            if is_now == state and members in (None, len(rows)):
                return
            if late:
                break
            time.sleep(_LOOK_AGAIN_S)
        wanted = state if members is None else f"{state} with {_count(members, 'member')}"
        text = f"wanted group {group} to be {wanted}; after {timeout:g} s"
        if is_now is None:
            known = [row.group_id for row in self._client().groups.list()]
            raise AssertionError(f"{text} {_missing('group', group, known)}")
        raise AssertionError(f"{text} it is {is_now} with {shown_members(rows)}")

    def _group(self, group: str) -> tuple[str | None, list[Member]]:
        """Its state, or what is in the way, and its members; None where there is no such group."""
        try:
            found = self._client().groups.describe(group)
        except GroupNotFoundError:
            return None, []
        except FlyMQError as error:
            if not error.retriable:
                raise
            return str(error), []
        return found.state, found.members


def _values(wanted: Value | Sequence[Value]) -> list[bytes | None]:
    several = [wanted] if wanted is None or isinstance(wanted, str | bytes | Mapping) else list(wanted)
    for value in several:
        if value is not None and not isinstance(value, str | bytes):
            raise TypeError(
                f"expect() compares values, which are bytes, str or None, not {type(value).__name__}: {value!r:.60}; "
                "for anything else there is match=lambda message: ..."
            )
    return [value.encode() if isinstance(value, str) else value for value in several]


def _same(found: list[Message[Any, Any]], wanted: list[bytes | None], *, ordered: bool) -> bool:
    values = [message.value for message in found]
    return values == wanted if ordered else Counter(values) == Counter(wanted)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _missing(what: str, name: str, known: Sequence[str]) -> str:
    """The sentence for something that is not there."""
    if not known:
        return f"there is no {what} at all"
    others = f"there is {', '.join(sorted(known)[:_NAMES_MAX])}"
    return f"there is no {what} {name}; {did_you_mean(name, known) or others}"
