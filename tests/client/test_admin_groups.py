"""`client.groups` against a real broker, with real members."""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.admin.types import OffsetChange, PartitionLag
from flymq.client.errors import (
    GroupActiveError,
    GroupNotFoundError,
    InvalidArgumentError,
    OffsetOutOfRangeError,
    PartitionNotFoundError,
    TopicNotFoundError,
)
from flymq.client.kafka_python import commit_offsets
from flymq.client.messages import Partition
from flymq_protocol.api.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from tests.client.members import live_member
from tests.wire import kit
from tests.wire.client import Client

MESSAGES = 4


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """Three partitions, `MESSAGES` in each of them, one second apart from 1970 on."""
    name = fresh_name("topic")
    client.create_topic(name, partitions=3, config={"retention.ms": -1})
    for partition in range(3):
        client.produce_many(
            name,
            [{"value": str(n), "partition": partition, "timestamp": n * 1000} for n in range(MESSAGES)],
        ).raise_for_errors()
    return name


def commit(client: FlyMQClient, group: str, topic: str, offsets: dict[int, int]) -> None:
    """As kafka-python's own admin client does, so that resetting is not tested by itself."""
    wanted = commit_offsets({Partition(topic, partition): offset for partition, offset in offsets.items()})
    answers = client.connection.admin().alter_group_offsets(group, wanted)
    assert {error.errno for error in answers.values()} == {0}


# -- describing -----------------------------------------------------------------------------------


