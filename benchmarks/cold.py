"""How much a consumer that reads old data slows a producer at the tail."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

import frames
from brokers import Given
from measures import GB, P50, P99, RATE, SPEED, Bench, Figures, create_topic, delete_topic, log_end, values

PACED_MB = 200  # a second: about half of what Apache Kafka takes with the CPU to itself
SHARE = f"share, producer of {PACED_MB} MB/s"
SHARE_AT_FULL_RATE = "share, producer at its full rate"
RECORDS = 62  # of 1 KB: a batch that fills 64 KB
IN_FLIGHT = 5
ALONE_S_PER_GB = 2.0  # about as long as the reading


def reader(bench: Bench, broker: Given, topic: str, gigabytes: float) -> Figures:
    """A producer beside a consumer of old data, which is on the disk alone and is read as fast as can be.

    Shares are of the bytes that the producer sends, beside the reader and without it. Both clients have one CPU, so the
    producer is a cheap one, batches of 64 KB made before, 5 in flight: the two together leave half of their CPU idle.

    The broker has one CPU too. A producer and a reader that both ask for all of it may have half each, and are no
    slower for one another than two producers would be: so the share at full rate is told, but it is a producer that
    leaves room for both, the same for every broker, that a reader must leave in peace. Its requests are timed from when
    they were due.

    No figures where the broker's folder is one that never leaves memory.
    """
    again = f"{topic}-again"
    for old in (topic, again):  # what was read before may be in some cache below the file system
        bench.produce(broker, old, gigabytes, 1_000_000, values(1024), {})

    def produce(while_: Callable[[], object], per_second: float = 0) -> Figures:
        tail = f"{topic}-tail"
        create_topic(broker, tail)
        forget(broker)  # what was written before, too: else the kernel throttles this one for it
        done, figures = bench.requests_during(
            while_, broker, frames.produce(tail, RECORDS), in_flight=IN_FLIGHT, per_second=per_second
        )
        arrived = log_end(broker, tail)
        delete_topic(broker, tail)
        assert done * RECORDS <= arrived <= (done + IN_FLIGHT) * RECORDS, (done, arrived)
        return figures

    speeds = []

    def read(old: str) -> Callable[[], object]:
        return lambda: speeds.append(bench.consume(broker, old)[SPEED])

    def wait() -> None:
        time.sleep(ALONE_S_PER_GB * gigabytes)

    full = produce(wait)
    paced = PACED_MB * 1e6 / (RECORDS * 1024)
    alone = produce(wait, paced)
    read_before = broker.read_bytes()
    beside = produce(read(topic), paced)
    was_cold = broker.read_bytes() - read_before > gigabytes * GB / 2
    full_beside = produce(read(again))
    delete_topic(broker, again)
    if not was_cold:
        return {}
    return {
        SHARE: beside[RATE] / alone[RATE],
        SHARE_AT_FULL_RATE: full_beside[RATE] / full[RATE],
        "full rate MB/s": full[RATE] * RECORDS * 1024 / 1e6,
        f"{P50}, alone": alone[P50],
        f"{P50}, beside": beside[P50],
        f"{P99}, alone": alone[P99],
        f"{P99}, beside": beside[P99],
        "reader MB/s": speeds[0],
    }


def forget(broker: Given) -> None:
    """Write the broker's segments to the disk and drop them from the page cache."""
    assert broker.data is not None
    for folder, _, names in os.walk(broker.data):  # which does not mind that a deleted topic goes meanwhile
        for name in names:
            if name.endswith(".log"):
                with suppress(FileNotFoundError), open(os.path.join(folder, name), "rb") as file:
                    os.fsync(file.fileno())
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
