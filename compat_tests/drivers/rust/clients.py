"""Clients in Rust; cargo builds them into `compat_tests/.cache/rust/` on first use, and when they change."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from compat_tests.drivers.building import CACHE
from compat_tests.drivers.catalog import Client

_HERE = Path(__file__).parent
_BUILT = CACHE / "rust"


def _rskafka() -> list[str]:
    assert shutil.which("cargo"), (
        "no cargo here: `apt install cargo` (1.85 or later; on Debian 12 `cargo-web`), or run .ci/run, which does"
    )
    # Cargo itself knows what has changed, and waits for another that builds.
    command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", str(_HERE / "Cargo.toml")]
    subprocess.run([*command, "--target-dir", str(_BUILT)], check=True, timeout=900)
    return [str(_BUILT / "debug" / "rskafka-driver")]


_NO_GROUPS = "no consumer groups"
CLIENTS = [
    Client("rskafka 0.6.0", "Rust", _rskafka, {
        "topic settings": "it creates topics without them",
        "append time": "it tells the sender's time, whatever a batch says",
        "add_partitions": "not in its controller client",
        "describe_topic": "it lists partitions without replicas",
        "topic_config": "no settings",
        "set_config": "no settings",
        "replace_config": "no settings",
        "describe_cluster": "it does not tell",
        "headers": "a sorted map by name: one value a name, the order is lost",
        "acks 0": "always acks=all",
        "acks 1": "always acks=all",
        "idempotence": "no producer id",
        "transactions": "no producer id",
        "send_offsets": "no producer id",
        "read_committed": "it does not drop aborted records",
        "position": "its user keeps it",
        "pause": "its user fetches or does not",
        **dict.fromkeys((
            "list_groups", "describe_group", "delete_group", "group_offsets", "set_group_offsets",
            "delete_group_offsets", "subscribe", "subscribe_pattern", "assignment", "commit", "commit_offsets",
            "committed", "static membership", "range", "roundrobin", "cooperative-sticky", "KIP-848",
        ), _NO_GROUPS),
    }),
]  # fmt: skip
