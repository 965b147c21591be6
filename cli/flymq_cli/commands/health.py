"""`flymq-cli health`: does a broker answer? For scripts, containers and people."""

from __future__ import annotations

import time

import click

from flymq_cli.app import App, pass_app
from flymq_cli.errors import UNREACHABLE, exit_code
from flymq_cli.options import Command, examples

_AGAIN_S = 0.1


@click.command(
    cls=Command,
    epilog=examples("flymq-cli health && echo up", "flymq-cli health --wait 30    # until it is up, for 30 s at most"),
)
@click.option("--wait", "wait", type=click.FloatRange(0), metavar="SECONDS", default=0,
              help="Try again for so long.  [default: once]")
@pass_app
def health(app: App, wait: float) -> None:
    """Exit with 0 if a broker answers.

    With 4 if none does; then it says what is at the address: nothing, no such host, no answer, or no Kafka broker.
    """
    from flymq_cli.output import print_facts

    deadline = time.monotonic() + wait
    while True:
        try:
            with app.client() as client:
                seconds = client.ping()
            break
        except Exception as error:
            if exit_code(error) != UNREACHABLE or time.monotonic() >= deadline:
                raise
            time.sleep(_AGAIN_S)
    facts = {"bootstrap_servers": app.servers(), "status": "ok", "milliseconds": round(seconds * 1000, 2)}
    if app.output == "table":
        click.echo(f"{facts['bootstrap_servers']} answers in {facts['milliseconds']} ms")
    else:
        print_facts(app, facts, name="status")
