"""One member of a group, in a process of its own: it says what it was given, got and committed.

    python -m compat_tests.group_member CLIENT BOOTSTRAP TOPIC GROUP SESSION_MS

A line on stdout for each step, with the monotonic clock, which all processes share:

    assigned <time> <partition>...
    got <time> <partition> <offset> <value>
    committed <time> <partition> <next offset>

Each record is committed before the next one is looked at. Ends at SIGTERM, having left the group.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterable
from typing import Any

stopping = False


def _stop(*_: object) -> None:
    global stopping
    stopping = True


def say(what: str, *numbers: object) -> None:
    """One step, at once."""
    sys.stdout.write(" ".join(map(str, (what, time.monotonic(), *numbers))) + "\n")
    sys.stdout.flush()


def assigned(partitions: Iterable[int]) -> None:
    say("assigned", *sorted(partitions))


def kafka_python(bootstrap: str, topic: str, group: str, session_ms: int) -> None:
    from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
    from kafka.errors import KafkaError

    from flymq.client.subscribing import keep_joining

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: Any) -> None:
            pass

        def on_partitions_assigned(self, assigned_: Any) -> None:
            assigned(partition.partition for partition in assigned_)

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 10,
        reconnect_backoff_max_ms=200,
        max_poll_records=1,
    )
    consumer.subscribe([topic], listener=Listener())
    while not stopping:
        keep_joining(consumer)  # or it may forget a rebalance, on a busy machine, whatever the broker
        for partition, records in consumer.poll(100).items():
            for record in records:
                say("got", partition.partition, record.offset, record.value.decode())
                try:
                    consumer.commit({partition: OffsetAndMetadata(record.offset + 1, "", -1)})
                except KafkaError as error:
                    say("failed", type(error).__name__)
                    continue
                say("committed", partition.partition, record.offset + 1)
    consumer.close()


def confluent_kafka(bootstrap: str, topic: str, group: str, session_ms: int) -> None:
    from confluent_kafka import Consumer, KafkaException

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // 10,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )
    consumer.subscribe([topic], on_assign=lambda _, partitions: assigned(one.partition for one in partitions))
    while not stopping:
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            continue
        say("got", message.partition(), message.offset(), message.value().decode())
        try:
            consumer.commit(message, asynchronous=False)
        except KafkaException as error:
            say("failed", error.args[0].name())
            continue
        say("committed", message.partition(), message.offset() + 1)
    consumer.close()


def aiokafka(bootstrap: str, topic: str, group: str, session_ms: int) -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    from aiokafka.errors import KafkaError

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: Any) -> None:
            pass

        def on_partitions_assigned(self, assigned_: Any) -> None:
            assigned(partition.partition for partition in assigned_)

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 10,
        )
        consumer.subscribe([topic], listener=Listener())
        await consumer.start()
        while not stopping:
            for partition, records in (await consumer.getmany(timeout_ms=100, max_records=1)).items():
                for record in records:
                    say("got", partition.partition, record.offset, record.value.decode())
                    try:
                        await consumer.commit({partition: record.offset + 1})
                    except KafkaError as error:
                        say("failed", type(error).__name__)
                        continue
                    say("committed", partition.partition, record.offset + 1)
        await consumer.stop()

    asyncio.run(run())


MEMBERS = {"kafka-python": kafka_python, "confluent-kafka": confluent_kafka, "aiokafka": aiokafka}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    client, bootstrap, topic, group, session_ms = sys.argv[1:]
    MEMBERS[client](bootstrap, topic, group, int(session_ms))
