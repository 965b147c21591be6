"""Groups: list, describe, lag, offsets, reset, delete."""

from __future__ import annotations

import builtins
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flymq.client.admin.base import LATEST, Admin
from flymq.client.admin.described import CLASSIC, DEAD, described
from flymq.client.admin.topics import TopicAdmin
from flymq.client.admin.types import GroupDescription, GroupListing, Member, OffsetChange, PartitionLag
from flymq.client.arguments import check_topic
from flymq.client.connection import Connection
from flymq.client.errors import (
    CommitFailedError,
    GroupActiveError,
    GroupNotFoundError,
    InvalidArgumentError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    TopicNotFoundError,
    did_you_mean,
    translate,
)
from flymq.client.kafka_python import commit_offsets, describe_cluster, kafka, topic_partition
from flymq.client.messages import Partition

_SUBSCRIBED = 86
# Evicted members come back at once; between their leaving and their joining there is time for a commit.
_EVICTIONS_MAX = 20
_EVICTION_WAIT_S = 0.02
_DELETIONS_MAX = 5
_FORCE_HINT = "stop them first, or evict them with force=True (flymq-cli groups reset --force)"


class GroupAdmin(Admin):
    """`client.groups`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._topics = TopicAdmin(connection)

    def list(self) -> builtins.list[GroupListing]:
        """All groups, by name, also those with nothing but committed offsets."""
        found = self._ask("list groups", lambda admin: admin.list_groups())
        rows = [
            # Brokers that do not tell the type have one only.
            GroupListing(
                row["group_id"], row.get("group_type") or CLASSIC, row.get("group_state", ""), row["protocol_type"]
            )
            for row in found
        ]
        return sorted(rows, key=lambda row: row.group_id)

    def describe(self, group: str) -> GroupDescription:
        """State, members and how far it is. Raises `GroupNotFoundError`."""
        found = self._describe(group)
        return replace(found, coordinator=self._coordinator(group), partitions=self._lag(group, found.members))

    def members(self, group: str) -> builtins.list[Member]:
        """Who is in it, by client id. Raises `GroupNotFoundError`."""
        return self._describe(group).members

    def lag(self, group: str) -> builtins.list[PartitionLag]:
        """Each partition that the group has committed or a member has, sorted. Raises `GroupNotFoundError`."""
        return self._lag(group, self._describe(group).members)

    def offsets(self, group: str) -> dict[Partition, int]:
        """What the group has committed, sorted by partition; empty for a group that nobody knows."""
        what = f"read the offsets of group {_checked(group)}"
        found = self._ask(what, lambda admin: admin.list_group_offsets([group]))[group]
        return {Partition(*key): value.offset for key, value in sorted(found.items()) if value.offset >= 0}

    def reset(
        self,
        group: str,
        *,
        to: str | int | datetime | Mapping[Partition, int] = "earliest",
        topics: Iterable[str] | None = None,
        partitions: Iterable[int] | None = None,
        dry_run: bool = False,
        force: bool = False,
    ) -> builtins.list[OffsetChange]:
        """Move a group to another place: every partition that it has committed, or all of these topics'.

        `to`: "earliest", "latest", an offset, a time (aware datetime: the first message then or later), or a mapping of
        partitions to offsets. `partitions`: only those numbers. `force` makes members leave first; they may come back
        and begin where the reset says. `dry_run` changes nothing, and refuses what would be refused without it.
        Naming topics or partitions that the group has not committed is how to place a group that does not exist yet.
        Returns before and after, sorted.

        Raises `GroupActiveError` with the names of the members there are; `GroupNotFoundError`; `TopicNotFoundError`;
        `PartitionNotFoundError`; `OffsetOutOfRangeError` for an offset that a log does not have.
        """
        before = self.offsets(group)
        targets = self._targets(group, before, topics, partitions, to)
        after = self._after(group, to, targets)
        changes = [OffsetChange(*partition, before.get(partition), after[partition]) for partition in targets]
        if not dry_run:
            self._move(group, after, force=force)
        else:
            self._check_idle(group, force=force)
        return changes

    def delete(self, *groups: str, missing_ok: bool = False) -> None:
        """Delete groups and their offsets, one after the other.

        Raises `GroupActiveError`, and `GroupNotFoundError` unless `missing_ok`; those after it are left as they are.
        """
        for group in groups:
            self._delete(group, missing_ok=missing_ok)

    def _delete(self, group: str, *, missing_ok: bool) -> None:
        what = f"delete group {_checked(group)}"

        def call(admin: Any) -> None:
            answer = admin.delete_groups([group])[group]
            if answer != "OK":
                raise getattr(kafka().errors, answer)()

        try:
            self._ask(what, call)
        except GroupNotFoundError:
            if not missing_ok:
                raise self._no_group(group) from None
        except GroupActiveError:
            raise self._active(group, self.members(group), hint="stop them first") from None

    def delete_offsets(self, group: str, topic: str, *, partitions: Iterable[int] | None = None) -> None:
        """Forget what the group has committed of a topic, or of these partitions of it.

        Raises `GroupActiveError` where members read the topic, `GroupNotFoundError`.
        """
        what = f"delete offsets of group {_checked(group)}"
        committed = [at for at in self.offsets(group) if at.topic == check_topic(topic)]
        wanted = committed if partitions is None else [Partition(topic, number) for number in partitions]
        if not wanted:
            self._describe(group)  # an error, where there is no such group
            return
        keys = [topic_partition(partition) for partition in wanted]
        for key, error in self._ask(what, lambda admin: admin.delete_group_offsets(group, keys)).items():
            if error.errno == _SUBSCRIBED:
                raise self._active(group, self.members(group), f"they read {topic}", hint="stop them first")
            if error.errno:
                raise translate(error(), f"{what}: {Partition(*key)}")

    # -- describing -------------------------------------------------------------------------------

    def _describe(self, group: str) -> GroupDescription:
        """All but its coordinator and its partitions."""
        what = f"describe group {_checked(group)}"
        found: GroupDescription = self._ask(what, lambda admin: admin._manager.run(described, admin, group))
        if found.state == DEAD and not self.offsets(group):
            raise self._no_group(group)
        return found

    def _no_group(self, group: str) -> GroupNotFoundError:
        known = [row.group_id for row in self.list()]
        hint = did_you_mean(group, known) or (f"there are {', '.join(known[:5])}" if known else "there are no groups")
        return GroupNotFoundError(f"there is no group {group}", hint=hint)

    def _coordinator(self, group: str) -> str:
        what = f"find the coordinator of group {group}"
        node = self._ask(what, lambda admin: admin._manager.run(admin._find_coordinator_ids, [group]))[group]
        for broker in self._ask(what, describe_cluster)["brokers"]:
            if broker["broker_id"] == node:
                return f"{broker['host']}:{broker['port']} (id {node})"
        return f"id {node}"

    def _lag(self, group: str, members: Iterable[Member]) -> builtins.list[PartitionLag]:
        committed = self.offsets(group)
        owners = {partition: member for member in members for partition in member.assignment}
        partitions = sorted({*committed, *owners})
        ends = self._ends(partitions)
        rows = []
        for partition in partitions:
            offset, end, owner = committed.get(partition), ends.get(partition), owners.get(partition)
            lag = None if offset is None or end is None else max(0, end - offset)
            of_owner = (None, None, None) if owner is None else (owner.member_id, owner.client_id, owner.host)
            rows.append(PartitionLag(*partition, offset, end, lag, *of_owner))
        return rows

    def _ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """End offsets; a partition that was deleted since has none."""
        names = sorted({partition.topic for partition in partitions})
        for _ in range(_DELETIONS_MAX):
            found = self._ask("describe topics", lambda admin: admin.describe_topics(names)) if names else []
            led = {
                Partition(topic["name"], row["partition_index"])
                for topic in found
                for row in topic["partitions"]
                if row["leader_id"] >= 0
            }
            with contextlib.suppress(TopicNotFoundError):  # deleted between the two questions
                return self._offsets("look up offsets", sorted(led.intersection(partitions)), LATEST)
        return {}

    # -- resetting --------------------------------------------------------------------------------

    def _targets(
        self,
        group: str,
        before: Mapping[Partition, int],
        topics: Iterable[str] | None,
        partitions: Iterable[int] | None,
        to: object,
    ) -> Sequence[Partition]:
        if isinstance(to, Mapping):
            found = [Partition(*partition) for partition in to]
        elif topics is not None:
            names = [topics] if isinstance(topics, str) else topics
            found = [Partition(topic, number) for topic in names for number in self._topics.offsets(topic)]
        elif before:
            found = builtins.list(before)
        else:
            self._describe(group)
            raise GroupNotFoundError(
                f"group {group} has committed no offsets", hint="say which topics: topics=[...], or --topic"
            )
        if partitions is None:
            return sorted(found)
        missing = {*partitions}.difference(partition.partition for partition in found)
        if missing:
            raise PartitionNotFoundError(
                f"reset group {group}: there is no partition {min(missing)} to reset",
                hint=f"there are {', '.join(map(str, sorted(found)))}",
            )
        return sorted(partition for partition in found if partition.partition in {*partitions})

    def _after(self, group: str, to: Any, targets: Sequence[Partition]) -> dict[Partition, int]:
        if isinstance(to, Mapping):
            after = {partition: to[partition] for partition in targets}
        elif isinstance(to, int) and not isinstance(to, bool):
            after = dict.fromkeys(targets, to)
        else:
            by_topic = {topic: self._topics.offsets(topic, to) for topic in sorted({p.topic for p in targets})}
            missing = [partition for partition in targets if partition.partition not in by_topic[partition.topic]]
            if missing:
                raise PartitionNotFoundError(f"there is no partition {missing[0]} any more")
            return {partition: by_topic[partition.topic][partition.partition] for partition in targets}
        for topic in sorted({partition.topic for partition in targets}):
            numbers = [partition.partition for partition in targets if partition.topic == topic]
            starts = self._topics.offsets(topic, "earliest", partitions=numbers)
            ends = self._topics.offsets(topic, "latest", partitions=numbers)
            for number in numbers:
                offset = after[Partition(topic, number)]
                if not starts[number] <= offset <= ends[number]:
                    raise OffsetOutOfRangeError(
                        f"reset group {group}: {topic}-{number} has no offset {offset}",
                        hint=f"it has {starts[number]} to {ends[number]}, the end",
                    )
        return after

    def _check_idle(self, group: str, *, force: bool) -> None:
        members = self.members(group) if any(row.group_id == group for row in self.list()) else []
        if members and not force:
            raise self._active(group, members)

    def _move(self, group: str, after: Mapping[Partition, int], *, force: bool) -> None:
        """Commit as nobody's member, which a group takes only while it is empty."""
        offsets = commit_offsets(after)
        what = f"reset group {group}"

        def call(admin: Any) -> None:
            for error in admin.alter_group_offsets(group, offsets).values():
                if error.errno:
                    raise error()

        self._check_idle(group, force=force)
        for _ in range(_EVICTIONS_MAX):
            if force:
                self._evict(group)
            try:
                self._ask(what, call)
                return
            except CommitFailedError:  # by whoever has joined since we looked
                if not force:
                    self._check_idle(group, force=False)
            time.sleep(_EVICTION_WAIT_S)
        raise self._active(group, self.members(group), "they come back as fast as they are made to leave")

    def _evict(self, group: str) -> None:
        from kafka.admin import MemberToRemove

        members = self.members(group) if any(row.group_id == group for row in self.list()) else []
        # A static member is removed by its instance id alone: it keeps that over member ids.
        removed = [
            MemberToRemove(group_instance_id=member.instance_id)
            if member.instance_id is not None
            else MemberToRemove(member_id=member.member_id)
            for member in members
        ]
        if removed:
            self._ask(f"evict the members of group {group}", lambda admin: admin.remove_group_members(group, removed))

    def _active(
        self, group: str, members: Sequence[Member], why: str = "", hint: str = _FORCE_HINT
    ) -> GroupActiveError:
        who = ", ".join(map(str, members)) or "they have left just now"
        error = GroupActiveError(f"group {group} has active members: {who}{'; ' + why if why else ''}", hint=hint)
        error.members = tuple(members)
        return error


def _checked(group: str) -> str:
    if not isinstance(group, str) or not group:
        raise InvalidArgumentError(f"{group!r} is no name of a group", hint="give a str")
    return group
