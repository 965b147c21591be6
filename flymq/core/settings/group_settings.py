"""The settings of a group (KIP-1043), with the broker's as defaults and as bounds.

Those of share and streams groups, which FlyMQ does not have, are validated, stored and shown; their bounds are
Kafka's defaults of the broker settings that would bound them.
Source: GroupConfig in Apache Kafka 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flymq.core.settings.broker_config import BrokerConfig
from flymq.core.settings.resources import checked
from flymq.core.settings.setting import (
    BOOLEAN,
    INT,
    STRING,
    Rule,
    Setting,
    SettingError,
    at_least,
    between,
    one_of,
    table,
)

_DURATION = re.compile(r"by_duration:-?P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?\Z")

_share_reset = Rule(
    "earliest, latest, or by_duration:<PnDTnHnMn.nS>",
    lambda text: text in ("earliest", "latest") or bool(_DURATION.match(text)),
)


def _consumer(name: str, default: str, low: int, doc: str) -> Setting:
    return Setting(name, INT, default, doc, at_least(low), dynamic=True, synonyms=(f"group.{name}",))


def _other(name: str, default: str, rule: Rule) -> Setting:
    doc = f"Of {name.partition('.')[0]} groups, which FlyMQ does not have. Without effect."
    return Setting(name, INT, default, doc, rule, dynamic=True, synonyms=(f"group.{name}",))


GROUP_SETTINGS = table(
    [
        _consumer("consumer.assignment.interval.ms", "1000", 0, "Least time between two assignments of the group."),
        _consumer("consumer.heartbeat.interval.ms", "5000", 1, "How often the group's members report to the broker."),
        _consumer("consumer.session.timeout.ms", "45000", 1,
                  "How long after its last heartbeat a member of the group is taken for dead."),
        _other("share.assignment.interval.ms", "1000", between(0, 15000)),
        Setting("share.auto.offset.reset", STRING, "latest",
                "Of share groups, which FlyMQ does not have. Without effect.", _share_reset, dynamic=True,
                synonyms=("share.auto.offset.reset",)),
        _other("share.delivery.count.limit", "5", between(2, 10)),
        _other("share.heartbeat.interval.ms", "5000", between(5000, 15000)),
        Setting("share.isolation.level", STRING, "read_uncommitted",
                "Of share groups, which FlyMQ does not have. Without effect.",
                one_of("read_committed", "read_uncommitted"), dynamic=True,
                synonyms=("share.isolation.level",)),
        _other("share.partition.max.record.locks", "2000", between(100, 4000)),
        _other("share.record.lock.duration.ms", "30000", between(15000, 60000)),
        Setting("share.renew.acknowledge.enable", BOOLEAN, "true",
                "Of share groups, which FlyMQ does not have. Without effect.", dynamic=True,
                synonyms=("share.renew.acknowledge.enable",)),
        _other("share.session.timeout.ms", "45000", between(45000, 60000)),
        _other("streams.assignment.interval.ms", "1000", between(0, 15000)),
        _other("streams.heartbeat.interval.ms", "5000", between(5000, 15000)),
        _other("streams.initial.rebalance.delay.ms", "3000", at_least(0)),
        _other("streams.num.standby.replicas", "0", between(0, 2)),
        _other("streams.session.timeout.ms", "45000", between(45000, 60000)),
    ]
)  # fmt: skip

_BOUNDED = ("assignment.interval.ms", "heartbeat.interval.ms", "session.timeout.ms")


def _in_force(broker: BrokerConfig, own: Mapping[str, str], name: str) -> int:
    """Of one of the `consumer.` settings: the group's own, else the broker's."""
    return int(own[name]) if name in own else broker.int(f"group.{name}")


def check_group(broker: BrokerConfig, values: Mapping[str, str]) -> dict[str, str]:
    """A group's own settings in canonical text. SettingError where they can't be: name, type, the broker's bounds."""
    own = checked(GROUP_SETTINGS, values, "group")
    for name in _BOUNDED:
        if f"consumer.{name}" in own:
            value = int(own[f"consumer.{name}"])
            for end, word, is_beyond in (("min", "greater", int.__lt__), ("max", "less", int.__gt__)):
                bound = f"group.consumer.{end}.{name}"
                if is_beyond(value, broker.int(bound)):
                    raise SettingError(
                        f"consumer.{name}",
                        f"consumer.{name} must be {word} than or equal to {bound}",
                        f"that is {broker.int(bound)}",
                    )
    heartbeat_interval_ms = _in_force(broker, own, "consumer.heartbeat.interval.ms")
    if _in_force(broker, own, "consumer.session.timeout.ms") <= heartbeat_interval_ms:
        raise SettingError(
            "consumer.session.timeout.ms",
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms",
            f"that is {heartbeat_interval_ms}",
        )
    return own
