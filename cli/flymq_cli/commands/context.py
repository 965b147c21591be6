"""`flymq-cli context`: places to connect to, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flymq_cli.app import DEFAULT_SERVERS, App, pass_app
from flymq_cli.errors import HintedUsageError
from flymq_cli.options import Group, examples

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    from flymq_cli.contexts import load
    from flymq_cli.errors import CliError

    try:
        return [name for name in sorted(load()["contexts"]) if name.startswith(incomplete)]
    except CliError:
        return []


@click.group(cls=Group)
def context() -> None:
    """Remember where brokers are, by name.

    The context in use says where to connect, unless -b, --context or the environment does. No passwords are kept.
    """


@context.command("list")
@pass_app
def list_(app: App) -> None:
    """All contexts, and which is in use."""
    from flymq_cli.contexts import load
    from flymq_cli.output import print_rows

    state = load()
    rows = [
        {
            "name": name,
            "current": name == state["current"],
            "bootstrap_servers": settings.get("bootstrap_servers", DEFAULT_SERVERS),
        }
        for name, settings in sorted(state["contexts"].items())
    ]
    print_rows(app, rows, ("name", "current", "bootstrap_servers"), name="name")


@context.command(
    epilog=examples(
        "flymq-cli context save staging -b kafka.staging:9092 --tls --sasl-username ada",
        "flymq-cli context use staging",
    )
)
@click.argument("name")
@pass_app
def save(app: App, name: str) -> None:
    """Keep -b, --timeout, --tls, --tls-ca, --sasl-mechanism, --sasl-username and -X as given here, under a NAME.

    The first one that is saved is in use from then on.
    """
    from flymq_cli.contexts import KEPT, load
    from flymq_cli.contexts import save as write

    settings: dict[str, Any] = {option: app.given[option] for option in KEPT if option in app.given}
    if app.extra:
        settings["settings"] = app.extra
    if not settings:
        raise HintedUsageError("there is nothing to keep", "say where the broker is: -b HOST:PORT")
    state = load()
    state["contexts"][name] = settings
    if state["current"] is None:
        state["current"] = name
    write(state)
    app.say(f"flymq-cli: context {name} saved" + (", and in use" if state["current"] == name else ""))


@context.command()
@click.argument("name", shell_complete=_complete)
@pass_app
def use(app: App, name: str) -> None:
    """Connect as a context says, from now on."""
    from flymq_cli.contexts import find, load
    from flymq_cli.contexts import save as write

    state = load()
    find(state, name)
    write(state | {"current": name})
    app.say(f"flymq-cli: context {name} is in use")


@context.command()
@click.argument("name", required=False, shell_complete=_complete)
@pass_app
def show(app: App, name: str | None) -> None:
    """What a context says; without NAME, the one in use."""
    from flymq_cli.contexts import current, find, load
    from flymq_cli.output import print_facts

    settings = current(app.given.get("context")) if name is None else find(load(), name)
    facts = {"bootstrap_servers": DEFAULT_SERVERS, **settings}
    if app.output == "table" and "settings" in facts:
        facts["settings"] = [f"{key}={value}" for key, value in facts["settings"].items()]
    print_facts(app, facts, name="bootstrap_servers")


@context.command()
@click.argument("name", shell_complete=_complete)
@pass_app
def delete(app: App, name: str) -> None:
    """Forget a context."""
    from flymq_cli.contexts import find, load
    from flymq_cli.contexts import save as write

    state = load()
    find(state, name)
    del state["contexts"][name]
    if state["current"] == name:
        state["current"] = None
    write(state)
    app.say(f"flymq-cli: context {name} is forgotten")
