"""Where a broker's settings come from: a file, the environment, flags.

A flag goes before the environment, that before the file, and that before the defaults. Files are TOML
(`"log.retention.ms" = 1000`, or tables `[log.retention]`) where the name ends in `.toml`, else Java
properties, so that a server.properties written for Kafka will do. In the environment `log.retention.ms` is
FLYMQ_LOG_RETENTION_MS or, as in Kafka's image, KAFKA_LOG_RETENTION_MS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flymq.core.settings import (
    BROKER_SETTINGS,
    UNUSED_SETTINGS,
    BrokerConfig,
    Layer,
    Listener,
    SettingError,
    parse_host_port,
    to_text,
)

__all__ = [
    "BrokerConfig",
    "ConfigError",
    "environment_name",
    "environment_warnings",
    "listen_layer",
    "load",
    "read_environment",
    "read_file",
    "read_flags",
    "warnings_of",
]


class ConfigError(Exception):
    """Settings that a broker can't start with: `str(error)` says what is wrong, `hint` what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def load(
    *,
    file: str | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Iterable[str] = (),
    defaults: Layer | None = None,
    overrides: Iterable[Layer] = (),
) -> BrokerConfig:
    """The settings in force. ConfigError where they can't be.

    `flags` are `key=value`; `defaults` lie below the file, `overrides` beside the flags.
    """
    try:
        layers: list[Layer] = [defaults or {}]
        if file is not None:
            layers.append(read_file(file))
        layers.append(read_environment(environment or {}))
        layers.append(read_flags(flags))
        layers.extend(overrides)
        return BrokerConfig(layers)
    except SettingError as error:
        raise ConfigError(str(error), error.hint) from None


def warnings_of(config: BrokerConfig) -> list[str]:
    """What its user should know, a line each."""
    warnings = []
    if config.unused:
        named = ", ".join(f"{name} ({origin})" for name, origin in sorted(config.unused))
        warnings.append(f"known to Kafka, without effect here: {named}")
    exposed = [str(listener) for listener in config.listeners if not _is_loopback(listener)]
    if exposed:
        warnings.append(
            f"{', '.join(exposed)} takes anybody who can reach it: there is no authentication, "
            "and whoever connects may read, write and delete"
        )
    return warnings


def _is_loopback(listener: Listener) -> bool:
    return listener.host == "localhost" or listener.host == "::1" or listener.host.startswith("127.")


# -- flags ----------------------------------------------------------------------------------------


def read_flags(flags: Iterable[str]) -> Layer:
    """From `key=value` each. ConfigError for another form."""
    layer = {}
    for flag in flags:
        name, equals, value = flag.partition("=")
        if not equals:
            raise ConfigError(f'--set "{flag}" has no value', "write it as --set num.partitions=3")
        layer[name.strip()] = value, "--set"
    return layer


def listen_layer(address: str) -> Layer:
    """From `--listen HOST:PORT`. ConfigError for another form."""
    try:
        host, port = parse_host_port("--listen", address)
    except SettingError as error:
        raise ConfigError(str(error), error.hint) from None
    return {"listeners": (str(Listener("PLAINTEXT", host, port)), "--listen")}


# -- environment ----------------------------------------------------------------------------------


def environment_name(setting: str) -> str:
    """FLYMQ_NUM_PARTITIONS for num.partitions, FLYMQ_DURABILITY for flymq.durability."""
    return "FLYMQ_" + _variable(setting.removeprefix("flymq."))


def read_environment(environment: Mapping[str, str]) -> Layer:
    """From variables that name a setting; all others are somebody else's, and left alone.

    FLYMQ_ goes before KAFKA_.
    """
    layer = {}
    for name in [*BROKER_SETTINGS, *UNUSED_SETTINGS]:
        for variable in (environment_name(name), "KAFKA_" + _variable(name)):
            if variable in environment:
                layer[name] = environment[variable], f"environment {variable}"
                break
    return layer


def environment_warnings(environment: Mapping[str, str]) -> list[str]:
    """A line for each FLYMQ_ variable that looks like a misspelt setting; it may be somebody else's after all."""
    known = {environment_name(name) for name in [*BROKER_SETTINGS, *UNUSED_SETTINGS]}
    warnings = []
    for variable in sorted(environment):
        if variable.startswith("FLYMQ_") and variable not in known:
            from difflib import get_close_matches

            for close in get_close_matches(variable, known, n=1, cutoff=0.85):
                warnings.append(f"{variable} sets nothing: did you mean {close}?")
    return warnings


def _variable(setting: str) -> str:
    return setting.upper().replace(".", "_").replace("-", "___")


# -- files ----------------------------------------------------------------------------------------


def read_file(path: str) -> Layer:
    """From a TOML or properties file. ConfigError where it can't be read."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", "give the path of a settings file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file in UTF-8", "give the path of a settings file") from None
    return _read_toml(path, text) if path.endswith(".toml") else _read_properties(path, text)


def _read_toml(path: str, text: str) -> Layer:
    import tomllib  # 5 ms that a start without a file saves

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}", 'a setting is written "num.partitions" = 3') from None
    lines = _toml_lines(text)
    layer = {}
    for name, value in _flatten(tables):
        origin = f"{path}:{lines[name]}" if name in lines else path
        if not isinstance(value, str | bool | int | float | list) or _nests(value):
            raise ConfigError(
                f"{origin}: {name} is not a setting's value", "values are texts, numbers, true or false, and lists"
            )
        layer[name] = to_text(value), origin
    return layer


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _nests(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, list | dict) for one in value)


def _toml_lines(text: str) -> dict[str, int]:
    """The line of each setting, which tomllib does not tell; those it can't make out are left out."""
    import tomllib

    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        is_header = stripped.startswith("[")
        source = stripped if is_header else stripped.partition("=")[0] + "= 0"
        try:
            path = _only_path(tomllib.loads(source))
        except tomllib.TOMLDecodeError:
            continue  # a comment, or inside a value of several lines
        if is_header:
            table = path + "." if path else ""
        elif path:
            lines.setdefault(table + path, number)
    return lines


def _only_path(table: dict[str, Any]) -> str:
    keys = []
    while isinstance(table, dict) and table:
        key, table = next(iter(table.items()))
        keys.append(key)
    return ".".join(keys)


_PAIR = re.compile(r"((?:\\.|[^\\=:\s])*)\s*[=:]?\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def _read_properties(path: str, text: str) -> Layer:
    """Source: java.util.Properties.load; a later line of the same name wins."""
    layer = {}
    for number, line in _logical_lines(text):
        match = _PAIR.match(line)
        assert match is not None  # every part of the pattern may be empty
        name, value = (_ESCAPE.sub(_unescape, part) for part in match.groups())
        layer[name] = value.strip(), f"{path}:{number}"
    return layer


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number of its first line, text) without blank lines and comments, with continued lines joined."""
    start, joined = 0, ""
    for number, raw in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        line = raw.lstrip(" \t\f")
        if not joined:
            start = number
            if not line or line[0] in "#!":
                continue
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            joined += line[:-1]
            continue
        yield start, joined + line
        joined = ""
    if joined:
        yield start, joined


def _unescape(match: re.Match[str]) -> str:
    code, character = match.groups()
    return chr(int(code, 16)) if code else _ESCAPED.get(character, character)
