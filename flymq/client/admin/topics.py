"""Topics: list, describe, create, delete, offsets, settings, more partitions, fewer messages."""

from __future__ import annotations

import builtins
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flymq.client.admin.base import EARLIEST, LATEST, Admin
from flymq.client.admin.types import ConfigValue, PartitionInfo, TopicDescription, TopicInfo, TrimmedPartition
from flymq.client.arguments import check_topic
from flymq.client.errors import (
    InvalidArgumentError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    RequestTimeoutError,
    did_you_mean,
    of_code,
)
from flymq.client.kafka_python import topic_partition
from flymq.client.messages import Partition, timestamp_ms

_EXISTS = 36
_INVALID_CONFIG = 40
_UNKNOWN_TOPIC = 3
_INVALID_PARTITIONS = 37
# Of a change of settings.
_SET, _DELETE = 0, 1
_READY_WAIT_S = 0.01


class TopicAdmin(Admin):
    """`client.topics`."""

    def list(self, *, internal: bool = False) -> builtins.list[TopicInfo]:
        """All topics, by name; Kafka's own only with `internal`."""
        found = [
            TopicInfo(
                name=topic["name"],
                partitions=len(topic["partitions"]),
                replication_factor=len(topic["partitions"][0]["replica_nodes"]) if topic["partitions"] else 0,
                internal=topic["is_internal"],
            )
            for topic in self._metadata(None, "list topics")
        ]
        return sorted((topic for topic in found if internal or not topic.internal), key=lambda topic: topic.name)

    def names(self, *, internal: bool = False) -> builtins.list[str]:
        """The names of all topics, sorted."""
        return [topic.name for topic in self.list(internal=internal)]

    def describe(self, name: str) -> TopicDescription:
        """Partitions with their offsets, and the settings that were given. Raises `TopicNotFoundError`."""
        what = f"describe topic {check_topic(name)}"
        (topic,) = self._metadata([name], what)
        led = [Partition(name, row["partition_index"]) for row in topic["partitions"] if row["leader_id"] >= 0]
        starts = self._offsets(what, led, EARLIEST)
        ends = self._offsets(what, led, LATEST)
        rows = [
            PartitionInfo(
                partition=row["partition_index"],
                leader=row["leader_id"],
                replicas=list(row["replica_nodes"]),
                isr=list(row["isr_nodes"]),
                start=starts.get(Partition(name, row["partition_index"])),
                end=ends.get(Partition(name, row["partition_index"])),
            )
            for row in topic["partitions"]
        ]
        config = {key: value for key, value in self.config(name).items() if value.source == "DYNAMIC_TOPIC_CONFIG"}
        return TopicDescription(
            name=name,
            topic_id=str(uuid.UUID(str(topic.get("topic_id") or uuid.UUID(int=0)))),
            internal=topic["is_internal"],
            partitions=sorted(rows, key=lambda row: row.partition),
            config=config,
        )

    def config(self, name: str) -> dict[str, ConfigValue]:
        """All settings in force for a topic, by name. Raises `TopicNotFoundError`."""
        from kafka.admin import ConfigResource, ConfigResourceType

        what = f"describe the settings of topic {check_topic(name)}"
        self._metadata([name], what)
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name)]
        found = self._ask(what, lambda admin: admin.describe_configs(wanted, config_filter="all"))
        return {
            key: ConfigValue(
                value=row["value"],
                source=row["config_source"],
                is_default=row["config_source"] == "DEFAULT_CONFIG",
                sensitive=row["is_sensitive"],
                read_only=row["read_only"],
            )
            for key, row in sorted(found.get("topic", {}).get(name, {}).items())
        }

    def create(
        self,
        name: str,
        *,
        partitions: int | None = None,
        replication_factor: int | None = None,
        config: Mapping[str, Any] | None = None,
        exist_ok: bool = False,
    ) -> None:
        """Create a topic; on return it can be written to. None: the broker's default. `config`: by Kafka's names.

        Raises `TopicExistsError` unless `exist_ok`; `InvalidTopicError`; `InvalidArgumentError` for a setting or a
        number that the broker does not take, in its words.
        """
        what = f"create topic {check_topic(name)}"
        for number, meaning in ((partitions, "partitions"), (replication_factor, "replication_factor")):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise InvalidArgumentError(f"{what}: {meaning} is {number!r}", hint="give 1 or more, or None")
        wanted = {
            "num_partitions": partitions if partitions is not None else -1,
            "replication_factor": replication_factor if replication_factor is not None else -1,
            "configs": {key: _text(value) for key, value in (config or {}).items() if value is not None},
        }
        answer = self._ask(what, lambda admin: admin.create_topics({name: wanted}, raise_errors=False))
        (row,) = answer["topics"]
        code = row["error_code"]
        if code and not (code == _EXISTS and exist_ok):
            error = of_code(code, what, detail=row.get("error_message") or "")
            if code == _INVALID_CONFIG:
                hint = _near_setting(config or {}, self._known_settings(name))
                error = InvalidArgumentError(error.message, hint=hint, code=error.code)
            raise error
        self._await_leaders(name, what, 1)

    def set_config(self, name: str, config: Mapping[str, Any]) -> None:
        """Change these settings of a topic, and no others; None is its default again, as with `unset_config`.

        Raises `TopicNotFoundError`; `InvalidArgumentError` for what the broker does not take, in its words: nothing is
        changed then.
        """
        self._alter(name, dict(config))

    def unset_config(self, name: str, *keys: str) -> None:
        """Let these settings of a topic be the broker's defaults again. Raises as `set_config` does."""
        self._alter(name, dict.fromkeys(keys))

    def _alter(self, name: str, config: Mapping[str, Any]) -> None:
        from kafka.admin import ConfigResourceType
        from kafka.protocol.admin import IncrementalAlterConfigsRequest

        what = f"change the settings of topic {check_topic(name)}"
        if not config:
            return
        changes = [
            (key, _DELETE if value is None else _SET, None if value is None else _text(value))
            for key, value in config.items()
        ]

        # Not by kafka-python's public method: that loses the error's code.
        async def ask(admin: Any) -> Any:
            wanted = IncrementalAlterConfigsRequest(
                resources=[(ConfigResourceType.TOPIC, name, changes)], validate_only=False
            )
            (row,) = (await admin._manager.send(wanted)).responses
            return row

        row = self._ask(what, lambda admin: admin._manager.run(ask, admin))
        if row.error_code == _UNKNOWN_TOPIC:
            raise self._no_topic(name)
        if row.error_code:
            error = of_code(row.error_code, what, detail=row.error_message or "")
            if row.error_code == _INVALID_CONFIG:
                hint = _near_setting(config, self.config(name))
                error = InvalidArgumentError(error.message, hint=hint, code=error.code)
            raise error

    def add_partitions(self, name: str, total: int) -> None:
        """Let a topic have so many partitions in all; on return they can be written to. There is no way back, and keys
        go to other partitions from then on.

        Raises `TopicNotFoundError`, `InvalidArgumentError` where it has as many already.
        """
        what = f"add partitions to topic {check_topic(name)}"
        if not isinstance(total, int) or isinstance(total, bool) or total < 1:
            raise InvalidArgumentError(f"{what}: total is {total!r}", hint="give how many it is to have in all")
        answer = self._ask(what, lambda admin: admin.create_partitions({name: total}, raise_errors=False))
        (row,) = answer.results
        if row.error_code == _UNKNOWN_TOPIC:
            raise self._no_topic(name)
        if row.error_code == _INVALID_PARTITIONS:
            hint = "give how many it is to have in all: more than now"
            raise InvalidArgumentError(f"{what}: {row.error_message}", hint=hint, code="INVALID_PARTITIONS")
        if row.error_code:
            raise of_code(row.error_code, what, detail=row.error_message or "")
        self._await_leaders(name, what, total)

    def _known_settings(self, name: str) -> Iterable[str]:
        """The names that the broker knows: those of the settings which the topic would have without any given."""
        plain = {name: {"num_partitions": -1, "replication_factor": -1}}
        answer = self._ask(
            "list settings", lambda admin: admin.create_topics(plain, validate_only=True, raise_errors=False)
        )
        return answer["topics"][0].get("configs") or ()

    def _await_leaders(self, name: str, what: str, count: int) -> None:
        deadline = time.monotonic() + self._connection.timeout
        while True:
            topics = self._ask(what, lambda admin: admin.describe_topics([name]))
            if all(not t["error_code"] and len(t["partitions"]) >= count for t in topics) and all(
                row["leader_id"] >= 0 for t in topics for row in t["partitions"]
            ):
                return
            if time.monotonic() > deadline:
                raise RequestTimeoutError(f"{what}: created, but it has no leaders yet")
            time.sleep(_READY_WAIT_S)

    def delete(self, *names: str, missing_ok: bool = False) -> None:
        """Delete topics with all their messages; on return, `list` shows them no more. Those that exist are deleted
        even where others are missing: Kafka has no way of deleting all or none.

        Raises `TopicNotFoundError` that names the missing ones, unless `missing_ok`; for what else the broker refuses,
        the first such error, after all others are deleted.
        """
        asked = list(dict.fromkeys(map(check_topic, names)))
        if not asked:
            return
        what = f"delete {', '.join(asked)}"
        answer = self._ask(what, lambda admin: admin.delete_topics(asked, raise_errors=False))
        codes = {row["name"]: row["error_code"] for row in answer["topics"]}
        self._await_gone([name for name in asked if not codes[name]], what)
        for row in answer["topics"]:
            if row["error_code"] not in (0, _UNKNOWN_TOPIC):
                raise of_code(row["error_code"], f"delete {row['name']}", detail=row.get("error_message") or "")
        missing = [name for name in asked if codes[name] == _UNKNOWN_TOPIC]
        if missing and not missing_ok:
            raise self._no_topic(missing[0]) if len(missing) == 1 else self._no_topics(missing)

    def _await_gone(self, names: Sequence[str], what: str) -> None:
        """A broker's metadata follows a deletion, some time later where the controller is another process."""
        deadline = time.monotonic() + self._connection.timeout
        while names and not {*names}.isdisjoint(self._ask(what, lambda admin: admin.list_topics())):
            if time.monotonic() > deadline:
                raise RequestTimeoutError(f"{what}: deleted, but still listed")
            time.sleep(_READY_WAIT_S)

    def offsets(
        self, name: str, at: str | int | datetime = "latest", *, partitions: Sequence[int] | None = None
    ) -> dict[int, int]:
        """Partition -> offset: "earliest" (the log start offset), "latest" (after the last message), or at a time (an
        aware datetime, or ms since the epoch): of the first message then or later, the end where there is none.

        Raises `TopicNotFoundError`, `PartitionNotFoundError`.
        """
        what = f"look up offsets of {check_topic(name)}"
        (topic,) = self._metadata([name], what)
        exist = sorted(row["partition_index"] for row in topic["partitions"])
        for partition in partitions or ():
            if partition not in exist:
                raise PartitionNotFoundError(
                    f"{name} has no partition {partition}: it has {len(exist)}", hint=f"give 0 to {len(exist) - 1}"
                )
        wanted = [Partition(name, number) for number in (exist if partitions is None else partitions)]
        found = self._offsets(what, wanted, _spec(at))
        if any(offset < 0 for offset in found.values()):
            ends = self._offsets(what, wanted, LATEST)
            found = {partition: offset if offset >= 0 else ends[partition] for partition, offset in found.items()}
        return {partition.partition: offset for partition, offset in sorted(found.items())}

    def trim(
        self,
        name: str,
        *,
        before: int | str | datetime | Mapping[int, int],
        partitions: Sequence[int] | None = None,
        dry_run: bool = False,
    ) -> builtins.list[TrimmedPartition]:
        """Delete the messages before an offset ("latest": all there are; a mapping: of each partition its own), or
        before a time (an aware datetime), in all partitions or in these. There is no way back. What is before the log
        start offset already is passed over. `dry_run` deletes nothing. Returns before and after, by partition.

        Raises `TopicNotFoundError`, `PartitionNotFoundError`; `OffsetOutOfRangeError` beyond the end of a partition:
        nothing is deleted then.
        """
        wanted = sorted(before) if isinstance(before, Mapping) and partitions is None else partitions
        starts = self.offsets(name, "earliest", partitions=wanted)
        ends = self.offsets(name, "latest", partitions=wanted)
        places = self._places(name, before, starts)
        for number, offset in places.items():
            if not 0 <= offset <= ends[number]:
                raise OffsetOutOfRangeError(
                    f"trim {name}: {name}-{number} has no offset {offset}",
                    hint=f"it has {starts[number]} to {ends[number]}, the end",
                )
        after = {number: max(starts[number], offset) for number, offset in places.items()}
        moved = {number: offset for number, offset in after.items() if offset > starts[number]}
        if moved and not dry_run:
            keys = {topic_partition(Partition(name, number)): offset for number, offset in moved.items()}
            self._ask(f"trim {name}", lambda admin: admin.delete_records(keys))
            after |= self.offsets(name, "earliest", partitions=sorted(moved))
        return [TrimmedPartition(number, starts[number], after[number], ends[number]) for number in sorted(after)]

    def _places(self, name: str, before: Any, starts: Mapping[int, int]) -> Mapping[int, int]:
        """The offset that is meant in each partition."""
        if isinstance(before, Mapping):
            if missing := sorted(starts.keys() - before.keys()):
                raise InvalidArgumentError(
                    f"{dict(before)!r} has no offset for partition {missing[0]}", hint="give each partition its own"
                )
            return {number: before[number] for number in starts}
        if isinstance(before, int) and not isinstance(before, bool):
            return dict.fromkeys(starts, before)
        return self.offsets(name, before, partitions=sorted(starts))


def _near_setting(config: Iterable[str], known: Iterable[str]) -> str:
    """What to do about settings that the broker does not take."""
    names = set(known)
    for key in config:
        if names and key not in names:
            return did_you_mean(key, names) or f"{key} is not a setting of topics"
    return "`flymq config explain NAME` tells what a setting takes"


def _spec(at: object) -> int:
    """Kafka's number for a place in time."""
    if isinstance(at, str):
        if at not in ("earliest", "latest"):
            near = did_you_mean(at, ("earliest", "latest"))
            raise InvalidArgumentError(f"{at!r} is no place in a log", hint=near or '"earliest", "latest" or a time')
        return EARLIEST if at == "earliest" else LATEST
    if isinstance(at, bool) or not isinstance(at, int | datetime):
        raise InvalidArgumentError(f"{at!r} is no place in a log", hint='"earliest", "latest" or a time')
    ms = timestamp_ms(at)
    if ms < 0:
        raise InvalidArgumentError(f"{at!r} is before 1970", hint="give ms since the epoch, or a datetime")
    return ms


def _text(value: Any) -> str:
    """A setting's value as Kafka writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
