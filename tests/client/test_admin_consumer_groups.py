"""`client.groups` and groups of KIP-848. More of it, on Apache Kafka too: compat_tests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from compat_tests.consumer_groups import Member, until, until_shared
from flymq import EmbeddedBroker, FlyMQClient
from flymq.client.admin.types import GroupListing, OffsetChange
from flymq.client.errors import GroupActiveError, GroupNotFoundError
from tests.wire.client import Client
from tests.wire.kit import a_topic, enter

PARTITIONS = 2


@pytest.fixture
def topic(client: FlyMQClient, fresh_name: Callable[..., str]) -> str:
    name = fresh_name("topic")
    client.create_topic(name, partitions=PARTITIONS)
    client.produce_many(name, [{"value": "x", "partition": n} for n in range(PARTITIONS)]).raise_for_errors()
    return name


def test_a_live_group(broker: EmbeddedBroker, client: FlyMQClient, topic: str, group: str) -> None:
    with Member(broker.bootstrap_servers, group, [topic], client_id="ada") as ada:
        until_shared([ada], topic, PARTITIONS)
        broker.wait_for_group(group, members=1)
        assert GroupListing(group, "consumer", "Stable", "consumer") in client.groups.list()
        found = client.groups.describe(group)
        assert (found.group_type, found.state, found.protocol) == ("consumer", "Stable", "uniform")
        (member,) = found.members
        assert (member.client_id, member.host, member.protocol) == ("ada", "/127.0.0.1", "consumer")
        assert member.assignment == member.target == [(topic, 0), (topic, 1)]
        assert member.epoch == found.group_epoch == found.assignment_epoch
        assert [row.member_id for row in found.partitions] == [member.member_id] * PARTITIONS
        assert json.loads(json.dumps(dataclasses.asdict(found)))["members"][0]["target"] == [[topic, 0], [topic, 1]]
        with pytest.raises(GroupActiveError, match=r"ada at 127\.0\.0\.1"):
            client.groups.delete(group)
        with pytest.raises(GroupActiveError, match=r"ada at 127\.0\.0\.1"):
            client.groups.reset(group, topics=[topic])
        until(lambda: sorted(ada.got) == [(topic, 0, 0), (topic, 1, 0)])
        client.groups.reset(group, topics=[topic], force=True)
        until(lambda: sorted(ada.got) == [(topic, 0, 0)] * 2 + [(topic, 1, 0)] * 2, lambda: str(ada.got))
    assert client.groups.reset(group, to=0) == [OffsetChange(topic, n, 1, 0) for n in range(PARTITIONS)]
    client.groups.delete(group)
    with pytest.raises(GroupNotFoundError):
        client.groups.members(group)


def test_members_that_have_not_what_they_are_to_have(broker: EmbeddedBroker, client: FlyMQClient, group: str) -> None:
    with Client(broker.port) as wire:
        topic = a_topic(wire, partitions=2)
        enter(wire, group, topic, "a")
        enter(wire, group, topic, "b")
        found = client.groups.describe(group)
    assert (found.state, found.group_epoch, found.assignment_epoch) == ("Reconciling", 2, 2)
    first, second = found.members
    assert (first.epoch, second.epoch) == (1, 2)
    assert (first.assignment, second.assignment) == ([(topic.name, 0), (topic.name, 1)], [])
    assert first.target is not None
    assert second.target is not None
    assert sorted(first.target + second.target) == [(topic.name, 0), (topic.name, 1)]
    assert (len(first.target), len(second.target)) == (1, 1)


def test_a_broker_without_consumer_groups(broker: EmbeddedBroker, topic: str, group: str) -> None:
    """As kafka-python takes it for one of Kafka 3.6, nothing is asked that such a one does not know."""
    with FlyMQClient(broker.bootstrap_servers, client_id="old", api_version=(3, 6)) as old:
        with pytest.raises(GroupNotFoundError):
            old.groups.describe(group)
        old.groups.reset(group, topics=[topic])
        assert old.groups.describe(group).group_type == "classic"
        assert {row.group_type for row in old.groups.list() if row.group_id == group} == {"classic"}
    assert broker.requests("ConsumerGroupDescribe", client_id="old") == []
