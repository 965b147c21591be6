"""confluent-kafka: librdkafka from Python."""

from __future__ import annotations

import sys
import time

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType
from serve import row, serve, to_bytes, to_headers

try:
    from confluent_kafka.admin import AlterConfigOpType, OffsetSpec
except ImportError:  # 2.0: neither incremental changes nor offsets in its admin client
    AlterConfigOpType = OffsetSpec = None

WAIT_S = 30
_CLIENTS_OWN = {
    KafkaError._TIMED_OUT: "TIMED_OUT",
    KafkaError._MSG_TIMED_OUT: "TIMED_OUT",
    KafkaError._UNKNOWN_PARTITION: "UNKNOWN_TOPIC_OR_PARTITION",
    KafkaError._UNKNOWN_TOPIC: "UNKNOWN_TOPIC_OR_PARTITION",
    KafkaError._AUTO_OFFSET_RESET: "OFFSET_OUT_OF_RANGE",
    KafkaError._FENCED: "PRODUCER_FENCED",
}
_KAFKAS = {  # librdkafka's names that are not quite Kafka's
    "TOPIC_EXCEPTION": "INVALID_TOPIC_EXCEPTION",
    "UNKNOWN_TOPIC_OR_PART": "UNKNOWN_TOPIC_OR_PARTITION",
    "MSG_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE",
    "INVALID_MSG": "CORRUPT_MESSAGE",
}


def error_code(failure):
    error = failure.args[0] if isinstance(failure, KafkaException) else failure
    if not isinstance(error, KafkaError):
        return type(failure).__name__
    return _CLIENTS_OWN.get(error.code()) or _KAFKAS.get(error.name(), error.name())


