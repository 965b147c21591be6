"""Rules of the house that a machine can hold: sizes, handlers' docstrings, what never belongs in the code."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

from flymq.broker.handlers import HANDLERS
from flymq_protocol.registry import API

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

# Path, or path:function -> why it may be longer.
LONGER: dict[str, str] = {}
GENERATED = "protocol/flymq_protocol/_gen/"
PACKAGES = ("flymq/", "protocol/", "cli/")
# Say it with `click.echo` or a logger. A machine's own paths are of no use to anybody else.
_MACHINE_PATH = re.compile(r"""["' (](?:/home/|/Users/|C:\\)""")


def python_files() -> list[str]:
    """Those under version control, and those about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    return [path for path in listed.stdout.split() if not path.startswith(GENERATED) and (ROOT / path).exists()]


def functions(tree: ast.Module) -> list[tuple[str, int]]:
    """(name, lines) of each, docstring and decorators not counted."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            lines = (node.end_lineno or 0) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= (body[0].end_lineno or 0) - body[0].lineno + 1
            found.append((node.name, lines))
    return found


def is_too_long(path: str, source: str) -> list[str]:
    """The file itself, or functions in it, that are and have no listed reason."""
    found = [path] if len(source.splitlines()) > FILE_LINES_MAX else []
    found += [f"{path}:{name}" for name, lines in functions(ast.parse(source)) if lines > FUNCTION_LINES_MAX]
    return [entry for entry in found if entry not in LONGER]


def prints(source: str) -> list[int]:
    """Lines that call it."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


FILES = python_files()


def test_the_rules_see_a_breach() -> None:
    assert "tests/test_tidy.py" in FILES
    body = "    x = 1\n" * FUNCTION_LINES_MAX
    assert is_too_long("a.py", "def f():\n" + body) == ["a.py:f"]
    assert is_too_long("a.py", 'def f():\n    """Doc.\n    """\n' + body[10:]) == []
    assert is_too_long("a.py", "x = 1\n" * (FILE_LINES_MAX + 1)) == ["a.py"]
    assert prints("x = 1\nprint(x)") == [2]
    assert _MACHINE_PATH.search('open("/home/me/x")')


@pytest.mark.parametrize("path", FILES)
def test_sizes(path: str) -> None:
    assert is_too_long(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.startswith(PACKAGES)])
def test_packages_do_not_print_nor_name_this_machine(path: str) -> None:
    source = (ROOT / path).read_text()
    assert prints(source) == []
    assert [line for line in source.splitlines() if _MACHINE_PATH.search(line)] == []


@pytest.mark.parametrize("key", sorted(HANDLERS))
def test_a_handler_says_what_it_does(key: int) -> None:
    """Title with the versions, then these parts; a part that has nothing to say may be left out but for Behaviour
    and Source, and every version that is named is one that is served."""
    row = HANDLERS[key]
    path = ROOT / "flymq/broker/handlers" / f"{API[key].module}.py"
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    title = doc.splitlines()[0]
    assert re.match(rf"{row.name}: v{row.min_version}-{row.max_version}\b", title), title
    parts = re.findall(r"^(\w+):$", doc, re.MULTILINE)
    assert parts == [part for part in ("Versions", "Behaviour", "Errors", "Source") if part in parts]
    assert {"Behaviour", "Errors", "Source"} <= set(parts)
    assert "Versions" in parts or row.max_version <= 2
    assert max(map(int, re.findall(r"\bv(\d+)\b", doc)), default=0) <= row.max_version


@pytest.mark.parametrize("key", sorted(HANDLERS))
def test_a_handler_has_a_wire_test_of_its_name(key: int) -> None:
    module = API[key].module
    source = (ROOT / "tests/wire" / f"test_{module}.py").read_text()
    assert "def happy(" in source
    assert "def refuse(" in (ROOT / "flymq/broker/handlers" / f"{module}.py").read_text()
