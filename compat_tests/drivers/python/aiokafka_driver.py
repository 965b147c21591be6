"""aiokafka: its loop runs in a thread of its own, so that members send heartbeats between the calls too."""

from __future__ import annotations

import asyncio
import sys
import threading

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata
from serve import row, serve, to_bytes, to_headers, upper

try:
    from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
except ImportError:  # up to 0.8 it stood on kafka-python
    from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

WAIT_S = 30
LOG_APPEND_TIME = 1
CALL_S = 80
_KAFKAS = {  # the library's names that are not quite Kafka's
    "KafkaTimeoutError": "TIMED_OUT",
    "TimeoutError": "TIMED_OUT",
    "MessageSizeTooLargeError": "MESSAGE_TOO_LARGE",
    "CorruptRecordException": "CORRUPT_MESSAGE",
    "InvalidTopicError": "INVALID_TOPIC_EXCEPTION",
    "NotLeaderForPartitionError": "NOT_LEADER_OR_FOLLOWER",
    "ProducerFenced": "PRODUCER_FENCED",
}
_ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}


def error_code(failure):
    kind = type(failure)
    name = _KAFKAS.get(kind.__name__) or getattr(kind, "message", None)
    if name is None and issubclass(kind, errors.KafkaError):
        name = upper(kind.__name__)
    return name or kind.__name__


def check(code, message=None):
    if code:
        raise errors.for_code(code)(message)


def given(**settings):
    return {name: value for name, value in settings.items() if value is not None}


