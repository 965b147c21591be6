"""Settings as DescribeConfigs and CreateTopics show them: value, source, synonyms.

Source: ConfigHelper in Apache Kafka 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from flymq.core.settings.broker_config import BrokerConfig
from flymq.core.settings.broker_settings import BROKER_SETTINGS
from flymq.core.settings.setting import Setting
from flymq.core.settings.topic_config import TopicConfig
from flymq.core.settings.topic_settings import TOPIC_SETTINGS


class ConfigSource(IntEnum):
    """Where a value comes from, numbered as in DescribeConfigs v1+."""

    TOPIC = 1
    STATIC_BROKER = 4
    DEFAULT = 5


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


def describe_topic(broker: BrokerConfig, overrides: Mapping[str, str | None]) -> list[Described]:
    """Every topic setting. SettingError where `overrides` aren't valid."""
    config = TopicConfig.of(broker, overrides)
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
        Described(setting, broker.text(name), _broker_synonyms(broker, (name,)))
        for name, setting in BROKER_SETTINGS.items()
    ]


def _broker_synonyms(broker: BrokerConfig, names: tuple[str, ...]) -> list[Synonym]:
    """Set values first, then defaults; nothing before the first name's own entry.

    So the default `log.retention.hours` does not show under retention.ms, whose first synonym is
    `log.retention.ms`: as in Kafka, where clients rely on the first entry being the setting asked for.
    """
    synonyms = [
        Synonym(name, _shown(broker, name), ConfigSource.STATIC_BROKER) for name in names if broker.is_set(name)
    ]
    for name in names:
        default = broker.default_text(name)
        if default is not None:
            synonyms.append(Synonym(name, default, ConfigSource.DEFAULT))
    own = (index for index, synonym in enumerate(synonyms) if synonym.name == names[0])
    return synonyms[next(own, len(synonyms)) :]


def _shown(broker: BrokerConfig, name: str) -> str | None:
    return None if BROKER_SETTINGS[name].sensitive else broker.text(name)
