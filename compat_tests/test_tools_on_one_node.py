"""Kafka's own administration tools on FlyMQ: each describes and changes what it can, in one JVM for all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests import java_tools
from compat_tests.broker_process import BrokerProcess
from flymq import FlyMQClient

pytestmark = [pytest.mark.compat, pytest.mark.scenario("admin", client="Kafka's tools")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broker") / "data"


@pytest.fixture(scope="module")
def broker(data: Path) -> Iterator[BrokerProcess]:
    with BrokerProcess(data) as broker:
        yield broker


@pytest.fixture(scope="module")
def session() -> Iterator[java_tools.Session]:
    with java_tools.Session() as session:
        yield session


class Tools:
    """Runs tools on the broker."""

    def __init__(self, broker: BrokerProcess, session: java_tools.Session) -> None:
        self._where = ["--bootstrap-server", broker.bootstrap_servers]
        self._session = session

    def __call__(self, tool: str, *arguments: str, fails: bool = False) -> str:
        output = self._session.run(tool, *self._where, *arguments, fails=fails)
        if not fails:
            assert "Exception" not in output, output
        return output

    def configs(self, *arguments: str, fails: bool = False) -> str:
        return self(java_tools.CONFIGS, *arguments, fails=fails)

    def described(self, *resource: str) -> dict[str, str]:
        """What kafka-configs describes: setting -> value and where from."""
        lines = self.configs("--describe", *resource).splitlines()
        rows = (re.match(r"  ([^=]+)=(.*) sensitive=(?:true|false) synonyms=(\{.*\})", line) for line in lines)
        return {row[1]: row[2] for row in rows if row}


@pytest.fixture(scope="module")
def tools(broker: BrokerProcess, session: java_tools.Session) -> Tools:
    return Tools(broker, session)


@pytest.fixture(scope="module")
def client(broker: BrokerProcess) -> Iterator[FlyMQClient]:
    with FlyMQClient(broker.bootstrap_servers) as client:
        yield client


def test_topics(tools: Tools) -> None:
    run = java_tools.TOPICS
    tools(run, "--create", "--topic", "made", "--partitions", "2", "--config", "retention.ms=5")
    assert "already exists" in tools(run, "--create", "--topic", "made", fails=True)
    tools(run, "--alter", "--topic", "made", "--partitions", "4")
    assert "currently has 4" in tools(run, "--alter", "--topic", "made", "--partitions", "3", fails=True)
    described = tools(run, "--describe", "--topic", "made")
    assert "PartitionCount: 4\tReplicationFactor: 1\tConfigs: retention.ms=5" in described
    assert described.count("Leader: 1\tReplicas: 1\tIsr: 1") == 4
    assert set(tools(run, "--list").split()) >= {"made", "__consumer_offsets"}
    tools(run, "--delete", "--topic", "made")
    assert "made" not in tools(run, "--list").split()


def test_configs_of_topics(tools: Tools, client: FlyMQClient) -> None:
    client.create_topic("configured")
    resource = "--topic", "configured"
    tools.configs("--alter", *resource, "--add-config", "retention.ms=7,cleanup.policy=[compact,delete]")
    assert tools.described(*resource) == {"retention.ms": "7", "cleanup.policy": "compact,delete"}
    everything = tools.described("--all", *resource)
    assert (len(everything), everything["retention.ms"], everything["segment.bytes"]) == (33, "7", "1073741824")
    tools.configs("--alter", *resource, "--delete-config", "retention.ms")
    assert tools.described(*resource) == {"cleanup.policy": "compact,delete"}
    assert "InvalidConfiguration" in tools.configs("--alter", *resource, "--add-config", "retention.ms=x", fails=True)
    assert "InvalidConfiguration" in tools.configs("--alter", *resource, "--add-config", "no.such=1", fails=True)


def test_configs_of_brokers(tools: Tools) -> None:
    one, all_of_them = ("--broker", "1"), ("--broker-defaults",)
    tools.configs("--alter", *one, "--add-config", "log.retention.ms=1000")
    tools.configs("--alter", *all_of_them, "--add-config", "message.max.bytes=2000000")
    assert tools.described(*one)["log.retention.ms"] == "1000"
    assert tools.described(*all_of_them) == {"message.max.bytes": "2000000"}
    everything = tools.described("--all", *one)
    assert (everything["log.retention.ms"], everything["message.max.bytes"]) == ("1000", "2000000")
    assert everything["num.partitions"] == "1"
    tools.configs("--alter", *one, "--delete-config", "log.retention.ms")
    tools.configs("--alter", *all_of_them, "--delete-config", "message.max.bytes")
    assert "log.retention.ms" not in tools.described(*one)
    assert tools.described(*all_of_them) == {}
    assert "num.partitions" in tools.configs("--alter", *one, "--add-config", "num.partitions=3", fails=True)


def test_configs_of_loggers(tools: Tools) -> None:
    resource = "--broker-logger", "1"
    before = tools.described(*resource)
    assert before["root"] == before["flymq.connection"] == "WARN"
    tools.configs("--alter", *resource, "--add-config", "root=ERROR,flymq.connection=INFO")
    found = tools.described(*resource)
    assert (found["root"], found["flymq.connection"], found["flymq.server"]) == ("ERROR", "INFO", "ERROR")
    tools.configs("--alter", *resource, "--add-config", "root=WARN", "--delete-config", "flymq.connection")
    assert tools.described(*resource) == before


@pytest.mark.parametrize(
    ("option", "entities", "setting", "value"),
    [
        ("--group", "groups", "consumer.session.timeout.ms", "50000"),
        ("--client-metrics", "client-metrics", "interval.ms", "1000"),
    ],
)
def test_configs_of_groups_and_metrics(tools: Tools, option: str, entities: str, setting: str, value: str) -> None:
    resource = option, "some"
    tools.configs("--alter", *resource, "--add-config", f"{setting}={value}")
    assert tools.described(*resource) == {setting: value}
    assert "some" in tools.configs("--describe", "--entity-type", entities)
    tools.configs("--alter", *resource, "--delete-config", setting)
    assert tools.described(*resource) == {}
    assert tools.configs("--alter", *resource, "--add-config", "no.such=1", fails=True)


def test_log_dirs(tools: Tools, client: FlyMQClient, data: Path) -> None:
    client.create_topic("stored", partitions=2)
    client.produce_many("stored", [{"value": "x" * 100, "partition": 1}] * 3).raise_for_errors()
    output = tools(java_tools.LOG_DIRS, "--describe", "--topic-list", "stored", "--broker-list", "1")
    (broker,) = json.loads(output.splitlines()[-1])["brokers"]
    (folder,) = broker["logDirs"]
    assert (broker["broker"], folder["logDir"], folder["error"]) == (1, str(data), None)
    sizes = {row["partition"]: row["size"] for row in folder["partitions"]}
    (log,) = data.glob("logs/stored/1.*/*.log")
    assert sizes == {"stored-0": 0, "stored-1": log.stat().st_size}
    assert "stored-1" in tools(java_tools.LOG_DIRS, "--describe")


def test_features(tools: Tools) -> None:
    def level() -> str:
        described = tools(java_tools.FEATURES, "describe")
        found = re.search(r"transaction\.version\s.*FinalizedVersionLevel: (\d+)", described)
        assert found
        return found[1]

    assert level() == "2"
    tools(java_tools.FEATURES, "upgrade", "--feature", "transaction.version=2")
    tools(java_tools.FEATURES, "downgrade", "--feature", "transaction.version=1")
    assert level() == "1"
    tools(java_tools.FEATURES, "upgrade", "--feature", "transaction.version=2", "--dry-run")
    assert level() == "1"
    tools(java_tools.FEATURES, "upgrade", "--feature", "transaction.version=2")
    assert level() == "2"
    for change, feature in (("upgrade", "transaction.version=9"), ("upgrade", "no.such=1")):
        assert "Could not" in tools(java_tools.FEATURES, change, "--feature", feature, fails=True)


def test_metadata_quorum(tools: Tools) -> None:
    status = tools(java_tools.QUORUM, "describe", "--status")
    assert re.search(r"LeaderId: +1\nLeaderEpoch: +1\n", status)
    assert re.search(r"MaxFollowerLag: +0\n", status)
    replication = tools(java_tools.QUORUM, "describe", "--replication").splitlines()
    assert [line.split()[-1] for line in replication if line] == ["Status", "Leader"]


def test_leader_election(tools: Tools, client: FlyMQClient) -> None:
    client.create_topic("led", partitions=2)
    run = java_tools.LEADER_ELECTION, "--election-type"
    tools(*run, "preferred", "--all-topic-partitions")
    for kind in ("preferred", "unclean"):
        assert "led-1" in tools(*run, kind, "--topic", "led", "--partition", "1")
    assert "No such partition" in tools(*run, "preferred", "--topic", "led", "--partition", "7", fails=True)


def test_reassign_partitions(tools: Tools, client: FlyMQClient, data: Path, tmp_path: Path) -> None:
    client.create_topic("moved", partitions=2)
    run = java_tools.REASSIGN
    topics, plan, elsewhere = (str(tmp_path / name) for name in ("topics", "plan", "elsewhere"))
    Path(topics).write_text(json.dumps({"version": 1, "topics": [{"topic": "moved"}]}))
    generated = tools(run, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1")
    current = json.loads(generated.split("Current partition replica assignment\n")[1].splitlines()[0])
    assert [(row["partition"], row["replicas"], row["log_dirs"]) for row in current["partitions"]] == [
        (0, [1], [str(data)]), (1, [1], [str(data)]),
    ]  # fmt: skip
    Path(plan).write_text(json.dumps(current))
    assert "Successfully started" in tools(run, "--execute", "--reassignment-json-file", plan)
    assert tools(run, "--verify", "--reassignment-json-file", plan).count("completed") == 4
    assert "No partition reassignments" in tools(run, "--list")
    tools(run, "--cancel", "--reassignment-json-file", plan)
    current["partitions"][0]["replicas"] = [2]
    current["partitions"][0]["log_dirs"] = ["any"]
    Path(elsewhere).write_text(json.dumps(current))
    assert "broker" in tools(run, "--execute", "--reassignment-json-file", elsewhere, fails=True)


def test_get_offsets(tools: Tools, client: FlyMQClient) -> None:
    client.create_topic("counted", partitions=2)
    client.produce_many("counted", [{"value": "x", "partition": 1}] * 3).raise_for_errors()
    assert tools(java_tools.GET_OFFSETS, "--topic", "counted").split() == ["counted:0:0", "counted:1:3"]
    earliest = tools(java_tools.GET_OFFSETS, "--topic", "counted", "--time", "earliest")
    assert earliest.split() == ["counted:0:0", "counted:1:0"]


def test_delete_records(tools: Tools, client: FlyMQClient, tmp_path: Path) -> None:
    client.create_topic("trimmed")
    client.produce_many("trimmed", [{"value": "x"}] * 3).raise_for_errors()
    offsets = tmp_path / "offsets"
    offsets.write_text(json.dumps({"version": 1, "partitions": [{"topic": "trimmed", "partition": 0, "offset": 2}]}))
    assert "low_watermark: 2" in tools(java_tools.DELETE_RECORDS, "--offset-json-file", str(offsets))
    assert tools(java_tools.GET_OFFSETS, "--topic", "trimmed", "--time", "earliest").split() == ["trimmed:0:2"]
