"""Settings of the broker and of topics: what there is, what each may be, and what is in force.

Loading them from files, the environment and flags is `flymq.broker.config`'s.
"""

from flymq.core.settings.broker_config import DEFAULT_ORIGIN, BrokerConfig, Layer
from flymq.core.settings.broker_settings import BROKER_SETTINGS, OWN_DEFAULTS
from flymq.core.settings.described import ConfigSource, Described, Synonym, describe_broker, describe_topic
from flymq.core.settings.listeners import Listener, host_port, parse_host_port
from flymq.core.settings.setting import ConfigType, Setting, SettingError, did_you_mean, to_text
from flymq.core.settings.topic_config import TopicConfig, check_overrides
from flymq.core.settings.topic_settings import TOPIC_SETTINGS
from flymq.core.settings.unused_settings import UNUSED_SETTINGS, is_unused

__all__ = [
    "BROKER_SETTINGS",
    "DEFAULT_ORIGIN",
    "OWN_DEFAULTS",
    "TOPIC_SETTINGS",
    "UNUSED_SETTINGS",
    "BrokerConfig",
    "ConfigSource",
    "ConfigType",
    "Described",
    "Layer",
    "Listener",
    "Setting",
    "SettingError",
    "Synonym",
    "TopicConfig",
    "check_overrides",
    "describe_broker",
    "describe_topic",
    "did_you_mean",
    "host_port",
    "is_unused",
    "parse_host_port",
    "to_text",
]
