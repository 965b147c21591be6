"""Groups of KIP-848, as `FlyMQClient` sees and moves them, are the same on FlyMQ and on Apache Kafka."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from compat_tests.consumer_groups import CLASSIC, CONSUMER, Member, until, until_shared
from flymq import FlyMQClient
from flymq.client.admin.types import GroupListing
from flymq.client.errors import GroupActiveError, GroupNotFoundError

pytestmark = [pytest.mark.compat, pytest.mark.scenario("groups KIP-848", client="FlyMQClient")]

MESSAGES = 5
PARTITIONS = 4


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    """`MESSAGES` in each partition."""
    name = fresh_name("topic")
    client.create_topic(name, partitions=PARTITIONS)
    items = [{"value": str(n), "partition": partition} for partition in range(PARTITIONS) for n in range(MESSAGES)]
    client.produce_many(name, items).raise_for_errors()
    return name


def settled(client: FlyMQClient, group: str, members: int) -> None:
    def is_so() -> bool:
        found = client.groups.describe(group)
        return (found.state, len(found.members)) == ("Stable", members)

    until(is_so, lambda: str(client.groups.describe(group)))


def test_a_consumer_group_is_listed_and_described(
    bootstrap_servers: str, client: FlyMQClient, topic: str, group: str
) -> None:
    client.groups.reset(group, to="latest", topics=[topic])
    with (
        Member(bootstrap_servers, group, [topic], client_id="ada") as ada,
        Member(bootstrap_servers, group, [topic], client_id="bob", group_instance_id="bob-1") as bob,
    ):
        until_shared([ada, bob], topic, PARTITIONS)
        settled(client, group, 2)
        found = client.groups.describe(group)
        assert client.groups.members(group) == found.members
        assert client.groups.lag(group) == found.partitions
        assert GroupListing(group, "consumer", "Stable", "consumer") in client.groups.list()
        assert (found.group_type, found.protocol_type, found.protocol) == ("consumer", "consumer", "uniform")
        assert found.group_epoch == found.assignment_epoch
        assert [(one.client_id, one.instance_id, one.protocol, one.epoch) for one in found.members] == [
            ("ada", None, "consumer", found.group_epoch), ("bob", "bob-1", "consumer", found.group_epoch),
        ]  # fmt: skip
        for one, member in zip(found.members, (ada, bob), strict=True):
            assert one.assignment == one.target == sorted(member.owned)
        assert [(row.partition, row.committed, row.end, row.lag) for row in found.partitions] == [
            (partition, MESSAGES, MESSAGES, 0) for partition in range(PARTITIONS)
        ]
        owners = {partition.partition: one.member_id for one in found.members for partition in one.assignment}
        assert {row.partition: row.member_id for row in found.partitions} == owners


def test_a_consumer_group_is_moved_and_deleted(
    bootstrap_servers: str, client: FlyMQClient, topic: str, group: str
) -> None:
    """Not while it has members; those made to leave come back, and begin there."""
    everything = {(topic, partition, n) for partition in range(PARTITIONS) for n in range(MESSAGES)}
    with (
        Member(bootstrap_servers, group, [topic], client_id="ada") as ada,
        Member(bootstrap_servers, group, [topic], client_id="bob", group_instance_id="bob-1") as bob,
    ):
        until(lambda: {*ada.got, *bob.got} == everything)
        settled(client, group, 2)
        for refused in (
            lambda: client.groups.reset(group, topics=[topic]),
            lambda: client.groups.reset(group, topics=[topic], dry_run=True),
            lambda: client.groups.delete(group),
            lambda: client.groups.delete_offsets(group, topic, partitions=[0]),
        ):
            with pytest.raises(GroupActiveError, match=r"ada at .*, bob at ") as refusal:
                refused()
            assert [one.client_id for one in refusal.value.members] == ["ada", "bob"]
        client.groups.reset(group, to=3, topics=[topic], force=True)
        again = sorted((topic, partition, n) for partition in range(PARTITIONS) for n in range(3, MESSAGES))
        until(lambda: sorted([*ada.got, *bob.got]) == sorted([*everything, *again]), lambda: f"{ada.got} {bob.got}")
    # A static member may come back: it is a member while its session lasts.
    until(lambda: [(one.client_id, one.epoch) for one in client.groups.members(group)] == [("bob", -2)])
    changes = client.groups.reset(group, to="latest", force=True)
    assert [change.after for change in changes] == [MESSAGES] * PARTITIONS
    assert GroupListing(group, "consumer", "Empty", "consumer") in client.groups.list()
    client.groups.delete(group)
    with pytest.raises(GroupNotFoundError):
        client.groups.describe(group)


def test_members_of_both_protocols(bootstrap_servers: str, client: FlyMQClient, topic: str, group: str) -> None:
    with (
        Member(bootstrap_servers, group, [topic], CLASSIC, client_id="ada") as ada,
        Member(bootstrap_servers, group, [topic], CONSUMER, client_id="bob") as bob,
    ):
        until_shared([ada, bob], topic, PARTITIONS)
        settled(client, group, 2)
        found = client.groups.describe(group)
        assert (found.group_type, [one.protocol for one in found.members]) == ("consumer", ["classic", "consumer"])
        assert [one.assignment for one in found.members] == [sorted(ada.owned), sorted(bob.owned)]
