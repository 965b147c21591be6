"""The settings of the broker that FlyMQ acts on or shows, by Kafka's names, and its own under `flymq.`.

Types, limits, defaults and what may change at run time are Kafka 4.3's, but for `OWN_DEFAULTS`.
Source: AbstractKafkaConfig and the classes it gathers (SocketServerConfigs, ServerLogConfigs,
GroupCoordinatorConfig, TransactionLogConfig, ...) in Apache Kafka 4.3.
"""

from __future__ import annotations

from flymq.core.settings.setting import (
    BOOLEAN,
    DOUBLE,
    INT,
    INT_MAX,
    LIST,
    LONG,
    LONG_MAX,
    SHORT,
    STRING,
    Setting,
    at_least,
    between,
    one_of,
    only,
    table,
)
from flymq.core.settings.topic_settings import (
    COMPRESSION_TYPES,
    GZIP_LEVEL,
    LZ4_LEVEL,
    SEGMENT_BYTES_MIN,
    TIMESTAMP_TYPES,
    ZSTD_LEVEL,
)

OWN_READ_ONLY = ("listener.security.protocol.map", "listeners")
"""What Kafka changes while it runs and FlyMQ does not: it listens from its start to its end."""

OWN_DEFAULTS: dict[str, str | None] = {
    "group.initial.rebalance.delay.ms": "100",
    "listeners": "PLAINTEXT://localhost:9092",
    "log.dir": None,
    "node.id": "1",
    "offsets.topic.replication.factor": "1",
    "socket.send.buffer.bytes": "2097152",
}
"""Where FlyMQ differs from Kafka: rebalances are cheap here, a laptop's broker is not for the whole
network, data is not put where it is lost at a reboot, one node needs no number of its own, it can't
keep three replicas, and an answer to a fetch should leave in one system call."""

