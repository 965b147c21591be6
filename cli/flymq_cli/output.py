"""Tables, JSON, YAML and names: how lists and facts are printed. Messages have a module of their own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flymq_cli.app import App

NOTHING = "-"
"""In a table, where there is no value."""


def plain(value: Any) -> Any:
    """What JSON and YAML have words for, of dataclasses and named tuples too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def print_rows(app: App, rows: Iterable[Any], columns: Sequence[str], *, name: str) -> None:
    """A list: a table with these columns, one JSON or YAML document, or the field `name` of each, one a line."""
    found = [plain(row) for row in rows]
    if app.output == "table":
        print_table(app, [[row[column] for column in columns] for row in found], columns)
    elif app.output == "name":
        print_names(row[name] for row in found)
    else:
        print_document(app, found)


def print_facts(app: App, facts: Any, *, name: str) -> None:
    """One thing: `field  value` lines, a document, or its name."""
    found = plain(facts)
    if app.output == "table":
        width = max(map(len, found))
        for field, value in found.items():
            click.echo(f"{_title(field).lower():{width}}  {text(value)}")
    elif app.output == "name":
        print_names([found[name]])
    else:
        print_document(app, found)


def print_names(names: Iterable[Any]) -> None:
    """Each once, one a line."""
    for name in dict.fromkeys(names):
        click.echo(text(name))


def print_document(app: App, value: Any) -> None:
    """One JSON or YAML document."""
    if app.output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True).rstrip("\n"))
    else:
        click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_line(value: Any) -> None:
    """One JSON document in one line, for a stream of them."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def clear_terminal() -> None:
    """For what is drawn again and again; a file or a pipe gets one after the other."""
    if sys.stdout.isatty():
        click.clear()


def text(value: Any) -> str:
    """A cell of a table."""
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(text, value))
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)


def print_table(app: App, rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
    """With bold titles on a terminal; aligned columns, whole and plain, for everything else."""
    titles = [_title(column) for column in columns]
    cells = [[text(value) for value in row] for row in rows]
    right = [bool(rows) and all(_is_number(row[index]) for row in rows) for index in range(len(columns))]
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    if app.color and sum(widths) + 2 * len(widths) <= shutil.get_terminal_size().columns:
        _print_rich(titles, cells, right)
    else:
        for line in (titles, *cells):
            fields = [
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            ]
            click.echo("  ".join(fields).rstrip())


def _print_rich(titles: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, to_right in zip(titles, right, strict=True):
        table.add_column(title, justify="right" if to_right else "left", no_wrap=True)
    for row in cells:
        table.add_row(*map(escape, row))
    Console(file=sys.stdout, highlight=False).print(table)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _title(column: str) -> str:
    return column.replace("_", " ").upper()


def counted(number: int, what: str) -> str:
    """ "1 message", "2 messages"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent(part: Mapping[str, float]) -> str:
    """ "p50 1.2 ms, p99 3.4 ms"."""
    return ", ".join(f"{name} {value:.2f} ms" for name, value in part.items())
