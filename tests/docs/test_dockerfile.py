"""The image's recipe names what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from flymq.broker.command import flymq
from flymq.broker.config import environment_name
from flymq.core.settings import BROKER_SETTINGS

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_what_it_copies_is_there_and_not_ignored() -> None:
    copied = {
        source
        for words in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in words.split()[:-1]
    }
    assert [source for source in copied if not (ROOT / source).exists()] == []
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_through == copied


def test_its_command_is_one_of_ours() -> None:
    (words,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    name, *arguments = json.loads(words)
    command = flymq.commands[name]
    assert command.make_context(name, arguments).params["data_dir"] == "/var/lib/flymq"


def test_its_variables_are_settings() -> None:
    variables = re.findall(r"^ENV (FLYMQ_\w+)=", DOCKERFILE, re.MULTILINE)
    assert variables
    assert set(variables) <= {environment_name(name) for name in BROKER_SETTINGS}
