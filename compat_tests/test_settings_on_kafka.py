"""`tests/core/kafka_settings.tsv` is what Apache Kafka answers; and both answer alike to what is wrong with a setting.

    python -m compat_tests.test_settings_on_kafka HOST:PORT

writes the table anew from a running Kafka.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.real_kafka import RealKafka
from flymq import EmbeddedBroker
from flymq.core.settings import ConfigType, ResourceType
from flymq_protocol.errors import ErrorCode
from tests.wire.altering import (
    APPEND,
    BROKER,
    DELETE,
    GROUP,
    LOGGER,
    METRICS,
    SET,
    SUBTRACT,
    TOPIC,
    alter,
    alter_all,
    described,
)
from tests.wire.client import Client
from tests.wire.kit import a_topic

pytestmark = pytest.mark.compat

TABLE = Path(__file__).parents[1] / "tests" / "core" / "kafka_settings.tsv"
DEFAULT = 5


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKafka]:
    with RealKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def on_kafka(kafka: RealKafka) -> Iterator[Client]:
    with Client(int(kafka.bootstrap_servers.rpartition(":")[2])) as client:
        yield client


@pytest.fixture(scope="module")
def flymq() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def on_flymq(flymq: EmbeddedBroker) -> Iterator[Client]:
    with Client(flymq.port) as client:
        yield client


def rows(client: Client, topic: str) -> list[str]:
    """The table's rows, as a Kafka that is just started with an empty file would have them."""
    found = []
    for kind, type_, name in (
        ("topic", TOPIC, topic), ("broker", BROKER, "1"), ("group", GROUP, "g"), ("client-metrics", METRICS, "m")
    ):  # fmt: skip
        for row in sorted(described(client, ResourceType(type_), name).values(), key=lambda row: row.name):
            synonym = row.synonyms[0].name if row.synonyms and kind in ("topic", "group") else ""
            cells = [kind, row.name, ConfigType(row.config_type).name, default_of(row)]
            found.append("\t".join([*cells, "ro" if row.read_only else "rw", synonym]))
    return found


def default_of(row: Any) -> str:
    """What the value would be had nobody set it."""
    if row.config_source == DEFAULT:
        return r"\N" if row.value is None else row.value
    own = [one.value for one in row.synonyms if (one.source, one.name) == (DEFAULT, row.name)]
    return own[0] if own else r"\N"


def test_the_table_is_kafkas(on_kafka: Client) -> None:
    recorded = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    assert len(recorded) > 350
    assert set(rows(on_kafka, _topic(on_kafka))) == set(recorded)


def _topic(client: Client) -> str:
    """A topic, whose settings can be asked for: that takes Kafka a moment."""
    name = a_topic(client).name
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            described(client, TOPIC, name)
            break
        except AssertionError:
            continue
    return name


REFUSED = [
    (TOPIC, None, ("no.such", SET, "1")),
    (TOPIC, None, ("no.such", DELETE, None)),
    (TOPIC, None, ("retention.ms", SET, "x")),
    (TOPIC, None, ("retention.ms", SET, "-2")),
    (TOPIC, None, ("retention.ms", SET, None)),
    (TOPIC, None, ("retention.ms", APPEND, "1")),
    (TOPIC, None, ("no.such", SUBTRACT, "1")),
    (TOPIC, None, ("cleanup.policy", APPEND, "shrink")),
    (TOPIC, None, ("remote.storage.enable", SET, "true")),
    (TOPIC, "none", ("retention.ms", SET, "1")),
    (TOPIC, "a/b", ("retention.ms", SET, "1")),
    (TOPIC, "", ("retention.ms", SET, "1")),
    (BROKER, "1", ("num.partitions", SET, "2")),
    (BROKER, "", ("listeners", SET, "PLAINTEXT://:1")),
    (BROKER, "1", ("message.max.bytes", SET, "x")),
    (BROKER, "1", ("message.max.bytes", SET, "-1")),
    (BROKER, "1", ("message.max.bytes", SET, None)),
    (BROKER, "7", ("message.max.bytes", SET, "1")),
    (BROKER, "x", ("message.max.bytes", SET, "1")),
    (LOGGER, "1", ("root", DELETE, None)),
    (LOGGER, "1", ("root", APPEND, "INFO")),
    (LOGGER, "1", ("root", SET, "info")),
    (LOGGER, "1", ("no.such", SET, "INFO")),
    (LOGGER, "7", ("root", SET, "INFO")),
    (LOGGER, "", ("root", SET, "INFO")),
    (GROUP, "g", ("no.such", SET, "1")),
    (GROUP, "g", ("consumer.session.timeout.ms", SET, "1")),
    (GROUP, "g", ("consumer.heartbeat.interval.ms", SET, "15001")),
    (GROUP, "g", ("share.isolation.level", SET, "x")),
    (GROUP, "g", ("share.auto.offset.reset", SET, "x")),
    (GROUP, "g", ("streams.num.standby.replicas", SET, "3")),
    (GROUP, "", ("consumer.session.timeout.ms", SET, "50000")),
    (METRICS, "m", ("no.such", SET, "1")),
    (METRICS, "m", ("interval.ms", SET, "x")),
    (METRICS, "m", ("match", SET, "client_id=[")),
    (METRICS, "", ("interval.ms", SET, "1000")),
    (99, "x", ("a", SET, "1")),
]


@pytest.mark.parametrize(("kind", "name", "change"), REFUSED)
def test_both_refuse_alike(
    on_kafka: Client, on_flymq: Client, kind: int, name: str | None, change: tuple[str, int, str | None]
) -> None:
    codes = []
    for client in (on_kafka, on_flymq):
        resource = _topic(client) if name is None else name
        codes.append(ErrorCode(alter(client, kind, resource, change)))
    assert codes[0] == codes[1]
    twice = [(kind, "twice" if name is None else name, [change])] * 2
    answers = [[one.error_code for one in alter_all(client, *twice)] for client in (on_kafka, on_flymq)]
    assert answers[0] == answers[1]


if __name__ == "__main__":
    with Client(int(sys.argv[1].rpartition(":")[2])) as running:
        head = [line for line in TABLE.read_text().splitlines() if line.startswith("#")]
        TABLE.write_text("\n".join([*head, *rows(running, _topic(running)), ""]))
