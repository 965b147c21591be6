"""Requests as plain trees that a file can hold, and what each broker is sent for one.

A tree is a dict of field names; what depends on the broker or the run is written as a one-key dict:
`{"id": "topic_id@3.0"}` an id that the broker gave in its answer to request 3, `{"hex": ...}` bytes, `{"batch": {...}}`
a record batch. In strings, `@` stands for the prefix of the run's names, so that a sequence can be run again at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from flymq_protocol.message import Message, Struct
from flymq_protocol.registry import load
from flymq_protocol.types import Array
from tests.wire.batches import (
    ATTRIBUTES,
    BASE_OFFSET,
    COUNT,
    CRC,
    LAST_DELTA,
    LENGTH,
    MAGIC,
    TRANSACTIONAL_BIT,
    a_batch,
    patched,
)

STARTED_MS = time.time_ns() // 1_000_000
LATEST_MS = STARTED_MS + 1000
"""No record has a later time."""
Lookup = Callable[[str], Any]
"""An id's name -> its value at one broker."""


class Step(NamedTuple):
    """One request of a sequence. `number` names it and what it is answered, also when others are dropped."""

    number: int
    connection: int
    key: int
    version: int
    fields: dict[str, Any]


def build(step: Step, prefix: str, lookup: Lookup) -> Message:
    """The message that one broker is sent."""
    message = _struct(load(step.key)[0], step.fields, prefix, lookup)
    assert isinstance(message, Message)
    return message


def _struct(cls: type[Struct], fields: dict[str, Any], prefix: str, lookup: Lookup) -> Struct:
    types = {spec.name: spec.type for spec in cls.FIELDS}
    return cls(**{name: _value(types[name], value, prefix, lookup) for name, value in fields.items()})


def _value(type_: Any, value: Any, prefix: str, lookup: Lookup) -> Any:
    if isinstance(value, list):
        element = type_.element if isinstance(type_, Array) else None
        return [_value(element, one, prefix, lookup) for one in value]
    if isinstance(value, str):
        return value.replace("@", prefix)
    if not isinstance(value, dict):
        return value
    if "id" in value:
        return lookup(value["id"])
    if "hex" in value:
        return bytes.fromhex(value["hex"])
    if "batch" in value:
        return _batch(value["batch"], lookup)
    return _struct(type_, value, prefix, lookup)


_BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "crc": lambda batch: patched(batch, CRC, b"\1\2\3\4"),
    "magic": lambda batch: patched(batch, MAGIC, b"\1"),
    "future magic": lambda batch: patched(batch, MAGIC, b"\7"),
    "count": lambda batch: patched(batch, COUNT, b"\0\0\0\7"),
    "no count": lambda batch: patched(batch, COUNT, b"\0\0\0\0"),
    "delta": lambda batch: patched(batch, LAST_DELTA, b"\0\0\0\7"),
    "base offset": lambda batch: patched(batch, BASE_OFFSET, b"\0\0\0\0\0\0\0\7"),
    "control": lambda batch: patched(batch, ATTRIBUTES, b"\0\x20"),
    "short": lambda batch: batch[:-3],
    "header only": lambda batch: batch[:20],
    "two": lambda batch: batch + batch,
    "small length": lambda batch: patched(batch, LENGTH, b"\0\0\0\5"),
    "empty": lambda batch: b"",
}
BROKEN = tuple(_BROKEN)


def _batch(spec: dict[str, Any], lookup: Lookup) -> bytes:
    producer = spec.get("producer", [-1, -1, -1])
    id, epoch, sequence = producer
    if isinstance(id, dict):
        id = lookup(id["id"])
    attributes = spec.get("codec", 0) | (TRANSACTIONAL_BIT if spec.get("transactional") else 0)
    times = [STARTED_MS + ms for ms in spec["times"]]
    batch = a_batch(
        [b"value"] * len(times), timestamps=times, producer=(id, epoch, sequence), attributes=attributes
    )  # fmt: skip
    broken = spec.get("broken")
    return batch if broken is None else _BROKEN[broken](batch)
