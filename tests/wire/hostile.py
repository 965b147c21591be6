"""Requests that are well-formed and make no sense: every field holds what a hostile client would put there."""

from __future__ import annotations

import random
from typing import Any

from flymq_protocol.message import Struct
from flymq_protocol.registry import load
from flymq_protocol.types import Array, Fixed, Variable

BITS = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
NAMES = ["", " ", ".", "..", "*", "0", "-1", "a/b", "\0", "%", "__consumer_offsets", "x" * 300, "ä" * 2000, "Ω😀\n"]
PATTERNS = ["(a+)+$", "(", "[", ".*", "(?=x)", "x{1000}{1000}", "\\1", "(?P<n>.)", "a|" * 500]
VALUES = ["-1", "0", "1", "9223372036854775807", "1e99", "nan", "compact", "delete,delete", "true", "uniform", "INFO"]
SETTINGS = [
    "retention.ms", "cleanup.policy", "segment.bytes", "max.message.bytes", "compression.type", "min.insync.replicas",
    "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms", "log.retention.ms", "message.max.bytes",
    "transaction.version", "group.version", "metadata.version", "root", "flymq",
]


class Hostile:
    """Seeded requests. `names` and `uuids` are of what exists: without them few requests get far."""

    def __init__(self, seed: int, names: list[str], uuids: list[bytes]) -> None:
        self._random = random.Random(seed)
        self._names = names
        self._uuids = [*uuids, bytes(16), bytes(15) + b"\1", b"\xff" * 16]
        self._numbers: list[int] = []  # ids and epochs that were answered

    def request(self, key: int, version: int) -> Any:
        return self._struct(load(key)[0], version)

    def know(self, response: Struct) -> None:
        """Ids of members and producers that came back are worth another try."""
        for spec in response.FIELDS:
            value = getattr(response, spec.name)
            if spec.name == "member_id" and value:
                self._names.append(value)
            elif spec.name in ("producer_id", "member_epoch", "generation_id"):
                self._numbers.append(value)
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, Struct):
                        self.know(item)

    def _struct(self, cls: Any, version: int) -> Any:
        made = cls()
        for spec in cls.FIELDS:
            if not spec.in_version(version):
                continue
            if spec.nullable_in(version) and self._random.random() < 0.2:
                setattr(made, spec.name, None)
            else:
                setattr(made, spec.name, self._value(spec.type, version, spec.name))
        return made

    def _value(self, type_: Any, version: int, name: str) -> Any:
        pick = self._random
        if isinstance(type_, Array):
            items = [self._value(type_.element, version, name) for _ in range(pick.choice([0, 1, 1, 1, 2, 3]))]
            return items * 2 if pick.random() < 0.2 else items  # the same again
        if isinstance(type_, Fixed):
            return self._fixed(type_.name, name)
        if isinstance(type_, Variable):
            return self._variable(type_.name, name)
        return self._struct(type_, version)

    def _fixed(self, kind: str, name: str) -> Any:
        pick = self._random
        if kind == "bool":
            return pick.random() < 0.5
        if kind == "uuid":
            return pick.choice(self._uuids)
        if kind == "float64":
            return pick.choice([0.0, -1.0, float("inf"), float("nan")])
        if name == "resource_type":
            return pick.choice([2, 4, 8, 16, 32, 0, -1, 127])
        low, high = (-(1 << BITS[kind]), (1 << BITS[kind]) - 1) if kind in BITS else (0, 65535)
        pool = [-2, -1, 0, 0, 0, 0, 1, 2, 3, 10_000, 60_000, low, high, high - 1, *self._numbers]
        return pick.choice([number for number in pool if low <= number <= high])

    def _variable(self, kind: str, name: str) -> Any:
        pick = self._random
        if kind == "string":
            others = (SETTINGS if "name" in name or "feature" in name else PATTERNS + VALUES) + NAMES
            return pick.choice(others if pick.random() < 0.4 else self._names)
        return pick.choice([b"", b"\0", b"\xff" * 20, bytes(100), b"\0\0\0\0\0\1\0\1t", b"\0\3\x7f\xff\xff\xff"])
