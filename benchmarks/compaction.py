"""What compaction does to produces, and whether it keeps what it must, under churn.

    python benchmarks/compaction.py [--gb N] [--keys N] [--rate MB] [--segment MB] [--durability os|fsync]

A loader writes records of 1 KB in random keys at a steady rate, a reader goes through the topic again and again, and a
probe produces one record at a time to the same partition over a plain socket. The probe's times are told apart by
whether the cleaner's process was there: both kinds come from the same minutes of the same machine. At the end every
key must have its newest value, offsets must ascend, and tombstones must be gone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from brokers import FlyMQ
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TOPIC = "churn"
RECORD_BYTES = 1000
TOMBSTONES = 1000
RETENTION_MS = 3000
FILL_KEYS = 20
PROBE_KEYS = 100
PROBE_S = 0.005
READ_BYTES_A_SECOND = 20_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=2.0)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--rate", type=float, default=15.0, help="MB a second that the loader writes")
    parser.add_argument("--segment", type=int, default=16, help="MB")
    parser.add_argument("--durability", choices=("os", "fsync"), default="fsync")
    parser.add_argument("--max-ratio", type=float, help="fail where p99 while cleaning is above this many times p99")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flymq-compaction-") as folder:
        found = run(Path(folder), options)
    for name, value in found.items():
        print(f"{name:46} {value:12,.2f}", flush=True)  # noqa: T201
    if options.max_ratio is not None and found["p99 cleaning / not"] > options.max_ratio:
        raise SystemExit("cleaning slows produces down too much")


def run(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """The figures; AssertionError for a record that is not as it should be."""
    settings = {"flymq.durability": options.durability, "log.cleaner.backoff.ms": 500}
    args = ["serve", "--data-dir", str(folder / "data")]
    for name, value in settings.items():
        args += ["--set", f"{name}={value}"]
    # The cleaner inherits the broker's CPU: nothing is pinned here.
    with FlyMQ(args, port=19093) as broker:
        os.sched_setaffinity(broker.process.pid, os.sched_getaffinity(0))
        create(broker.bootstrap, options)
        watch = Watch(broker.process.pid)
        probe = Probe(broker.bootstrap, watch)
        reader = start(read_again_and_again, broker.bootstrap, str(folder / "reader"))
        newest_path = folder / "newest"
        loader = start(load, broker.bootstrap, str(newest_path), options.gb, options.keys, options.rate)
        loader.join()
        assert loader.exitcode == 0, "the loader failed"
        probe.stop()
        newest: dict[str, int | None] = json.loads(newest_path.read_text())
        while_loading = watch.busy_s / max(watch.busy_s + watch.idle_s, 1e-9)
        # Tombstones: one cleaning sets their horizon, one after it takes them away.
        for _ in range(2):
            fill(broker.bootstrap, options)
            watch.wait_idle(5 + RETENTION_MS / 1000)
        size = sum(path.stat().st_size for path in (folder / "data" / "logs").rglob("*.log"))
        reader.terminate()
        reader.join()
        rounds, failures = json.loads((folder / "reader").read_text())
        assert not failures, failures
        check(broker.bootstrap, newest)
        left = [path.name for path in (folder / "data" / "logs").rglob("*.cleaned*")]
        assert not left, left
        watch.stop()
    idle, busy = probe.percentiles(False), probe.percentiles(True)
    return {
        "written, MB": options.gb * 1000 + 2 * fill_bytes(options) / 1e6,
        "left on the disk, MB": size / 1e6,
        "whole rounds of the reader": rounds,
        "time that the cleaner ran while loading, part": while_loading,
        "cleaner, MB/s read and written": watch.bytes / 1e6 / max(watch.busy_s, 1e-9),
        "probes while not cleaning": idle[0], "p50, ms": idle[1], "p99, ms": idle[2], "max, ms": idle[3],
        "probes while cleaning": busy[0], "p50 while cleaning, ms": busy[1], "p99 while cleaning, ms": busy[2],
        "max while cleaning, ms": busy[3],
        "p99 cleaning / not": busy[2] / idle[2],
    }  # fmt: skip


def create(bootstrap: str, options: argparse.Namespace) -> None:
    config = {
        "cleanup.policy": "compact",
        "segment.bytes": str(options.segment << 20),
        "delete.retention.ms": str(RETENTION_MS),
    }
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, 1, config=config)])[TOPIC].result()


def start(work: Any, *args: Any) -> Any:
    process = multiprocessing.get_context("spawn").Process(target=work, args=args, daemon=True)
    process.start()
    return process


# -- the load -------------------------------------------------------------------------------------


def producer_of(bootstrap: str) -> Producer:
    return Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "acks": "all", "enable.idempotence": True})


def steadily(bytes_a_second: float) -> Iterator[int]:
    """Counts up without end, RECORD_BYTES each, in step with the clock."""
    started = time.perf_counter()
    number = 0
    while True:
        for _ in range(20):
            yield number
            number += 1
        ahead_s = number * RECORD_BYTES / bytes_a_second - (time.perf_counter() - started)
        if ahead_s > 0:
            time.sleep(ahead_s)


def send(producer: Producer, key: str, value: bytes | None, done: Any = None) -> None:
    """Waits where the producer's queue is full."""
    while True:
        try:
            producer.produce(TOPIC, value, key, on_delivery=done)
        except BufferError:
            producer.poll(0.1)
        else:
            break


