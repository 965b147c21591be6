"""Kafka's own dump tool reads a data folder: every segment and index, and has nothing to say against them.

    python -m compat_tests.dump_log FOLDER        a data folder whose broker was stopped
    python -m compat_tests.dump_log               writes folders of its own: stopped cleanly, and killed
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import click
from confluent_kafka import Producer

from compat_tests import crash, java_tools
from compat_tests.broker_process import BrokerProcess
from compat_tests.clients import CLIENTS, CODECS, create_topic
from compat_tests.real_lines import real_lines

SEGMENT_BYTES = 1024 * 1024
_FILES_A_RUN = 200
_TRANSACTION_LINES = 2000

# All that the tool says where something is wrong; it ends with 0 all the same.
_COMPLAINTS = re.compile(
    "isvalid: false|Mismatches in|timestamp mismatch in|out of order timestamp|indexed offsets are not found|"
    "is followed by|invalid bytes at the end|Error at |Exception|Ignoring unknown file"
)
# Kafka 4.3.1's tool says this of every segment of a log but the first, its own too: dumpBatchRecords compares
# the first record with an offset that it sets to -1 before each file.
_ALWAYS_SAID = re.compile(r"^Non-consecutive offsets in .*?(\d{20})\.log\n  -1 is followed by (\d+)\n", re.MULTILINE)
# Of a compacted log: its offsets have gaps.
_GAPS = re.compile(r"^Non-consecutive offsets in .*\n(  -?\d+ is followed by \d+\n)+", re.MULTILINE)
_RECORD = re.compile(r"^\| offset: ", re.MULTILINE)
_CODEC = re.compile(r"compresscodec: (\w+)")
_ABORTED = re.compile(r"^version: 0 producerId: \d+ firstOffset: \d+ lastOffset: ", re.MULTILINE)
_OFFSETS = re.compile(r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+)", re.MULTILINE)


class Dump(NamedTuple):
    """What the tool found in a folder."""

    files: Counter[str]
    records: int
    batches: Counter[str]
    index_rows: int
    aborted: int  # transactions, once for each partition
    segments_of: Counter[str]

    def __str__(self) -> str:
        files = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.files.items()))
        codecs = ", ".join(f"{count} {codec}" for codec, count in sorted(self.batches.items()))
        rows = f"{self.index_rows:,} index rows, {self.aborted} aborted transactions"
        return f"{files}; {self.records:,} records; batches: {codecs}; {rows}; nothing wrong"


def dump(folder: Path, *, is_compacted: bool = False) -> Dump:
    """AssertionError where Kafka's tool refuses a file or finds something wrong."""
    logs = sorted(folder.glob("logs/**/*.log"))
    indexes = sorted(path for name in ("index", "timeindex", "txnindex") for path in folder.glob(f"logs/**/*.{name}"))
    assert logs, f"no segments in {folder}"
    assert indexes, f"no indexes in {folder}"
    batches: Counter[str] = Counter()
    records = 0
    for part in _parts(logs):
        output = _run(part, "--deep-iteration", is_compacted=is_compacted)
        batches.update(_CODEC.findall(output))
        found = len(_RECORD.findall(output))
        assert found == sum(int(count) for _, _, count in _OFFSETS.findall(output))
        records += found
    index_rows = aborted = 0
    for part in _parts(indexes):
        rows = _run(part)
        index_rows += rows.count("offset: ")
        aborted += len(_ABORTED.findall(rows))
        _run(part, "--verify-index-only")
        output = _run(part, "--index-sanity-check")
        for path in part:
            is_empty = path.suffix == ".index" and path.stat().st_size == 0  # one batch: there is nothing to index
            expected = f"{path} is empty." if is_empty else f"{path} passed sanity check."
            assert expected in output or path.suffix == ".txnindex", f"{path} is not sane:\n{output}"
    return Dump(
        Counter(path.suffix for path in logs + indexes),
        records,
        batches,
        index_rows,
        aborted,
        Counter(str(path.parent.relative_to(folder)) for path in logs),
    )


def _parts(paths: list[Path]) -> list[list[Path]]:
    return [paths[first : first + _FILES_A_RUN] for first in range(0, len(paths), _FILES_A_RUN)]


def _run(paths: list[Path], *options: str, is_compacted: bool = False) -> str:
    files = ",".join(map(str, paths))
    output, errors = java_tools.run_with_stderr(java_tools.DUMP_LOG, *options, "--files", files, timeout_s=600)
    errors = _ALWAYS_SAID.sub(lambda said: "" if int(said[1]) == int(said[2]) else said[0], errors)
    if is_compacted:
        errors = _GAPS.sub("", errors)
    for text in (errors, output):  # what it finds wrong in an index comes on stderr
        complaint = _COMPLAINTS.search(text)
        if complaint is not None:
            raise AssertionError(text[max(0, complaint.start() - 600) : complaint.end() + 600])
    for path in paths:
        assert f"Dumping {path}" in output, f"{path} was passed over"
    return output


