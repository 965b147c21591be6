"""kafka-python: 3.x, and 2.x where it has the method."""

from __future__ import annotations

import re
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition, __version__, errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.structs import OffsetAndMetadata
from serve import row, serve, to_bytes, to_headers, upper

try:
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
except ImportError:  # 2.0
    CooperativeStickyAssignor = None

WAIT_S = 30
# With 3.0, a member that joins for changed metadata when the time of its poll is over, forgets that it does: it gets
# nothing and says nothing any more, whatever the broker.
_FORGETS_JOINS = __version__.startswith("3.0.")
_KAFKAS = {  # the library's names that are not quite Kafka's
    "KafkaTimeoutError": "TIMED_OUT",
    "MessageSizeTooLargeError": "MESSAGE_TOO_LARGE",
    "CorruptRecordError": "CORRUPT_MESSAGE",
    "CorruptRecordException": "CORRUPT_MESSAGE",
    "InvalidTopicError": "INVALID_TOPIC_EXCEPTION",
    "NotLeaderForPartitionError": "NOT_LEADER_OR_FOLLOWER",
}
_EPOCH = (-1,) if "leader_epoch" in OffsetAndMetadata._fields else ()
_ASSIGNORS = {
    "range": RangePartitionAssignor,
    "roundrobin": RoundRobinPartitionAssignor,
    "cooperative-sticky": CooperativeStickyAssignor,
}


def error_code(failure):
    kind = failure if isinstance(failure, type) else type(failure)
    name = _KAFKAS.get(kind.__name__) or getattr(kind, "message", None)
    if name is None and issubclass(kind, errors.KafkaError):
        name = upper(kind.__name__)
    return name or kind.__name__


def check(code, message=None):
    """Of an error code, its class, or the text that the admin client makes of it."""
    if isinstance(code, str):
        named = re.search(r"\w+Error", code)
        code = getattr(errors, named[0]) if named else errors.NoError
    elif isinstance(code, int):
        code = errors.for_code(code)
    if code is not errors.NoError:
        raise code(message)


def given(**settings):
    return {name: value for name, value in settings.items() if value is not None}


