"""`flymq-cli version`."""

from __future__ import annotations

import click

from flymq_cli.options import Command


@click.command(cls=Command)
def version() -> None:
    """Print the version."""
    from flymq.version import __version__

    click.echo(f"flymq-cli {__version__}")
