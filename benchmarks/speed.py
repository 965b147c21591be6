"""How fast is the broker on this machine: CPU per GB, latency, start, memory.

    python benchmarks/speed.py [produce consume latency start polls group embedded] [--gb N] [--memory]

Client and broker are pinned to a CPU each. Produce and consume check that every record arrived.
Guest memory that was never touched costs many times more than the broker: the same bytes are written
and deleted once before anything is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from child import CLIENT_CPU, BrokerProcess
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTS = ["produce", "consume", "latency", "start", "polls", "group", "embedded"]
RECORD_BYTES = 1024
GB = 1_000_000_000
MESSAGES_A_CALL = 1000
IN_QUEUE_MAX = 100_000


def create_topic(broker: BrokerProcess, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(name, 1)])[name].result()


def delete_topic(broker: BrokerProcess, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([name])[name].result()


def produce(
    broker: BrokerProcess, topic: str, gigabytes: float, batch_bytes: int, **config: Any
) -> tuple[float, float]:
    """Send 1 KB records with acks=all; (broker CPU seconds per GB, MB/s)."""
    create_topic(broker, topic)
    producer = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "acks": "all",
            "batch.size": batch_bytes,
            "batch.num.messages": 1_000_000,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 512 * 1024,
            "message.max.bytes": 2_000_000,
            **config,
        }
    )
    # Few calls in the client, or it is the client that is measured. No message's error goes unseen:
    # the log's end says how many arrived, and `consume` reads every one.
    count = int(gigabytes * GB / RECORD_BYTES) // MESSAGES_A_CALL * MESSAGES_A_CALL
    messages = [{"value": os.urandom(RECORD_BYTES)} for _ in range(MESSAGES_A_CALL)]
    assert producer.produce_batch(topic, messages) == MESSAGES_A_CALL
    assert producer.flush() == 0
    cpu, started = broker.cpu_s(), time.perf_counter()
    for _ in range(count // MESSAGES_A_CALL):
        while len(producer) > IN_QUEUE_MAX:
            producer.poll(0.001)
        assert producer.produce_batch(topic, messages) == MESSAGES_A_CALL
    assert producer.flush() == 0
    wall, cpu = time.perf_counter() - started, broker.cpu_s() - cpu
    assert log_end(broker, topic) == count + MESSAGES_A_CALL
    return cpu / (count * RECORD_BYTES / GB), count * RECORD_BYTES / 1e6 / wall


def log_end(broker: BrokerProcess, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "none"})
    end = consumer.get_watermark_offsets(TopicPartition(topic, 0))[1]
    consumer.close()
    return int(end)


def consume(broker: BrokerProcess, topic: str) -> tuple[float, float]:
    """Read the topic from its start; (broker CPU seconds per GB, MB/s)."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "none",
            "enable.auto.commit": False,
            # Else librdkafka stops fetching for a second whenever its queue is full.
            "queued.min.messages": 10_000_000,
            "queued.max.messages.kbytes": 1_000_000,
            "fetch.queue.backoff.ms": 1,
        }
    )
    end = log_end(broker, topic)
    consumer.assign([TopicPartition(topic, 0, 0)])
    cpu, started = broker.cpu_s(), time.perf_counter()
    next_offset = 0
    while next_offset < end:
        for message in consumer.consume(10_000, 1.0):
            assert message.error() is None, message.error()
            assert message.offset() == next_offset
            next_offset += 1
    wall, cpu = time.perf_counter() - started, broker.cpu_s() - cpu
    consumer.close()
    return cpu / (end * RECORD_BYTES / GB), end * RECORD_BYTES / 1e6 / wall


