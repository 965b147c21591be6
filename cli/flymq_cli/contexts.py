"""Named places to connect to, in the user's configuration folder. No passwords: those stay out of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from flymq_cli.errors import NOT_FOUND, CliError, suggestion

KEPT = ("bootstrap_servers", "sasl_mechanism", "sasl_username", "tls", "tls_ca", "timeout")
"""The global options that a context remembers; -X settings besides."""
_TEXTS = ("bootstrap_servers", "sasl_mechanism", "sasl_username", "tls_ca")


def path() -> Path:
    """FLYMQ_CONTEXTS, else contexts.json in the folder that the system has for such files."""
    return Path(os.environ.get("FLYMQ_CONTEXTS") or Path(click.get_app_dir("flymq")) / "contexts.json")


def load() -> dict[str, Any]:
    """{"current": name or None, "contexts": {name: settings}}."""
    import json

    empty: dict[str, Any] = {"current": None, "contexts": {}}
    try:
        found = json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return empty
    except (OSError, ValueError) as error:
        raise CliError(f"can't read {path()}: {error}", "mend the file, or delete it") from None
    if not isinstance(found, dict) or not isinstance(found.get("contexts"), dict):
        raise CliError(f"{path()} is no list of contexts", "mend the file, or delete it")
    for name, settings in found["contexts"].items():
        if not _is_context(settings):
            raise CliError(f"{path()} has nonsense in context {name}", "mend the file, or delete it")
    return empty | found


def _is_context(found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("settings", {}), dict):
        return False
    timeout = found.get("timeout", 1)
    return all(isinstance(found.get(name, ""), str) for name in _TEXTS) and isinstance(timeout, int | float)


def save(state: dict[str, Any]) -> None:
    """Whole or not at all, and readable by nobody else."""
    import json

    file = path()
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise CliError(f"can't write {file}: {error.strerror}", "check the folder's rights") from None


def current(name: str | None = None) -> dict[str, Any]:
    """The settings of a context: the named one, else FLYMQ_CONTEXT's, else the one in use; {} where there is none."""
    name = name or os.environ.get("FLYMQ_CONTEXT")
    if name is None and not path().exists():
        return {}
    state = load()
    name = name or state["current"]
    return dict(find(state, name)) if name is not None else {}


def find(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Raises `CliError` for a context that is not there."""
    try:
        return dict(state["contexts"][name])
    except KeyError:
        hint = suggestion(name, state["contexts"]) or "`flymq-cli context list` lists what there is"
        raise CliError(f"there is no context {name}", hint, NOT_FOUND) from None
