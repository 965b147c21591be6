"""Settings of brokers, topics, groups and metrics: what there is, what each may be, and what is in force.

Loading them from files, the environment and flags is `flymq.broker.config`'s.
"""

from flymq.core.settings.broker_config import DEFAULT_ORIGIN, BrokerConfig, Layer
from flymq.core.settings.broker_settings import BROKER_SETTINGS, OWN_DEFAULTS, OWN_READ_ONLY
from flymq.core.settings.described import (
    ConfigSource,
    Described,
    Synonym,
    describe_broker,
    describe_client_metrics,
    describe_cluster,
    describe_group,
    describe_topic,
)
from flymq.core.settings.group_settings import GROUP_SETTINGS, check_group
from flymq.core.settings.listeners import Listener, host_port, parse_host_port
from flymq.core.settings.metrics_settings import CLIENT_METRICS_SETTINGS
from flymq.core.settings.resources import (
    Change,
    Operation,
    ResourceError,
    ResourceType,
    altered,
    checked,
    checked_dynamic,
)
from flymq.core.settings.setting import ConfigType, Setting, SettingError, did_you_mean, to_text
from flymq.core.settings.topic_config import TopicConfig, check_overrides
from flymq.core.settings.topic_settings import TOPIC_SETTINGS
from flymq.core.settings.unused_settings import UNUSED_SETTINGS, is_unused

__all__ = [
    "BROKER_SETTINGS",
    "CLIENT_METRICS_SETTINGS",
    "DEFAULT_ORIGIN",
    "GROUP_SETTINGS",
    "OWN_DEFAULTS",
    "OWN_READ_ONLY",
    "TOPIC_SETTINGS",
    "UNUSED_SETTINGS",
    "BrokerConfig",
    "Change",
    "ConfigSource",
    "ConfigType",
    "Described",
    "Layer",
    "Listener",
    "Operation",
    "ResourceError",
    "ResourceType",
    "Setting",
    "SettingError",
    "Synonym",
    "TopicConfig",
    "altered",
    "check_group",
    "check_overrides",
    "checked",
    "checked_dynamic",
    "describe_broker",
    "describe_client_metrics",
    "describe_cluster",
    "describe_group",
    "describe_topic",
    "did_you_mean",
    "host_port",
    "is_unused",
    "parse_host_port",
    "to_text",
]
