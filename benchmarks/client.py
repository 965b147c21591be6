"""What FlyMQClient costs: its rate beside plain kafka-python's, its first message, its memory, its patience.

    python benchmarks/client.py [rate first memory dead] [--rounds N] [--messages N]

Client and broker (`flymq dev`) are pinned to a CPU each. Rates are taken in rounds, one of each kind after the other,
so that a slow minute of the machine slows all of them; a ratio is of the two in the same round. CPU is that of the
client's process, all threads: less at the mercy of whoever else uses the machine. Every message is counted.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import itertools
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psutil
from brokers import CLIENT_CPU, FlyMQ
from confluent_kafka import Producer
from measures import create_topic, delete_topic, log_end

from flymq import FlyMQClient
from flymq.client.errors import FlyMQError

PARTS = ["rate", "first", "memory", "dead"]
FIRST_TIMES = 30
MEMORY_MESSAGES = 1_000_000
MEMORY_BYTES = 100
CONNECT_TIMEOUT_S = 5.0

Rate = tuple[float, float]
"""Messages a second, and microseconds of CPU a message."""


def row(name: str, values: Iterable[float], goal: str = "", unit: str = "") -> None:
    found = list(values)
    spread = f"{min(found):,.2f} - {max(found):,.2f}"
    print(f"{name:58} {statistics.median(found):12,.2f} {unit:5} ({spread})   {goal}", flush=True)  # noqa: T201


@contextlib.contextmanager
def clock(count: int) -> Iterator[list[float]]:
    """Becomes a `Rate` at the end."""
    found: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()
    yield found
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    found += [count / took, cpu / count * 1e6]


# -- rate -----------------------------------------------------------------------------------------


def plain_send(bootstrap: str, topic: str, value: bytes, count: int) -> Rate:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(topic, value)
    producer.flush()
    with clock(count) as found:
        for _ in range(count):
            producer.send(topic, value)
        producer.flush()
    producer.close()
    return found[0], found[1]


def our_send(bootstrap: str, topic: str, value: bytes, count: int) -> Rate:
    with FlyMQClient(bootstrap) as client, client.producer() as producer:
        producer.send(topic, value)
        producer.flush()
        with clock(count) as found:
            for _ in range(count):
                producer.send(topic, value)
            producer.flush()
    return found[0], found[1]


def our_produce_many(bootstrap: str, topic: str, value: bytes, count: int) -> Rate:
    with FlyMQClient(bootstrap) as client:
        client.produce(topic, value)
        with clock(count) as found:
            report = client.produce_many(topic, itertools.repeat(value, count))
        assert report.sent == count, report
    return found[0], found[1]


def counted(messages: Iterable[Any], count: int) -> Rate:
    """From the first message on: joining a group is not what is measured."""
    seen = 0
    arriving = iter(messages)
    next(arriving)
    with clock(count - 1) as found:
        for message in arriving:
            seen += 1
            if message.offset == count - 1:
                break
    assert seen == count - 1, f"{seen + 1} of {count}"
    return found[0], found[1]


_groups = itertools.count(1)


def plain_consumer(bootstrap: str, topic: str, count: int) -> Rate:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"plain-{next(_groups)}", auto_offset_reset="earliest"
    )
    found = counted(consumer, count)
    consumer.close()
    return found


def our_consumer(bootstrap: str, topic: str, count: int) -> Rate:
    with FlyMQClient(bootstrap) as client:
        consumer = client.consumer(topic, f"ours-{next(_groups)}", auto_offset_reset="earliest")
        found = counted(consumer, count)
        consumer.close()
    return found


def our_read(bootstrap: str, topic: str, count: int) -> Rate:
    with FlyMQClient(bootstrap) as client:
        return counted(client.read(topic), count)


def rates(bootstrap: str, broker: FlyMQ, rounds: int, count: int) -> None:
    writers = {"kafka-python send": plain_send, "producer().send": our_send, "produce_many": our_produce_many}
    readers = {"kafka-python consumer": plain_consumer, "consumer": our_consumer, "read": our_read}
    for size in (1024, 100):
        value = os.urandom(size)
        found: dict[str, list[Rate]] = {}
        for number in range(rounds):
            topic = f"rate-{size}-{number}"
            for name, write in turned(writers, number):
                create_topic(broker, topic)
                found.setdefault(name, []).append(write(bootstrap, topic, value, count))
                assert log_end(broker, topic) == count + 1
                if name != turned(writers, number)[-1][0]:
                    delete_topic(broker, topic)
            for name, read in turned(readers, number):
                found.setdefault(name, []).append(read(bootstrap, topic, count + 1))
            delete_topic(broker, topic)
        for kinds in (writers, readers):
            plain, *ours = kinds
            for name in kinds:
                row(f"{size} B, {name}", [rate for rate, _ in found[name]], unit="/s")
                row(f"{size} B, {name}, CPU of the client", [cpu for _, cpu in found[name]], unit="us")
            for name in ours:
                pairs = list(zip(found[name], found[plain], strict=True))
                row(f"{size} B, {name} / {plain}", [a[0] / b[0] for a, b in pairs], "goal >= 0.85")
                row(f"{size} B, {name} / {plain}, by CPU", [b[1] / a[1] for a, b in pairs], "goal >= 0.85")


def turned(kinds: dict[str, Callable[..., Rate]], number: int) -> list[tuple[str, Callable[..., Rate]]]:
    """In another order each round: whoever is first pays for what is cold."""
    listed = list(kinds.items())
    return listed[number % len(listed) :] + listed[: number % len(listed)]


# -- the first message ----------------------------------------------------------------------------


def first(bootstrap: str, topic: str) -> tuple[float, float]:
    """Milliseconds of the first produce, and of the constructor before it."""
    started = time.perf_counter()
    client = FlyMQClient(bootstrap)
    made = time.perf_counter()
    client.produce(topic, b"first")
    done = time.perf_counter()
    client.close()
    return (done - made) * 1000, (made - started) * 1000


def firsts(bootstrap: str, broker: FlyMQ) -> None:
    create_topic(broker, "first")
    fresh = [tuple(map(float, child("first", bootstrap, "first").split())) for _ in range(FIRST_TIMES + 1)]
    here = [first(bootstrap, "first") for _ in range(FIRST_TIMES + 1)]
    assert log_end(broker, "first") == 2 * (FIRST_TIMES + 1)
    # The first of each compiles and imports.
    for where, found in (("a fresh process", fresh), ("one process", here)):
        row(f"first produce, {where}", [one[0] for one in found[1:]], "goal <= 15", "ms")
        row(f"first produce with the constructor, {where}", [sum(one) for one in found[1:]], unit="ms")


# -- memory ---------------------------------------------------------------------------------------


def memory(kind: str, bootstrap: str, topic: str) -> tuple[float, float]:
    """MB at most above what it is after 1,000 messages, and above what it is after the imports."""
    import kafka  # noqa: F401 - so that it counts as there

    process = psutil.Process()
    imported = process.memory_info().rss
    started, peak, seen = 0, 0, 0
    with FlyMQClient(bootstrap) as client:
        source = client.consumer(topic, auto_offset_reset="earliest") if kind == "consumer" else client.read(topic)
        for message in source:
            seen += 1
            if seen == 1000:
                started = process.memory_info().rss
            if seen % 5000 == 0:
                peak = max(peak, process.memory_info().rss)
            if message.offset == MEMORY_MESSAGES - 1:
                break
    assert seen == MEMORY_MESSAGES, seen
    return (peak - started) / 1e6, (peak - imported) / 1e6


def memories(bootstrap: str, broker: FlyMQ) -> None:
    create_topic(broker, "memory")
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 2_000_000})
    messages = [{"value": os.urandom(MEMORY_BYTES)} for _ in range(1000)]
    for _ in range(MEMORY_MESSAGES // len(messages)):
        assert producer.produce_batch("memory", messages) == len(messages)
    assert producer.flush() == 0
    assert log_end(broker, "memory") == MEMORY_MESSAGES
    for kind in ("consumer", "read"):
        after_some, after_imports = map(float, child("memory", kind, bootstrap, "memory").split())
        row(f"RSS over {MEMORY_MESSAGES:,} messages, {kind}, above the first 1,000", [after_some], "goal <= 40", "MB")
        row(f"RSS over {MEMORY_MESSAGES:,} messages, {kind}, above the imports", [after_imports], "goal <= 40", "MB")


# -- no broker ------------------------------------------------------------------------------------


class _Silent(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def nowhere() -> Iterator[dict[str, str]]:
    """What there may be instead of a broker -> its address."""
    with contextlib.ExitStack() as stack:
        free, mute, full = (stack.enter_context(socket.socket()) for _ in range(3))
        free.bind(("127.0.0.1", 0))  # and does not listen
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):  # its backlog: from here on it answers nobody
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        web = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent))
        serving = threading.Thread(target=web.serve_forever)
        serving.start()
        stack.callback(serving.join)
        stack.callback(web.shutdown)
        ports = {"a dead port": free, "one that swallows packets": full, "one that never answers": mute}
        yield {
            **{name: f"127.0.0.1:{sock.getsockname()[1]}" for name, sock in ports.items()},
            "a web server": f"127.0.0.1:{web.server_port}",
            "a bad name": "no-such-host.invalid:9092",
        }


def dead() -> None:
    calls: dict[str, Callable[[FlyMQClient], object]] = {
        "ping": lambda client: client.ping(),
        "produce": lambda client: client.produce("orders", b"x"),
        "consumer": lambda client: next(client.consumer("orders")),
    }
    with nowhere() as addresses:
        for where, address in addresses.items():
            for name, call in calls.items():
                with FlyMQClient(address, connect_timeout=CONNECT_TIMEOUT_S) as client:
                    started = time.perf_counter()
                    try:
                        call(client)
                    except FlyMQError as error:
                        took = time.perf_counter() - started
                        row(f"{name} at {where}: {error.code}", [took], f"goal <= {CONNECT_TIMEOUT_S + 0.5}", "s")
                    else:
                        raise AssertionError(f"{name} at {where} found a broker")


# -- all of it ------------------------------------------------------------------------------------


def child(*args: str) -> str:
    """Run a part of this in a process of its own; what it prints. Modules are compiled once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [
        sys.executable,
        "-X",
        f"pycache_prefix={tempfile.gettempdir()}/flymq-pycache",
        __file__,
        "--child",
        *args,
    ]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        part, *args = sys.argv[2:]
        print(*(first(*args) if part == "first" else memory(*args)))  # noqa: T201
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", default=[], choices=[[], *PARTS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=50_000, help="a round, for the rates")
    options = parser.parse_args()
    parts = options.parts or PARTS
    pinned = "pinned" if hasattr(os, "sched_setaffinity") else "not pinned"
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {pinned}")  # noqa: T201
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CLIENT_CPU})
    if set(parts) - {"dead"}:
        with FlyMQ(["dev"]) as broker:
            if "rate" in parts:
                rates(broker.bootstrap, broker, options.rounds, options.messages)
            if "first" in parts:
                firsts(broker.bootstrap, broker)
            if "memory" in parts:
                memories(broker.bootstrap, broker)
    if "dead" in parts:
        dead()


if __name__ == "__main__":
    main()
