"""docs/testing.md: every Python block runs as it is printed, as a reader would run it, and the tables are complete."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from flymq import AsyncEmbeddedBroker, EmbeddedBroker
from flymq.testing import plugin
from flymq.testing.helpers import BrokerHelpers
from tests.testing.suites import Suite

PAGE = (Path(__file__).parent.parent.parent / "docs/testing.md").read_text(encoding="utf-8")


def fences() -> list[tuple[str, str]]:
    """(language, text) of each fenced block, in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


PYTHON = [text for language, text in fences() if language == "python"]


def names_in_table_after(heading: str) -> set[str]:
    """The code in the first column, arguments left out."""
    table = PAGE.partition(heading)[2].partition("\n#")[0]
    return set(re.findall(r"^\| `(\w+)", table, re.MULTILINE))


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_no_block_is_left_out() -> None:
    assert PAGE.count("```") == 2 * len(fences())
    assert {language for language, _ in fences()} == {"python", "toml", ""}
    assert not any("def " in text or "import " in text for language, text in fences() if language != "python")
    assert len(PYTHON) == 10


def test_the_blocks_run(tmp_path: Path) -> None:
    """Those with tests are files of a suite without a conftest; the others are scripts."""
    tests = {f"test_block_{n}": text for n, text in enumerate(PYTHON) if "def test_" in text}
    suite = Suite(tmp_path)
    for name, text in tests.items():
        suite.write(f"{name}.py", text)
    suite.run("--strict-markers").assert_outcomes(passed=sum(text.count("def test_") for text in tests.values()))
    scripts = [text for text in PYTHON if "def test_" not in text]
    assert len(scripts) == 2
    for script in scripts:
        done = suite.python("-c", script)
        assert (done.ret, done.stdout.str(), done.stderr.str()) == (0, "", "")


def test_the_settings_are_read(tmp_path: Path) -> None:
    (toml,) = [text for language, text in fences() if language == "toml"]
    suite = Suite(tmp_path)
    suite.write("pyproject.toml", toml)
    suite.write(
        "test_it.py",
        """
        import pytest

        def test_it(flymq, flymq_client):
            with pytest.raises(LookupError):
                flymq_client.produce("orders", "one")
            flymq_client.create_topic("orders")
            assert len(flymq_client.topics.describe("orders").partitions) == 3
        """,
    )
    suite.run().assert_outcomes(passed=1)


def test_the_failure_looks_as_printed(flymq: EmbeddedBroker) -> None:
    flymq.seed("orders", ["one tea", "water"])
    with pytest.raises(AssertionError) as caught:
        flymq.expect("orders", ["one tea", "two coffees", "water"], timeout=0)
    assert f"```\n{caught.value}\n```".replace("after 0 s", "after 5 s") in PAGE


def test_every_fixture_helper_and_argument_is_there() -> None:
    fixtures = {name for name, value in vars(plugin).items() if type(value).__name__ == "FixtureFunctionDefinition"}
    assert fixtures == names_in_table_after("## Fixtures")
    assert {"topics", "partitions", "config"} == names_in_table_after("## The marker")
    helpers = (public(BrokerHelpers) | {"requests", "create_topics", "wipe"}) - {"bootstrap_servers"}
    assert names_in_table_after("## Helpers") == helpers
    arguments = set(inspect.signature(EmbeddedBroker).parameters)
    assert names_in_table_after("## Without fixtures") == arguments
    assert arguments == set(inspect.signature(AsyncEmbeddedBroker).parameters)
    for name in (public(EmbeddedBroker) | public(AsyncEmbeddedBroker)) - {"host", "port"}:
        assert name in PAGE
    assert plugin._VARIABLE in PAGE


def test_the_fixtures_do_as_the_page_says_without_the_plugin(tmp_path: Path) -> None:
    suite = Suite(tmp_path)
    suite.write("test_it.py", "def test_it(flymq): ...")
    result = suite.run("-p", "no:flymq")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'flymq' not found*"])