def test_a_group_with_members_is_described(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    commit(client, group, topic, {0: 1, 1: MESSAGES})
    where = broker.bootstrap_servers
    with (
        live_member(where, topic, group, "ada") as one,
        live_member(where, topic, group, "bob", group_instance_id="bob-1") as other,
    ):
        one.wait_to_share({0, 1, 2}, other)
        broker.wait_for_group(group, members=2)
        found = client.groups.describe(group)
        assert client.groups.members(group) == found.members
        assert client.groups.lag(group) == found.partitions
        listed = {row.group_id: row for row in client.groups.list()}[group]

    assert (listed.state, listed.protocol_type) == ("Stable", "consumer")
    assert (found.group_id, found.state, found.protocol_type, found.protocol) == (group, "Stable", "consumer", "range")
    assert found.coordinator == f"{where} (id 1)"
    ada, bob = found.members
    assert [(one.client_id, one.host, one.instance_id) for one in found.members] == [
        ("ada", "/127.0.0.1", None), ("bob", "/127.0.0.1", "bob-1"),
    ]  # fmt: skip
    assert sorted(ada.assignment + bob.assignment) == [(topic, 0), (topic, 1), (topic, 2)]
    assert {len(ada.assignment), len(bob.assignment)} == {1, 2}
    owners = {partition.partition: one for one in found.members for partition in one.assignment}
    assert found.partitions == [
        PartitionLag(
            topic, partition, committed, MESSAGES, lag,
            owners[partition].member_id, owners[partition].client_id, owners[partition].host,
        )
        for partition, committed, lag in [(0, 1, MESSAGES - 1), (1, MESSAGES, 0), (2, None, None)]
    ]  # fmt: skip
    shown = json.loads(json.dumps(dataclasses.asdict(found)))
    assert shown["members"][0]["client_id"] == "ada"
    assert shown["partitions"][0]["lag"] == MESSAGES - 1


def test_a_group_with_nothing_but_offsets_is_empty(client: FlyMQClient, topic: str, group: str) -> None:
    commit(client, group, topic, {2: 3, 0: 0})
    found = client.groups.describe(group)
    assert (found.state, found.members) == ("Empty", [])
    assert found.partitions == [PartitionLag(topic, 0, 0, MESSAGES, MESSAGES), PartitionLag(topic, 2, 3, MESSAGES, 1)]
    assert list(client.groups.offsets(group).items()) == [((topic, 0), 0), ((topic, 2), 3)]


def test_lag_is_never_negative(client: FlyMQClient, topic: str, group: str) -> None:
    commit(client, group, topic, {0: MESSAGES + 100})
    assert client.groups.lag(group) == [PartitionLag(topic, 0, MESSAGES + 100, MESSAGES, 0)]


def assigned(*partitions: Partition) -> bytes:
    """Kafka's ConsumerProtocolAssignment, version 0."""
    encoded = struct.pack(">hi", 0, len(partitions))
    for topic, partition in partitions:
        encoded += struct.pack(">h", len(topic)) + topic.encode() + struct.pack(">ii", 1, partition)
    return encoded + struct.pack(">i", -1)


def test_a_partition_that_is_gone_has_neither_end_nor_lag(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    """A member that has not heard of it yet still has it."""
    with Client(broker.port) as wire:
        named = wire.call(kit.joining(group), 4)
        joined = wire.call(kit.joining(group, named.member_id), 4)
        mine = assigned(Partition(topic, 0), Partition(topic, 17), Partition(f"{topic}-gone", 0))
        assignment = [SyncGroupRequestAssignment(joined.member_id, mine)]
        wire.call(SyncGroupRequest(group, joined.generation_id, joined.member_id, assignments=assignment), 3)
        found = client.groups.lag(group)
    owner = (joined.member_id, "wire", "/127.0.0.1")
    assert found == [
        PartitionLag(topic, 0, None, MESSAGES, None, *owner),
        PartitionLag(topic, 17, None, None, None, *owner),
        PartitionLag(f"{topic}-gone", 0, None, None, None, *owner),
    ]


def test_a_member_whose_words_nobody_understands_is_shown_without_them(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    """As of Kafka Connect: protocols of groups are the members' own."""
    with Client(broker.port) as wire:
        member_id, _ = kit.join(wire, group)
        found = client.groups.describe(group)
    assert [(one.member_id, one.client_id, one.assignment) for one in found.members] == [(member_id, "wire", [])]
    assert found.partitions == []


@pytest.mark.parametrize("ask", ["describe", "lag", "members", "reset", "delete"])
def test_an_unknown_group_is_not_found(client: FlyMQClient, topic: str, group: str, ask: str) -> None:
    commit(client, group, topic, {0: 0})
    with pytest.raises(GroupNotFoundError, match=f"there is no group {group}x") as caught:
        getattr(client.groups, ask)(f"{group}x")
    assert caught.value.hint == f"did you mean {group}?"
    assert client.groups.offsets(f"{group}x") == {}


@pytest.mark.parametrize("name", [b"group", None, 7, ""])
@pytest.mark.parametrize("ask", ["describe", "lag", "members", "offsets", "reset", "delete"])
def test_a_name_that_is_none_is_refused(client: FlyMQClient, ask: str, name: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="is no name of a group"):
        getattr(client.groups, ask)(name)


# -- resetting ------------------------------------------------------------------------------------


def test_reset_goes_to_the_beginning_of_what_is_committed(client: FlyMQClient, topic: str, group: str) -> None:
    commit(client, group, topic, {2: 3, 0: MESSAGES})
    wanted = [OffsetChange(topic, 0, MESSAGES, 0), OffsetChange(topic, 2, 3, 0)]
    assert client.groups.reset(group, dry_run=True) == wanted
    assert client.groups.offsets(group) == {(topic, 0): MESSAGES, (topic, 2): 3}
    assert client.groups.reset(group) == wanted
    assert client.groups.offsets(group) == {(topic, 0): 0, (topic, 2): 0}


@pytest.mark.parametrize(
    ("to", "after"),
    [
        ("earliest", 0),
        ("latest", MESSAGES),
        (0, 0),
        (MESSAGES, MESSAGES),
        (datetime.fromtimestamp(1.5, UTC), 2),
        (datetime.fromtimestamp(2, UTC), 2),
        (datetime.now(UTC) + timedelta(days=1), MESSAGES),
    ],
)
def test_reset_goes_where_it_is_told(
    client: FlyMQClient, topic: str, group: str, to: str | int | datetime, after: int
) -> None:
    commit(client, group, topic, {1: 1})
    assert client.groups.reset(group, to=to) == [OffsetChange(topic, 1, 1, after)]
    assert client.groups.offsets(group) == {(topic, 1): after}


def test_reset_of_named_topics_places_a_group_that_has_not_been_there(
    client: FlyMQClient, topic: str, group: str
) -> None:
    wanted = [OffsetChange(topic, partition, None, 2) for partition in range(3)]
    assert client.groups.reset(group, to=2, topics=[topic], dry_run=True) == wanted
    assert group not in {row.group_id for row in client.groups.list()}
    assert client.groups.reset(group, to=2, topics=topic) == wanted
    assert client.groups.reset(group, to="latest", topics=[topic], partitions=[2, 0]) == [
        OffsetChange(topic, 0, 2, MESSAGES), OffsetChange(topic, 2, 2, MESSAGES),
    ]  # fmt: skip
    assert client.groups.reset(group, to={Partition(topic, 1): 3}) == [OffsetChange(topic, 1, 2, 3)]
    assert client.groups.offsets(group) == {(topic, 0): MESSAGES, (topic, 1): 3, (topic, 2): MESSAGES}


@pytest.mark.parametrize("offset", [-1, MESSAGES + 1])
def test_reset_outside_the_log_is_refused(client: FlyMQClient, topic: str, group: str, offset: int) -> None:
    commit(client, group, topic, {1: 1, 2: 1})
    with pytest.raises(OffsetOutOfRangeError, match=f"{topic}-1 has no offset {offset}") as caught:
        client.groups.reset(group, to=offset)
    assert caught.value.hint == f"it has 0 to {MESSAGES}, the end"
    assert client.groups.offsets(group) == {(topic, 1): 1, (topic, 2): 1}


def test_reset_of_what_is_not_there_is_refused(client: FlyMQClient, topic: str, group: str) -> None:
    commit(client, group, topic, {0: 1})
    with pytest.raises(PartitionNotFoundError, match="no partition 7"):
        client.groups.reset(group, partitions=[0, 7])
    with pytest.raises(PartitionNotFoundError, match="no partition 9"):
        client.groups.reset(group, to={Partition(topic, 9): 0})
    with pytest.raises(TopicNotFoundError) as caught:
        client.groups.reset(group, topics=[f"{topic}x"])
    assert caught.value.hint == f"did you mean {topic}?"
    for to in ("soon", 1.5, datetime.now()):
        with pytest.raises(InvalidArgumentError):
            client.groups.reset(group, to=to)  # type: ignore[arg-type]
    assert client.groups.offsets(group) == {(topic, 0): 1}


def test_reset_of_a_group_that_never_committed_says_to_name_topics(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    with live_member(broker.bootstrap_servers, topic, group, "ada"):
        broker.wait_for_group(group, members=1)
        with pytest.raises(GroupNotFoundError, match="has committed no offsets") as caught:
            client.groups.reset(group)
    assert "topics=" in caught.value.hint


@pytest.mark.parametrize("dry_run", [False, True])
def test_reset_names_the_members_that_are_in_the_way(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, dry_run: bool
) -> None:
    commit(client, group, topic, {0: 3})
    where = broker.bootstrap_servers
    with live_member(where, topic, group, "ada") as one, live_member(where, topic, group, "bob") as other:
        one.wait_to_share({0, 1, 2}, other)
        broker.wait_for_group(group, members=2)
        with pytest.raises(GroupActiveError, match=r"ada at 127\.0\.0\.1, bob at 127\.0\.0\.1") as caught:
            client.groups.reset(group, dry_run=dry_run)
        assert list(caught.value.members) == client.groups.members(group)
    assert "force" in caught.value.hint
    assert client.groups.offsets(group) == {(topic, 0): 3}


@pytest.mark.parametrize("instance_id", [None, "ada-1"])
def test_reset_by_force_sends_members_back(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str, instance_id: str | None
) -> None:
    commit(client, group, topic, {0: 3, 1: 3, 2: 3})
    with live_member(broker.bootstrap_servers, topic, group, "ada", group_instance_id=instance_id) as ada:
        ada.wait_for((0, 3), (1, 3), (2, 3))
        wanted = [OffsetChange(topic, partition, 3, 1) for partition in range(3)]
        assert client.groups.reset(group, to=1, force=True, dry_run=True) == wanted
        assert len(client.groups.members(group)) == 1
        assert client.groups.reset(group, to=1, force=True) == wanted
        assert set(client.groups.offsets(group).values()) == {1}


def test_members_come_back_to_where_a_reset_by_force_says(
    broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str
) -> None:
    commit(client, group, topic, {0: 3, 1: 3, 2: 3})
    with live_member(broker.bootstrap_servers, topic, group, "ada") as ada:
        ada.wait_for((0, 3), (1, 3), (2, 3))
        client.groups.reset(group, force=True)
        ada.wait_for(*((partition, offset) for partition in range(3) for offset in range(3)))
        ada.wait_for((0, 3), (1, 3), (2, 3), times=2)


# -- deleting -------------------------------------------------------------------------------------


def test_delete(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    other = f"{group}-other"
    commit(client, group, topic, {0: 3})
    commit(client, other, topic, {0: 3})
    with live_member(broker.bootstrap_servers, topic, group, "ada"):
        broker.wait_for_group(group, members=1)
        with pytest.raises(GroupActiveError, match=r"ada at 127\.0\.0\.1") as caught:
            client.groups.delete(group)
        assert [one.client_id for one in caught.value.members] == ["ada"]
        assert "force" not in caught.value.hint  # there is none here
    client.groups.delete(group, other)
    assert not {group, other} & {row.group_id for row in client.groups.list()}
    assert client.groups.offsets(group) == {}
    client.groups.delete(group, missing_ok=True)
    with pytest.raises(GroupNotFoundError):
        client.groups.delete(group)
