"""Writes the pages that come out of the code: `python docs/generate.py`. A test fails where one is stale.

`cli.md` from the commands, `configuration.md` from the tables of settings.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

FOLDER = Path(__file__).parent
_GENERATED = "<!-- Written by docs/generate.py. Change the code, then run it. -->"


# -- the command line -----------------------------------------------------------------------------


def cli() -> str:
    """Every command of `flymq-cli` and of `flymq`, with its options."""
    from flymq.broker.command import flymq
    from flymq_cli.main import cli as flymq_cli

    parts = [
        "# The command line", _GENERATED,
        "`flymq-cli` talks to a broker, FlyMQ's or any Kafka's; `flymq` runs one.",
    ]
    for name, command in (("flymq-cli", flymq_cli), ("flymq", flymq)):
        for context in _contexts(command, click.Context(command, info_name=name, **command.context_settings)):
            parts.append(_command(context))
    return "\n\n".join(parts) + "\n"


def _contexts(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """The command's, then those of its subcommands, depth first, in the order they are listed."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            if not child.hidden:
                yield from _contexts(child, click.Context(child, info_name=name, parent=context))


def _command(context: click.Context) -> str:
    command = context.command
    depth = 2 if context.parent is None else 3 if isinstance(command, click.Group) or not context.parent.parent else 4
    usage = command.get_usage(context).removeprefix("Usage: ")
    parts = [f"{'#' * depth} {context.command_path}", f"```\n{usage}\n```", _text(command.help)]
    rows = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    if rows:
        parts.append(_table(("option", "meaning"), [(f"`{option}`", text) for option, text in rows]))
    if isinstance(command, click.Group):
        listed = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        rows = [(f"`{name}`", child.get_short_help_str(120)) for name, child in listed if child and not child.hidden]
        parts.append(_table(("command", "what it does"), rows))
    parts.append(_text(command.epilog))
    return "\n\n".join(part for part in parts if part)


def _text(text: str | None) -> str:
    """A help's paragraphs; one that click must not wrap (after a backspace) is an example, or else a text."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(_example(inspect.cleandoc(part[1:])) if part.startswith("\b") else part for part in paragraphs)


def _example(lines: str) -> str:
    return f"```bash\n{lines}\n```" if lines.startswith("flymq") else lines


# -- settings -------------------------------------------------------------------------------------

_CONFIGURATION = """\
Settings have Kafka's names and Kafka's meanings. `flymq serve` and `flymq dev` take them, the last one winning, from

1. their defaults, below;
2. a file: `--config FILE`, TOML or a `server.properties`;
3. the environment: `KAFKA_LOG_RETENTION_MS`, and before it `FLYMQ_LOG_RETENTION_MS`, for `log.retention.ms`;
4. flags: `--set log.retention.ms=60000`, `--listen`, `--data-dir`.

```bash
flymq config show --origin            # what is in force, and who said so
flymq config explain log.retention.ms # what it means
flymq config check server.properties  # would a broker start with it?
```

A name that nobody knows is an error, with the nearest one that is known. Names that Kafka has and that mean nothing
here are accepted and ignored, so a `server.properties` can be taken over as it is.
Where FlyMQ's default is not Kafka's, Kafka's stands beside it; [deviations.md](deviations.md) says why.

## While the broker runs

Settings of topics and groups, and those of the broker that say so below, can be changed with Kafka's own
administration clients and tools. A change is durable and in force when it is answered. What is set for one broker goes
before what is set for all brokers of the cluster, and that before the file, the environment and flags; what a topic or
group has of its own goes before all of these.

```
kafka-configs --bootstrap-server localhost:9092 --alter --topic orders --add-config retention.ms=60000
kafka-configs --bootstrap-server localhost:9092 --alter --broker-defaults --add-config message.max.bytes=2000000
kafka-configs --bootstrap-server localhost:9092 --alter --broker-logger 1 --add-config root=DEBUG
kafka-configs --bootstrap-server localhost:9092 --describe --all --broker 1
```

Levels of loggers (`root`, or `flymq.` and what follows) last until the broker stops."""


def configuration() -> str:
    """All settings of the broker, of topics, groups and subscriptions to metrics."""
    from flymq.core.settings import BROKER_SETTINGS, CLIENT_METRICS_SETTINGS, GROUP_SETTINGS, TOPIC_SETTINGS

    parts = [
        "# Configuration", _GENERATED, _CONFIGURATION,
        "## Settings of the broker", _settings(BROKER_SETTINGS, says_dynamic=True),
        "## Settings of a topic",
        "Given at its creation or later; where one is not, the broker's setting in the last column holds.",
        _settings(TOPIC_SETTINGS, synonyms=True),
        "## Settings of a group",
        "Of groups that use the consumer protocol (KIP-848).",
        _settings(GROUP_SETTINGS, synonyms=True),
        "## Settings of a subscription to clients' metrics", _settings(CLIENT_METRICS_SETTINGS),
    ]
    return "\n\n".join(parts) + "\n"


def _settings(settings: Mapping[str, object], *, synonyms: bool = False, says_dynamic: bool = False) -> str:
    from flymq.core.settings import Setting

    rows = []
    for name, setting in sorted(settings.items()):
        assert isinstance(setting, Setting)
        default = _value(setting.default)
        if setting.default != setting.kafka_default:
            default += f" (Kafka: {_value(setting.kafka_default)})"
        doc = setting.doc + (" Can be changed while the broker runs." if says_dynamic and setting.dynamic else "")
        row = [f"`{name}`", doc, setting.expected, default]
        rows.append((*row, ", ".join(f"`{other}`" for other in setting.synonyms)) if synonyms else tuple(row))
    titles = ("setting", "meaning", "value", "default")
    return _table((*titles, "falls back to") if synonyms else titles, rows)


def _value(text: str | None) -> str:
    return "none" if text is None else f"`{text}`" if text else "empty"


# -- Markdown -------------------------------------------------------------------------------------


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {"cli.md": cli, "configuration.md": configuration}


if __name__ == "__main__":
    for page, text in PAGES.items():
        (FOLDER / page).write_text(text(), encoding="utf-8")
