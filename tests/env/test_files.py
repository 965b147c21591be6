"""The door to the file system."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from flymq.env.files import Files


@pytest.fixture
def files() -> Files:
    return Files()


def test_cached_reads_fill_the_buffer(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    fd = files.open(str(path), os.O_RDONLY, 0)
    buffer = memoryview(bytearray(40))
    assert files.read_cached(fd, buffer, 50) == 40
    assert bytes(buffer) == bytes(range(50, 90))
    assert files.read_cached(fd, buffer, 90) == 10
    assert files.read_into(fd, buffer, 80) == 20
    files.close(fd)


def test_a_cold_read_says_so(files: Files) -> None:
    def cold(*_: Any) -> int:
        raise BlockingIOError

    files._preadv = cold
    files._nowait_flag = 1
    assert files.read_cached(0, memoryview(bytearray(1)), 0) == -1


def test_after_a_long_read_that_was_slow_some_are_called_cold(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns, took_ns, asked = 0, 10_000_000, 0

    def slow(fd: int, buffers: list[memoryview], position: int, flag: int = 0) -> int:
        nonlocal now_ns, asked
        now_ns += took_ns
        asked += 1
        return len(buffers[0])

    monkeypatch.setattr("flymq.env.files.time.perf_counter_ns", lambda: now_ns)
    files._preadv = slow
    files._nowait_flag = 1
    long, short = memoryview(bytearray(1 << 20)), memoryview(bytearray(8192))

    def outcomes(count: int) -> list[int]:
        return [files.read_cached(3, long, 0) for _ in range(count)]

    assert outcomes(17) == [1 << 20, *[-1] * 16]
    assert files.read_cached(3, short, 0) == 8192
    assert files.read_cached(4, long, 0) == 1 << 20  # of another file
    assert asked == 3
    took_ns = 100_000
    assert outcomes(17) == [1 << 20] * 17


def test_without_nowait_a_read_waits(files: Files) -> None:
    flags = []

    def old_kernel(fd: int, buffers: list[memoryview], position: int, flag: int = 0) -> int:
        flags.append(flag)
        if flag:
            raise OSError(errno.EOPNOTSUPP, "no RWF_NOWAIT here")
        return len(buffers[0])

    files._preadv = old_kernel
    files._nowait_flag = 8
    for _ in range(2):
        assert files.read_cached(0, memoryview(bytearray(7)), 0) == 7
    assert flags == [8, 0, 0]


def test_write_all_replaces_and_goes_on_after_short_writes(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    real = files.pwrite
    files.pwrite = lambda fd, data, position: real(fd, data[:3], position)
    files.write_all(str(path), b"0123456789", sync=True)
    assert path.read_bytes() == b"0123456789"


def test_a_lock_is_one_descriptors(files: Files, tmp_path: Path) -> None:
    path = str(tmp_path / "LOCK")
    first, second = (files.open(path, os.O_RDWR | os.O_CREAT, 0o644) for _ in range(2))
    assert files.lock(first)
    assert not files.lock(second)
    files.close(first)
    assert files.lock(second)
    files.close(second)


def test_the_open_files_limit_is_raised(files: Files) -> None:
    limit = files.open_files_limit()
    assert limit >= 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard or limit == soft