class Driver:
    def __init__(self, bootstrap):
        self._config = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(self._config)
        self._producers = {}
        self._consumers = {}

    # -- admin ------------------------------------------------------------------------------------

    def _all(self, futures):
        return {key: future.result(WAIT_S) for key, future in futures.items()}

    def create_topic(self, topic, partitions, config=None):
        self._all(self._admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})]))

    def delete_topic(self, topic):
        self._all(self._admin.delete_topics([topic], operation_timeout=WAIT_S))

    def add_partitions(self, topic, partitions):
        self._all(self._admin.create_partitions([NewPartitions(topic, partitions)]))

    def list_topics(self):
        return list(self._admin.list_topics(timeout=WAIT_S).topics)

    def describe_topic(self, topic):
        found = self._admin.list_topics(topic, timeout=WAIT_S).topics[topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return {"partitions": len(found.partitions), "replicas": len(found.partitions[0].replicas)}

    def topic_config(self, topic):
        (entries,) = self._all(self._admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])).values()
        return {name: entry.value for name, entry in entries.items()}

    def set_config(self, topic, config):
        entries = [
            ConfigEntry(
                name, value, incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
            )
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self._all(self._admin.incremental_alter_configs([resource]))

    def replace_config(self, topic, config):
        self._all(self._admin.alter_configs([ConfigResource(ResourceType.TOPIC, topic, set_config=config)]))

    def delete_records(self, topic, offsets):
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in offsets]
        done = self._all(self._admin.delete_records(wanted))
        return [[partition.partition, deleted.low_watermark] for partition, deleted in done.items()]

    def list_offsets(self, topic, at):
        spec = {"earliest": OffsetSpec.earliest, "latest": OffsetSpec.latest}.get(at)
        spec = spec() if spec else OffsetSpec.for_timestamp(at)
        count = self.describe_topic(topic)["partitions"]
        wanted = {TopicPartition(topic, partition): spec for partition in range(count)}
        done = self._all(self._admin.list_offsets(wanted))
        return [[key.partition, None if found.offset < 0 else found.offset] for key, found in done.items()]

    def list_groups(self):
        return [group.group_id for group in self._admin.list_consumer_groups().result(WAIT_S).valid]

    def describe_group(self, group):
        (found,) = self._all(self._admin.describe_consumer_groups([group])).values()
        return {"state": found.state.name.title().replace("_", ""), "members": len(found.members)}

    def delete_group(self, group):
        self._all(self._admin.delete_consumer_groups([group]))

    def group_offsets(self, group):
        wanted = [ConsumerGroupTopicPartitions(group)]
        (found,) = self._all(self._admin.list_consumer_group_offsets(wanted)).values()
        return [[one.topic, one.partition, one.offset] for one in found.topic_partitions]

    def set_group_offsets(self, group, offsets):
        wanted = [TopicPartition(topic, partition, offset) for topic, partition, offset in offsets]
        (done,) = self._all(
            self._admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)])
        ).values()
        for one in done.topic_partitions:
            if one.error is not None:
                raise KafkaException(one.error)

    def describe_cluster(self):
        return {"brokers": len(self._admin.describe_cluster().result(WAIT_S).nodes)}

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
        config = {
            **self._config, "compression.type": codec, "enable.idempotence": idempotent, "linger.ms": linger_ms,
            "transactional.id": transactional_id, "transaction.timeout.ms": transaction_timeout_ms,
            "acks": None if idempotent or transactional_id else acks,
        }  # fmt: skip
        self._producers[producer] = Producer({name: value for name, value in config.items() if value is not None})

    def send(self, producer, topic, records):
        instance = self._producers[producer]
        outcomes = [None] * len(records)

        def delivered(number):
            def set_outcome(error, message):
                outcomes[number] = error or message

            return set_outcome

        for number, record in enumerate(records):
            optional = {"partition": record["partition"], "timestamp": record["timestamp"]}
            instance.produce(
                topic, to_bytes(record["value"]), to_bytes(record["key"]), on_delivery=delivered(number),
                headers=to_headers(record["headers"]), **{name: n for name, n in optional.items() if n is not None},
            )  # fmt: skip
        instance.flush(WAIT_S)
        return [self._sent(outcome) for outcome in outcomes]

    def _sent(self, outcome):
        if outcome is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if isinstance(outcome, KafkaError):
            raise KafkaException(outcome)
        kind, timestamp = outcome.timestamp()
        timestamp = None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp
        return [
            outcome.partition(),
            outcome.offset() if outcome.offset() is not None and outcome.offset() >= 0 else None,
            timestamp,
        ]

    def init_transactions(self, producer):
        self._producers[producer].init_transactions(WAIT_S)

    def begin(self, producer):
        self._producers[producer].begin_transaction()

    def send_offsets(self, producer, group, offsets):
        consumer = Consumer({**self._config, "group.id": group})
        try:
            wanted = [TopicPartition(topic, partition, offset) for topic, partition, offset in offsets]
            self._producers[producer].send_offsets_to_transaction(wanted, consumer.consumer_group_metadata(), WAIT_S)
        finally:
            consumer.close()

    def commit_transaction(self, producer):
        self._producers[producer].commit_transaction(WAIT_S)

    def abort_transaction(self, producer):
        self._producers[producer].abort_transaction(WAIT_S)

    def close_producer(self, producer):
        self._producers.pop(producer).flush(WAIT_S)

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
        config = {
            **self._config,
            "group.id": group or f"nobody-{time.time_ns()}",
            "group.protocol": None if protocol == "classic" else protocol,  # old releases know no other
            "group.instance.id": instance_id,
            "partition.assignment.strategy": assignor,
            "session.timeout.ms": session_timeout_ms,
            "heartbeat.interval.ms": 300 if protocol == "classic" else None,
            "enable.auto.commit": False,
            "auto.offset.reset": "error" if reset == "none" else reset,
            "isolation.level": isolation,
            "fetch.min.bytes": fetch_min_bytes,
            "fetch.wait.max.ms": fetch_wait_ms,
            "max.partition.fetch.bytes": partition_fetch_bytes,
        }
        self._consumers[consumer] = Consumer({name: value for name, value in config.items() if value is not None})

    def subscribe(self, consumer, topics):
        self._consumers[consumer].subscribe(topics)

    def subscribe_pattern(self, consumer, pattern):
        self._consumers[consumer].subscribe([f"^{pattern}$"])

    def assign(self, consumer, offsets):
        wanted = [
            TopicPartition(topic, partition, -1001 if offset is None else offset)
            for topic, partition, offset in offsets
        ]
        self._consumers[consumer].assign(wanted)

    def poll(self, consumer, count, wait_ms):
        first = self._consumers[consumer].poll(wait_ms / 1000)
        messages = [] if first is None else [first, *self._consumers[consumer].consume(count - 1, 0)]
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
        return [
            row(one.topic(), one.partition(), one.offset(), one.timestamp()[1], one.key(), one.value(), one.headers())
            for one in messages
        ]

    def assignment(self, consumer):
        return [[one.topic, one.partition] for one in self._consumers[consumer].assignment()]

    def position(self, consumer, topic, partition):
        return self._consumers[consumer].position([TopicPartition(topic, partition)])[0].offset

    def seek(self, consumer, topic, partition, offset):
        self._consumers[consumer].seek(TopicPartition(topic, partition, offset))

    def pause(self, consumer, partitions):
        self._consumers[consumer].pause([TopicPartition(*one) for one in partitions])

    def resume(self, consumer, partitions):
        self._consumers[consumer].resume([TopicPartition(*one) for one in partitions])

    def commit(self, consumer):
        self._consumers[consumer].commit(asynchronous=False)

    def commit_offsets(self, consumer, offsets):
        wanted = [TopicPartition(topic, partition, offset, metadata) for topic, partition, offset, metadata in offsets]
        for one in self._consumers[consumer].commit(offsets=wanted, asynchronous=False):
            if one.error is not None:
                raise KafkaException(one.error)

    def committed(self, consumer, partitions):
        found = self._consumers[consumer].committed([TopicPartition(*one) for one in partitions], WAIT_S)
        return [[one.topic, one.partition, None if one.offset < 0 else one.offset, one.metadata or ""] for one in found]

    def close_consumer(self, consumer):
        self._consumers.pop(consumer).close()


if __name__ == "__main__":
    serve(Driver(sys.argv[1]), error_code)
