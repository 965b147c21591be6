"""Two brokers' answers, field by field."""

from __future__ import annotations

import struct
from typing import Any

from compat_tests.differential import allowed
from compat_tests.differential.requests import LATEST_MS
from flymq_protocol.errors import ErrorCode
from flymq_protocol.message import Message, Struct
from flymq_protocol.records.batch import CODEC_MASK
from flymq_protocol.records.compression import decompress
from flymq_protocol.registry import API
from flymq_protocol.types import ZERO_UUID

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CONTROL_BIT = 32
_COMMON: tuple[Any, ...] = (None, "", -1, 0, ZERO_UUID)
"""What says "none" instead of naming something: never bound, so equal on both. (Id 0 is taken before the first run.)"""
_NUMBERS = ("index", "partition_index", "partition")
"""Fields of partitions' numbers."""
_SAME_KIND = {"leader": "member_id", "group_epoch": "member_epoch", "assignment_epoch": "member_epoch"}


class Ids:
    """Which id of one broker stands for which of the other; and the names that requests call them by."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, Any], Any] = {}
        self._back: dict[tuple[str, Any], Any] = {}
        self._names: dict[str, tuple[Any, Any]] = {}
        self._by_pair: dict[tuple[str, Any], str] = {}

    def match(self, field: str, left: Any, right: Any, step: int) -> bool:
        """Whether they are the same thing; two that were never seen are, from now on."""
        field = _SAME_KIND.get(field, field)
        known, back = self._pairs.get((field, left)), self._back.get((field, right))
        if known is not None or back is not None:
            return bool(known == right and back == left)
        if left in _COMMON or right in _COMMON:
            return bool(left == right)
        self._bind(field, left, right, step)
        return True

    def _bind(self, field: str, left: Any, right: Any, step: int) -> None:
        self._pairs[field, left] = right
        self._back[field, right] = left
        number = sum(name.startswith(f"{field}@{step}.") for name in self._names)
        name = f"{field}@{step}.{number}"
        self._names[name] = left, right
        self._by_pair[field, left] = name

    def name(self, field: str, left: Any) -> str | None:
        return self._by_pair.get((_SAME_KIND.get(field, field), left))

    def sort_key(self, row: Any, side: int) -> str:
        """Alike at both brokers for rows that say the same: ids by their names, where they have one."""
        if not isinstance(row, Struct):
            return repr(row)
        key = []
        for spec in row.FIELDS:
            value = getattr(row, spec.name)
            if spec.name in allowed.ID_FIELDS:
                field = _SAME_KIND.get(spec.name, spec.name)
                left = value if side == 0 else self._back.get((field, value))
                value = self._by_pair.get((field, left), value if value in _COMMON else "")
            if isinstance(value, list):
                rows = [one for one in value if isinstance(one, Struct)]
                key.append(sorted(getattr(one, name) for one in rows for name in _NUMBERS if hasattr(one, name)))
            elif spec.name not in allowed.TEXTS:
                key.append(value)
        return repr(key)

    def value(self, name: str, side: int) -> Any:
        """An id that was never given is one that nobody knows."""
        if name in self._names:
            return self._names[name][side]
        field = name.partition("@")[0]
        return {"topic_id": b"\7" * 16, "member_id": "nobody", "log_dir": "/nowhere"}.get(field, 424242)


class Comparison:
    """Of one answer by both; `differences` are `path: left | right`."""

    def __init__(self, key: int, ids: Ids, prefix: str, step: int = 0) -> None:
        self.differences: list[str] = []
        self._api = API[key].name
        self._ids = ids
        self._prefix = prefix
        self._step = step
        self._targets_differ = False

    def run(self, left: Message, right: Message) -> list[str]:
        self._structs(self._api, left, right)
        return self.differences

    def _say(self, path: str, left: Any, right: Any) -> None:
        self.differences.append(f"{path}: FlyMQ {left!r:.300} | Kafka {right!r:.300}")

    def _structs(self, path: str, left: Struct, right: Struct) -> None:
        if path == "Fetch" and _fails_at_kafka(left, right):
            return
        if path in allowed.FAILS_AT_KAFKA and right.error_code == ErrorCode.UNKNOWN_SERVER_ERROR and left.error_code:  # type: ignore[attr-defined]
            return
        skipped: tuple[str, ...] = ()
        if path == "ConsumerGroupDescribe.groups":
            self._targets_differ = left.group_state != right.group_state  # type: ignore[attr-defined]
        if path == "ConsumerGroupDescribe.groups.members" and self._targets_differ:
            skipped = ("target_assignment",)  # Kafka's is not computed yet (docs/deviations.md)
        if path == "Fetch.responses.partitions":
            skipped = allowed.AFTER_WHAT_WAS_READ
            self._aborted(path, left, right)
        is_setting = getattr(left, "name", None) in allowed.SETTING_SOURCES
        for spec in left.FIELDS:
            name = spec.name
            if name in skipped:
                continue
            if is_setting and name in ("config_source", "synonyms"):
                continue
            self._values(f"{path}.{name}", name, getattr(left, name), getattr(right, name))

    def _values(self, path: str, name: str, left: Any, right: Any) -> None:
        if path in allowed.IGNORED:
            return
        if isinstance(left, list) and isinstance(right, list):
            self._arrays(path, name, left, right)
        elif isinstance(left, Struct) and isinstance(right, Struct):
            self._structs(path, left, right)
        elif name == "records":
            self._records(path, left, right)
        elif name in allowed.ID_FIELDS:
            if not self._ids.match(name, left, right, self._step):
                self._say(path, left, right)
        elif name in allowed.TEXTS:
            pass
        elif name in allowed.TIMES:
            if (left == -1) != (right == -1):
                self._say(path, left, right)
        elif name in allowed.RECORD_TIMES:
            if _told_time(left) != _told_time(right):
                self._say(path, left, right)
        elif left != right and not self._is_allowed(path, left, right):
            self._say(path, left, right)

    def _is_allowed(self, path: str, left: Any, right: Any) -> bool:
        return path in allowed.SAME_VALUES and {left, right} <= allowed.SAME_VALUES[path]

    def _aborted(self, path: str, left: Any, right: Any) -> None:
        """Of the transactions, those that begin in what was read; none and null say the same where that is nothing."""
        read = batches(left.records or b"")
        if not read and not left.aborted_transactions and not right.aborted_transactions:
            return
        end = read[-1]["base_offset"] + read[-1]["last_offset_delta"] + 1 if read else 0
        ours, theirs = (
            None if side is None else [one for one in side if one.first_offset < end]
            for side in (left.aborted_transactions, right.aborted_transactions)
        )
        self._values(f"{path}.aborted_transactions", "aborted_transactions", ours, theirs)

    def _arrays(self, path: str, name: str, left: list[Any], right: list[Any]) -> None:
        field = allowed.WHOLE_CLUSTER.get(path)
        if field is not None:
            left, right = ([row for row in rows if self._is_ours(getattr(row, field))] for rows in (left, right))
        field = allowed.MORE_AT_KAFKA.get(path)
        if field is not None:
            known = {getattr(row, field) for row in left}
            right = [row for row in right if getattr(row, field) in known]
        by_partition = path in allowed.BY_PARTITION
        if by_partition:
            left, right = ([row for row in _merged(rows) if _has_partitions(row)] for rows in (left, right))
        if path in allowed.UNORDERED or by_partition or path.rpartition(".")[0] in allowed.BY_PARTITION:
            left, right = (
                sorted(rows, key=lambda row, side=side: self._ids.sort_key(row, side))  # type: ignore[misc]
                for side, rows in enumerate((left, right))
            )
        if len(left) != len(right):
            self._say(path, left, right)
            return
        if path in allowed.BY_NUMBER:
            return
        for one, other in zip(left, right, strict=True):
            self._values(path, name, one, other)

    def _is_ours(self, name: str | None) -> bool:
        return name is not None and name.startswith(self._prefix)

    def _records(self, path: str, left: Any, right: Any) -> None:
        if (left is None) != (right is None):
            self._say(path, left, right)
            return
        ours, theirs = batches(left or b""), batches(right or b"")
        if len(ours) != len(theirs):
            self._say(path, ours, theirs)
            return
        for one, other in zip(ours, theirs, strict=True):
            for name, value in one.items():
                self._values(f"{path}.{name}", name, value, other[name])


def batches(records: Any) -> list[dict[str, Any]]:
    """The whole batches. Without the CRC, which covers ids, and without what compressors do each in its way. Markers'
    times are a clock's."""
    data, at, found = bytes(records), 0, []
    while at + _HEADER.size <= len(data):
        offset, length, epoch, magic, _crc, attributes, delta, first, last, id, producer_epoch, sequence, count = (
            _HEADER.unpack_from(data, at)
        )
        end = at + 12 + length
        if end > len(data):
            break
        is_control = attributes & _CONTROL_BIT
        codec = attributes & CODEC_MASK
        payload = data[at + _HEADER.size : end]
        found.append({
            "base_offset": offset, "length": None if codec else length, "leader_epoch": epoch, "magic": magic,
            "attributes": attributes,
            "last_offset_delta": delta, "base_timestamp": None if is_control else first,
            "max_timestamp": None if is_control else last, "producer_id": id, "producer_epoch": producer_epoch,
            "base_sequence": sequence, "count": count, "bytes": decompress(codec, payload, 1 << 20),
        })  # fmt: skip
        at = end
    return found


def _fails_at_kafka(left: Any, right: Any) -> bool:
    """A Fetch whose session knows two topics by ids that are nobody's."""
    codes = {partition.error_code for topic in left.responses for partition in topic.partitions}
    return right.error_code == ErrorCode.UNKNOWN_SERVER_ERROR and ErrorCode.UNKNOWN_TOPIC_ID in codes


def _told_time(ms: int) -> int | str:
    """Records have times before those at which this runs."""
    return "a clock's" if ms > LATEST_MS else ms


def _merged(topics: list[Any]) -> list[Any]:
    """A topic that comes twice becomes one."""
    merged: dict[str, Any] = {}
    for topic in topics:
        fields = {spec.name: getattr(topic, spec.name) for spec in topic.FIELDS}
        lists = {name: value for name, value in fields.items() if isinstance(value, list)}
        known = merged.setdefault(repr([value for name, value in fields.items() if name not in lists]), topic)
        if known is not topic:
            for name, value in lists.items():
                getattr(known, name).extend(value)
    return list(merged.values())


def _has_partitions(topic: Struct) -> bool:
    return any(isinstance(value := getattr(topic, spec.name), list) and value for spec in topic.FIELDS)
