"""What is measured of a broker, one function a measure: figure -> value. Each checks that what it sent arrived.

`Bench` has the small programs in C that ask a broker more than Python could; without a compiler they are left out.
"""

from __future__ import annotations

import asyncio
import os
import random
import selectors
import shutil
import socket
import string
import subprocess
import time
from pathlib import Path
from typing import Any

import confluent_kafka
from brokers import Given
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from flymq_protocol.api.k00_produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from flymq_protocol.api.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from flymq_protocol.api.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from flymq_protocol.framing import encode_request
from flymq_protocol.records.record import Record, build_batch

HERE = Path(__file__).parent
GB = 1_000_000_000
MESSAGES_A_CALL = 1000
IN_QUEUE_MAX = 100_000
SPEED, CPU_PER_GB = "MB/s", "broker CPU s/GB"
RATE, CPU_PER_REQUEST = "requests/s", "broker CPU us a request"
P50, P99 = "p50 us", "p99 us"
Figures = dict[str, float]
_PRODUCE_VERSION, _FETCH_VERSION, _COMMIT_VERSION = 9, 11, 7
_HEADER_BYTES, _FLEXIBLE_HEADER_BYTES = 4, 5  # of answers
_ERROR_MARK = 0x7A7A  # "zz": no topic here is called so
_OFFSET_MARK = 0x1122334455667788


# -- topics ---------------------------------------------------------------------------------------


def create_topic(broker: Given, name: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(name, partitions)])[name].result()
    while log_end(broker, name) < 0:  # Kafka's partitions are led a moment later
        time.sleep(0.01)


def delete_topic(broker: Given, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.delete_topics([name])[name].result()


def log_end(broker: Given, topic: str) -> int:
    """-1: not there yet."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "none"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)[1])
    except confluent_kafka.KafkaException:
        return -1
    finally:
        consumer.close()


# -- throughput -----------------------------------------------------------------------------------


def values(record_bytes: int, *, text: bool = False) -> list[bytes]:
    """Random, so that nothing compresses it; `text`: of a few thousand words, which compresses about 2 to 1."""
    if not text:
        return [os.urandom(record_bytes) for _ in range(MESSAGES_A_CALL)]
    draw = random.Random(1)
    words = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 9))) for _ in range(2000)]
    return [" ".join(draw.choices(words, k=record_bytes))[:record_bytes].encode() for _ in range(MESSAGES_A_CALL)]


def produce(
    broker: Given, topic: str, gigabytes: float, batch_bytes: int, messages: list[bytes], config: dict[str, Any]
) -> Figures:
    """acks=all, as fast as librdkafka can."""
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
    # the log's end says how many arrived.
    size = len(messages[0])
    count = int(gigabytes * GB / size) // MESSAGES_A_CALL * MESSAGES_A_CALL
    batch = [{"value": value} for value in messages]
    assert producer.produce_batch(topic, batch) == MESSAGES_A_CALL
    assert producer.flush() == 0
    cpu, started = broker.cpu_s(), time.perf_counter()
    for _ in range(count // MESSAGES_A_CALL):
        while len(producer) > IN_QUEUE_MAX:
            producer.poll(0.001)
        assert producer.produce_batch(topic, batch) == MESSAGES_A_CALL
    assert producer.flush() == 0
    wall, cpu = time.perf_counter() - started, broker.cpu_s() - cpu
    assert log_end(broker, topic) == count + MESSAGES_A_CALL
    return {SPEED: count * size / 1e6 / wall, CPU_PER_GB: cpu / (count * size / GB)}


class Bench:
    """`folder` is for the programs and the frames that they send."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.compiler = shutil.which("cc") or shutil.which("gcc")
        if self.compiler is not None:
            for name, libraries in (("load", ()), ("consume", ("-ldl",))):
                command = [self.compiler, "-O2", "-o", str(folder / name), str(HERE / "load" / f"{name}.c"), *libraries]
                subprocess.run(command, check=True)

    def _run(self, program: str, *arguments: object) -> list[float]:
        done = subprocess.run(
            [str(self._folder / program), *map(str, arguments)], capture_output=True, text=True, timeout=600
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [float(figure) for figure in done.stdout.split()]

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    def consume(self, broker: Given, topic: str) -> Figures:
        """The whole topic, by librdkafka."""
        count = log_end(broker, topic)
        (library,) = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka*.so*")
        cpu = broker.cpu_s()
        read, size, wall = self._run("consume", library, broker.bootstrap, topic, count)
        assert read == count
        return {SPEED: size / 1e6 / wall, CPU_PER_GB: (broker.cpu_s() - cpu) / (size / GB)}

    # -- requests ---------------------------------------------------------------------------------

    def requests(self, broker: Given, frame: bytes, error_at: int, count: int, *, connections: int, in_flight: int
                 ) -> Figures:  # fmt: skip
        cpu = broker.cpu_s()
        host, port = broker.bootstrap.split(":")
        file = self._file("frame", frame)
        done, wall, p50, p99 = self._run(
            "load", "requests", host, port, connections, in_flight, count, file, error_at
        )
        used = broker.cpu_s() - cpu
        return {RATE: done / wall, CPU_PER_REQUEST: used / count * 1e6, P50: p50, P99: p99}

    def small_produces(
        self, broker: Given, topic: str, count: int, *, connections: int = 1, in_flight: int = 1, partitions: int = 1
    ) -> Figures:
        """Requests of one record of 1 KB."""
        create_topic(broker, topic, partitions)
        frame, error_at = produce_frame(topic)
        figures = self.requests(broker, frame, error_at, count, connections=connections, in_flight=in_flight)
        assert log_end(broker, topic) == count
        return figures

    def offset_commits(self, broker: Given, topic: str, count: int, *, connections: int, in_flight: int) -> Figures:
        """Of one partition, from outside the group."""
        create_topic(broker, topic)
        frame, error_at = commit_frame(topic)
        _await_coordinator(broker)
        return self.requests(broker, frame, error_at, count, connections=connections, in_flight=in_flight)

    def end_to_end(self, broker: Given, topic: str, count: int) -> Figures:
        """From a record's first byte sent to its being received by a fetch that waits for it."""
        create_topic(broker, topic)
        produce_bytes, error_at = produce_frame(topic)
        wanted = FetchPartition(partition=0, fetch_offset=_OFFSET_MARK, partition_max_bytes=1 << 20)
        request = FetchRequest(max_wait_ms=5000, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[wanted])])
        frame = bytes(encode_request(request, _FETCH_VERSION, 1, "bench"))
        offset_at = frame.index(_OFFSET_MARK.to_bytes(8, "big"))
        host, port = broker.bootstrap.split(":")
        _, _, p50, p99 = self._run(
            "load", "end_to_end", host, port, count, self._file("produce", produce_bytes), error_at,
            self._file("fetch", frame), offset_at, 0,
        )  # fmt: skip
        assert log_end(broker, topic) == count
        return {P50: p50, P99: p99}


