"""Bugs planted in a copy of the broker, at least two an area: the suite must catch each, or it proves nothing.

    python -m compat_tests.planted_bugs                   all of them; which test caught which
    python -m compat_tests.planted_bugs transactions      those of one area
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import click

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("flymq", "protocol", "cli")
_TIMEOUT_S = 900


class Bug(NamedTuple):
    area: str
    what: str
    path: str
    old: str
    new: str


_LOG = "flymq/core/log/"
_GROUP = "flymq/core/group/"
_HANDLERS = "flymq/broker/handlers/"

BUGS = [
    Bug("produce", "a gap in a producer's sequences is taken", _LOG + "producers.py",
        "if first == (batches[-1][1] + 1) & _SEQUENCE_MASK:", "if first > batches[-1][1]:"),
    Bug("produce", "a duplicate is told the wrong offset", _LOG + "producers.py",
        "return Duplicate(batch[2], batch[3], batch[4])", "return Duplicate(batch[2] + 1, batch[3], batch[4])"),
    Bug("fetch", "the end of the log is out of range", "flymq/runtime/fetching.py",
        "log.log_start <= self.offset <= log.end:", "log.log_start <= self.offset < max(log.end, 1):"),
    Bug("fetch", "the reader's limit for a partition is ignored", "flymq/runtime/fetching.py",
        "size_max = target.max_bytes if target.max_bytes < left else left", "size_max = left"),
    Bug("timestamps", "the log's own time is not kept", _LOG + "partition_log.py",
        "        if config.log_append_time:\n            max_timestamp = now_ms",
        "        if False:\n            max_timestamp = now_ms"),
    Bug("timestamps", "a record of exactly that time is passed over", "flymq/runtime/timestamps.py",
        "if record.timestamp >= timestamp and", "if record.timestamp > timestamp and"),
    Bug("offsets", "the end is one too far", _HANDLERS + "k02_list_offsets.py",
        "answer.offset, answer.leader_epoch = end_offset, log.leader_epoch",
        "answer.offset, answer.leader_epoch = end_offset + 1, log.leader_epoch"),
    Bug("offsets", "what is before the log start is found by its time", "flymq/runtime/timestamps.py",
        "if record.timestamp >= timestamp and record.offset >= start:", "if record.timestamp >= timestamp:"),
    Bug("groups", "any generation may commit", _GROUP + "offsets.py",
        "if event.generation_id != group.generation_id and not group.is_late(event.member_id, event.generation_id):",
        "if False:"),
    Bug("groups", "members are not told of a rebalance", _GROUP + "membership.py",
        "answer = _REBALANCE_IN_PROGRESS if group.state is State.PREPARING else _NONE", "answer = _NONE"),
    Bug("groups KIP-848", "any epoch may commit", _GROUP + "consumer/group.py",
        "        if not 0 <= member_epoch < member.epoch:\n            return stale",
        "        if not 0 <= member_epoch < member.epoch:\n            return ErrorCode.NONE"),
    Bug("groups KIP-848", "a partition is given away before it is given up", _GROUP + "consumer/group.py",
        "return self.owners.get(partition, member.member_id) == member.member_id", "return True"),
    Bug("transactions", "an abort is not remembered", _LOG + "transactions.py",
        "        if commit:\n            return None", "        if True:\n            return None"),
    Bug("transactions", "readers of committed records go too far", _LOG + "transactions.py",
        "lowest = next(iter(self.open.values()), high_watermark)", "lowest = high_watermark"),
    Bug("admin", "records beyond the end may be deleted", _HANDLERS + "k21_delete_records.py",
        "if not _HIGH_WATERMARK <= offset <= partition.log.high_watermark:", "if offset < _HIGH_WATERMARK:"),
    Bug("admin", "offsets of a deleted partition's neighbour go too", _GROUP + "offsets.py",
        "if found is not None and found.partitions.pop(partition, None) is not None:",
        "if found is not None and found.partitions.popitem() is not None:"),
    Bug("configs", "settings that are not named revert", "flymq/broker/altering.py",
        "own = {} if asked.replaces else", "own = {} if True else"),
    Bug("configs", "a resource may be named twice", "flymq/broker/altering.py",
        "if times[one.type, one.name] > 1:", "if times[one.type, one.name] > 2:"),
]  # fmt: skip


def run_on(tree: Path) -> tuple[bool, str]:
    """Whether the scenarios pass with the broker of that tree; and the first test that failed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "compat", "-x", "--on", "flymq", "compat_tests/wire",
         "compat_tests/scenarios", "-k", "wire or confluent-kafka"],
        cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(tree / name) for name in ("", "protocol", "cli"))},
    )  # fmt: skip
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    assert done.returncode == 0 or failed, f"neither passed nor failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.returncode == 0, failed[1] if failed else ""


def plant(bug: Bug, tree: Path) -> None:
    """In a copy of the packages. AssertionError where its place is not there any more, or not once."""
    for name in _PACKAGES:
        shutil.copytree(_ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    file = tree / bug.path
    source = file.read_text()
    assert source.count(bug.old) == 1, f"{bug.path} has the place of {bug.what!r} {source.count(bug.old)} times"
    file.write_text(source.replace(bug.old, bug.new))


@click.command()
@click.argument("area", required=False)
def main(area: str | None) -> None:
    passed, failed = run_on(_ROOT)
    if not passed:
        raise click.ClickException(f"without any planted bug {failed} fails: mend that first")
    missed = 0
    for bug in BUGS:
        if area not in (None, bug.area):
            continue
        with tempfile.TemporaryDirectory(prefix="flymq-planted-") as folder:
            plant(bug, Path(folder))
            passed, failed = run_on(Path(folder))
        missed += passed
        click.echo(f"{bug.area}: {bug.what}: {'MISSED' if passed else failed}")
    if missed:
        raise click.ClickException(f"{missed} planted bugs were not seen")


if __name__ == "__main__":
    main()
