"""docs/deviations.md names every default that isn't Kafka's and every setting without effect, and no other."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

from flymq.core.settings import (
    BROKER_SETTINGS,
    CLIENT_METRICS_SETTINGS,
    GROUP_SETTINGS,
    OWN_DEFAULTS,
    OWN_READ_ONLY,
    TOPIC_SETTINGS,
    UNUSED_SETTINGS,
    Setting,
)

PAGE = (Path(__file__).parents[2] / "docs" / "deviations.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in table[2:]]


def named(heading: str) -> list[str]:
    """What the first column has between backticks."""
    return [name for row in rows(heading) for name in re.findall(r"`([^`]+)`", row[0])]


def is_without_effect(setting: Setting) -> bool:
    return "ithout effect" in setting.doc


def without_effect() -> set[str]:
    """As their own explanations say; a topic setting without effect takes the broker's defaults for it with it."""
    tables = (TOPIC_SETTINGS, BROKER_SETTINGS, GROUP_SETTINGS, CLIENT_METRICS_SETTINGS)
    settings = [one for table in tables for one in table.values() if is_without_effect(one)]
    return {one.name for one in settings} | {name for one in settings for name in one.synonyms} | UNUSED_SETTINGS


def test_defaults() -> None:
    listed = named("Defaults")
    others = {"advertised.listeners", "flymq.durability"}  # Kafka's default is "the listeners"; Kafka has no such one
    first_of_each = {re.findall(r"`([^`]+)`", row[0])[0] for row in rows("Defaults")}
    assert first_of_each == OWN_DEFAULTS.keys() | others
    assert set(listed) == first_of_each


def test_a_default_is_the_one_that_is_told() -> None:
    for name, _, ours, why in rows("Defaults"):
        default = OWN_DEFAULTS.get(name.strip("`"))
        assert default is None or default in ours
        assert why


def test_what_is_read_only() -> None:
    assert sorted(named("What can't be changed at run time")) == sorted(OWN_READ_ONLY)


def test_every_setting_without_effect_is_listed() -> None:
    patterns = named("Settings without effect")
    missing = {name for name in without_effect() if not any(fnmatchcase(name, pattern) for pattern in patterns)}
    assert not missing


def test_nothing_is_listed_that_has_an_effect() -> None:
    known = without_effect()
    patterns = named("Settings without effect")
    assert len(patterns) == len(set(patterns))
    empty = {pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in known)}
    assert not empty
    acting = {*TOPIC_SETTINGS, *BROKER_SETTINGS, *GROUP_SETTINGS, *CLIENT_METRICS_SETTINGS} - known
    exact = {pattern for pattern in patterns if "*" not in pattern}
    assert not exact & acting


def test_each_row_has_a_reason() -> None:
    for heading in ("Defaults", "What can't be changed at run time", "Settings without effect", "Behaviour"):
        assert all(row[-1] for row in rows(heading))
