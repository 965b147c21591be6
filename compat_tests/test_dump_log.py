"""Kafka's own DumpLogSegments accepts every segment and index that FlyMQ writes, and would say if it did not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compat_tests import dump_log
from compat_tests.clients import CODECS

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with all codecs, several segments in each partition, and a clean end."""
    folder = tmp_path_factory.mktemp("stopped")
    dump_log.write_clean(folder, 300_000)
    return folder


def test_after_a_clean_stop(stopped: Path) -> None:
    found = dump_log.dump(stopped)
    assert found.records == 300_000 * len(CODECS)
    assert set(found.batches) == set(CODECS)
    assert len(found.segments_of) == 2 * len(CODECS)
    assert min(found.segments_of.values()) >= 2
    assert found.index_rows > 0


def test_aborted_transactions(tmp_path: Path) -> None:
    aborted = dump_log.write_transactions(tmp_path, 50_000)
    found = dump_log.dump(tmp_path)
    assert found.aborted == aborted > 0
    assert found.files[".txnindex"] > 2
    assert min(found.segments_of.values()) >= 2


@pytest.mark.parametrize(("durability", "seed"), [("fsync", 1), ("os", 4)])
def test_after_kills_under_load(durability: str, seed: int, tmp_path: Path) -> None:
    written = dump_log.write_killed(tmp_path, 8, durability, seed)
    found = dump_log.dump(tmp_path)
    assert found.records == written
    # A batch that a codec would make larger is sent as it is.
    assert set(found.batches) >= {CODECS[(seed + index) % len(CODECS)] for index in range(3)}
    assert min(found.segments_of.values()) >= 2
    assert found.index_rows > 0


def test_after_compaction(tmp_path: Path) -> None:
    dump_log.write_compacted(tmp_path, 30_000)
    found = dump_log.dump(tmp_path, is_compacted=True)
    assert set(found.batches) >= set(CODECS)
    assert min(found.segments_of.values()) >= 2
    assert 0 < found.records < 30_000 * len(CODECS) / 2
    assert found.index_rows > 0


@pytest.mark.parametrize(
    ("suffix", "complaint"),
    [("log", "ended with 1"), ("index", "Mismatches in"), ("timeindex", "timestamp mismatch in")],
)
def test_a_planted_fault_is_found(suffix: str, complaint: str, stopped: Path, tmp_path: Path) -> None:
    partition = next(iter(sorted(stopped.glob("logs/lz4/0.*"))))
    copy = tmp_path / "logs" / "lz4" / "0"
    shutil.copytree(partition, copy)
    dump_log.dump(tmp_path)
    path = max(copy.glob(f"*.{suffix}"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF  # in the last record; in the last row its offset, of 4 bytes, or its position
    path.write_bytes(content)
    with pytest.raises(AssertionError, match=complaint):
        dump_log.dump(tmp_path)
