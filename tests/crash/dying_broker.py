"""The `flymq` command, but the process is killed at a named point: `dying_broker.py POINT serve ...`."""

from __future__ import annotations

import os
import signal
import sys

from flymq.broker.command import main
from flymq.env import Env

deadly = sys.argv.pop(1)


def reached(env: Env, point: str) -> None:
    if point == deadly:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Env.reached = reached  # type: ignore[method-assign]
    main()