def latency(broker: BrokerProcess, count: int = 5000) -> tuple[float, float]:
    """One message at a time, acks=all, each awaited; (p50, p99) in microseconds.

    Over a plain socket: a client library's own threads take longer than the broker.
    """
    from flymq_protocol.api.k00_produce import (
        PartitionProduceData,
        ProduceRequest,
        ProduceResponse,
        TopicProduceData,
    )
    from flymq_protocol.framing import encode_request
    from flymq_protocol.records.record import Record, build_batch

    create_topic(broker, "latency")
    host, port = broker.bootstrap.split(":")
    batch = bytes(build_batch([Record(0, int(time.time() * 1000), None, os.urandom(RECORD_BYTES), [])]))
    topics = [TopicProduceData(name="latency", partition_data=[PartitionProduceData(0, batch)])]
    request = ProduceRequest(None, -1, 30000, topics)
    frame = bytes(encode_request(request, 9, 1, "latency"))
    took = []
    with socket.create_connection((host, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(count):
            started = time.perf_counter_ns()
            connection.sendall(frame)
            answer = connection.recv(4096)
            took.append(time.perf_counter_ns() - started)
            (size,) = struct.unpack_from(">i", answer)
            assert size + 4 == len(answer)
            result = ProduceResponse.decode(9, answer[9:]).responses[0].partition_responses[0]
            assert (result.error_code, result.base_offset) == (0, i)
    took.sort()
    return took[count // 2] / 1000, took[count * 99 // 100] / 1000


def client_latency(broker: BrokerProcess, count: int = 3000) -> tuple[float, float]:
    """The same through confluent-kafka, flushing after each message; (p50, p99) in microseconds."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "linger.ms": 0})
    value = os.urandom(RECORD_BYTES)
    took = []
    for _ in range(count):
        started = time.perf_counter_ns()
        producer.produce("latency", value)
        assert producer.flush() == 0
        took.append(time.perf_counter_ns() - started)
    took.sort()
    return took[count // 2] / 1000, took[count * 99 // 100] / 1000


def idle_polls(broker: BrokerProcess, count: int = 1000, seconds: float = 5.0) -> float:
    """CPU share of a core that `count` connections cost, each polling an empty partition for 500 ms."""
    import selectors

    from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic
    from flymq_protocol.framing import encode_request

    create_topic(broker, "idle")
    host, port = broker.bootstrap.split(":")
    wanted = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(max_wait_ms=500, min_bytes=1, topics=[FetchTopic(topic="idle", partitions=[wanted])])
    frame = bytes(encode_request(request, 11, 1, "idle"))
    selector = selectors.DefaultSelector()
    connections = []
    for _ in range(count):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(frame)
        selector.register(connection, selectors.EVENT_READ)
        connections.append(connection)
    answers = 0

    def poll_for(duration: float) -> None:
        nonlocal answers
        until = time.monotonic() + duration
        while time.monotonic() < until:
            for key, _ in selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                assert connection.recv(65536)
                connection.sendall(frame)
                answers += 1

    poll_for(2.0)
    answers = 0
    cpu = broker.cpu_s()
    poll_for(seconds)
    share = (broker.cpu_s() - cpu) / seconds
    assert answers > count * seconds, answers  # two a second each, less what is under way
    for connection in connections:
        connection.close()
    return share


def first_records(bootstrap: str, number: int) -> dict[str, float]:
    """Milliseconds from making a consumer of a new group to its first record, for each client."""
    from kafka import KafkaConsumer

    took = {}
    started = time.perf_counter()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"c{number}", "auto.offset.reset": "earliest"})
    consumer.subscribe(["first"])
    while consumer.poll(0.1) is None:
        pass
    took["confluent-kafka"] = time.perf_counter() - started
    consumer.close()
    started = time.perf_counter()
    reader = KafkaConsumer(
        "first", bootstrap_servers=bootstrap, group_id=f"k{number}", auto_offset_reset="earliest"
    )
    next(reader)
    took["kafka-python"] = time.perf_counter() - started
    reader.close()
    took["aiokafka"] = asyncio.run(_first_record_async(bootstrap, number))
    return {client: seconds * 1000 for client, seconds in took.items()}


async def _first_record_async(bootstrap: str, number: int) -> float:
    from aiokafka import AIOKafkaConsumer

    started = time.perf_counter()
    consumer = AIOKafkaConsumer(
        "first", bootstrap_servers=bootstrap, group_id=f"a{number}", auto_offset_reset="earliest"
    )
    await consumer.start()
    await consumer.getone()
    took = time.perf_counter() - started
    await consumer.stop()
    return took


def embedded() -> tuple[float, float]:
    """Milliseconds to start and to stop an embedded broker, after import."""
    from flymq import EmbeddedBroker

    started = time.perf_counter()
    broker = EmbeddedBroker(topics={"orders": 3}).start()
    running = time.perf_counter()
    broker.stop()
    return (running - started) * 1000, (time.perf_counter() - running) * 1000


def touch_memory(folder: Path, gigabytes: float) -> None:
    """Write and delete what the run will write, so that the page cache uses pages the machine has."""
    block = os.urandom(1 << 20)
    path = folder / "touched"
    with path.open("wb") as file:
        for _ in range(int(gigabytes * GB / len(block))):
            file.write(block)
    path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", default=[], choices=[[], *PARTS])
    parser.add_argument("--gb", type=float, default=0.5, help="gigabytes a run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="flymq dev instead of files with durability=os")
    options = parser.parse_args()
    options.parts = options.parts or PARTS
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CLIENT_CPU})
    folder = Path(tempfile.mkdtemp(prefix="flymq-speed-"))
    try:
        if not options.memory and {"produce", "consume"} & set(options.parts):
            for _ in range(2):
                touch_memory(folder, options.gb * 3)
        run(options, folder)
    finally:
        shutil.rmtree(folder)


def run(options: argparse.Namespace, folder: Path) -> None:
    rows: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    if "group" in options.parts:
        with BrokerProcess(["dev"]) as broker:
            create_topic(broker, "first")
            producer = Producer({"bootstrap.servers": broker.bootstrap})
            producer.produce("first", b"here")
            producer.flush()
            for number in range(options.rounds):
                for client, milliseconds in first_records(broker.bootstrap, number).items():
                    note(f"first record of a new group, {client}, ms", milliseconds)
    if "embedded" in options.parts:
        for _ in range(options.rounds + 1):
            started, stopped = embedded()
            note("EmbeddedBroker start, ms", started)
            note("EmbeddedBroker stop, ms", stopped)
    serving = {"produce", "consume", "latency", "start", "polls"} & set(options.parts)
    args = ["dev"] if options.memory else ["serve", "--data-dir", str(folder / "data"), "--set", "flymq.durability=os"]
    if "start" in serving:
        for _ in range(options.rounds):
            with BrokerProcess(args) as broker:
                note("ready after exec, ms", broker.ready_s * 1000)
                note("idle RSS, MB", broker.rss_mb())
    if serving - {"start"}:
        with BrokerProcess(args) as broker:
            run_serving(options, broker, note)
            note("RSS at the end, MB", broker.rss_mb())
    for name, values in rows.items():
        spread = f"{min(values):.2f} - {max(values):.2f}"
        print(f"{name:48} {statistics.median(values):10.2f}   ({spread})", flush=True)  # noqa: T201


def run_serving(options: argparse.Namespace, broker: BrokerProcess, note: Callable[[str, float], None]) -> None:
    for label, batch_bytes in (("64 KB", 64 * 1024), ("1 MB", 1_000_000)):
        for number in range(options.rounds if {"produce", "consume"} & set(options.parts) else 0):
            # Each round's files are deleted, so that the next one's pages are not new to the machine.
            topic = f"t{batch_bytes}-{number}"
            cpu, speed = produce(broker, topic, options.gb, batch_bytes)
            note(f"produce {label} batches, broker CPU s/GB", cpu)
            note(f"produce {label} batches, MB/s", speed)
            if "consume" in options.parts:
                cpu, speed = consume(broker, topic)
                note(f"consume {label} batches, broker CPU s/GB", cpu)
                note(f"consume {label} batches, MB/s", speed)
            delete_topic(broker, topic)
    if "latency" in options.parts:
        p50, p99 = latency(broker)
        note("one message over a socket, p50 us", p50)
        note("one message over a socket, p99 us", p99)
        p50, p99 = client_latency(broker)
        note("one message, confluent-kafka, p50 us", p50)
        note("one message, confluent-kafka, p99 us", p99)
    if "polls" in options.parts:
        note("1,000 idle long polls, % of a core", idle_polls(broker) * 100)


if __name__ == "__main__":
    main()