def load(bootstrap: str, path: str, gigabytes: float, keys: int, rate: float) -> None:
    """Writes to `path` what each key's newest value begins with; None where it is a tombstone."""
    producer = producer_of(bootstrap)
    failures: list[object] = []
    filler = os.urandom(RECORD_BYTES)
    newest: dict[str, int | None] = {}
    choose = random.Random(1).randrange
    count = int(gigabytes * 1e9 / RECORD_BYTES)

    def done(error: object, _: object) -> None:
        if error is not None:
            failures.append(error)

    for number in steadily(rate * 1e6):
        if number == count:
            break
        key = f"key-{choose(keys):012d}"
        newest[key] = number
        send(producer, key, b"%012d" % number + filler[: RECORD_BYTES - 40], done)
        if number % 100 == 0:
            producer.poll(0)
    for key in list(newest)[:TOMBSTONES]:
        newest[key] = None
        send(producer, key, None, done)
    producer.flush()
    assert not failures, failures[0]
    Path(path).write_text(json.dumps(newest))


def fill_bytes(options: argparse.Namespace) -> int:
    """Enough to make more than half of the log dirty, and to roll."""
    return options.keys * RECORD_BYTES + 3 * (options.segment << 20)


def fill(bootstrap: str, options: argparse.Namespace) -> None:
    """Make the log dirty again, in a few keys."""
    producer = producer_of(bootstrap)
    value = os.urandom(RECORD_BYTES)
    for number in range(fill_bytes(options) // RECORD_BYTES):
        send(producer, f"fill-{number % FILL_KEYS}", value)
        producer.poll(0)
    producer.flush()


# -- who looks on ---------------------------------------------------------------------------------


class Watch:
    """Is there a cleaner's process? `bytes` is what those that were seen have read and written, by the kernel."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.is_busy = False
        self.busy_s = self.idle_s = 0.0
        self.bytes = 0
        self._is_stopped = False
        self._last_busy = time.perf_counter()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = time.perf_counter()
        child, last = "", 0
        while not self._is_stopped:
            children = self._children()
            now = time.perf_counter()
            if self.is_busy:
                self.busy_s += now - before
                self._last_busy = now
            else:
                self.idle_s += now - before
            before = now
            self.is_busy = bool(children)
            if children and children[0] != child:
                child, last = children[0], 0
            if children:
                with contextlib.suppress(OSError):
                    fields = dict(line.split(": ") for line in Path(f"/proc/{child}/io").read_text().splitlines())
                    total = int(fields["rchar"]) + int(fields["wchar"])
                    self.bytes += total - last
                    last = total
            time.sleep(0.01)

    def _children(self) -> list[str]:
        found: list[str] = []
        for tid in os.listdir(f"/proc/{self._pid}/task"):
            with contextlib.suppress(OSError):
                found += Path(f"/proc/{self._pid}/task/{tid}/children").read_text().split()
        return found

    def wait_idle(self, seconds: float) -> None:
        """Until no cleaner was there for so long."""
        self._last_busy = time.perf_counter()
        while time.perf_counter() - self._last_busy < seconds:
            time.sleep(0.1)

    def stop(self) -> None:
        self._is_stopped = True
        self._thread.join()


class Probe:
    """One produce at a time, acks=all, every PROBE_S."""

    def __init__(self, bootstrap: str, watch: Watch) -> None:
        self._watch = watch
        self._took: dict[bool, list[float]] = {False: [], True: []}
        self._is_stopped = False
        self._failure: BaseException | None = None
        host, _, port = bootstrap.partition(":")
        self._address = (host, int(port))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with socket.create_connection(self._address) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = 0
                while not self._is_stopped:
                    self._one(connection, number)
                    number += 1
                    time.sleep(PROBE_S)
        except BaseException as failure:
            self._failure = failure

    def _one(self, connection: socket.socket, number: int) -> None:
        from flymq_protocol.api.k00_produce import (
            PartitionProduceData,
            ProduceRequest,
            ProduceResponse,
            TopicProduceData,
        )
        from flymq_protocol.framing import encode_request
        from flymq_protocol.records.record import Record, build_batch

        key = f"probe-{number % PROBE_KEYS}".encode()
        batch = bytes(build_batch([Record(0, int(time.time() * 1000), key, b"x" * RECORD_BYTES)]))
        topics = [TopicProduceData(name=TOPIC, partition_data=[PartitionProduceData(0, batch)])]
        frame = bytes(encode_request(ProduceRequest(None, -1, 30000, topics), 9, 1, "probe"))
        started = time.perf_counter()
        connection.sendall(frame)
        answer = connection.recv(4096)
        took = time.perf_counter() - started
        error = ProduceResponse.decode(9, answer[9:]).responses[0].partition_responses[0].error_code
        assert not error, error
        self._took[self._watch.is_busy].append(took * 1000)

    def stop(self) -> None:
        self._is_stopped = True
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def percentiles(self, while_cleaning: bool) -> tuple[int, float, float, float]:
        """(count, p50, p99, largest), ms."""
        took = sorted(self._took[while_cleaning])
        if not took:
            raise SystemExit("not one probe of that kind: more data, or a slower rate")
        return len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1]


def consumer_of(bootstrap: str) -> Consumer:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
                         "enable.partition.eof": True, "fetch.max.bytes": 4_000_000})  # fmt: skip
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    return consumer


def to_the_end(bootstrap: str) -> Iterator[list[Any]]:
    """Messages in lists, from the beginning; AssertionError for an error, or an offset that does not ascend."""
    consumer = consumer_of(bootstrap)
    before = -1
    is_over = False
    while not is_over:
        messages = []
        for message in consumer.consume(2000, 1):
            if message.error() is not None:
                assert message.error().name() == "_PARTITION_EOF", message.error()
                is_over = True
                continue
            assert message.offset() > before, f"offset {message.offset()} after {before}"
            before = message.offset()
            messages.append(message)
        yield messages
    consumer.close()


def read_again_and_again(bootstrap: str, path: str) -> None:
    """Writes to `path` (whole rounds, what was wrong) as it goes. Within a round a key's numbers ascend."""
    rounds = 0
    failures: list[str] = []
    while True:
        Path(path + ".new").write_text(json.dumps([rounds, failures]))
        os.replace(path + ".new", path)
        newest: dict[bytes, int] = {}
        try:
            for messages in to_the_end(bootstrap):
                for message in messages:
                    if message.key().startswith(b"key-") and message.value() is not None:
                        number = int(message.value()[:12])
                        assert newest.get(message.key(), -1) < number, message.key()
                        newest[message.key()] = number
                time.sleep(len(messages) * RECORD_BYTES / READ_BYTES_A_SECOND)
            rounds += 1
        except AssertionError as failure:
            failures.append(str(failure))


def check(bootstrap: str, newest: dict[str, int | None]) -> None:
    """Every key has its newest value, and those that were deleted are not there at all."""
    found: dict[str, int] = {}
    for messages in to_the_end(bootstrap):
        for message in messages:
            key = message.key().decode()
            if key.startswith("key-"):
                assert message.value() is not None, f"the tombstone of {key} is there yet, at {message.offset()}"
                found[key] = int(message.value()[:12])
    expected = {key: number for key, number in newest.items() if number is not None}
    assert len(expected) == len(newest) - TOMBSTONES
    wrong = {key for key in expected if found.get(key) != expected[key]}
    assert not wrong, f"{len(wrong)} keys lack their newest value, such as {min(wrong)}"
    assert found.keys() == expected.keys(), "keys that were deleted"


if __name__ == "__main__":
    main()
