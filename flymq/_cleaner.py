"""The log cleaner's process: `python -m flymq._cleaner`, started by the files engine, one job each.

One line of JSON comes on stdin, lines of JSON go to stdout: see `flymq.storage.files.cleaner_job`. It ends with its
parent: stdin has an end then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from flymq.env.files import Files
from flymq.storage.api import StorageError
from flymq.storage.files.cleaner_job import run
from flymq_protocol.errors import ProtocolError

_NICENESS = 19
_SLEEP_S_MIN = 0.01


class Throttle:
    """Lets so many bytes a second pass, evened out over the whole job."""

    def __init__(self, bytes_per_second: float) -> None:
        self._seconds_per_byte = 1 / bytes_per_second
        self._free_at = time.monotonic()

    def spend(self, count: int) -> None:
        self._free_at += count * self._seconds_per_byte
        wait_s = self._free_at - time.monotonic()
        if wait_s > _SLEEP_S_MIN:
            time.sleep(wait_s)


def main() -> None:
    _stand_back()
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        run(Files(), job, _tell, Throttle(job["task"]["bytes_per_second"]).spend)
    except (ProtocolError, StorageError) as damaged:
        _tell({"error": "damaged", "text": str(damaged)})
    except OSError as error:
        _tell({"error": "failed", "text": str(error)})


def _stand_back() -> None:
    """Only what nobody else wants of the processor: on Linux a broker that wakes up has it at once."""
    if hasattr(os, "sched_setscheduler") and hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            return
    if hasattr(os, "nice"):
        os.nice(_NICENESS)


def _end_with_parent() -> None:
    # Not through `sys.stdin`: the interpreter's end would wait for its lock.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
