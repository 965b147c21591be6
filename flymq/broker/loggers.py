"""The broker's loggers as Kafka shows and changes them: levels by Kafka's names, not kept over a restart.

FlyMQ's are `flymq` and what is below it; `root` is Kafka's name for `flymq`, so that nothing of a program that a
broker is embedded in is changed.
Source: LoggingController and RuntimeLoggerManager in Apache Kafka 4.3; KIP-412.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from flymq.core.settings import Change, Operation, ResourceError
from flymq_protocol.errors import ErrorCode

ROOT = "root"
_TOP = "flymq"

LEVELS = {
    "DEBUG": logging.DEBUG,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "INFO": logging.INFO,
    "TRACE": logging.DEBUG - 5,
    "WARN": logging.WARNING,
}


def levels() -> dict[str, str]:
    """The level in force of each logger, by name; `root` first."""
    names = sorted(name for name in logging.root.manager.loggerDict if name.startswith(_TOP + "."))
    return {name: _level_name(_logger(name).getEffectiveLevel()) for name in (ROOT, _TOP, *names)}


def check(changes: Iterable[Change]) -> None:
    """`ResourceError` where the changes can't be made: INVALID_CONFIG, INVALID_REQUEST."""
    known = levels()
    for name, operation, level in changes:
        if operation not in (Operation.SET, Operation.DELETE):
            raise ResourceError(
                ErrorCode.INVALID_REQUEST,
                f"{Operation(operation).name} operation is not allowed for the BROKER_LOGGER resource",
            )
        if name not in known:
            raise ResourceError(ErrorCode.INVALID_CONFIG, f"Logger {name} does not exist!")
        if operation == Operation.DELETE and name == ROOT:
            raise ResourceError(
                ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed"
            )
        if operation == Operation.SET and level not in LEVELS:
            raise ResourceError(
                ErrorCode.INVALID_CONFIG,
                f"Cannot set the log level of {name} to {level} as it is not a supported log level. "
                f"Valid log levels are {', '.join(LEVELS)}",
            )


def change(changes: Iterable[Change]) -> None:
    """Do what `check` has let pass; a logger without a level has that of the one above."""
    for name, operation, level in changes:
        _logger(name).setLevel(LEVELS[level or ""] if operation == Operation.SET else logging.NOTSET)


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(_TOP if name == ROOT else name)


def _level_name(level: int) -> str:
    """The name of the highest of Kafka's levels that isn't above it."""
    at_or_below = [(value, name) for name, value in LEVELS.items() if value <= level]
    return max(at_or_below)[1] if at_or_below else "TRACE"