# -- frames ---------------------------------------------------------------------------------------


def produce_frame(topic: str) -> tuple[bytes, int]:
    """A request with one record of 1 KB; where its answer has the error code, behind the size."""
    batch = bytes(build_batch([Record(0, int(time.time() * 1000), None, os.urandom(1024), [])]))
    topics = [TopicProduceData(name=topic, partition_data=[PartitionProduceData(0, batch)])]
    frame = bytes(encode_request(ProduceRequest(None, -1, 30000, topics), _PRODUCE_VERSION, 1, "bench"))
    row = PartitionProduceResponse(0, _ERROR_MARK, 0)
    answer = ProduceResponse([TopicProduceResponse(name=topic, partition_responses=[row])]).encode(_PRODUCE_VERSION)
    return frame, _FLEXIBLE_HEADER_BYTES + bytes(answer).index(_ERROR_MARK.to_bytes(2, "big"))


def commit_frame(topic: str) -> tuple[bytes, int]:
    """An OffsetCommit of one partition; where its answer has the error code, behind the size."""
    partitions = [OffsetCommitRequestPartition(0, 7)]
    request = OffsetCommitRequest("bench", topics=[OffsetCommitRequestTopic(topic, partitions=partitions)])
    row = OffsetCommitResponsePartition(0, _ERROR_MARK)
    answer = OffsetCommitResponse(topics=[OffsetCommitResponseTopic(topic, partitions=[row])]).encode(_COMMIT_VERSION)
    frame = bytes(encode_request(request, _COMMIT_VERSION, 1, "bench"))
    return frame, _HEADER_BYTES + bytes(answer).index(_ERROR_MARK.to_bytes(2, "big"))


def _await_coordinator(broker: Given) -> None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "bench"})
    for _ in range(100):
        try:
            consumer.committed([TopicPartition("any", 0)], timeout=5)
            break
        except confluent_kafka.KafkaException:
            time.sleep(0.1)
    consumer.close()


# -- other ----------------------------------------------------------------------------------------


def transactions(broker: Given, topic: str, count: int = 200) -> Figures:
    """One after another, each of one record, by librdkafka."""
    create_topic(broker, topic)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": topic, "linger.ms": 0})
    producer.init_transactions(60)
    cpu, started = broker.cpu_s(), time.perf_counter()
    for _ in range(count):
        producer.begin_transaction()
        producer.produce(topic, b"x" * 100)
        producer.commit_transaction(30)
    wall = time.perf_counter() - started
    return {"transactions/s": count / wall, "broker CPU us a transaction": (broker.cpu_s() - cpu) / count * 1e6}


def idle_polls(broker: Given, topic: str, count: int = 1000, seconds: float = 5.0) -> Figures:
    """What `count` connections cost that each poll an empty partition for 500 ms."""
    create_topic(broker, topic)
    host, port = broker.bootstrap.split(":")
    wanted = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    request = FetchRequest(max_wait_ms=500, min_bytes=1, topics=[FetchTopic(topic=topic, partitions=[wanted])])
    frame = bytes(encode_request(request, _FETCH_VERSION, 1, "idle"))
    selector = selectors.DefaultSelector()
    connections = []
    for _ in range(count):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(frame)
        selector.register(connection, selectors.EVENT_READ)
        connections.append(connection)

    def poll_for(duration: float) -> int:
        answers, until = 0, time.monotonic() + duration
        while time.monotonic() < until:
            for key, _ in selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                assert connection.recv(65536)
                connection.sendall(frame)
                answers += 1
        return answers

    poll_for(2.0)
    cpu = broker.cpu_s()
    answers = poll_for(seconds)
    share = (broker.cpu_s() - cpu) / seconds * 100
    assert answers > count * seconds, answers  # two a second each, less what is under way
    for connection in connections:
        connection.close()
    return {"% of a core": share}


def first_record(broker: Given, topic: str, group: str) -> Figures:
    """From making an aiokafka consumer of a new group to its first record of a topic that has one."""

    async def first() -> float:
        from aiokafka import AIOKafkaConsumer

        started = time.perf_counter()
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=broker.bootstrap, group_id=group, auto_offset_reset="earliest"
        )
        await consumer.start()
        await consumer.getone()
        took = time.perf_counter() - started
        await consumer.stop()
        return took

    return {"ms": asyncio.run(first()) * 1000}


def produce_one(broker: Given, topic: str) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, b"here")
    assert producer.flush() == 0
