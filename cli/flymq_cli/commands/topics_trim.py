"""`flymq-cli topics trim`: delete the oldest messages of a topic. There is no way back."""

from __future__ import annotations

import click

from flymq_cli import parameters
from flymq_cli.app import App, pass_app
from flymq_cli.options import Command, examples

_COLUMNS = ("partition", "before", "after", "end")


@click.command(
    cls=Command,
    epilog=examples(
        "flymq-cli topics trim orders --before @-7d --dry-run    # what is older than a week?",
        "flymq-cli topics trim orders --before -1000             # keep the last 1000 of each partition",
        "flymq-cli topics trim orders --before 42 -p 0",
        "flymq-cli topics trim orders --before latest --yes      # everything",
    ),
)
@parameters.topic_argument()
@click.option("--before", metavar="POS", required=True,
              help="N, -N (keep the last N of each partition), +N (delete so many), latest or @TIME.")
@parameters.partitions_option()
@click.option("--dry-run", is_flag=True, help="Show before and after, delete nothing.")
@parameters.yes_option()
@pass_app
def trim(app: App, topic: str, before: str, partitions: tuple[int, ...], dry_run: bool, yes: bool) -> None:
    """Delete the messages before POS, in all partitions. There is no way back.

    Shows the first offset of each partition, BEFORE and AFTER; END is the one after its last message.
    """
    from flymq_cli.output import counted, print_rows
    from flymq_cli.places import offsets_of
    from flymq_cli.positions import parse_place

    place = parse_place(before)
    chosen = sorted(set(partitions)) or None
    with app.client() as client:
        # Looked up once: what is asked about is what is deleted, whatever comes meanwhile.
        end = place if isinstance(place, int) else offsets_of(client, topic, place, chosen)
        changes = client.topics.trim(topic, before=end, partitions=chosen, dry_run=True)
        doomed = sum(change.after - change.before for change in changes)
        if doomed and not dry_run:
            parameters.confirm(f"Delete {counted(doomed, 'offset')} of {topic}", yes)
            changes = client.topics.trim(topic, before=end, partitions=chosen)
    print_rows(app, changes, _COLUMNS, name="partition")
    if dry_run:
        app.say("flymq-cli: nothing was changed: --dry-run")
