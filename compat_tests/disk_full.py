"""A disk that fills up while producers write: a small tmpfs, mounted for the purpose (root)."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Producer


@contextlib.contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of `mib` MiB at `folder`."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def resize(folder: Path, mib: int) -> None:
    """Make it larger, or smaller as long as what it holds fits; read only where `mib` is 0."""
    option = f"remount,size={mib}m" if mib else "remount,ro"
    subprocess.run(["mount", "-o", option, str(folder)], check=True)


def fill(bootstrap: str, topic: str, partitions: int, mib: int) -> tuple[dict[tuple[int, int], bytes], list[Any]]:
    """Send `mib` MiB, or until errors come; (what was acknowledged: (partition, offset) -> value, the errors)."""
    acked: dict[tuple[int, int], bytes] = {}
    errors: list[Any] = []

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            errors.append(error)
        else:
            acked[message.partition(), message.offset()] = message.value()

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": 3000,
            "linger.ms": 5,
            "retry.backoff.ms": 50,
            "log_level": 0,
        }
    )
    size = 8192
    for number in range(mib * 1024 * 1024 // size):
        if errors:
            break
        # The shape that the crash check reads: producer, number, and a filling.
        value = b"0:%d:" % number
        producer.produce(topic, value.ljust(size, b"."), partition=number % partitions, on_delivery=delivered)
        producer.poll(0)
        while len(producer) > 200:
            producer.poll(0.1)
    assert producer.flush(60) == 0
    return acked, errors
