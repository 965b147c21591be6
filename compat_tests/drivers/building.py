"""One process at a time makes what drivers are run from; the others wait for it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(__file__).parent.parent / ".cache"


@contextlib.contextmanager
def alone(name: str) -> Iterator[Path]:
    """The folder `name` of the cache, for this process alone until the end of `with`; it may not be there yet."""
    folder = CACHE / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back where the file is closed, also by a process that is killed
        yield folder
