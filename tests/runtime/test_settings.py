"""Settings changed at run time, over a store that answers late or not at all."""

from __future__ import annotations

import logging

import pytest

from flymq.core.settings import BrokerConfig, ResourceType, SettingError
from flymq.runtime.settings import Settings
from flymq.storage.api import Unavailable

from .test_topics import LateShards

BROKER, METRICS, GROUP = ResourceType.BROKER, ResourceType.CLIENT_METRICS, ResourceType.GROUP


class World:
    def __init__(self) -> None:
        self.shards = LateShards()
        self.start()

    def start(self) -> None:
        """A broker starts on what the store has."""
        self.config = BrokerConfig([{"log.retention.ms": ("100", "file:1")}])
        self.changed: list[frozenset[str]] = []
        self.config.on_changed.append(self.changed.append)
        self.told: list[tuple[str, dict[str, str]]] = []
        self.settings = Settings(self.shards, self.config)
        self.settings.on_group_changed.append(lambda group, own: self.told.append((group, dict(own))))
        self.settings.load()


@pytest.fixture
def world() -> World:
    return World()


def test_a_brokers_settings_are_durable_then_in_force_and_there_after_a_restart(world: World) -> None:
    changed = world.settings.change(BROKER, "1", {"log.retention.ms": "5"})
    assert (changed.done, world.config.get("log.retention.ms"), world.changed) == (False, 100, [])
    world.shards.complete()
    assert (changed.done, changed.result, world.config.get("log.retention.ms")) == (True, None, 5)
    assert world.changed == [{"log.retention.ms"}]
    world.start()
    assert world.config.get("log.retention.ms") == 5
    world.settings.change(BROKER, "1", {})
    world.shards.complete()
    assert (world.config.get("log.retention.ms"), world.shards.rows["configs"]) == (100, {})


def test_this_brokers_go_before_those_of_all(world: World) -> None:
    world.settings.change(BROKER, "", {"log.retention.ms": "7", "max.connections": "9"})
    world.shards.complete()
    world.settings.change(BROKER, "1", {"log.retention.ms": "5"})
    world.shards.complete()
    assert (world.config.get("log.retention.ms"), world.config.int("max.connections")) == (5, 9)
    world.start()
    assert (world.config.get("log.retention.ms"), world.config.int("max.connections")) == (5, 9)
    assert world.changed == [{"log.retention.ms", "max.connections"}]


def test_changes_under_way_build_on_each_other(world: World) -> None:
    world.settings.change(GROUP, "g", {"consumer.session.timeout.ms": "50000"})
    latest = world.settings.latest(GROUP, "g")
    assert (latest, world.settings.own(GROUP, "g")) == ({"consumer.session.timeout.ms": "50000"}, {})
    world.settings.change(GROUP, "g", {**latest, "consumer.heartbeat.interval.ms": "6000"})
    world.shards.complete()
    world.shards.complete()
    found = {"consumer.session.timeout.ms": "50000", "consumer.heartbeat.interval.ms": "6000"}
    assert world.settings.own(GROUP, "g") == found
    assert (world.settings.named(GROUP), world.settings.own(GROUP, "another")) == (["g"], {})


def test_a_failed_change_leaves_what_was_there_and_fails_what_builds_on_it(world: World) -> None:
    world.settings.change(METRICS, "m", {"interval.ms": "1000"})
    world.shards.complete()
    before = dict(world.shards.rows["configs"])
    first = world.settings.change(METRICS, "m", {"interval.ms": "2000"})
    second = world.settings.change(METRICS, "m", {"interval.ms": "2000", "metrics": "a"})
    world.shards.complete(Unavailable("no disk"))
    world.shards.complete()
    assert isinstance(first.result, Unavailable)
    assert isinstance(second.result, Unavailable)
    assert (world.settings.own(METRICS, "m"), world.shards.rows["configs"]) == ({"interval.ms": "1000"}, before)
    world.settings.change(METRICS, "m", {"interval.ms": "3000"})
    world.shards.complete()
    assert world.settings.own(METRICS, "m") == {"interval.ms": "3000"}


