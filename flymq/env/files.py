"""The only door to the file system: thin, so that a simulation or a test can swap it.

What the hot path uses is bound straight to the `os` function (a wrapper would cost as much as the
rest of an append); a subclass replaces the attribute in `__init__`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

if sys.platform != "win32":
    import fcntl
    import resource

_RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_LONG_READ_BYTES = 256 * 1024
_CACHED_BYTES_PER_NS_MIN = 2
_SKIPS = 16


def _missing(*_: Any) -> Any:
    raise OSError("this platform has no positioned reads and writes: use the memory engine")


class Files:
    """The real file system. Every method raises OSError, positions and sizes are bytes."""

    open: Callable[..., int]
    """`open(path, flags, mode)`: the file descriptor."""

    close: Callable[[int], None]

    pwrite: Callable[[int, Any, int], int]
    """`pwrite(fd, data, position)`: bytes written, fewer than given where the disk is full."""

    pread: Callable[[int, int, int], bytes]
    """`pread(fd, count, position)`: fewer bytes only at the end of the file."""

    def __init__(self) -> None:
        self.open = os.open
        self.close = os.close
        self.pwrite = getattr(os, "pwrite", _missing)
        self.pread = getattr(os, "pread", _missing)
        self._preadv: Callable[..., int] = getattr(os, "preadv", _missing)
        self._nowait_flag = _RWF_NOWAIT
        self._skips: dict[int, int] = {}  # file descriptor -> how many long reads of it are called cold

    def host_name(self) -> str:
        """Of this machine: whose lock it is, where folders are shared."""
        return os.uname().nodename

    # -- reading ----------------------------------------------------------------------------------

    def read_into(self, fd: int, buffer: memoryview, position: int) -> int:
        """Fill `buffer`, waiting for the disk; fewer bytes only at the end of the file."""
        done = 0
        while done < len(buffer):
            count = self._preadv(fd, [buffer[done:]], position + done)
            if not count:
                break
            done += count
        return done

    def read_cached(self, fd: int, buffer: memoryview, position: int) -> int:
        """Fill `buffer` from the page cache: bytes read, possibly too few; -1 where nothing is cached, or probably.

        The kernel reads ahead in spite of RWF_NOWAIT, and where the disk is quick, the call goes on to the end, for ten
        times as long as it should. So a long read that was slow is followed by some that are called cold at once: a
        consumer of old data must not take its time from everybody else's.

        Where the kernel or the file system has no RWF_NOWAIT (macOS, some network and overlay file
        systems) this waits for the disk: a hop to a thread would cost every cached read more.
        """
        if not self._nowait_flag:
            return self._preadv(fd, [buffer], position)
        is_long = len(buffer) >= _LONG_READ_BYTES
        if is_long:
            skips = self._skips.get(fd, 0)
            if skips:
                self._skips[fd] = skips - 1
                return -1
            started = time.perf_counter_ns()
        try:
            count = self._preadv(fd, [buffer], position, self._nowait_flag)
        except BlockingIOError:
            return -1
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            self._nowait_flag = 0
            return self._preadv(fd, [buffer], position)
        if is_long and time.perf_counter_ns() - started > len(buffer) // _CACHED_BYTES_PER_NS_MIN:
            self._skips[fd] = _SKIPS
        return count

    # -- writing ----------------------------------------------------------------------------------

    def write_all(self, path: str, data: bytes, *, sync: bool) -> None:
        """Replace the file's content in place; with `sync` it is on the disk on return."""
        fd = self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            done = 0
            while done < len(data):
                done += self.pwrite(fd, data[done:], done)
            if sync:
                self.fdatasync(fd)
        finally:
            self.close(fd)

    def fdatasync(self, fd: int) -> None:
        """Return once the file's bytes and size are on stable storage."""
        if sys.platform == "darwin":
            # fsync() of macOS leaves the bytes in the drive's volatile cache.
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        elif sys.platform == "win32":
            os.fsync(fd)
        else:
            os.fdatasync(fd)

    def fsync_folder(self, path: str) -> None:
        """Return once the folder's entries (new names, removed names) are on stable storage."""
        fd = self.open(path, os.O_RDONLY, 0)
        try:
            os.fsync(fd)
        finally:
            self.close(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    # -- names ------------------------------------------------------------------------------------

    def make_folders(self, path: str) -> None:
        """Make the folder and its missing parents; harmless where it is there."""
        os.makedirs(path, exist_ok=True)

    def rename(self, old: str, new: str) -> None:
        os.replace(old, new)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""
        os.rmdir(path)

    def list(self, path: str) -> list[str]:
        """The names in a folder, in no order."""
        return os.listdir(path)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    # -- the machine ------------------------------------------------------------------------------

    def disk_free(self, path: str) -> int:
        """Bytes that an unprivileged process may still write on the path's file system."""
        if sys.platform == "win32":
            raise OSError("no statvfs on this platform")
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def disk_size(self, path: str) -> int:
        """Bytes of the path's file system, whoever uses them."""
        if sys.platform == "win32":
            raise OSError("no statvfs on this platform")
        found = os.statvfs(path)
        return found.f_blocks * found.f_frsize

    def lock(self, fd: int) -> bool:
        """Take the file for this process until the descriptor is closed; False where another has it."""
        if sys.platform == "win32":
            raise OSError("no flock on this platform")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def open_files_limit(self) -> int:
        """Raise the soft limit of open files to the hard one; how many this process may open."""
        if sys.platform == "win32":
            return 512
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
                soft = hard
            except (ValueError, OSError):  # macOS refuses an unlimited hard limit
                pass
        return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def _unsupported() -> frozenset[int]:
    import errno

    names = ("EOPNOTSUPP", "ENOTSUP", "EINVAL", "ENOSYS")
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_UNSUPPORTED = _unsupported()
