"""Messages as lines of JSON, and back, without losing anything: `consume -O json | produce --input jsonl`.

    {"topic": "orders", "partition": 0, "offset": 7, "timestamp": 1700000000000,
     "key": "ada", "value": "two coffees", "headers": [["trace", "a1"]]}

What is not UTF-8 is in `key_base64` or `value_base64` instead, a header's value in {"base64": "..."}. null: none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from flymq.client.messages import Message

_LOG_APPEND_TIME = 1


class Record(NamedTuple):
    """What to produce. None: none; for `partition` and `timestamp`: not said."""

    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, bytes]] | None = None
    partition: int | None = None
    timestamp: int | None = None


class BadLine(ValueError):
    """A line that is no record. The text says why, `hint` what to write."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why)
        self.hint = hint


# -- out ------------------------------------------------------------------------------------------


def as_mapping(message: Message[Any, Any]) -> dict[str, Any]:
    """A message, in words of JSON."""
    fields: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp if message.timestamp >= 0 else None,
    }
    if message.timestamp_type == _LOG_APPEND_TIME:
        fields["timestamp_type"] = "LogAppendTime"
    for name, data in (("key", message.key), ("value", message.value)):
        text = _text(data)
        if isinstance(text, dict):
            fields[f"{name}_base64"] = text["base64"]
        else:
            fields[name] = text
    fields["headers"] = [[name, _text(value)] for name, value in message.headers]
    return fields


def as_line(message: Message[Any, Any]) -> bytes:
    """A message as one line, with its end."""
    return json.dumps(as_mapping(message), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _text(data: bytes | None) -> Any:
    """As text; as {"base64": ...} where it is none."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        import base64

        return {"base64": base64.b64encode(data).decode()}


# -- in -------------------------------------------------------------------------------------------


def parse_line(line: bytes) -> Record:
    """The record of a line. Its topic and offset say where it was, and are not looked at. Raises `BadLine`."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {error}", "one JSON object a line; `--input lines` takes lines as they are") from None
    if not isinstance(fields, dict):
        raise BadLine("not a JSON object", 'write {"key": "ada", "value": "two coffees"}')
    if "value" not in fields and "value_base64" not in fields:
        raise BadLine("no value", 'write {"value": "..."}; "value": null deletes the key')
    return Record(
        value=_field(fields, "value"),
        key=_field(fields, "key"),
        headers=_headers(fields.get("headers")),
        partition=_number(fields, "partition"),
        timestamp=_number(fields, "timestamp"),
    )


def _field(fields: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_base64" in fields:
        return _from_base64(fields[f"{name}_base64"], f"{name}_base64")
    return _encoded(fields.get(name), name)


def _encoded(value: Any, name: str) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadLine(f"{name} is not a string", f'write JSON inside JSON as a string; jq: "{name}": (... | tojson)')
    try:
        return value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        raise BadLine(f"{name} is no text", f"give bytes as {name}_base64") from None


def _from_base64(value: Any, name: str) -> bytes:
    import base64

    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise BadLine(f"{name} is not base64", "encode it, as `base64 -w0` does") from None


def _number(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise BadLine(f"{name} is {json.dumps(value)}", "give a whole number, 0 or more, or leave it out")
    return value


def _headers(found: Any) -> list[tuple[str, bytes]] | None:
    """Of pairs, or of an object."""
    if found is None:
        return None
    pairs = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise BadLine("headers are no list of pairs", 'write [["name", "value"]]')
    return [(name, _header(name, value)) for name, value in pairs]


def _header(name: str, value: Any) -> bytes:
    if isinstance(value, dict):
        return _from_base64(value.get("base64"), f"header {name}")
    encoded = _encoded(value, f"header {name}")
    if encoded is None:
        raise BadLine(f"header {name} is null", "kafka-python can't send a header without a value: give a string")
    return encoded
