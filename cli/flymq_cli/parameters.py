"""Arguments and options that several commands share, so that each means one thing everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flymq_cli.complete import complete_groups, complete_topics, complete_transactional_ids
from flymq_cli.messages import FORMAT_HELP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def topic_argument() -> Decorator:
    return click.argument("topic", shell_complete=complete_topics)


def topics_argument() -> Decorator:
    return click.argument("topics", metavar="TOPIC...", nargs=-1, required=True, shell_complete=complete_topics)


def group_argument() -> Decorator:
    return click.argument("group", shell_complete=complete_groups)


def transactional_id_argument() -> Decorator:
    return click.argument("transactional_id", shell_complete=complete_transactional_ids)


def duration_option(name: str, help_: str, default: str | None = None) -> Decorator:
    """Seconds, of what is written like 90s or 1h30m."""
    from flymq_cli.positions import parse_duration

    return click.option(
        name, metavar="DURATION", default=default, help=help_,
        callback=lambda context, parameter, value: None if value is None else parse_duration(value),
    )


def count_option(help_: str, default: int | None = None) -> Decorator:
    return click.option("-n", "--count", type=click.IntRange(0), metavar="N", default=default, help=help_)


def partitions_option() -> Decorator:
    return click.option(
        "-p", "--partition", "partitions", type=click.IntRange(0), multiple=True, metavar="N",
        help="Only this partition. Repeat it for more.",
    )


def format_option() -> Decorator:
    return click.option("-F", "--format", "format_", metavar="FORMAT", help=FORMAT_HELP)


def offset_option(what: str, default: str) -> Decorator:
    return click.option(
        "-o", "--offset", "offset", metavar="POS", default=default,
        help=f"{what}: N, -N (the last N), +N (N after the first), earliest, latest, @TIME (2026-01-31T12:00Z, in UTC "
        "where it does not say; ms since 1970; -1h: s m h d w) and all after it; or a range A:B, @A:B up to before B.  "
        f"[default: {default}]",
    )


def isolation_option(default: str = "uncommitted") -> Decorator:
    return click.option(
        "--isolation", type=click.Choice(["uncommitted", "committed"]), default=default,
        help=f"committed: no messages of open or aborted transactions.  [default: {default}]",
    )


def create_option() -> Decorator:
    return click.option(
        "--create/--no-create", default=True, help="Whether a missing topic is created.  [default: --create]"
    )


def compression_option() -> Decorator:
    return click.option(
        "--compression", type=click.Choice(["none", "gzip", "snappy", "lz4", "zstd"]), default="none",
        callback=lambda context, parameter, value: None if value == "none" else value,
        help="Of what is sent.  [default: none]",
    )


def assignments(texts: Sequence[str], example: str) -> dict[str, str]:
    """NAME=VALUE, of an option that can be repeated."""
    from flymq_cli.errors import HintedUsageError

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise HintedUsageError(f"{text} is not KEY=VALUE", f"write {example}")
        found[name.strip()] = value.strip()
    return found


def yes_option() -> Decorator:
    return click.option("-y", "--yes", is_flag=True, help="Don't ask.")


def confirm(question: str, yes: bool) -> None:
    """Return if it is wanted. Raises a usage error where nobody can be asked, and Abort for a no."""
    import sys

    from flymq_cli.errors import HintedUsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise HintedUsageError(f"{question}? Nobody is there to ask", "give --yes if it is what you want")
    click.confirm(question, abort=True, err=True)
