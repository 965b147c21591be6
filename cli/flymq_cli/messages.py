"""Messages on stdout: a readable line, JSON Lines, YAML, values alone, or as a format says."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

from flymq_cli.errors import HintedUsageError
from flymq_cli.output import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from flymq.client.messages import Message
    from flymq_cli.app import App

    Formatter = Callable[[Message[Any, Any]], bytes]

FORMAT_HELP = (
    "How to print a message: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %T timestamp (ms), "
    "%K and %V lengths of key and value, %% a percent sign; \\n, \\t, \\r, \\0, \\\\ and \\xNN."
)
_DIM, _PLAIN = b"\x1b[2m", b"\x1b[0m"
_PIECE = re.compile(r"%(.)|\\(x[0-9a-fA-F]{2}|.)|([^%\\]+)|(.)", re.DOTALL)
_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", "\\": b"\\"}
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")

_VERBS: dict[str, Callable[[Message[Any, Any]], bytes]] = {
    "t": lambda message: message.topic.encode(),
    "p": lambda message: b"%d" % message.partition,
    "o": lambda message: b"%d" % message.offset,
    "k": lambda message: message.key or b"",
    "v": lambda message: message.value or b"",
    "s": lambda message: message.value or b"",  # kcat's word
    "h": lambda message: b",".join(name.encode() + b"=" + (value or b"") for name, value in message.headers),
    "T": lambda message: b"%d" % message.timestamp,
    "K": lambda message: b"%d" % (-1 if message.key is None else len(message.key)),
    "V": lambda message: b"%d" % (-1 if message.value is None else len(message.value)),
    "S": lambda message: b"%d" % (-1 if message.value is None else len(message.value)),
    "%": lambda message: b"%",
}


def binary_stdout() -> BinaryIO:
    """Bytes are bytes: what a terminal or a pipe calls its encoding has no say."""
    return sys.stdout.buffer


def formatter(app: App, format_: str | None) -> Formatter:
    """What makes a message printable. A format wins over -O."""
    if format_ is not None:
        return compiled(format_)
    if app.output == "json":
        from flymq_cli.jsonl import as_line

        return as_line
    if app.output == "yaml":
        return _as_yaml
    if app.output == "name":
        return lambda message: (message.value or b"") + b"\n"
    return _for_terminal(app.color) if sys.stdout.isatty() else _as_text


def compiled(format_: str) -> Formatter:
    """A --format. Raises a usage error for a verb that is none."""
    pieces: list[Any] = []
    for verb, escape, text, stray in _PIECE.findall(format_):
        if verb in _VERBS:
            pieces.append(_VERBS[verb])
        elif escape in _ESCAPES:
            pieces.append(_ESCAPES[escape])
        elif len(escape) == 3:
            pieces.append(bytes.fromhex(escape[1:]))
        elif text:
            pieces.append(text.encode())
        else:
            what = f"%{verb}" if verb else f"\\{escape}" if escape else stray
            raise HintedUsageError(f"--format: there is no {what}", "there are " + " ".join(f"%{v}" for v in _VERBS))
    return lambda message: b"".join(piece if isinstance(piece, bytes) else piece(message) for piece in pieces)


def _as_text(message: Message[Any, Any]) -> bytes:
    """partition:offset, key and value, with tabs between them; `-` for none."""
    key = NOTHING.encode() if message.key is None else message.key
    value = NOTHING.encode() if message.value is None else message.value
    return b"%d:%d\t%b\t%b\n" % (message.partition, message.offset, key, value)


def _for_terminal(color: bool) -> Formatter:
    """The same, with nothing in it that a terminal would obey."""

    def line(message: Message[Any, Any]) -> bytes:
        where, rest = _as_text(message).split(b"\t", 1)
        shown = _CONTROL.sub(lambda found: b"".join(b"\\x%02x" % byte for byte in found[0]), rest[:-1])
        return (_DIM + where + _PLAIN if color else where) + b"\t" + shown + b"\n"

    return line


def _as_yaml(message: Message[Any, Any]) -> bytes:
    import yaml

    from flymq_cli.jsonl import as_mapping

    found: str = yaml.safe_dump(as_mapping(message), sort_keys=False, allow_unicode=True, explicit_start=True)
    return found.encode()
