"""`flymq-cli completion`: scripts for the shell."""

from __future__ import annotations

import click

from flymq_cli.options import Command, examples


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli completion bash > ~/.local/share/bash-completion/completions/flymq-cli",
        "flymq-cli completion zsh > ~/.zfunc/_flymq-cli            # a folder in $fpath",
        "flymq-cli completion fish > ~/.config/fish/completions/flymq-cli.fish",
    ),
)
@click.argument("shell", metavar="[bash|zsh|fish]", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options, topics and groups.

    Topics and groups come from the live broker, if it answers within 300 ms.
    """
    from click.shell_completion import get_completion_class

    from flymq_cli.main import COMPLETE_VARIABLE, PROGRAM, cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, PROGRAM, COMPLETE_VARIABLE).source())
