"""The settings of a topic: all that Kafka 4.3 has, with its types, limits and defaults.

Those that have no meaning on one node are validated, stored and shown, so that tools written for Kafka
find what they expect.
Source: LogConfig and ServerTopicConfigSynonyms in Apache Kafka 4.3; KIP-1161 for lists.
"""

from __future__ import annotations

import re

from flymq.core.settings.setting import (
    BOOLEAN,
    DOUBLE,
    INT,
    LIST,
    LONG,
    LONG_MAX,
    STRING,
    ConfigType,
    Rule,
    Setting,
    at_least,
    between,
    one_of,
    only,
    table,
)

COMPRESSION_TYPES = ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")
GZIP_LEVEL = Rule("from 1 to 9, or -1 for its own default", lambda level: level == -1 or 1 <= level <= 9)
LZ4_LEVEL = between(1, 17)
ZSTD_LEVEL = between(-131072, 22)
SEGMENT_BYTES_MIN = 1024 * 1024
TIMESTAMP_TYPES = ("CreateTime", "LogAppendTime")

_THROTTLED = re.compile(r"[0-9]+:[0-9]+\Z")

_throttled_replicas = Rule(
    "`*`, or pairs partition:broker",
    lambda values: values == ["*"] or all(_THROTTLED.match(value) for value in values),
)
_no_tiering = Rule("false: FlyMQ has no tiered storage", lambda enabled: not enabled)


def _topic(
    name: str,
    type_: ConfigType,
    default: str,
    rule: Rule | None,
    synonyms: tuple[str, ...],
    doc: str,
) -> Setting:
    return Setting(name, type_, default, doc, rule, dynamic=True, synonyms=synonyms)