class Driver:
    def __init__(self, bootstrap):
        self._bootstrap = {"bootstrap_servers": bootstrap, "request_timeout_ms": WAIT_S * 1000}
        self._admin = KafkaAdminClient(**self._bootstrap)
        self._producers = {}
        self._unacknowledged = set()
        self._consumers = {}

    # -- admin ------------------------------------------------------------------------------------

    def create_topic(self, topic, partitions, config=None):
        self._admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config or {})])

    def delete_topic(self, topic):
        self._admin.delete_topics([topic])

    def add_partitions(self, topic, partitions):
        self._admin.create_partitions({topic: NewPartitions(partitions)})

    def list_topics(self):
        return self._admin.list_topics()

    def describe_topic(self, topic):
        (found,) = self._admin.describe_topics([topic])
        check(found["error_code"], topic)
        first = found["partitions"][0]
        replicas = first.get("replica_nodes") or first["replicas"]
        return {"partitions": len(found["partitions"]), "replicas": len(replicas)}

    def topic_config(self, topic):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        if hasattr(self._admin, "reset_configs"):
            self.describe_topic(topic)  # which fails where it is not there: the next answers with no settings then
            found = self._admin.describe_configs([resource], config_filter="all")["topic"][topic]
            return {name: entry["value"] for name, entry in found.items()}
        (response,) = self._admin.describe_configs([resource])
        ((code, message, _, _, entries),) = response.resources
        check(code, message)
        return {name: value for name, value, *_ in entries}

    def set_config(self, topic, config):
        changes = {name: ("DELETE" if value is None else "SET", value) for name, value in config.items()}
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=changes)
        done = self._admin.alter_configs([resource], raise_on_unknown=False, incremental=True)
        check(done["topic"][topic])

    def replace_config(self, topic, config):
        response = self._admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
        ((code, message, _, _),) = response.resources
        check(code, message)

    def delete_records(self, topic, offsets):
        done = self._admin.delete_records({TopicPartition(topic, partition): offset for partition, offset in offsets})
        return [[found.partition, deleted["low_watermark"]] for found, deleted in done.items()]

    def list_offsets(self, topic, at):
        count = self.describe_topic(topic)["partitions"]
        partitions = [TopicPartition(topic, partition) for partition in range(count)]
        consumer = KafkaConsumer(**self._bootstrap)
        try:
            if at == "earliest":
                found = consumer.beginning_offsets(partitions)
            elif at == "latest":
                found = consumer.end_offsets(partitions)
            else:
                found = consumer.offsets_for_times(dict.fromkeys(partitions, at))
                found = {partition: one and one.offset for partition, one in found.items()}
        finally:
            consumer.close()
        return [[partition.partition, offset] for partition, offset in found.items()]

    def list_groups(self):
        if hasattr(self._admin, "list_groups"):
            return [group["group_id"] for group in self._admin.list_groups()]
        return [group for group, _ in self._admin.list_consumer_groups()]

    def describe_group(self, group):
        if hasattr(self._admin, "describe_groups"):
            found = self._admin.describe_groups([group])[group]
            check(found["error"] or 0)
            return {"state": found["group_state"], "members": len(found["members"])}
        (found,) = self._admin.describe_consumer_groups([group])
        return {"state": found.state, "members": len(found.members)}

    def delete_group(self, group):
        if hasattr(self._admin, "delete_groups"):
            check(self._admin.delete_groups([group])[group])
        else:
            check(dict(self._admin.delete_consumer_groups([group]))[group])

    def group_offsets(self, group):
        if hasattr(self._admin, "list_group_offsets"):
            found = self._admin.list_group_offsets(group)[group]
        else:
            found = self._admin.list_consumer_group_offsets(group)
        return [[one.topic, one.partition, committed.offset] for one, committed in found.items()]

    def set_group_offsets(self, group, offsets):
        for code in self._admin.alter_group_offsets(group, _to_commit(offsets)).values():
            check(code)

    def delete_group_offsets(self, group, topic, partitions):
        wanted = [TopicPartition(topic, partition) for partition in partitions]
        for code in self._admin.delete_group_offsets(group, wanted).values():
            check(code)

    def describe_cluster(self):
        return {"brokers": len(self._admin.describe_cluster()["brokers"])}

    # -- producers --------------------------------------------------------------------------------

    def open_producer(
        self,
        producer,
        acks="all",
        codec="none",
        idempotent=False,
        transactional_id=None,
        transaction_timeout_ms=None,
        linger_ms=None,
    ):
        exactly_once = idempotent or transactional_id is not None
        config = given(
            acks=acks if acks == "all" else int(acks),
            compression_type=None if codec == "none" else codec,
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms,
            linger_ms=linger_ms,
            max_block_ms=WAIT_S * 1000,
        )
        if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG:
            config.update(enable_idempotence=exactly_once, delivery_timeout_ms=(WAIT_S + 5) * 1000)
        self._producers[producer] = KafkaProducer(**self._bootstrap, **config)
        if acks == "0":
            self._unacknowledged.add(producer)

    def send(self, producer, topic, records):
        instance = self._producers[producer]
        futures = [
            instance.send(
                topic,
                to_bytes(record["value"]),
                key=to_bytes(record["key"]),
                headers=to_headers(record["headers"]),
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
            )
            for record in records
        ]
        instance.flush(WAIT_S + 10)
        sent = [future.get(WAIT_S) for future in futures]
        # With acks 0 it counts offsets from 0.
        told = producer not in self._unacknowledged
        return [[one.partition, one.offset if told else None, one.timestamp] for one in sent]

    def init_transactions(self, producer):
        self._producers[producer].init_transactions()

    def begin(self, producer):
        self._producers[producer].begin_transaction()

    def send_offsets(self, producer, group, offsets):
        self._producers[producer].send_offsets_to_transaction(_to_commit(offsets), group)

    def commit_transaction(self, producer):
        self._producers[producer].commit_transaction()

    def abort_transaction(self, producer):
        self._producers[producer].abort_transaction()

    def close_producer(self, producer):
        self._unacknowledged.discard(producer)
        self._producers.pop(producer).close(WAIT_S)

    # -- consumers --------------------------------------------------------------------------------

    def open_consumer(
        self,
        consumer,
        group=None,
        reset="latest",
        isolation="read_committed",
        protocol="classic",
        instance_id=None,
        assignor=None,
        session_timeout_ms=None,
        fetch_min_bytes=None,
        fetch_wait_ms=None,
        partition_fetch_bytes=None,
    ):
        assert protocol == "classic"
        config = given(
            group_instance_id=instance_id,
            partition_assignment_strategy=assignor and [_ASSIGNORS[assignor]],
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=300,
            fetch_min_bytes=fetch_min_bytes,
            fetch_max_wait_ms=fetch_wait_ms,
            max_partition_fetch_bytes=partition_fetch_bytes,
        )
        if "isolation_level" in KafkaConsumer.DEFAULT_CONFIG:
            config["isolation_level"] = isolation
        config.update(self._bootstrap, group_id=group, auto_offset_reset=reset, enable_auto_commit=False)
        if group is not None and "isolation_level" not in KafkaConsumer.DEFAULT_CONFIG:
            del config["request_timeout_ms"]  # 2.0 wants it above the time that a join may take
        self._consumers[consumer] = KafkaConsumer(**config)

    def subscribe(self, consumer, topics):
        self._consumers[consumer].subscribe(topics)

    def subscribe_pattern(self, consumer, pattern):
        self._consumers[consumer].subscribe(pattern=f"^(?:{pattern})$")

    def assign(self, consumer, offsets):
        instance = self._consumers[consumer]
        instance.assign([TopicPartition(topic, partition) for topic, partition, _ in offsets])
        for topic, partition, offset in offsets:
            if offset is not None:
                instance.seek(TopicPartition(topic, partition), offset)

    def poll(self, consumer, count, wait_ms):
        instance = self._consumers[consumer]
        if _FORGETS_JOINS and getattr(instance._coordinator, "rejoining", False):
            instance._coordinator.request_rejoin()
        got = instance.poll(timeout_ms=wait_ms, max_records=count)
        return [
            row(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers)
            for records in got.values()
            for one in records
        ]

    def assignment(self, consumer):
        return [list(one) for one in self._consumers[consumer].assignment()]

    def position(self, consumer, topic, partition):
        return self._consumers[consumer].position(TopicPartition(topic, partition))

    def seek(self, consumer, topic, partition, offset):
        self._consumers[consumer].seek(TopicPartition(topic, partition), offset)

    def pause(self, consumer, partitions):
        self._consumers[consumer].pause(*(TopicPartition(*one) for one in partitions))

    def resume(self, consumer, partitions):
        self._consumers[consumer].resume(*(TopicPartition(*one) for one in partitions))

    def commit(self, consumer):
        self._consumers[consumer].commit()

    def commit_offsets(self, consumer, offsets):
        self._consumers[consumer].commit(_to_commit(offsets))

    def committed(self, consumer, partitions):
        instance = self._consumers[consumer]
        found = [(one, instance.committed(TopicPartition(*one), metadata=True)) for one in partitions]
        nothing = OffsetAndMetadata(None, "", *_EPOCH)
        return [[*one, *(committed or nothing)[:2]] for one, committed in found]

    def close_consumer(self, consumer):
        self._consumers.pop(consumer).close()


def _to_commit(offsets):
    """Rows of (topic, partition, offset[, metadata])."""
    return {
        TopicPartition(topic, partition): OffsetAndMetadata(offset, *(metadata or [""]), *_EPOCH)
        for topic, partition, offset, *metadata in offsets
    }


if __name__ == "__main__":
    serve(Driver(sys.argv[1]), error_code)
