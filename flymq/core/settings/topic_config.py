"""A topic's settings as they are in force: its own, else the broker's, else Kafka's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flymq.core.settings.broker_config import BrokerConfig
from flymq.core.settings.resources import checked
from flymq.core.settings.setting import LONG_MAX, SettingError, to_text
from flymq.core.settings.topic_settings import TOPIC_SETTINGS

# Broker settings in another unit than the topic setting they stand for, in milliseconds.
_UNIT_MS = {
    "log.retention.hours": 3_600_000,
    "log.retention.minutes": 60_000,
    "log.roll.hours": 3_600_000,
    "log.roll.jitter.hours": 3_600_000,
}

_CODECS = {"producer": -1, "uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def check_overrides(overrides: Mapping[str, str | None]) -> dict[str, str]:
    """A topic's own settings, each in its canonical text.

    SettingError for a name that isn't a topic setting, a null, a value it can't have, or two that
    contradict each other.
    """
    return checked(TOPIC_SETTINGS, overrides, "topic")


class TopicConfig:
    """The settings that the log acts on, as plain attributes; `value` gives any.

    Sizes are in bytes and times in milliseconds. -1 (retention) is no limit.
    """

    __slots__ = (
        "_values",
        "batch_bytes_max",
        "codec",
        "codec_level",
        "compact",
        "compression_gzip_level",
        "compression_lz4_level",
        "compression_type",
        "compression_zstd_level",
        "delete",
        "delete_retention_ms",
        "index_interval_bytes",
        "is_plain",
        "jitter_ms",
        "log_append_time",
        "max_compaction_lag_ms",
        "max_message_bytes",
        "min_cleanable_dirty_ratio",
        "min_compaction_lag_ms",
        "retention_bytes",
        "retention_ms",
        "roll_ms",
        "roll_ms_min",
        "segment_bytes",
        "segment_jitter_ms",
        "segment_ms",
        "timestamp_after_max_ms",
        "timestamp_before_max_ms",
    )

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values`: the parsed value of every topic setting."""
        self._values = values
        self.compact: bool = "compact" in values["cleanup.policy"]
        self.delete: bool = "delete" in values["cleanup.policy"]
        self.compression_type: str = values["compression.type"]
        self.compression_gzip_level: int = values["compression.gzip.level"]
        self.compression_lz4_level: int = values["compression.lz4.level"]
        self.compression_zstd_level: int = values["compression.zstd.level"]
        self.delete_retention_ms: int = values["delete.retention.ms"]
        self.index_interval_bytes: int = values["index.interval.bytes"]
        self.log_append_time: bool = values["message.timestamp.type"] == "LogAppendTime"
        self.max_compaction_lag_ms: int = values["max.compaction.lag.ms"]
        self.max_message_bytes: int = values["max.message.bytes"]
        self.min_cleanable_dirty_ratio: float = values["min.cleanable.dirty.ratio"]
        self.min_compaction_lag_ms: int = values["min.compaction.lag.ms"]
        self.retention_bytes: int = values["retention.bytes"]
        self.retention_ms: int = values["retention.ms"]
        self.segment_bytes: int = values["segment.bytes"]
        self.batch_bytes_max = min(self.max_message_bytes, self.segment_bytes)
        self.segment_jitter_ms: int = values["segment.jitter.ms"]
        self.segment_ms: int = values["segment.ms"]
        # A compacted topic rolls in time for max.compaction.lag.ms, too: only what is rolled is cleaned.
        self.roll_ms: int = min(self.segment_ms, self.max_compaction_lag_ms) if self.compact else self.segment_ms
        self.jitter_ms: int = min(self.segment_jitter_ms, self.roll_ms - 1)
        self.roll_ms_min: int = self.roll_ms - self.jitter_ms
        self.timestamp_after_max_ms: int = values["message.timestamp.after.max.ms"]
        self.timestamp_before_max_ms: int = values["message.timestamp.before.max.ms"]
        # Of the record batches; -1: as the producer has it.
        self.codec: int = _CODECS[self.compression_type]
        self.codec_level: int | None = values.get(f"compression.{self.compression_type}.level")
        # Produce has nothing to do but what every topic needs.
        self.is_plain: bool = self.codec < 0 and not self.compact

    @classmethod
    def of(cls, broker: BrokerConfig, overrides: Mapping[str, str | None]) -> TopicConfig:
        """What is in force for a topic with `overrides`. SettingError as in `check_overrides`."""
        config = cls.in_force(broker, check_overrides(overrides))
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms:
            raise SettingError(
                "min.compaction.lag.ms",
                f"min.compaction.lag.ms {config.min_compaction_lag_ms} is above "
                f"max.compaction.lag.ms {config.max_compaction_lag_ms}",
                "lower the former or raise the latter",
            )
        return config

    @classmethod
    def in_force(cls, broker: BrokerConfig, own: Mapping[str, str]) -> TopicConfig:
        """As `of`, for a topic's own settings that were checked before: the broker's may have changed since."""
        return cls({
            name: setting.parse(own[name]) if name in own else broker_value(broker, name)
            for name, setting in TOPIC_SETTINGS.items()
        })  # fmt: skip

    def value(self, name: str) -> Any:
        """The parsed value of any topic setting. KeyError for another name."""
        return self._values[name]

    def text(self, name: str) -> str:
        """The value of any topic setting as Kafka shows it."""
        return to_text(self._values[name])


def broker_value(broker: BrokerConfig, name: str) -> Any:
    """What a topic setting is where the topic doesn't say: the first of its synonyms that has a value.

    Source: AbstractKafkaConfig.logRetentionTimeMillis and its like; a negative retention is no limit.
    """
    setting = TOPIC_SETTINGS[name]
    for synonym in setting.synonyms:
        value = broker.get(synonym)
        if value is not None:
            unit_ms = _UNIT_MS.get(synonym)
            if unit_ms is not None:
                value = min(value * unit_ms, LONG_MAX)
            return -1 if name == "retention.ms" and value < 0 else value
    assert setting.default is not None
    return setting.parse(setting.default)
