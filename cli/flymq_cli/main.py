"""The entry point: finds the command, runs it, and turns whatever goes wrong into two lines and an exit code."""

from __future__ import annotations

import contextlib
import os
import re
import sys

import click

from flymq_cli.app import App
from flymq_cli.errors import FAILED, INTERRUPTED, OK, USAGE, exit_code, report, suggestion, tell
from flymq_cli.options import LazyGroup

PROGRAM = "flymq-cli"
COMPLETE_VARIABLE = "_FLYMQ_CLI_COMPLETE"

COMMANDS = {
    "produce": ("produce", "Write messages to a topic."),
    "consume": ("consume", "Print what is in a topic, without a group."),
    "subscribe": ("subscribe", "Print messages as a member of a group."),
    "tail": ("tail", "Print the last messages of a topic, and follow it."),
    "topics": ("topics", "List, create, describe, change, trim, delete and copy topics."),
    "groups": ("groups", "List groups; their members, offsets and lag; reset them."),
    "txns": ("txns", "List and describe transactions; find those that hang, and abort them."),
    "cluster": ("cluster", "The brokers, and what they can do."),
    "health": ("health", "Exit 0 if a broker answers."),
    "bench": ("bench", "Measure a broker."),
    "context": ("context", "Remember where brokers are, by name."),
    "completion": ("completion", "Print a script that completes commands in a shell."),
    "version": ("version", "Print the version."),
}


@click.group(
    cls=LazyGroup, lazy=COMMANDS, name=PROGRAM,
    epilog="""\
\b
Exit codes: 0 done, 1 failed, 2 wrong command line, 3 not found, 4 no connection or no
answer in time, 5 not allowed, 6 conflict or unmet condition, 7 partly done, 130 interrupted.
""",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, help="Print the version and exit.",
    callback=lambda context, parameter, value: _print_version(context) if value else None,
)
def cli() -> None:
    """Work with a broker: FlyMQ's, or any Kafka's.

    Data goes to stdout, everything else to stderr. The global options below are understood before a command and after
    it.
    """


def _print_version(context: click.Context) -> None:
    from flymq.version import __version__

    click.echo(f"{PROGRAM} {__version__}")
    context.exit()


def main() -> None:
    """Entry point of the console script."""
    _open_what_is_closed()
    sys.exit(run(sys.argv[1:]))


def _open_what_is_closed() -> None:
    """`<&-`, `>&-`: nothing is read, what is printed is lost, and no socket gets the number of stdout."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the process ends


def run(arguments: list[str]) -> int:
    """Run the command; its exit code. Prints errors instead of raising them."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, instruction)
    app = App()
    try:
        result = _invoke(arguments, app)
        sys.stdout.flush()
        return result
    except BrokenPipeError:  # whoever read our output has had enough (`| head`): nothing went wrong
        _drop_output()
        return OK
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        return _usage(error)
    except Exception as error:
        return _failure(error, app)


def _invoke(arguments: list[str], app: App) -> int:
    try:
        with cli.make_context(PROGRAM, list(arguments), obj=app) as context:
            result = cli.invoke(context)
            return result if isinstance(result, int) else OK
    except click.exceptions.Exit as end:
        return end.exit_code


def _usage(error: click.ClickException) -> int:
    """Two lines for a command line that is wrong."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = getattr(error, "hint", None)
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        message = f"there is no option {error.option_name}"
        known = [name for parameter in context.command.params for name in parameter.opts] if context else []
        hint = suggestion(error.option_name, [*known, "--help"])
        if re.fullmatch(r"-[0-9].*", error.option_name):
            hint = f"what begins with - comes after --: {PROGRAM} ... -- {error.option_name}"
    path = context.command_path if context is not None else PROGRAM
    tell(message.rstrip("."), hint or f"`{path} --help` lists what there is")
    return USAGE


def _failure(error: Exception, app: App) -> int:
    if app.debug:
        import traceback

        traceback.print_exception(error)
    code = exit_code(error)
    if code is not None:
        report(error)
        return code
    if isinstance(error, OSError):
        with contextlib.suppress(ValueError):
            try:
                sys.stdout.flush()
            except OSError:
                _drop_output()
        where = "the file and its rights" if error.filename else "where the output goes"
        tell(": ".join(filter(None, (error.strerror or str(error), error.filename))), f"check {where}")
    elif not app.debug:
        tell(f"{type(error).__name__}: {error}", "this is a bug: --debug shows where")
    return FAILED


def _drop_output() -> None:
    """What could not be written is not tried again: the interpreter's own flush at exit would fail, and say so."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
