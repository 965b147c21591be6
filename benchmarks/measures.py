"""What is measured of a broker, one function a measure: figure -> value. Each checks that what it sent arrived.

`Bench` has the small programs in C that ask a broker more than Python could; without a compiler they are left out.
`groups`, `connections` and `cold` have what is measured of those.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import string
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import confluent_kafka
import frames
from brokers import Given
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from frames import Asked

HERE = Path(__file__).parent
GB = 1_000_000_000
VALUES = 1000
SPEED, CPU_PER_GB = "MB/s", "broker CPU s/GB"
RATE, CPU_PER_REQUEST = "requests/s", "broker CPU us a request"
P50, P99 = "p50 us", "p99 us"
Figures = dict[str, float]
_WITHOUT_END = 10_000_000


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


def await_coordinator(broker: Given) -> None:
    """Kafka makes the topic of the offsets when the first group comes."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "bench"})
    for _ in range(100):
        try:
            consumer.committed([TopicPartition("any", 0)], timeout=5)
            break
        except confluent_kafka.KafkaException:
            time.sleep(0.1)
    consumer.close()


# -- what the small programs measure --------------------------------------------------------------


def values(record_bytes: int, *, text: bool = False) -> list[bytes]:
    """Random, so that nothing compresses it; `text`: of a few thousand words, which compresses about 2 to 1."""
    if not text:
        return [os.urandom(record_bytes) for _ in range(VALUES)]
    draw = random.Random(1)
    words = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 9))) for _ in range(2000)]
    return [" ".join(draw.choices(words, k=record_bytes))[:record_bytes].encode() for _ in range(VALUES)]


