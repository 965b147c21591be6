"""What one setting is: its type, its limits, and how its text is read and written.

Values travel as text everywhere (files, environment, the wire, the catalog), as in Kafka. `Setting.parse`
turns that into a Python value and refuses what Kafka refuses; `Setting.canonical` is the text that Kafka
would show for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
_PLAIN_MAX = 1e7

_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")


class ConfigType(IntEnum):
    """Types of settings, numbered as in DescribeConfigs v3+."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS, PASSWORD = ConfigType

_INTEGER_BITS = {INT: 32, SHORT: 16, LONG: 64}


class SettingError(ValueError):
    """A setting that doesn't exist, or a value that it can't have: who gave it is at fault.

    `str(error)` says what is wrong, `hint` what would be right.
    """

    def __init__(self, name: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.name = name
        self.hint = hint

    @property
    def whole(self) -> str:
        """Complaint and hint in one line, for an answer's error message."""
        return f"{self}: {self.hint}"


class Rule:
    """A limit on a parsed value, and the words for it: "must be {text}"."""

    __slots__ = ("allows", "text")

    def __init__(self, text: str, allows: Callable[[Any], bool]) -> None:
        self.text = text
        self.allows = allows


def at_least(low: float) -> Rule:
    return Rule(f"at least {low}", lambda value: value >= low)


def between(low: float, high: float) -> Rule:
    """Both ends included."""
    return Rule(f"from {low} to {high}", lambda value: low <= value <= high)


def one_of(*words: str) -> Rule:
    return Rule("one of " + ", ".join(words), lambda value: value in words)


def only(*words: str) -> Rule:
    """For lists: any of these words, each at most once."""
    return Rule("any of " + ", ".join(words), lambda values: all(value in words for value in values))


class Setting:
    """One setting. `default` is the text of its default, None where it is unset unless somebody sets it;
    `kafka_default` is Kafka's, the same but for a few (`OWN_DEFAULTS`).

    `synonyms`, of a topic setting: the broker settings that it falls back to, the most specific first.
    `dynamic`: Kafka can change it while the broker runs (DescribeConfigs: not read_only).
    """

    __slots__ = ("default", "doc", "dynamic", "kafka_default", "name", "rule", "synonyms", "type")

    def __init__(
        self,
        name: str,
        type_: ConfigType,
        default: str | None,
        doc: str,
        rule: Rule | None = None,
        *,
        dynamic: bool = False,
        synonyms: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.type = type_
        self.default = default
        self.kafka_default = default
        self.doc = doc
        self.rule = rule
        self.dynamic = dynamic
        self.synonyms = synonyms

    @property
    def sensitive(self) -> bool:
        """Never shown: its value is null in every answer."""
        return self.type is PASSWORD

    @property
    def expected(self) -> str:
        """What its values are, in words: "a whole number, at least 1"."""
        kind = _KINDS[self.type]
        return f"{kind}, {self.rule.text}" if self.rule is not None else kind

    def parse(self, text: str) -> Any:
        """The Python value: bool, int, float, str, or list of str. SettingError where it can't be."""
        text = text.strip()
        try:
            value = _parse(self.type, text)
        except ValueError:
            raise self._refusal(text) from None
        if self.rule is not None and not self.rule.allows(value):
            raise self._refusal(text)
        return value

    def canonical(self, text: str) -> str:
        """The text as Kafka shows it: trimmed, `true` for `TRUE`, `a,b` for `a, b`."""
        return to_text(self.parse(text))

    def _refusal(self, text: str) -> SettingError:
        shown = "[hidden]" if self.sensitive else f'"{text}"'
        hint = f"it must be {self.expected}"
        return SettingError(self.name, f"{self.name} can't be {shown}", hint)


_KINDS = {
    BOOLEAN: "true or false",
    STRING: "a text",
    INT: "a whole number",
    SHORT: "a whole number",
    LONG: "a whole number",
    DOUBLE: "a number",
    LIST: "a list with commas between",
    CLASS: "a class name",
    PASSWORD: "a text",
}


def _parse(type_: ConfigType, text: str) -> Any:
    """ValueError for text that isn't of the type."""
    bits = _INTEGER_BITS.get(type_)
    if bits is not None:
        # Not int() alone: it would take 1_000 and digits of other scripts.
        if not _INTEGER.match(text):
            raise ValueError
        number = int(text)
        if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise ValueError
        return number
    if type_ is BOOLEAN:
        return _BOOLEANS[text.lower()] if text.lower() in _BOOLEANS else _fail()
    if type_ is LIST:
        values = [word.strip() for word in text.split(",")] if text else []
        return values if all(values) and len(set(values)) == len(values) else _fail()
    if type_ is DOUBLE:
        return float(text) if _DECIMAL.match(text) else _fail()
    return text


_BOOLEANS = {"true": True, "false": False}


def _fail() -> Any:
    raise ValueError


def to_text(value: Any) -> str:
    """The text of a value, whether parsed here or written in TOML: lists with commas, `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(to_text(one) for one in value)
    if isinstance(value, float) and abs(value) >= _PLAIN_MAX and value - value == 0:
        from decimal import Decimal  # 2 ms, for a value that hardly anybody sets

        # As Java writes it: 1.0E7, where Python has 10000000.0.
        mantissa, _, exponent = f"{Decimal(repr(value)):e}".partition("e")
        digits = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{digits}{'' if '.' in digits else '.0'}E{int(exponent)}"
    return str(value)


def table(settings: Iterable[Setting]) -> dict[str, Setting]:
    """By name, in alphabetical order, as answers list them."""
    return {setting.name: setting for setting in sorted(settings, key=lambda setting: setting.name)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name: the closest ones."""
    from difflib import get_close_matches  # 2 ms, on the way to an error only

    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else "`flymq config explain NAME` describes a setting"
