"""Global options, understood before the command and after it; and the commands that understand them.

People type `flymq-cli -O json topics list` as well as `flymq-cli topics list -O json`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import click

from flymq_cli.app import App
from flymq_cli.errors import HintedUsageError, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTPUTS = ("table", "json", "yaml", "name")
# What the client itself takes, and -X would give to it a second time.
_OTHERWISE = {
    "bootstrap_servers": "-b HOST:PORT",
    "timeout": "--timeout SECONDS",
    "connect_timeout": "--timeout SECONDS",
    "auto_create_topics": "--create or --no-create, where a command has them",
    "sasl": "--sasl-username NAME",
    "tls": "--tls, or --tls-ca FILE",
    **dict.fromkeys(
        ("key_serializer", "value_serializer", "key_deserializer", "value_deserializer"),
        "bytes as they are: flymq-cli neither encodes nor decodes",
    ),
}
_NOTE = "Global options (-b, -O, --timeout, -X, -q, -v ...) go here too: see `flymq-cli --help`."


class GlobalOption(click.Option):
    """Kept in the `App` instead of given to the command; shown in the help of `flymq-cli` only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, expose_value=False, callback=_remember, **kwargs)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        return super().get_help_record(ctx) if ctx.parent is None else None


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    app = context.find_root().ensure_object(App)
    name = parameter.name
    if name == "extra":
        app.extra |= dict(_setting(text) for text in value or ())
    elif value or (value is not None and value is not False and value != 0):
        assert name is not None
        app.given[name] = value


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise HintedUsageError(f"-X {text} is not KEY=VALUE", "write -X request_timeout_ms=5000")
    name = name.strip().replace(".", "_")
    if "password" in name or "secret" in name:
        raise HintedUsageError(
            f"-X {name}: other users of this machine see arguments",
            "set FLYMQ_SASL_PASSWORD, or give it as the first line with --sasl-password-stdin",
        )
    if name in _OTHERWISE:
        raise HintedUsageError(f"-X does not set {name}", f"give {_OTHERWISE[name]}")
    return name, typed(value.strip())


def typed(text: str) -> Any:
    """A setting's value: true, false, none, a number, or else text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def global_options() -> list[click.Parameter]:
    """Fresh ones for a command."""
    return [
        GlobalOption(
            ["-b", "--bootstrap-servers"], metavar="HOST:PORT,...",
            help="Where the brokers are. Else FLYMQ_BOOTSTRAP_SERVERS, KAFKA_BOOTSTRAP_SERVERS, the current context, "
            "localhost:9092.",
        ),
        GlobalOption(["--context"], metavar="NAME", help="Connect as this context says. Else FLYMQ_CONTEXT."),
        GlobalOption(["-O", "--output"], type=click.Choice(OUTPUTS), help="How to print.  [default: table]"),
        GlobalOption(
            ["--timeout"], type=click.FloatRange(0, min_open=True), metavar="SECONDS",
            help="For a request.  [default: 30]",
        ),
        GlobalOption(
            ["-X", "extra"], multiple=True, metavar="KEY=VALUE", help="A setting of kafka-python. Repeat it for more."
        ),
        GlobalOption(["--sasl-mechanism"], metavar="NAME", help="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."),
        GlobalOption(
            ["--sasl-username"], metavar="NAME",
            help="Log in as this user. The password comes from FLYMQ_SASL_PASSWORD, or is asked for.",
        ),
        GlobalOption(["--sasl-password-stdin"], is_flag=True, help="The password is the first line of stdin."),
        GlobalOption(["--tls"], is_flag=True, help="Connect with TLS."),
        GlobalOption(["--tls-ca"], metavar="FILE", help="Connect with TLS, and trust this authority (PEM)."),
        GlobalOption(["-q", "--quiet"], is_flag=True, help="Nothing on stderr but errors."),
        GlobalOption(["-v", "--verbose"], count=True, help="Log what the client does; twice: everything."),
        GlobalOption(["--no-color"], is_flag=True, help="No colours. So does the variable NO_COLOR."),
        GlobalOption(["--debug"], is_flag=True, help="A traceback with an error."),
    ]


_SHORT_HELP_MAX = 120
_HELP = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A command that takes the global options as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        _note(formatter)


class Group(click.Group):
    """A family of commands, whose members are `Command`s."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["context_settings"] = {**_HELP, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        if ctx.parent is not None:
            _note(formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order they were written: what people look for first comes first

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(_SHORT_HELP_MAX)) for name, command in self.commands.items()]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        unknown = args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None
        if unknown and not ctx.resilient_parsing:
            path = ctx.command_path
            raise HintedUsageError(
                f"there is no command {' '.join([*path.split()[1:], args[0]])}",
                suggestion(args[0], self.list_commands(ctx)) or f"`{path} --help` lists what there is",
            )
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """Knows names and one-line helps of its commands, and imports the module of one when it is used."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        """`lazy`: name -> (module in flymq_cli.commands, what it does)."""
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        module = importlib.import_module(f"flymq_cli.commands.{self.lazy[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])


def _note(formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    formatter.write_text(_NOTE)


def examples(*lines: str) -> str:
    """An epilog of command lines, that click does not wrap."""
    return "\b\n" + "\n".join(lines)
