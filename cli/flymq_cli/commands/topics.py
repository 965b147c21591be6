"""`flymq-cli topics`: list, create, describe, delete; settings, more partitions. Copying and trimming have modules of
their own.
"""

from __future__ import annotations

from typing import Any

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.commands.topics_copy import copy
from flymq_cli.commands.topics_trim import trim
from flymq_cli.errors import NOT_FOUND, CliError, HintedUsageError, hint_of
from flymq_cli.options import Group, examples
from flymq_cli.several import for_each


@click.group(cls=Group)
def topics() -> None:
    """List, create, describe, change, trim, delete and copy topics."""


@topics.command("list")
@click.option("--internal", is_flag=True, help="Also those that the broker keeps for itself.")
@pass_app
def list_(app: App, internal: bool) -> None:
    """All topics, by name."""
    from flymq_cli.output import print_rows

    with app.client() as client:
        found = client.topics.list(internal=internal)
    print_rows(app, found, ("name", "partitions", "replication_factor"), name="name")


@topics.command(
    epilog=examples(
        "flymq-cli topics create orders --partitions 6",
        "flymq-cli topics create orders invoices -c retention.ms=86400000 --if-not-exists",
    )
)
@click.argument("topics", metavar="TOPIC...", nargs=-1, required=True)
@click.option("--partitions", type=click.IntRange(1), metavar="N", help="How many.  [default: the broker's]")
@click.option("--replication-factor", type=click.IntRange(1), metavar="N", help="[default: the broker's]")
@click.option("-c", "--config", "settings", multiple=True, metavar="KEY=VALUE",
              help="A setting, by Kafka's name. Repeat it for more.")
@click.option("--if-not-exists", is_flag=True, help="One that is there already is fine.")
@pass_app
def create(
    app: App, topics: tuple[str, ...], partitions: int | None, replication_factor: int | None,
    settings: tuple[str, ...], if_not_exists: bool,
) -> int:
    """Create topics."""
    config = parameters.assignments(settings, "-c retention.ms=86400000")
    with app.client() as client:

        def act(topic: str) -> None:
            client.topics.create(
                topic, partitions=partitions, replication_factor=replication_factor, config=config,
                exist_ok=if_not_exists,
            )
            app.say(f"flymq-cli: topic {topic} {'is there' if if_not_exists else 'created'}")

        return for_each(topics, act)


@topics.command()
@parameters.topic_argument()
@pass_app
def describe(app: App, topic: str) -> None:
    """One topic: its partitions with their offsets, and the settings that it was given.

    START is a partition's first offset, END the one after its last message.
    """
    from flymq_cli.output import print_facts, print_table

    with app.client() as client:
        found = client.topics.describe(topic)
    if app.output != "table":
        print_facts(app, found, name="name")
        return
    print_facts(
        app,
        {
            "topic": found.name,
            "id": found.topic_id,
            "partitions": len(found.partitions),
            "settings": [f"{name}={value.value}" for name, value in found.config.items()],
        },
        name="topic",
    )
    click.echo()
    columns = ("partition", "leader", "replicas", "isr", "start", "end")
    print_table(app, [[getattr(row, column) for column in columns] for row in found.partitions], columns)


@topics.command(
    epilog=examples(
        "flymq-cli topics config orders --all",
        "flymq-cli topics config orders --set retention.ms=86400000 --unset segment.bytes",
    )
)
@parameters.topic_argument()
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting. Repeat it for more.")
@click.option("--unset", "unset", multiple=True, metavar="KEY", help="Let it be the broker's. Repeat it for more.")
@click.option("--all", "all_", is_flag=True, help="Also defaults, and what comes from the broker's settings.")
@pass_app
def config(app: App, topic: str, changes: tuple[str, ...], unset: tuple[str, ...], all_: bool) -> None:
    """The settings that a topic was given; with --all, every one that is in force.

    With --set and --unset, changes them first: all of them, or none.
    """
    from flymq_cli.output import plain, print_rows

    wanted: dict[str, Any] = parameters.assignments(changes, "--set retention.ms=86400000")
    if twice := sorted(wanted.keys() & set(unset)):
        raise HintedUsageError(f"{twice[0]} is to be set and unset", "give one of both")
    with app.client() as client:
        if wanted or unset:
            client.topics.set_config(topic, {**wanted, **dict.fromkeys(unset)})
        found = client.topics.config(topic)
    rows: list[dict[str, Any]] = [
        {"name": name, **plain(value)}
        for name, value in found.items()
        if all_ or value.source == "DYNAMIC_TOPIC_CONFIG"
    ]
    print_rows(app, rows, ("name", "value", "source"), name="name")
    if not rows:
        had = "has" if unset else "was given"
        app.say(f"flymq-cli: {topic} {had} no settings of its own\n  --all shows those that are in force")


@topics.command("add-partitions")
@parameters.topic_argument()
@click.argument("total", type=click.IntRange(1))
@pass_app
def add_partitions(app: App, topic: str, total: int) -> None:
    """Let a topic have TOTAL partitions in all. There is no way back, and keys go to other partitions from then on."""
    from flymq_cli.output import counted

    with app.client() as client:
        client.topics.add_partitions(topic, total)
    app.say(f"flymq-cli: {topic} has {counted(total, 'partition')}")


@topics.command()
@parameters.topics_argument()
@click.option("--if-exists", is_flag=True, help="One that is not there is fine.")
@parameters.yes_option()
@pass_app
def delete(app: App, topics: tuple[str, ...], if_exists: bool, yes: bool) -> int:
    """Delete topics with all their messages. There is no way back."""
    from flymq.client.errors import TopicNotFoundError

    parameters.confirm(f"Delete {', '.join(topics)} with all messages", yes)
    with app.client() as client:

        def act(topic: str) -> None:
            try:
                client.topics.delete(topic, missing_ok=if_exists)
            except TopicNotFoundError as error:
                hint = hint_of(error)
                if "topics create" in hint:  # nobody creates what is to be gone
                    hint = "`flymq-cli topics list` lists what there is; --if-exists is content without it"
                raise CliError(str(error), hint, NOT_FOUND) from None
            app.say(f"flymq-cli: topic {topic} is gone")

        return for_each(topics, act)


topics.add_command(trim)
topics.add_command(copy)
