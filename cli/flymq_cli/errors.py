"""What goes wrong, as people see it: one line of what, one line of what to do, and an exit code."""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
FORBIDDEN = 5
CONFLICT = 6
PARTLY = 7
INTERRUPTED = 130

# By class name, nearest class first: importing the classes costs time that `--help` does not have.
EXIT_CODES = {
    "TopicNotFoundError": NOT_FOUND,
    "PartitionNotFoundError": NOT_FOUND,
    "GroupNotFoundError": NOT_FOUND,
    "TransactionalIdNotFoundError": NOT_FOUND,
    "NoCommittedOffsetError": NOT_FOUND,
    "OffsetOutOfRangeError": NOT_FOUND,
    "BrokerUnavailableError": UNREACHABLE,
    "RequestTimeoutError": UNREACHABLE,
    "AuthenticationError": FORBIDDEN,
    "AuthorizationError": FORBIDDEN,
    "TopicExistsError": CONFLICT,
    "GroupActiveError": CONFLICT,
    "CommitFailedError": CONFLICT,
    "TransactionError": CONFLICT,
    "ProducerFencedError": CONFLICT,
    "InvalidArgumentError": USAGE,
    "InvalidTopicError": USAGE,
    "FlyMQError": FAILED,
}

# The client's hints are for people who write Python; these say the same to people who type commands.
_HINTS = (
    (
        r"create it: client\.create_topic\('(.*)'\)",
        r"`flymq-cli topics list` lists what there is, `flymq-cli topics create \1` creates it",
    ),
    (r"list what there is: client\.list_topics\(\)", "`flymq-cli topics list` lists what there is"),
    (r"list what there is: client\.groups\.list\(\)", "`flymq-cli groups list` lists what there is"),
    (r"list what there is: client\.transactions\.list\(\)", "`flymq-cli txns list` lists what there is"),
    (r"run it again with debug logging of `kafka`", "run it again with -vv"),
    (r"(, or )?give the address of one that runs", r"\1give the address of one that runs: -b HOST:PORT"),
    (r"raise the client's timeout", "give more time with --timeout"),
    (r"evict them with force=True \(flymq-cli groups reset --force\)", "evict them with --force"),
    (r'start with auto_offset_reset="earliest" or "latest" once', "give --from-beginning or --from-latest"),
    (r"process faster, or raise max_poll_interval_ms", "process faster, or give -X max_poll_interval_ms=..."),
    (r"raise max_request_size here, max\.message\.bytes", "give -X max_request_size=..., raise max.message.bytes"),
    (r"read it as bytes with client\.fetch\(\), or seek past it", "read it with `flymq-cli consume`"),
    (r"give bytes or str, or a value_serializer, such as .*", "give text"),
    (r"give the file of its authority: tls='/path/to/ca\.pem'", "give the file of its authority: --tls-ca FILE"),
    (r"leave tls out, or use", "leave --tls out, or use"),
    (r"give tls=True, or tls='/path/to/ca\.pem'", "give --tls, or --tls-ca FILE"),
    (r"needs tls=True", "needs --tls"),
    (r"see the method's docstring", "`flymq-cli COMMAND --help` says what there is"),
    (r"make a new one$", "run it again"),
)


class CliError(Exception):
    """Something that this side found wrong. `code` is the exit code."""

    def __init__(self, message: str, hint: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


class HintedUsageError(click.UsageError):
    """A wrong command line, with a hint better than "see --help"."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def exit_code(error: BaseException) -> int | None:
    """What the command exits with; None for what is no error of ours, but a bug."""
    if isinstance(error, CliError):
        return error.code
    return next((EXIT_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in EXIT_CODES), None)


def hint_of(error: BaseException) -> str:
    """The error's hint, in words of the shell."""
    hint = str(getattr(error, "hint", "") or "")
    for pattern, replacement in _HINTS:
        hint = re.sub(pattern, replacement, hint)
    return hint


def report(error: Exception) -> None:
    """Two lines on stderr: what, and what to do."""
    tell(str(error), hint_of(error))


def tell(message: str, hint: str | None) -> None:
    # What was printed comes first, where both go to one terminal.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    lines = [f"flymq-cli: {' '.join(message.split())}", *([f"  {hint}"] if hint else [])]
    click.echo("\n".join(lines), err=True)


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """ "did you mean X?" for the nearest of `known`, or None."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else None
