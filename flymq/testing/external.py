"""A cluster that runs already, in place of an embedded broker: `pytest --flymq-bootstrap=host:port`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self

import pytest

from flymq.client.errors import GroupActiveError, TopicExistsError
from flymq.client.messages import Partition, ProduceReport
from flymq.testing.helpers import BrokerHelpers
from flymq.testing.topics import checked_topics


class ExternalBroker(BrokerHelpers):
    """Somebody's cluster. All that is ever deleted are topics made through this object, and groups that it was asked
    about and that were not there in the beginning.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers = bootstrap_servers
        self._topics: set[str] = set()
        self._groups: set[str] = set()
        self._groups_before: set[str] = set()

    @property
    def bootstrap_servers(self) -> str:
        """As it was given."""
        return self._servers

    def connect(self) -> Self:
        """Return if it answers. Raises `FlyMQError`."""
        try:
            self._groups_before = {group.group_id for group in self._client().groups.list()}
        except BaseException:
            self._close_helper()
            raise
        return self

    def create_topics(self, topics: Mapping[str, int]) -> None:
        """Create those that are missing: name -> partitions; they are deleted in the end."""
        there = set(self._client().list_topics())
        for name, partitions in checked_topics(topics, "create_topics()").items():
            if name in there:
                continue
            with contextlib.suppress(TopicExistsError):  # somebody else was faster: it is theirs
                self._client().create_topic(name, partitions=partitions)
                self._topics.add(name)

    def seed(self, topic: str, items: Iterable[Any], *, partitions: int = 1) -> ProduceReport:
        """As with an embedded broker. A topic that was there before stays in the end, with the messages."""
        self.create_topics({topic: partitions})
        return super().seed(topic, items, partitions=partitions)

    def committed(self, group: str, topic: str | None = None) -> dict[Partition, int]:
        """As with an embedded broker; the group is deleted in the end."""
        self._groups.add(group)
        return super().committed(group, topic)

    def lag(self, group: str) -> int:
        """As with an embedded broker; the group is deleted in the end."""
        self._groups.add(group)
        return super().lag(group)

    def wait_for_group(
        self, group: str, *, state: str = "Stable", members: int | None = None, timeout: float = 10.0
    ) -> None:
        """As with an embedded broker; the group is deleted in the end."""
        __tracebackhide__ = True
        self._groups.add(group)
        super().wait_for_group(group, state=state, members=members, timeout=timeout)

    def requests(self, api: str | None = None, *, client_id: str | None = None) -> NoReturn:
        """Only an embedded broker tells: the test is skipped."""
        __tracebackhide__ = True
        pytest.skip("requests() needs an embedded broker: a cluster does not say what it was asked")

    def wipe(self) -> None:
        """Delete what came about through this object. Everything else on the cluster stays."""
        self._client().topics.delete(*sorted(self._topics), missing_ok=True)
        self._topics.clear()
        for group in sorted(self._groups - self._groups_before):
            with contextlib.suppress(GroupActiveError):  # a member of the test's is not closed yet: next time, then
                self._client().groups.delete(group, missing_ok=True)
                self._groups.discard(group)
        self._close_helper()  # it knows the topics that went: how many partitions they had

    def close(self) -> None:
        """Wipe, and disconnect."""
        try:
            self.wipe()
        finally:
            self._close_helper()