_NET = (
    Setting("advertised.listeners", LIST, None,
            "Addresses told to clients, as NAME://host:port. Unset: the address that each client dialled."),
    Setting("broker.id", INT, "-1", "Older name of node.id."),
    Setting("broker.rack", STRING, None, "Rack told to clients; FlyMQ does nothing else with it."),
    Setting("connections.max.idle.ms", LONG, "600000",
            "A connection on which nothing was asked for this long is closed."),
    Setting("controller.listener.names", LIST, None,
            "Listeners of Kafka's controllers. FlyMQ has no controller, and opens none of them."),
    Setting("inter.broker.listener.name", STRING, None,
            "Listener between brokers. Accepted, without effect on one node."),
    Setting("listener.security.protocol.map", STRING,
            "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "Protocol of each listener name, as NAME:PROTOCOL."),
    Setting("listeners", LIST, "PLAINTEXT://:9092",
            "Addresses to listen on, as NAME://host:port. No host: all interfaces. Port 0: any free one."),
    Setting("max.connections", INT, str(INT_MAX),
            "Connections open at once; more are closed. At most what the process may have files open.",
            at_least(0), dynamic=True),
    Setting("max.connections.per.ip", INT, str(INT_MAX), "Connections open at once from one address; more are closed.",
            at_least(0), dynamic=True),
    Setting("max.incremental.fetch.session.cache.slots", INT, "1000",
            "Fetch sessions (KIP-227) kept; readers beyond them send their whole list each time.", at_least(0)),
    Setting("node.id", INT, None, "Number of this broker in every answer.", at_least(0)),
    Setting("process.roles", LIST, None, "Kafka's roles. Without effect: FlyMQ is the broker and needs no controller.",
            only("broker", "controller")),
    Setting("socket.send.buffer.bytes", INT, "102400",
            "Bytes of answers that the system takes for a connection at a time; -1: as the system does."),
    Setting("socket.request.max.bytes", INT, "104857600", "Largest request; its sender is disconnected.",
            at_least(1)),
)  # fmt: skip

_TOPICS = (
    Setting("auto.create.topics.enable", BOOLEAN, "true",
            "Whether asking for the metadata of a missing topic creates it."),
    Setting("compression.gzip.level", INT, "-1", "Default of the topic setting of this name.", GZIP_LEVEL,
            dynamic=True),
    Setting("compression.lz4.level", INT, "9", "Default of the topic setting of this name.", LZ4_LEVEL,
            dynamic=True),
    Setting("compression.type", STRING, "producer", "Default of the topic setting of this name.",
            one_of(*COMPRESSION_TYPES), dynamic=True),
    Setting("compression.zstd.level", INT, "3", "Default of the topic setting of this name.", ZSTD_LEVEL,
            dynamic=True),
    Setting("default.replication.factor", INT, "1", "Replicas of a topic whose creator doesn't say. Without "
            "effect: one node keeps one."),
    Setting("delete.topic.enable", BOOLEAN, "true", "Whether topics can be deleted."),
    Setting("fetch.max.bytes", INT, "57671680", "Most bytes in one answer to a fetch, but always one whole batch.",
            at_least(1024)),
    Setting("max.request.partition.size.limit", INT, "2000",
            "Most partitions in one answer to DescribeTopicPartitions; the next one goes on.", at_least(1)),
    Setting("message.max.bytes", INT, "1048588", "Default of the topic setting max.message.bytes.", at_least(0),
            dynamic=True),
    Setting("min.insync.replicas", INT, "1", "Default of the topic setting of this name.", at_least(1),
            dynamic=True),
    Setting("num.partitions", INT, "1", "Partitions of a topic whose creator doesn't say how many.", at_least(1)),
    Setting("unclean.leader.election.enable", BOOLEAN, "false", "Default of the topic setting of this name.",
            dynamic=True),
)  # fmt: skip

_LOGS = (
    Setting("log.cleaner.backoff.ms", LONG, "15000", "Time between two looks for partitions to compact.",
            at_least(0), dynamic=True),
    Setting("log.cleaner.dedupe.buffer.size", LONG, "134217728",
            "Memory for the keys of one compaction, 160 bytes each; a log with more takes several.",
            dynamic=True),
    Setting("log.cleaner.delete.retention.ms", LONG, "86400000", "Default of the topic setting delete.retention.ms.",
            at_least(0), dynamic=True),
    Setting("log.cleaner.enable", BOOLEAN, "true", "Whether topics with the policy compact are compacted."),
    Setting("log.cleaner.io.max.bytes.per.second", DOUBLE, "1.7976931348623157E308",
            "Bytes a second that compaction reads and writes at most.", dynamic=True),
    Setting("log.cleaner.max.compaction.lag.ms", LONG, str(LONG_MAX),
            "Default of the topic setting max.compaction.lag.ms.", at_least(1), dynamic=True),
    Setting("log.cleaner.min.cleanable.ratio", DOUBLE, "0.5",
            "Default of the topic setting min.cleanable.dirty.ratio.", between(0, 1), dynamic=True),
    Setting("log.cleaner.min.compaction.lag.ms", LONG, "0", "Default of the topic setting min.compaction.lag.ms.",
            at_least(0), dynamic=True),
    Setting("log.cleaner.threads", INT, "1", "Compactions at a time. Without effect: FlyMQ does one.",
            at_least(0), dynamic=True),
    Setting("log.cleanup.policy", LIST, "delete", "Default of the topic setting cleanup.policy.",
            only("compact", "delete"), dynamic=True),
    Setting("log.dir", LIST, "/tmp/kafka-logs", "The data folder, where log.dirs is unset."),
    Setting("log.dirs", LIST, None, "The data folder: FlyMQ has one. Unset: --data-dir, or ./flymq-data."),
    Setting("log.flush.interval.messages", LONG, str(LONG_MAX), "Default of the topic setting flush.messages.",
            at_least(1), dynamic=True),
    Setting("log.flush.interval.ms", LONG, None, "Default of the topic setting flush.ms.", dynamic=True),
    Setting("log.flush.scheduler.interval.ms", LONG, str(LONG_MAX), "Default of log.flush.interval.ms."),
    Setting("log.index.interval.bytes", INT, "4096", "Default of the topic setting index.interval.bytes.",
            at_least(0), dynamic=True),
    Setting("log.index.size.max.bytes", INT, "10485760", "Default of the topic setting segment.index.bytes.",
            at_least(4), dynamic=True),
    Setting("log.local.retention.bytes", LONG, "-2", "Default of the topic setting local.retention.bytes.",
            at_least(-2), dynamic=True),
    Setting("log.local.retention.ms", LONG, "-2", "Default of the topic setting local.retention.ms.",
            at_least(-2), dynamic=True),
    Setting("log.message.timestamp.after.max.ms", LONG, "3600000",
            "Default of the topic setting message.timestamp.after.max.ms.", at_least(0), dynamic=True),
    Setting("log.message.timestamp.before.max.ms", LONG, str(LONG_MAX),
            "Default of the topic setting message.timestamp.before.max.ms.", at_least(0), dynamic=True),
    Setting("log.message.timestamp.type", STRING, "CreateTime",
            "Default of the topic setting message.timestamp.type.", one_of(*TIMESTAMP_TYPES), dynamic=True),
    Setting("log.preallocate", BOOLEAN, "false", "Default of the topic setting preallocate.", dynamic=True),
    Setting("log.retention.bytes", LONG, "-1", "Default of the topic setting retention.bytes.", dynamic=True),
    Setting("log.retention.check.interval.ms", LONG, "300000", "Time between two looks for segments to delete.",
            at_least(1)),
    Setting("log.retention.hours", INT, "168", "Default of log.retention.minutes, in hours. -1: no limit."),
    Setting("log.retention.minutes", INT, None, "Default of log.retention.ms, in minutes. -1: no limit."),
    Setting("log.retention.ms", LONG, None, "Default of the topic setting retention.ms.", dynamic=True),
    Setting("log.roll.hours", INT, "168", "Default of log.roll.ms, in hours.", at_least(1)),
    Setting("log.roll.jitter.hours", INT, "0", "Default of log.roll.jitter.ms, in hours.", at_least(0)),
    Setting("log.roll.jitter.ms", LONG, None, "Default of the topic setting segment.jitter.ms.", at_least(0),
            dynamic=True),
    Setting("log.roll.ms", LONG, None, "Default of the topic setting segment.ms.", at_least(1), dynamic=True),
    Setting("log.segment.bytes", INT, "1073741824", "Default of the topic setting segment.bytes.",
            at_least(SEGMENT_BYTES_MIN), dynamic=True),
    Setting("log.segment.delete.delay.ms", LONG, "60000", "Default of the topic setting file.delete.delay.ms.",
            at_least(0), dynamic=True),
)  # fmt: skip

_GROUPS = (
    Setting("group.initial.rebalance.delay.ms", INT, "3000",
            "How long an empty group waits for more members before its first generation."),
    Setting("group.max.session.timeout.ms", INT, "1800000", "Longest session timeout a member may ask for."),
    Setting("group.max.size", INT, str(INT_MAX), "Most members of a group.", at_least(1)),
    Setting("group.min.session.timeout.ms", INT, "6000", "Shortest session timeout a member may ask for."),
    Setting("offset.metadata.max.bytes", INT, "4096", "Longest text committed with an offset."),
    Setting("offsets.retention.check.interval.ms", LONG, "600000", "Time between two looks for expired offsets.",
            at_least(1)),
    Setting("offsets.retention.minutes", INT, "10080", "How long the offsets of an empty group are kept.",
            at_least(1)),
    Setting("offsets.topic.num.partitions", INT, "50", "Partitions that __consumer_offsets is shown with.",
            at_least(1)),
    Setting("offsets.topic.replication.factor", SHORT, "3", "Replicas of __consumer_offsets. Without effect: one "
            "node keeps one.", at_least(1)),
)  # fmt: skip

_CONSUMER_GROUPS = (
    Setting("group.consumer.assignment.interval.ms", INT, "1000",
            "Default of the group setting consumer.assignment.interval.ms.", at_least(0), dynamic=True),
    Setting("group.consumer.assignors", LIST, "uniform,range",
            "Assignors that members may ask for; the first is used where none does.", only("uniform", "range")),
    Setting("group.consumer.heartbeat.interval.ms", INT, "5000",
            "Default of the group setting consumer.heartbeat.interval.ms.", at_least(1)),
    Setting("group.consumer.max.assignment.interval.ms", INT, "15000",
            "Largest value of the group setting consumer.assignment.interval.ms.", at_least(0)),
    Setting("group.consumer.max.heartbeat.interval.ms", INT, "15000",
            "Largest value of the group setting consumer.heartbeat.interval.ms.", at_least(1)),
    Setting("group.consumer.max.session.timeout.ms", INT, "60000",
            "Largest value of the group setting consumer.session.timeout.ms.", at_least(1)),
    Setting("group.consumer.max.size", INT, str(INT_MAX), "Most members of a consumer group.", at_least(1)),
    Setting("group.consumer.migration.policy", STRING, "bidirectional",
            "Which way a live group may change between the classic protocol and KIP-848's.",
            one_of("bidirectional", "upgrade", "downgrade", "disabled")),
    Setting("group.consumer.min.assignment.interval.ms", INT, "0",
            "Smallest value of the group setting consumer.assignment.interval.ms.", at_least(0)),
    Setting("group.consumer.min.heartbeat.interval.ms", INT, "5000",
            "Smallest value of the group setting consumer.heartbeat.interval.ms.", at_least(1)),
    Setting("group.consumer.min.session.timeout.ms", INT, "45000",
            "Smallest value of the group setting consumer.session.timeout.ms.", at_least(1)),
    Setting("group.consumer.session.timeout.ms", INT, "45000",
            "Default of the group setting consumer.session.timeout.ms.", at_least(1)),
)  # fmt: skip

_PRODUCERS = (
    Setting("producer.id.expiration.ms", INT, "86400000",
            "How long an idle producer's sequence numbers are remembered.", at_least(1), dynamic=True),
    Setting("transaction.max.timeout.ms", INT, "900000", "Longest time that a producer may let a transaction be open.",
            at_least(1)),
    Setting("transaction.remove.expired.transaction.cleanup.interval.ms", INT, "3600000",
            "Time between two looks for expired transactional ids.", at_least(1)),
    Setting("transaction.state.log.num.partitions", INT, "50", "Partitions that __transaction_state is shown with.",
            at_least(1)),
    Setting("transactional.id.expiration.ms", INT, "604800000",
            "How long a transactional id that nobody uses is remembered.", at_least(1)),
)  # fmt: skip

_FLYMQ = (
    Setting("flymq.connection.inflight.max", INT, "1024",
            "Requests of one connection that may wait for their answers; then it is not read.", at_least(1)),
    Setting("flymq.disk.free.min", LONG, "67108864",
            "Free bytes on the data folder's disk below which records are refused; the rest goes on.", at_least(0)),
    Setting("flymq.durability", STRING, "fsync",
            "When a record counts as written: fsync, once the disk has it; os, once the operating system has it, "
            "which survives a crash of FlyMQ but not of the machine.", one_of("fsync", "os")),
    Setting("flymq.inflate.bytes.max", LONG, "268435456",
            "Most bytes that one compressed batch may inflate to, where the broker has to look inside; beyond it is "
            "refused with MESSAGE_TOO_LARGE. Up to four at a time are looked into.",
            at_least(1)),
    Setting("flymq.open.files.max", INT, "4096", "Log files kept open; beyond it the least used ones are closed.",
            at_least(16)),
    Setting("flymq.unflushed.bytes.max", LONG, "268435456",
            "Bytes waiting for the disk, or for a look inside, beyond which producers are not read.", at_least(1)),
)  # fmt: skip

BROKER_SETTINGS = table(_NET + _TOPICS + _LOGS + _GROUPS + _CONSUMER_GROUPS + _PRODUCERS + _FLYMQ)

for _name, _default in OWN_DEFAULTS.items():
    BROKER_SETTINGS[_name].default = _default
