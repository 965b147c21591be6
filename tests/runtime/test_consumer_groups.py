"""Consumer groups (KIP-848) as the broker runs them: topics that change, restarts, what waits for the disk."""

from __future__ import annotations

from typing import Any

import pytest

from flymq.broker.config import BrokerConfig
from flymq.core.group.consumer.events import ConsumerGroupDescription, ConsumerHeartbeat, HeartbeatResult
from flymq.env import Token
from flymq.runtime.groups import Groups
from flymq_protocol.errors import ErrorCode

from .test_groups import SeededEnv, Store

T, U = b"t" * 16, b"u" * 16


class SlowStore(Store):
    """Reports what was written while `slow` at `release` only."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self._held: list[Token] = []

    def write(self, *arguments: Any, **options: Any) -> Token:
        written = super().write(*arguments, **options)
        if not self.slow:
            return written
        self._held.append(Token())
        return self._held[-1]

    def release(self) -> None:
        for token in self._held:
            token.complete(None)


class World:
    """Groups over a store that survives `restart`."""

    def __init__(self, **settings: str) -> None:
        self.store = SlowStore()
        self.config = BrokerConfig([{
            name: (value, "test") for name, value in {"group.consumer.assignment.interval.ms": "0", **settings}.items()
        }])
        self.fatal: list[BaseException] = []
        self.start({"t": (T, 2)})

    def start(self, topics: dict[str, tuple[bytes, int]]) -> None:
        self.env = SeededEnv()
        self.groups = Groups(self.env, self.store, self.config, self.fatal.append)
        for name, (topic_id, count) in topics.items():
            self.groups.topic_changed(name, topic_id, count)
        ids = [topic_id for topic_id, _ in topics.values()]
        self.groups.load(lambda topic_id: topic_id in ids)

    def send(self, member_id: str, epoch: int, group_id: str = "g", **fields: Any) -> Token:
        if epoch == 0:
            fields = {"topic_names": frozenset({"t", "u"}), "owned": frozenset(), "rebalance_timeout_ms": 1, **fields}
        return self.groups.request(ConsumerHeartbeat(group_id, member_id, epoch, **fields))

    def beat(self, member_id: str, epoch: int, **fields: Any) -> HeartbeatResult:
        token = self.send(member_id, epoch, **fields)
        assert isinstance(token.result, HeartbeatResult)
        return token.result


@pytest.fixture
def world() -> World:
    return World()


def test_topics_reach_groups_of_every_shard(world: World) -> None:
    names = ["g", "h", "i"]
    for group_id in names:
        assert world.beat("m", 0, group_id=group_id).assignment == [(T, 0), (T, 1)]
    world.groups.topic_changed("t", T, 3)
    world.groups.topic_changed("u", U, 1)
    for group_id in names:
        assert world.beat("m", 1, group_id=group_id).assignment == [(T, 0), (T, 1), (T, 2), (U, 0)]
    world.groups.topic_deleted(T)
    for group_id in names:
        assert world.beat("m", 3, group_id=group_id).assignment == [(U, 0)]


@pytest.mark.parametrize(
    ("topics", "epoch", "assignment"),
    [
        ({"t": (T, 2)}, 1, None),
        ({"t": (T, 3)}, 2, [(T, 0), (T, 1), (T, 2)]),
        ({"t": (U, 1)}, 1, [(U, 0)]),  # it has T-0 and T-1 to give up first
    ],
)
def test_a_restart_brings_a_group_back(
    world: World, topics: dict[str, tuple[bytes, int]], epoch: int, assignment: Any
) -> None:
    world.beat("m", 0)
    world.start(topics)
    told = world.beat("m", 1)
    if assignment == [(U, 0)]:
        assert told.assignment == []
        told = world.beat("m", 1, owned=frozenset())
        epoch = 2
    assert (told.error, told.member_epoch, told.assignment) == (ErrorCode.NONE, epoch, assignment)


def test_an_assignment_is_told_once_it_is_durable(world: World) -> None:
    world.store.slow = True
    token = world.send("m", 0)
    assert not token.done
    world.store.release()
    assert token.result.assignment == [(T, 0), (T, 1)]


def test_a_group_of_its_own_settings(world: World) -> None:
    world.groups.consumer_settings.configure("g", {"consumer.heartbeat.interval.ms": "7777"})
    assert world.beat("m", 0).heartbeat_interval_ms == 7777
    assert world.beat("m", 0, group_id="h").heartbeat_interval_ms == 5000


def test_describing_lists_what_there_is_in_order(world: World) -> None:
    world.beat("m", 0)
    found, missing = world.groups.describe_consumer_groups(["g", "nobody"]).result
    assert isinstance(found, ConsumerGroupDescription)
    assert (found.group_id, found.state, found.topic_names) == ("g", "Stable", {T: "t"})
    assert missing == "Group nobody not found."


def test_a_session_ends_on_the_brokers_clock() -> None:
    world = World(**{"group.consumer.session.timeout.ms": "1000"})
    world.beat("m", 0)
    world.env.advance(999)
    assert world.beat("m", 1).error == ErrorCode.NONE
    world.env.advance(1000)
    assert world.beat("m", 1).error == ErrorCode.UNKNOWN_MEMBER_ID
