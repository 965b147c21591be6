"""Where log lines go: the client's hints to stderr, kafka-python's nowhere unless -v asks for them."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_SILENT = logging.CRITICAL + 1


class _ToStderr(logging.Handler):
    """Looks stderr up each time: it may have been replaced since."""

    def emit(self, record: logging.LogRecord) -> None:
        where = "" if record.name.startswith("flymq") else f"{record.name}: "
        click.echo(f"flymq-cli: {where}{_shell_words(record.getMessage())}", err=True)


def _shell_words(text: str) -> str:
    return text.replace('auto_offset_reset="earliest" (flymq-cli: --from-beginning)', "--from-beginning")


@contextlib.contextmanager
def logging_to_stderr(verbosity: int, *, quiet: bool) -> Iterator[None]:
    """-v: what kafka-python finds worth telling; -vv: everything."""
    handler = _ToStderr()
    levels = {
        "flymq.client": logging.DEBUG if verbosity else logging.ERROR if quiet else logging.WARNING,
        "kafka": {0: _SILENT, 1: logging.INFO}.get(verbosity, logging.DEBUG),
        "asyncio": logging.WARNING if verbosity else _SILENT,
    }
    before = {}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        before[name] = (logger.level, logger.propagate)
        logger.setLevel(level)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for name, (level, propagate) in before.items():
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