TOPIC_SETTINGS = table(
    [
        _topic("cleanup.policy", LIST, "delete", only("compact", "delete"), ("log.cleanup.policy",),
               "What becomes of old records: delete removes them by age and size, compact keeps the last of each "
               "key, both do both, and an empty list keeps everything."),
        _topic("compression.gzip.level", INT, "-1", GZIP_LEVEL, ("compression.gzip.level",),
               "Effort of gzip where compression.type is gzip."),
        _topic("compression.lz4.level", INT, "9", LZ4_LEVEL, ("compression.lz4.level",),
               "Effort of lz4 where compression.type is lz4."),
        _topic("compression.type", STRING, "producer", one_of(*COMPRESSION_TYPES), ("compression.type",),
               "Codec in which batches are stored. producer keeps each batch as it was sent."),
        _topic("compression.zstd.level", INT, "3", ZSTD_LEVEL, ("compression.zstd.level",),
               "Effort of zstd where compression.type is zstd."),
        _topic("delete.retention.ms", LONG, "86400000", at_least(0), ("log.cleaner.delete.retention.ms",),
               "How long a compacted topic keeps tombstones, so that a reader that started earlier sees them."),
        _topic("file.delete.delay.ms", LONG, "60000", at_least(0), ("log.segment.delete.delay.ms",),
               "In Kafka, the wait before a deleted segment's file goes. Without effect: it goes once unread."),
        _topic("flush.messages", LONG, str(LONG_MAX), at_least(1), ("log.flush.interval.messages",),
               "In Kafka, records between forced flushes. Without effect: flymq.durability decides."),
        _topic("flush.ms", LONG, str(LONG_MAX), at_least(0),
               ("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
               "In Kafka, time between forced flushes. Without effect: flymq.durability decides."),
        _topic("follower.replication.throttled.replicas", LIST, "", _throttled_replicas, (),
               "Replicas whose copying is throttled at the follower. Without effect on one node."),
        _topic("index.interval.bytes", INT, "4096", at_least(0), ("log.index.interval.bytes",),
               "Bytes of log between two entries of the offset index."),
        _topic("leader.replication.throttled.replicas", LIST, "", _throttled_replicas, (),
               "Replicas whose copying is throttled at the leader. Without effect on one node."),
        _topic("local.retention.bytes", LONG, "-2", at_least(-2), ("log.local.retention.bytes",),
               "Of tiered storage, which FlyMQ does not have. Without effect."),
        _topic("local.retention.ms", LONG, "-2", at_least(-2), ("log.local.retention.ms",),
               "Of tiered storage, which FlyMQ does not have. Without effect."),
        _topic("max.compaction.lag.ms", LONG, str(LONG_MAX), at_least(1), ("log.cleaner.max.compaction.lag.ms",),
               "A compacted topic is cleaned at the latest this long after a record was written."),
        _topic("max.message.bytes", INT, "1048588", at_least(0), ("message.max.bytes",),
               "Largest record batch accepted, in bytes as sent, compressed."),
        _topic("message.timestamp.after.max.ms", LONG, "3600000", at_least(0),
               ("log.message.timestamp.after.max.ms",),
               "How far a record's own timestamp may be ahead of the broker's clock, under CreateTime."),
        _topic("message.timestamp.before.max.ms", LONG, str(LONG_MAX), at_least(0),
               ("log.message.timestamp.before.max.ms",),
               "How far a record's own timestamp may be behind the broker's clock, under CreateTime."),
        _topic("message.timestamp.type", STRING, "CreateTime", one_of(*TIMESTAMP_TYPES),
               ("log.message.timestamp.type",),
               "Whose time a record carries: the producer's (CreateTime) or the broker's (LogAppendTime)."),
        _topic("min.cleanable.dirty.ratio", DOUBLE, "0.5", between(0, 1), ("log.cleaner.min.cleanable.ratio",),
               "Share of a compacted log that must be not yet cleaned before cleaning it pays."),
        _topic("min.compaction.lag.ms", LONG, "0", at_least(0), ("log.cleaner.min.compaction.lag.ms",),
               "Records younger than this are not compacted away."),
        _topic("min.insync.replicas", INT, "1", at_least(1), ("min.insync.replicas",),
               "In-sync replicas that acks=all needs, or all replicas where they are fewer: on one node, the one."),
        _topic("preallocate", BOOLEAN, "false", None, ("log.preallocate",),
               "In Kafka, reserve a segment's file in full. Without effect in FlyMQ."),
        _topic("remote.log.copy.disable", BOOLEAN, "false", None, (),
               "Of tiered storage, which FlyMQ does not have. Without effect."),
        _topic("remote.log.delete.on.disable", BOOLEAN, "false", None, (),
               "Of tiered storage, which FlyMQ does not have. Without effect."),
        _topic("remote.storage.enable", BOOLEAN, "false", _no_tiering, (),
               "Tiered storage, which FlyMQ does not have: only false is accepted."),
        _topic("retention.bytes", LONG, "-1", None, ("log.retention.bytes",),
               "Size of a partition beyond which its oldest segments go. Negative: no limit."),
        _topic("retention.ms", LONG, "604800000", at_least(-1),
               ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
               "Age, by its largest timestamp, at which a segment goes. -1: no limit."),
        _topic("segment.bytes", INT, "1073741824", at_least(SEGMENT_BYTES_MIN), ("log.segment.bytes",),
               "Size at which a new segment begins. Retention and compaction work on whole segments."),
        _topic("segment.index.bytes", INT, "10485760", at_least(4), ("log.index.size.max.bytes",),
               "In Kafka, the room reserved for a segment's index. Without effect: FlyMQ's grow as needed."),
        _topic("segment.jitter.ms", LONG, "0", at_least(0), ("log.roll.jitter.ms", "log.roll.jitter.hours"),
               "Random part taken off segment.ms, so that partitions do not all roll at once."),
        _topic("segment.ms", LONG, "604800000", at_least(1), ("log.roll.ms", "log.roll.hours"),
               "Age at which a new segment begins, though the old one is not full."),
        _topic("unclean.leader.election.enable", BOOLEAN, "false", None, ("unclean.leader.election.enable",),
               "Whether a replica that lags may lead. Without effect on one node."),
    ]
)  # fmt: skip