def test_everything_is_taken_back(world: World) -> None:
    world.settings.change(BROKER, "1", {"log.retention.ms": "5"})
    world.settings.change(GROUP, "g", {"consumer.session.timeout.ms": "50000"})
    world.shards.complete()
    world.shards.complete()
    world.settings.clear()
    world.shards.complete()
    world.shards.complete()
    assert (world.config.get("log.retention.ms"), world.settings.named(GROUP)) == (100, [])
    assert world.shards.rows["configs"] == {}


def test_groups_are_told_and_told_again_at_a_start(world: World) -> None:
    own = {"consumer.session.timeout.ms": "50000"}
    world.settings.change(GROUP, "g", own)
    world.settings.change(METRICS, "m", {"interval.ms": "1000"})
    world.shards.complete()
    world.shards.complete()
    assert world.told == [("g", own)]
    world.start()
    assert world.told == [("g", own)]
    world.settings.change(GROUP, "g", {})
    world.shards.complete()
    assert world.told == [("g", own), ("g", {})]


def test_a_groups_own_settings_may_not_contradict_each_other_or_the_broker(world: World) -> None:
    names = ("group.consumer.min.session.timeout.ms", "group.consumer.min.heartbeat.interval.ms")
    settings = Settings(world.shards, BrokerConfig([dict.fromkeys(names, ("1", "test"))]))
    assert settings.check(GROUP, {"consumer.session.timeout.ms": " 5001 "}) == {"consumer.session.timeout.ms": "5001"}
    with pytest.raises(SettingError, match=r"greater than consumer\.heartbeat\.interval\.ms"):
        settings.check(GROUP, {"consumer.session.timeout.ms": "5000"})
    settings.check(GROUP, {"consumer.session.timeout.ms": "2000", "consumer.heartbeat.interval.ms": "1999"})
    with pytest.raises(SettingError, match=r"less than or equal to group\.consumer\.max\.session\.timeout\.ms"):
        settings.check(GROUP, {"consumer.session.timeout.ms": "60001"})


def test_what_this_version_does_not_know_is_left_out_and_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.shards.rows["configs"] = {
        "broker/1": '{"log.retention.ms":"5","no.such":"1","max.connections":"x"}',
        "group/g": '{"consumer.session.timeout.ms":"1"}',
        "group/h": '{"consumer.heartbeat.interval.ms":"50000"}',
    }
    with caplog.at_level(logging.WARNING):
        world.start()
    assert world.settings.own(BROKER, "1") == {"log.retention.ms": "5"}
    assert world.settings.own(GROUP, "g") == world.settings.own(GROUP, "h") == {}
    assert {record.getMessage().split(" ")[0] for record in caplog.records} == {
        "no.such", "max.connections", "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms",
    }  # fmt: skip


def test_what_contradicts_a_new_default_of_the_broker_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    shards = LateShards()
    shards.rows["configs"] = {"group/g": '{"consumer.heartbeat.interval.ms":"6000"}'}
    settings = Settings(shards, BrokerConfig([{"group.consumer.session.timeout.ms": ("5500", "test")}]))
    settings.load()
    assert settings.own(GROUP, "g") == {}
    assert "consumer.session.timeout.ms of group/g is left out" in caplog.text


def test_values_that_cannot_be_change_nothing() -> None:
    config = BrokerConfig()
    config.set_dynamic({"log.retention.ms": "5"}, {})
    with pytest.raises(ValueError, match=r"max\.connections"):
        config.set_dynamic({"max.connections": "x"}, {})
    with pytest.raises(KeyError):
        config.set_dynamic({}, {"no.such": "1"})
    assert (config.get("log.retention.ms"), config.own, config.cluster) == (5, {"log.retention.ms": "5"}, {})
