"""What the client's administration tells agrees with what Kafka's own command-line tools tell of the same broker."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator

import pytest

from compat_tests import java_tools
from compat_tests.broker_process import BrokerProcess
from flymq import FlyMQClient
from flymq.client.admin.types import PartitionLag
from tests.client.members import live_member

pytestmark = [pytest.mark.compat, pytest.mark.scenario("admin", client="Kafka's tools")]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("data")) as broker:
        yield broker


@pytest.fixture(scope="module")
def client(broker: BrokerProcess) -> Iterator[FlyMQClient]:
    with FlyMQClient(broker.bootstrap_servers) as client:
        yield client


def table(text: str) -> list[dict[str, str]]:
    """Rows of the tools' tables, by the names in the heading."""
    # The one column with spaces in its cells: COORDINATOR (ID), and 127.0.0.1:9092 (1) below it.
    lines = [re.sub(r" +(\((?:ID|\d+)\))", r"\1", line).split() for line in text.splitlines() if line.strip()]
    at = next(number for number, line in enumerate(lines) if line[0] == "GROUP")
    return [dict(zip(lines[at], row, strict=True)) for row in lines[at + 1 :]]


def test_the_table_is_read_right() -> None:
    text = "\nGROUP  COORDINATOR (ID)  STATE\ng      127.0.0.1:9092 (1)   Empty\n"
    assert table(text) == [{"GROUP": "g", "COORDINATOR(ID)": "127.0.0.1:9092(1)", "STATE": "Empty"}]
    with pytest.raises(ValueError, match="zip"):
        table("GROUP TOPIC\ng t more\n")


def describe(broker: BrokerProcess, group: str, *arguments: str) -> list[dict[str, str]]:
    command = "--bootstrap-server", broker.bootstrap_servers, "--describe", "--group", group, *arguments
    return table(java_tools.run(java_tools.CONSUMER_GROUPS, *command))


def as_the_tool_writes(row: PartitionLag) -> dict[str, str]:
    cells = {
        "TOPIC": row.topic, "PARTITION": row.partition, "CURRENT-OFFSET": row.committed, "LOG-END-OFFSET": row.end,
        "LAG": row.lag, "CONSUMER-ID": row.member_id, "HOST": row.host, "CLIENT-ID": row.client_id,
    }  # fmt: skip
    return {name: "-" if cell is None else str(cell) for name, cell in cells.items()}


def agree_on_lag(broker: BrokerProcess, client: FlyMQClient, group: str) -> list[PartitionLag]:
    told = sorted(describe(broker, group), key=lambda row: (row["TOPIC"], int(row["PARTITION"])))
    found = client.groups.lag(group)
    assert found == client.groups.describe(group).partitions
    names = as_the_tool_writes(found[0])
    assert [{name: row[name] for name in names} for row in told] == [as_the_tool_writes(row) for row in found]
    return found


def agree_on_state(broker: BrokerProcess, client: FlyMQClient, group: str) -> None:
    (told,) = describe(broker, group, "--state")
    found = client.groups.describe(group)
    assert found.coordinator == told["COORDINATOR(ID)"].replace("(", " (id ")
    assert (told["STATE"], int(told["#MEMBERS"])) == (found.state, len(found.members))
    if found.members:
        assert told["ASSIGNMENT-STRATEGY"] == found.protocol


def seed(client: FlyMQClient, topic: str, group: str) -> None:
    """Two partitions with three messages each, of which the group has committed one in the first; a third, empty."""
    client.create_topic(topic, partitions=3)
    items = [{"value": "x", "partition": n % 2} for n in range(6)]
    client.produce_many(topic, items).raise_for_errors()
    client.groups.reset(group, to=1, topics=[topic], partitions=[0])


def test_a_group_with_members(broker: BrokerProcess, client: FlyMQClient) -> None:
    topic, group = "shared", "sharers"
    seed(client, topic, group)
    where = broker.bootstrap_servers
    with live_member(where, topic, group, "ada") as ada, live_member(where, topic, group, "bob") as bob:
        ada.wait_to_share({0, 1, 2}, bob)
        found = agree_on_lag(broker, client, group)
        assert [(row.committed, row.end, row.lag) for row in found] == [(1, 3, 2), (None, 3, None), (None, 0, None)]
        assert {row.client_id for row in found} == {"ada", "bob"}
        agree_on_state(broker, client, group)
        told = {row["CONSUMER-ID"]: row for row in describe(broker, group, "--members")}
        members = client.groups.members(group)
    assert {
        member.member_id: (member.host, member.client_id, str(len(member.assignment))) for member in members
    } == {name: (row["HOST"], row["CLIENT-ID"], row["#PARTITIONS"]) for name, row in told.items()}


def test_a_group_without_members(broker: BrokerProcess, client: FlyMQClient) -> None:
    topic, group = "left", "leavers"
    seed(client, topic, group)
    assert [(row.committed, row.lag, row.client_id) for row in agree_on_lag(broker, client, group)] == [(1, 2, None)]
    agree_on_state(broker, client, group)
    client.groups.reset(group, to="latest")
    assert [(row.committed, row.lag) for row in agree_on_lag(broker, client, group)] == [(3, 0)]


def test_a_reset_goes_where_the_tools_goes(broker: BrokerProcess, client: FlyMQClient) -> None:
    topic, group = "resets", "resetters"
    seed(client, topic, group)
    command = ["--bootstrap-server", broker.bootstrap_servers, "--reset-offsets", "--group", group, "--topic", topic]
    for to, argument in (("earliest", "--to-earliest"), ("latest", "--to-latest")):
        text = java_tools.run(java_tools.CONSUMER_GROUPS, *command, argument, "--dry-run")
        told = {int(row["PARTITION"]): int(row["NEW-OFFSET"]) for row in table(text)}
        changes = client.groups.reset(group, to=to, topics=[topic], dry_run=True)
        assert {change.partition: change.after for change in changes} == told


def test_topics(broker: BrokerProcess, client: FlyMQClient) -> None:
    client.create_topic("described", partitions=3, config={"retention.ms": 5000})
    text = java_tools.run(
        java_tools.TOPICS, "--bootstrap-server", broker.bootstrap_servers, "--describe", "--topic", "described"
    )
    summary, *rows = ([part.split(": ", 1) for part in line.split("\t") if ": " in part] for line in text.splitlines())
    of_topic = dict(summary)
    found = client.topics.describe("described")
    assert of_topic["TopicId"] == _kafkas_id(found.topic_id)
    assert (of_topic["PartitionCount"], of_topic["ReplicationFactor"]) == ("3", "1")
    assert "retention.ms=5000" in of_topic["Configs"].split(",")
    assert {name: value.value for name, value in found.config.items()} == {"retention.ms": "5000"}
    assert [(row["Partition"], row["Leader"], row["Replicas"], row["Isr"]) for row in map(dict, rows)] == [
        (str(row.partition), str(row.leader), ",".join(map(str, row.replicas)), ",".join(map(str, row.isr)))
        for row in found.partitions
    ]


def _kafkas_id(topic_id: str) -> str:
    """Kafka writes ids in base 64."""
    return base64.urlsafe_b64encode(uuid.UUID(topic_id).bytes).decode().rstrip("=")
