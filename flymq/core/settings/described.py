"""Settings as DescribeConfigs and CreateTopics show them: value, source, synonyms.

Source: ConfigHelper in Apache Kafka 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from flymq.core.settings.broker_config import BrokerConfig
from flymq.core.settings.broker_settings import BROKER_SETTINGS
from flymq.core.settings.group_settings import GROUP_SETTINGS
from flymq.core.settings.metrics_settings import CLIENT_METRICS_SETTINGS
from flymq.core.settings.setting import Setting
from flymq.core.settings.topic_config import TopicConfig
from flymq.core.settings.topic_settings import TOPIC_SETTINGS


class ConfigSource(IntEnum):
    """Where a value comes from, numbered as in DescribeConfigs v1+."""

    TOPIC = 1
    BROKER = 2
    DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


class Synonym:
    """A place that could have set the value, and what it says."""

    __slots__ = ("name", "source", "value")

    def __init__(self, name: str, value: str | None, source: ConfigSource) -> None:
        self.name = name
        self.value = value
        self.source = source


class Described:
    """One setting. `value` is None where it is unset, or not to be shown; `synonyms` from first to last resort."""

    __slots__ = ("setting", "synonyms", "value")

    def __init__(self, setting: Setting, value: str | None, synonyms: list[Synonym]) -> None:
        self.setting = setting
        self.value = None if setting.sensitive else value
        self.synonyms = synonyms

    @property
    def source(self) -> ConfigSource:
        return self.synonyms[0].source if self.synonyms else ConfigSource.DEFAULT


def describe_topic(broker: BrokerConfig, overrides: Mapping[str, str]) -> list[Described]:
    """Every topic setting; `overrides` as `check_overrides` gave them."""
    config = TopicConfig.in_force(broker, overrides)
    described = []
    for name, setting in TOPIC_SETTINGS.items():
        value = config.text(name)
        synonyms = _broker_synonyms(broker, setting.synonyms)
        if name in overrides:
            synonyms.insert(0, Synonym(name, value, ConfigSource.TOPIC))
        described.append(Described(setting, value, synonyms))
    return described


def describe_broker(broker: BrokerConfig) -> list[Described]:
    """Every broker setting."""
    return [
        Described(setting, broker.text(name), _broker_synonyms(broker, _SYNONYMS.get(name, (name,))))
        for name, setting in BROKER_SETTINGS.items()
    ]


def describe_cluster(broker: BrokerConfig) -> list[Described]:
    """What is set at run time for all brokers."""
    return [
        Described(BROKER_SETTINGS[name], text, [Synonym(name, text, ConfigSource.DEFAULT_BROKER)])
        for name, text in sorted(broker.cluster.items())
    ]


def describe_group(broker: BrokerConfig, own: Mapping[str, str]) -> list[Described]:
    """Every setting of a group; `own` as `check_group` gave them."""
    described = []
    for name, setting in GROUP_SETTINGS.items():
        if setting.synonyms[0] in BROKER_SETTINGS:
            synonyms = _broker_synonyms(broker, setting.synonyms)
        else:  # of a kind of group that FlyMQ does not have, nor its broker's setting
            synonyms = [Synonym(setting.synonyms[0], setting.default, ConfigSource.DEFAULT)]
        value = synonyms[0].value
        if name in own:
            value = own[name]
            synonyms.insert(0, Synonym(name, value, ConfigSource.GROUP))
        described.append(Described(setting, value, synonyms))
    return described


def describe_client_metrics(own: Mapping[str, str]) -> list[Described]:
    """Every setting of a subscription to clients' metrics."""
    return [
        Described(
            setting,
            own.get(name, setting.default),
            [Synonym(name, own[name], ConfigSource.CLIENT_METRICS)] if name in own else [],
        )
        for name, setting in CLIENT_METRICS_SETTINGS.items()
    ]


_SYNONYMS = {
    name: setting.synonyms[at:] for setting in TOPIC_SETTINGS.values() for at, name in enumerate(setting.synonyms)
}
"""Of broker settings, too: `log.retention.ms` falls back to `log.retention.minutes`, and that to hours."""


def _broker_synonyms(broker: BrokerConfig, names: tuple[str, ...]) -> list[Synonym]:
    """Set values first, the most specific layer leading, then defaults; nothing before the first name's own entry.

    So the default `log.retention.hours` does not show under retention.ms, whose first synonym is
    `log.retention.ms`: as in Kafka, where clients rely on the first entry being the setting asked for.
    """
    synonyms = []
    for name in names:
        if name in broker.own:
            synonyms.append(Synonym(name, _shown(name, broker.own[name]), ConfigSource.BROKER))
    for name in names:
        if name in broker.cluster:
            synonyms.append(Synonym(name, _shown(name, broker.cluster[name]), ConfigSource.DEFAULT_BROKER))
    for name in names:
        if broker.is_set(name):
            synonyms.append(Synonym(name, _shown(name, broker.static_text(name)), ConfigSource.STATIC_BROKER))
    for name in names:
        default = broker.default_text(name)
        if default is not None:
            synonyms.append(Synonym(name, default, ConfigSource.DEFAULT))
    own = (index for index, synonym in enumerate(synonyms) if synonym.name == names[0])
    return synonyms[next(own, len(synonyms)) :]


def _shown(name: str, text: str | None) -> str | None:
    return None if BROKER_SETTINGS[name].sensitive else text