class Bench:
    """`folder` is for the programs and what they send. `written_gb`: what `produce` has sent, by the broker's name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.written_gb: dict[str, float] = {}
        self.compiler = shutil.which("cc") or shutil.which("gcc")
        if self.compiler is not None:
            for source in (HERE / "load").glob("*.c"):
                command = [self.compiler, "-O2", "-o", str(self.program(source.stem)), str(source), "-ldl"]
                subprocess.run(command, check=True)

    def program(self, name: str) -> Path:
        return self._folder / name

    def _start(self, program: str, *arguments: object) -> subprocess.Popen[str]:
        command = [str(self.program(program)), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _figures(self, running: subprocess.Popen[str]) -> list[float]:
        told, complaint = running.communicate(timeout=600)
        if running.returncode:
            raise RuntimeError(complaint.strip())
        return [float(figure) for figure in told.split()]

    def _run(self, program: str, *arguments: object) -> list[float]:
        return self._figures(self._start(program, *arguments))

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    # -- throughput -------------------------------------------------------------------------------

    def produce(
        self, broker: Given, topic: str, gigabytes: float, batch_bytes: int, messages: list[bytes],
        config: Mapping[str, object],
    ) -> Figures:  # fmt: skip
        """acks=all, as fast as librdkafka can."""
        create_topic(broker, topic)
        settings = {
            "acks": "all",
            "batch.size": batch_bytes,
            "batch.num.messages": 1_000_000,
            "linger.ms": 5,
            # Hundreds of batches of 64 KB, or 20 of 1 MB; with a million messages waiting it is a third slower.
            "queue.buffering.max.messages": 20_000,
            "message.max.bytes": 2_000_000,
            **config,
        }
        size = len(messages[0])
        count = int(gigabytes * GB / size)
        file = self._file("values", b"".join(messages))
        cpu = broker.cpu_s()
        sent, sent_bytes, wall = self._run(
            "produce", _librdkafka(), broker.bootstrap, topic, count, file, size,
            *(f"{name}={value}" for name, value in settings.items()),
        )  # fmt: skip
        cpu = broker.cpu_s() - cpu
        assert sent == count
        assert log_end(broker, topic) == count + 1  # one to connect
        self.written_gb[broker.name] = self.written_gb.get(broker.name, 0.0) + sent_bytes / GB
        return {SPEED: sent_bytes / 1e6 / wall, CPU_PER_GB: cpu / (sent_bytes / GB)}

    def write(self, broker: Given, gigabytes: float) -> None:
        """Records of 1 KB, which are deleted then."""
        self.produce(broker, "written", gigabytes, 64 * 1024, values(1024), {})
        delete_topic(broker, "written")

    def memory_after(self, broker: Given, gigabytes: int) -> Figures:
        for _ in range(gigabytes):
            self.write(broker, 1)
        return {"RSS MB": broker.rss_mb()}

    def consume(self, broker: Given, topic: str) -> Figures:
        """The whole topic, by librdkafka."""
        count = log_end(broker, topic)
        cpu = broker.cpu_s()
        read, size, wall = self._run("consume", _librdkafka(), broker.bootstrap, topic, count)
        assert read == count
        return {SPEED: size / 1e6 / wall, CPU_PER_GB: (broker.cpu_s() - cpu) / (size / GB)}

    # -- requests ---------------------------------------------------------------------------------

    def _start_requests(
        self, broker: Given, asked: Sequence[Asked], count: int, connections: int, in_flight: int, per_second: float
    ) -> subprocess.Popen[str]:
        host, port = broker.bootstrap.split(":")
        file = self._file("frames", b"".join(one.frame for one in asked))
        (error_at,) = {one.error_at for one in asked}
        return self._start(
            "load", "requests", host, port, connections, in_flight, per_second, count, file, error_at
        )  # fmt: skip

    def requests(
        self, broker: Given, asked: Sequence[Asked], count: int, *, connections: int = 1, in_flight: int = 1
    ) -> Figures:
        """`asked` in turn, until it is so many."""
        cpu = broker.cpu_s()
        done, wall, p50, p99 = self._figures(self._start_requests(broker, asked, count, connections, in_flight, 0))
        used = broker.cpu_s() - cpu
        return {RATE: done / wall, CPU_PER_REQUEST: used / count * 1e6, P50: p50, P99: p99}

    def requests_during(
        self, what: Callable[[], object], broker: Given, asked: Asked, *, in_flight: int, per_second: float = 0
    ) -> tuple[int, Figures]:
        """One request again and again over one connection until `what` returns: how many were answered, and figures.

        per_second: at most so many, each timed from when it was due; 0: as many as can be.
        """
        running = self._start_requests(broker, [asked], _WITHOUT_END, 1, in_flight, per_second)
        try:
            what()
        except BaseException:
            running.kill()
            running.wait()
            raise
        running.terminate()
        done, wall, p50, p99 = self._figures(running)
        return int(done), {RATE: done / wall, P50: p50, P99: p99}

    def small_produces(
        self, broker: Given, topic: str, count: int, *, connections: int = 1, in_flight: int = 1, partitions: int = 1
    ) -> Figures:
        """Requests of one record of 1 KB."""
        create_topic(broker, topic, partitions)
        figures = self.ask_to_produce(broker, topic, count, connections=connections, in_flight=in_flight)
        assert log_end(broker, topic) == count
        return figures

    def ask_to_produce(
        self, broker: Given, topic: str, count: int, *, connections: int = 1, in_flight: int = 1
    ) -> Figures:
        """To a topic that is there; or a broker that looks for none."""
        return self.requests(broker, [frames.produce(topic)], count, connections=connections, in_flight=in_flight)

    def offset_commits(self, broker: Given, topic: str, count: int, *, connections: int, in_flight: int) -> Figures:
        """Of one partition, from outside the group."""
        create_topic(broker, topic)
        await_coordinator(broker)
        return self.requests(broker, [frames.commit(topic)], count, connections=connections, in_flight=in_flight)

    def end_to_end(self, broker: Given, topic: str, count: int) -> Figures:
        """From a record's first byte sent to its being received by a fetch that waits for it."""
        create_topic(broker, topic)
        produce, fetch = frames.produce(topic), frames.fetch_to_fill_in(topic, 5000)
        host, port = broker.bootstrap.split(":")
        _, _, p50, p99 = self._run(
            "load", "end_to_end", host, port, count, self._file("produce-frame", produce.frame), produce.error_at,
            self._file("fetch-frame", fetch[0]), fetch[1], 0,
        )  # fmt: skip
        assert log_end(broker, topic) == count
        return {P50: p50, P99: p99}


def _librdkafka() -> Path:
    (library,) = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob("librdkafka*.so*")
    return library


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
