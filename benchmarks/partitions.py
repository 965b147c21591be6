"""Many partitions on one broker: creation, starts and stops, idle memory, open files.

    python benchmarks/partitions.py [--partitions 10000] [--topics 100]

Each partition gets one record, so that each has a folder and a file.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import click
from brokers import FlyMQ
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PORT = 19094


def create(broker: FlyMQ, topics: int, partitions: int) -> float:
    """Seconds that it took."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    began = time.perf_counter()
    for created in admin.create_topics([NewTopic(f"many-{i}", partitions) for i in range(topics)]).values():
        created.result()
    return time.perf_counter() - began


def fill(broker: FlyMQ, topics: int, partitions: int) -> float:
    """Seconds until every partition has a durable record."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "linger.ms": 20})
    began = time.perf_counter()
    for topic in range(topics):
        for partition in range(partitions):
            producer.produce(f"many-{topic}", b"x" * 100, partition=partition)
        producer.poll(0)
    unsent = producer.flush(300)
    assert unsent == 0, f"{unsent} records were not acknowledged"
    return time.perf_counter() - began


def told(broker: FlyMQ) -> str:
    return f"{broker.rss_mb():.0f} MB resident, {broker.process.num_fds()} file descriptors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--topics", type=int, default=100)
    options = parser.parse_args()
    each = options.partitions // options.topics
    with tempfile.TemporaryDirectory() as folder:
        args = ["serve", "--data-dir", folder]
        with FlyMQ(args, PORT) as broker:
            created_s = create(broker, options.topics, each)
            click.echo(f"{options.topics} topics of {each} partitions: created in {created_s:.2f} s")
            click.echo(f"  empty: {told(broker)}")
        with FlyMQ(args, PORT) as broker:
            click.echo(f"  started again in {broker.ready_s:.2f} s")
            click.echo(f"a record in each: {fill(broker, options.topics, each):.1f} s; {told(broker)}")
            began = time.perf_counter()
        click.echo(f"  stopped in {time.perf_counter() - began:.2f} s")
        with FlyMQ(args, PORT) as broker:
            click.echo(f"  started again in {broker.ready_s:.2f} s; idle: {told(broker)}")
            broker.process.kill()
        with FlyMQ(args, PORT) as broker:
            click.echo(f"  started after kill -9 in {broker.ready_s:.2f} s")


if __name__ == "__main__":
    main()