def write_clean(folder: Path, count: int) -> int:
    """A topic for each codec, real lines in segments of 1 MiB, a clean stop; the records written."""
    lines = real_lines(count)
    with BrokerProcess(folder, {"log.segment.bytes": SEGMENT_BYTES}) as broker:
        for codec in CODECS:
            create_topic(broker.bootstrap_servers, codec, 2)
            CLIENTS["confluent-kafka"].produce(broker.bootstrap_servers, codec, lines, codec)
        code, _ = broker.stop()
        assert code == 0, broker.stderr
    return len(lines) * len(CODECS)


def write_compacted(folder: Path, count: int) -> None:
    """As `write_clean`, in 50 keys, compacted, and a clean stop."""
    settings = {"log.segment.bytes": SEGMENT_BYTES, "log.cleaner.backoff.ms": 50}
    lines = real_lines(count)
    with BrokerProcess(folder, settings) as broker:
        for codec in CODECS:
            create_topic(broker.bootstrap_servers, codec, 1, cleanup_policy="compact", min_cleanable_dirty_ratio="0")
            producer = Producer(
                {"bootstrap.servers": broker.bootstrap_servers, "compression.type": codec, "enable.idempotence": True}
            )
            noise = random.Random(1)
            for number, line in enumerate(lines):
                value = None if number % 1000 == 0 else line + noise.randbytes(200)  # or it would fit one segment
                producer.produce(codec, value, b"key-%d" % (number % 50))
                producer.poll(0)
            assert not producer.flush(60)
        await_compacted(folder, broker)
        code, _ = broker.stop()
        assert code == 0, broker.stderr


def await_compacted(folder: Path, broker: BrokerProcess) -> None:
    """Until all but each partition's active segment has become one small one; AssertionError after a minute."""
    deadline = time.monotonic() + 60
    while any(
        sum(path.stat().st_size for path in sorted(partition.glob("*.log"))[:-1]) > SEGMENT_BYTES // 2
        for partition in folder.glob("logs/*/*")
    ):
        assert time.monotonic() < deadline, "the topics are not compacted"
        time.sleep(0.05)


def write_transactions(folder: Path, count: int) -> int:
    """Two producers, their transactions one over the other, every third aborted, a clean stop; how many were, once
    for each of two partitions."""
    lines = iter(real_lines(count))
    aborted = 0
    with BrokerProcess(folder, {"log.segment.bytes": SEGMENT_BYTES}) as broker:
        create_topic(broker.bootstrap_servers, "transactions", 2)
        settings = {"bootstrap.servers": broker.bootstrap_servers, "log_level": 0}
        producers = [Producer({**settings, "transactional.id": name}) for name in ("a", "b")]
        for producer in producers:
            producer.init_transactions(30)
            producer.begin_transaction()
        for number in range(count // _TRANSACTION_LINES):
            producer = producers[number % 2]
            for line in islice(lines, _TRANSACTION_LINES):
                producer.produce("transactions", line, line)
                producer.poll(0)
            producer.flush(30)
            following = producers[(number + 1) % 2]
            if number % 3:
                following.commit_transaction(30)
            else:
                following.abort_transaction(30)
                aborted += 2 if number else 0
            following.begin_transaction()
        for producer in producers:
            producer.commit_transaction(30)
        code, _ = broker.stop()
        assert code == 0, broker.stderr
    return aborted


def write_killed(folder: Path, rounds: int, durability: str, seed: int) -> int:
    """Kills under load, then a clean stop; the records that can be read."""
    return crash.run(folder, rounds, durability, seed=seed).records


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--lines", default=300_000, show_default=True, help="For each codec.")
@click.option("--rounds", default=20, show_default=True, help="Of kill -9.")
def main(folder: Path | None, lines: int, rounds: int) -> None:
    """Let Kafka's DumpLogSegments read and verify every file of a data folder."""
    if folder is not None:
        click.echo(dump(folder))
        return
    with tempfile.TemporaryDirectory() as name:
        written = write_clean(Path(name), lines)
        found = dump(Path(name))
        assert found.records == written, f"{written} records were written, {found.records} were dumped"
        click.echo(f"stopped cleanly: {found}")
    with tempfile.TemporaryDirectory() as name:
        expected = write_transactions(Path(name), lines)
        found = dump(Path(name))
        assert found.aborted == expected, f"{expected} transactions were aborted, {found.aborted} were dumped"
        click.echo(f"transactions: {found}")
    for durability, seed in (("fsync", 1), ("os", 4)):  # all five codecs between them
        with tempfile.TemporaryDirectory() as name:
            written = write_killed(Path(name), rounds, durability, seed)
            found = dump(Path(name))
            assert found.records == written, f"{written} records could be read, {found.records} were dumped"
            click.echo(f"killed {rounds} times, {durability}: {found}")


if __name__ == "__main__":
    main()
