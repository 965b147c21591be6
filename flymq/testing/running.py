"""A broker on the running loop, for tests: started with topics, wiped, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from flymq.broker.app import Broker
from flymq.core.catalog import NewTopic, TopicError
from flymq.core.group.events import LeaveGroup
from flymq.core.settings import BrokerConfig, SettingError, to_text
from flymq.env import Token, gather
from flymq.testing.requests import RequestLog
from flymq_protocol.errors import ErrorCode

HOST = "127.0.0.1"
STOP_GRACE_S = 1.0
# Nobody wants to wait for more members in a test, or five seconds for a member's next heartbeat.
_DEFAULTS = {
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.assignment.interval.ms": "0",
    "group.consumer.heartbeat.interval.ms": "200",
}


def broker_config(config: Mapping[str, Any], port: int, who: str) -> BrokerConfig:
    """Settings for a broker of a test. Raises `SettingError` for one that there is not, or its value."""
    if not isinstance(config, Mapping):
        raise TypeError(f'{who}(config=...) is {{name: value}}, such as {{"num.partitions": 3}}, not {config!r:.60}')
    own = {**_DEFAULTS, "listeners": f"PLAINTEXT://{HOST}:{port}"}
    try:
        return BrokerConfig(
            [
                {name: (text, who) for name, text in own.items()},
                {name: (to_text(value), f"{who}(config=...)") for name, value in config.items()},
            ]
        )
    except SettingError as error:
        error.add_note(error.hint)  # a traceback shows it
        raise


class RunningBroker:
    """Everything here is called on the loop that it runs on."""

    def __init__(self, config: BrokerConfig, data_dir: str | None) -> None:
        self.requests = RequestLog()
        self._broker = Broker(config, data_dir, on_request=self.requests.saw)

    async def start(self, topics: Mapping[str, int]) -> int:
        """Listen, create topics; the port. Raises `EngineError`, ValueError for a topic that can't be."""
        await self._broker.start()
        try:
            await self.create(topics)
        except BaseException:
            await self.stop()
            raise
        return self._broker.addresses[0][1]

    async def stop(self) -> None:
        await self._broker.stop(STOP_GRACE_S)

    async def create(self, topics: Mapping[str, int]) -> None:
        """Create those of the topics that are missing. Raises ValueError."""
        known = self._broker.services.topics
        wanted = [NewTopic(name, count) for name, count in topics.items() if known.get(name) is None]
        results = await _done(gather([known.create(new) for new in wanted]))
        for new, result in zip(wanted, results, strict=True):
            if isinstance(result, TopicError):
                raise ValueError(f"topic {new.name} can't be created: {result.message}")

    async def wipe(self) -> None:
        """As if just started: no topics but Kafka's own, no groups, offsets, seen requests, and no settings but those
        it was started with. Clients stay connected.

        Raises RuntimeError for what the broker does not give up.
        """
        while names := await self._group_ids():
            await self._evict(names)
            await _done(self._broker.services.groups.delete(names))  # fails, and is tried again, where one came back
        topics = self._broker.services.topics
        for result in await _done(gather([topics.delete(topic) for topic in topics.all() if not topic.is_internal])):
            if isinstance(result, TopicError) and result.code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise RuntimeError(f"the broker can't be wiped: {result.message}")
        await _done(self._broker.services.settings.clear())
        self.requests.clear()

    async def _group_ids(self) -> list[str]:
        return [group.group_id for group in await _done(self._broker.services.groups.list_groups(frozenset()))]

    async def _evict(self, names: list[str]) -> None:
        groups = self._broker.services.groups
        described = await _done(groups.describe(names)) + await _done(groups.describe_consumer_groups(names))
        leaving = [
            LeaveGroup(group.group_id, [(member.member_id, member.instance_id) for member in group.members])
            for group in described
            if getattr(group, "members", None)
        ]
        await _done(gather([groups.request(event) for event in leaving]))


async def _done(token: Token) -> Any:
    if token.done:
        return token.result  # in memory everything is: no client gets a word in
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    token.then(future.set_result)
    return await future
