"""`flymq-cli cluster`: the brokers, and what they can do."""

from __future__ import annotations

import click

from flymq_cli.app import App, pass_app
from flymq_cli.options import Group

_BROKER_COLUMNS = ("node_id", "host", "port", "rack")


@click.group(cls=Group)
def cluster() -> None:
    """The brokers, and what they can do."""


@cluster.command()
@pass_app
def info(app: App) -> None:
    """The cluster's id, who decides about topics, and the brokers."""
    from flymq_cli.output import print_facts, print_table

    with app.client() as client:
        found = client.cluster.info()
    if app.output != "table":
        print_facts(app, found, name="cluster_id")
        return
    print_facts(app, {"cluster": found.cluster_id, "controller": found.controller_id}, name="cluster")
    click.echo()
    print_table(app, [[getattr(row, column) for column in _BROKER_COLUMNS] for row in found.brokers], _BROKER_COLUMNS)


@cluster.command()
@pass_app
def brokers(app: App) -> None:
    """The brokers, as clients reach them."""
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.cluster.brokers()
    print_rows(app, found, _BROKER_COLUMNS, name="node_id")


@cluster.command("api-versions")
@pass_app
def api_versions(app: App) -> None:
    """What a broker can do: each API that it speaks, from which version to which."""
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.cluster.api_versions()
    print_rows(app, found, ("key", "name", "min_version", "max_version"), name="name")
