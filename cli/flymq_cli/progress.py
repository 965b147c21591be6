"""Progress bars: on stderr, on a terminal only, for work of known size that takes longer than half a second."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from flymq_cli.app import App

_PATIENCE_S = 0.5
_LOOK_EVERY = 256


class Progress:
    """Count with `advance()`; a bar appears when it is worth it."""

    def __init__(self, app: App, what: str, total: int) -> None:
        self._wanted = sys.stderr.isatty() and not app.quiet and total > 0
        self._color = not app.colorless
        self._what = what
        self._total = total
        self._done = 0
        self._bar: Any = None
        self._task: Any = None
        self._due = time.monotonic() + _PATIENCE_S

    def advance(self) -> None:
        self._done += 1
        if self._wanted and self._done % _LOOK_EVERY == 0:
            self._show()

    def _show(self) -> None:
        if self._bar is None:
            if time.monotonic() < self._due:
                return
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True, no_color=not self._color), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        self._bar.update(self._task, completed=self._done)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
