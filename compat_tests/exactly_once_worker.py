"""A member of the pipeline of `exactly_once`: `python -m compat_tests.exactly_once_worker CLIENT BOOTSTRAP INDEX SEED`.

It ends, with a line on stderr, at whatever it can't go on after; and it is killed.
"""

from __future__ import annotations

import hashlib
import random
import sys

from confluent_kafka import Consumer, Producer

from flymq import FlyMQClient

INPUT = "exactly-once-input"
OUTPUT = "exactly-once-output"
GROUP = "exactly-once"
_RECORDS_MAX = 50
_ABORTED = 0.1


def transformed(value: bytes) -> bytes:
    """What the pipeline makes of an input."""
    return hashlib.sha256(value).hexdigest().encode()


def librdkafka(bootstrap: str, index: int, chance: random.Random) -> None:
    common = {
        "bootstrap.servers": bootstrap, "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100, "log_level": 0,
        # With every broker down, librdkafka 2.16 bootstraps anew, and may never again fetch a partition whose offset
        # it was validating.
        "metadata.recovery.strategy": "none",
    }  # fmt: skip
    consumer = Consumer({
        **common, "group.id": GROUP, "group.instance.id": f"member-{index}", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "isolation.level": "read_committed", "session.timeout.ms": 10_000,
    })  # fmt: skip
    producer = Producer({
        **common, "transactional.id": f"exactly-once-{index}", "transaction.timeout.ms": 20_000,
    })  # fmt: skip
    producer.init_transactions(30)
    consumer.subscribe([INPUT])
    while True:
        messages = consumer.consume(_RECORDS_MAX, 0.2)
        if not messages:
            continue
        producer.begin_transaction()
        for message in messages:
            assert message.error() is None, message.error()
            value = message.value()
            assert value is not None
            producer.produce(OUTPUT, key=message.key(), value=transformed(value))
        assignment = consumer.assignment()
        producer.send_offsets_to_transaction(consumer.position(assignment), consumer.consumer_group_metadata())
        if chance.random() >= _ABORTED:
            producer.commit_transaction(30)
            continue
        producer.abort_transaction(30)
        for place in consumer.committed(assignment, 10):
            assert place.error is None, place.error
            place.offset = max(0, place.offset)
            consumer.seek(place)


def flymq(bootstrap: str, index: int, chance: random.Random) -> None:
    with (
        FlyMQClient(bootstrap) as client,
        client.producer(transactional_id=f"exactly-once-{index}", transaction_timeout=20) as producer,
        client.consumer(
            INPUT, GROUP, group_instance_id=f"member-{index}", session_timeout_ms=10_000, auto_commit=False,
            auto_offset_reset="earliest", isolation="committed",
        ) as consumer,
    ):  # fmt: skip
        for messages in consumer.batches(_RECORDS_MAX):
            with producer.transaction() as transaction:
                for message in messages:
                    producer.send(OUTPUT, transformed(message.value), key=message.key)
                transaction.send_offsets(consumer)
                aborts = chance.random() < _ABORTED
                if aborts:
                    transaction.abort()
            if aborts:
                consumer.seek_to_committed()


def main() -> None:
    client, bootstrap, index, seed = sys.argv[1:]
    workers = {"librdkafka": librdkafka, "flymq": flymq}
    try:
        workers[client](bootstrap, int(index), random.Random(int(seed)))
    except Exception as error:
        sys.exit(f"member {index}: {error!r}")


if __name__ == "__main__":
    main()