class Driver:
    """Its methods are coroutines; `InThread` makes calls of them."""

    def __init__(self, bootstrap):
        self._bootstrap = {"bootstrap_servers": bootstrap, "request_timeout_ms": WAIT_S * 1000}
        self._admin = None
        self._producers = {}
        self._consumers = {}

    # -- admin ------------------------------------------------------------------------------------

    async def _started_admin(self):
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**self._bootstrap)
            await self._admin.start()
        return self._admin

    async def create_topic(self, topic, partitions, config=None):
        admin = await self._started_admin()
        response = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config or {})])
        for _, code, *message in _errors_of(response):
            check(code, message and message[0])

    async def delete_topic(self, topic):
        admin = await self._started_admin()
        response = await admin.delete_topics([topic])
        for _, code, *_ in _errors_of(response):
            check(code, topic)

    async def add_partitions(self, topic, partitions):
        admin = await self._started_admin()
        response = await admin.create_partitions({topic: NewPartitions(partitions)})
        for _, code, *message in _errors_of(response):
            check(code, message and message[0])

    async def list_topics(self):
        admin = await self._started_admin()
        return await admin.list_topics()

    async def describe_topic(self, topic):
        admin = await self._started_admin()
        (found,) = await admin.describe_topics([topic])
        check(found["error_code"], topic)
        return {"partitions": len(found["partitions"]), "replicas": len(found["partitions"][0]["replicas"])}

    async def topic_config(self, topic):
        admin = await self._started_admin()
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        ((code, message, _, _, entries, *_),) = response.resources
        check(code, message)
        return {name: value for name, value, *_ in entries}

    async def replace_config(self, topic, config):
        admin = await self._started_admin()
        (response,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
        ((code, message, *_),) = response.resources
        check(code, message)

    async def delete_records(self, topic, offsets):
        admin = await self._started_admin()
        wanted = {TopicPartition(topic, partition): RecordsToDelete(offset) for partition, offset in offsets}
        return [[found.partition, start] for found, start in (await admin.delete_records(wanted)).items()]

    async def list_offsets(self, topic, at):
        count = (await self.describe_topic(topic))["partitions"]
        partitions = [TopicPartition(topic, partition) for partition in range(count)]
        consumer = AIOKafkaConsumer(**self._bootstrap)
        await consumer.start()
        try:
            if at == "earliest":
                found = await consumer.beginning_offsets(partitions)
            elif at == "latest":
                found = await consumer.end_offsets(partitions)
            else:
                found = await consumer.offsets_for_times(dict.fromkeys(partitions, at))
                found = {partition: one and one.offset for partition, one in found.items()}
        finally:
            await consumer.stop()
        return [[partition.partition, offset] for partition, offset in found.items()]

    async def list_groups(self):
        admin = await self._started_admin()
        return [group for group, *_ in await admin.list_consumer_groups()]

    async def describe_group(self, group):
        admin = await self._started_admin()
        (response,) = await admin.describe_consumer_groups([group])
        ((code, _, state, _, _, members, *_),) = response.groups
        check(code, group)
        return {"state": state, "members": len(members)}

    async def group_offsets(self, group):
        admin = await self._started_admin()
        found = await admin.list_consumer_group_offsets(group)
        return [[one.topic, one.partition, committed.offset] for one, committed in found.items()]

    async def describe_cluster(self):
        admin = await self._started_admin()
        return {"brokers": len((await admin.describe_cluster())["brokers"])}

    # -- producers --------------------------------------------------------------------------------

    async def open_producer(
        self,
        producer,
        acks="all",
        codec="none",
        idempotent=False,
        transactional_id=None,
        transaction_timeout_ms=None,
        linger_ms=None,
    ):
        config = given(
            acks=acks if acks == "all" else int(acks),
            compression_type=None if codec == "none" else codec,
            enable_idempotence=idempotent or transactional_id is not None,
            transactional_id=transactional_id,
            transaction_timeout_ms=transaction_timeout_ms,
            linger_ms=linger_ms,
        )
        self._producers[producer] = instance = AIOKafkaProducer(**self._bootstrap, **config)
        if transactional_id is None:
            await instance.start()

    async def send(self, producer, topic, records):
        instance = self._producers[producer]
        futures = [
            await instance.send(
                topic,
                to_bytes(record["value"]),
                key=to_bytes(record["key"]),
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
                headers=to_headers(record["headers"]),
            )
            for record in records
        ]
        return [_sent(record, found) for record, found in zip(records, await asyncio.gather(*futures), strict=True)]

    async def init_transactions(self, producer):
        await self._producers[producer].start()  # which asks for the producer id

    async def begin(self, producer):
        await self._producers[producer].begin_transaction()

    async def send_offsets(self, producer, group, offsets):
        wanted = {TopicPartition(topic, partition): offset for topic, partition, offset in offsets}
        await self._producers[producer].send_offsets_to_transaction(wanted, group)

    async def commit_transaction(self, producer):
        await self._producers[producer].commit_transaction()

    async def abort_transaction(self, producer):
        await self._producers[producer].abort_transaction()

    async def close_producer(self, producer):
        await self._producers.pop(producer).stop()

    # -- consumers --------------------------------------------------------------------------------

    async def open_consumer(
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
            group_id=group,
            group_instance_id=instance_id,
            partition_assignment_strategy=assignor and (_ASSIGNORS[assignor],),
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=300,
            fetch_min_bytes=fetch_min_bytes,
            fetch_max_wait_ms=fetch_wait_ms,
            max_partition_fetch_bytes=partition_fetch_bytes,
        )
        self._consumers[consumer] = instance = AIOKafkaConsumer(
            **self._bootstrap, **config, auto_offset_reset=reset, isolation_level=isolation, enable_auto_commit=False
        )
        await instance.start()

    async def subscribe(self, consumer, topics):
        self._consumers[consumer].subscribe(topics)

    async def subscribe_pattern(self, consumer, pattern):
        self._consumers[consumer].subscribe(pattern=f"^(?:{pattern})$")

    async def assign(self, consumer, offsets):
        instance = self._consumers[consumer]
        instance.assign([TopicPartition(topic, partition) for topic, partition, _ in offsets])
        for topic, partition, offset in offsets:
            if offset is not None:
                instance.seek(TopicPartition(topic, partition), offset)

    async def poll(self, consumer, count, wait_ms):
        got = await self._consumers[consumer].getmany(timeout_ms=wait_ms, max_records=count)
        return [
            row(one.topic, one.partition, one.offset, one.timestamp, one.key, one.value, one.headers)
            for records in got.values()
            for one in records
        ]

    async def assignment(self, consumer):
        return [list(one) for one in self._consumers[consumer].assignment()]

    async def position(self, consumer, topic, partition):
        return await self._consumers[consumer].position(TopicPartition(topic, partition))

    async def seek(self, consumer, topic, partition, offset):
        self._consumers[consumer].seek(TopicPartition(topic, partition), offset)

    async def pause(self, consumer, partitions):
        self._consumers[consumer].pause(*(TopicPartition(*one) for one in partitions))

    async def resume(self, consumer, partitions):
        self._consumers[consumer].resume(*(TopicPartition(*one) for one in partitions))

    async def commit(self, consumer):
        await self._consumers[consumer].commit()

    async def commit_offsets(self, consumer, offsets):
        await self._consumers[consumer].commit(
            {
                TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata or "")
                for topic, partition, offset, metadata in offsets
            }
        )

    async def committed(self, consumer, partitions):
        """The metadata from the admin client: a consumer does not tell it."""
        instance = self._consumers[consumer]
        admin = await self._started_admin()
        wanted = [TopicPartition(*one) for one in partitions]
        metadata = await admin.list_consumer_group_offsets(instance._group_id, partitions=wanted)
        return [[*one, await instance.committed(one), metadata[one].metadata or ""] for one in wanted]

    async def close_consumer(self, consumer):
        await self._consumers.pop(consumer).stop()


def _sent(record, found):
    if found is None:  # acks 0
        return [record["partition"], None, None]
    # The sender's own time it tells of the batch's first record alone.
    return [found.partition, found.offset, found.timestamp if found.timestamp_type == LOG_APPEND_TIME else None]


def _errors_of(response):
    """(topic, code[, message]) of each, by whatever name this version of the answer has for them."""
    return next(getattr(response, name) for name in ("topic_errors", "topic_error_codes") if hasattr(response, name))


class InThread:
    def __init__(self, driver):
        self._driver = driver
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def __getattr__(self, do):
        async def within_limit(**parameters):
            return await asyncio.wait_for(getattr(self._driver, do)(**parameters), CALL_S)

        return lambda **parameters: asyncio.run_coroutine_threadsafe(within_limit(**parameters), self._loop).result()


if __name__ == "__main__":
    serve(InThread(Driver(sys.argv[1])), error_code)
