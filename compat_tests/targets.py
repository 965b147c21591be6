"""The brokers that a scenario runs on: FlyMQ, Apache Kafka, or one that runs already."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from compat_tests.broker_process import BrokerProcess
from compat_tests.kafka_container import KafkaContainer, why_no_engine
from compat_tests.real_kafka import RealKafka

FLYMQ, KAFKA, GIVEN = "flymq", "kafka", "given"
DOCKER, JARS = "docker", "jars"
# Of both: groups that settle sooner than with the defaults.
SETTINGS = {
    "group.initial.rebalance.delay.ms": 0,
    "group.consumer.min.heartbeat.interval.ms": 200,
    "group.consumer.heartbeat.interval.ms": 200,
    "group.consumer.min.assignment.interval.ms": 0,
    "group.consumer.assignment.interval.ms": 0,
    # One connection may hold up the others' requests, of which there are few.
    "num.io.threads": 4,
    "num.network.threads": 2,
}


class Target(NamedTuple):
    name: str
    bootstrap_servers: str


@contextlib.contextmanager
def started(name: str, folder: Path, bootstrap: str | None = None, kafka: str | None = None) -> Iterator[Target]:
    """A fresh broker, whose files are in `folder`; for GIVEN, the one at `bootstrap`.

    `kafka`: DOCKER or JARS, which `way_to_kafka` finds where it is left out.
    """
    if name == GIVEN:
        assert bootstrap is not None
        yield Target(name, bootstrap)
        return
    with _broker(name, folder, kafka) as broker:
        yield Target(name, broker.bootstrap_servers)


def _broker(name: str, folder: Path, kafka: str | None) -> BrokerProcess | RealKafka | KafkaContainer:
    if name == FLYMQ:
        return BrokerProcess(folder, SETTINGS)
    return KafkaContainer(SETTINGS) if way_to_kafka(kafka) == DOCKER else RealKafka(folder, SETTINGS)


class NoKafka(Exception):
    """What this machine lacks to run Apache Kafka."""


def way_to_kafka(asked: str | None = None) -> str:
    """DOCKER or JARS: what was asked for, else the first of them that this machine can. NoKafka where it can't."""
    lacks = {DOCKER: why_no_engine, JARS: _why_no_jars}
    whys = []
    for way in [asked] if asked else list(lacks):
        why = lacks[way]()
        if why is None:
            return way
        whys.append(why)
    raise NoKafka("; ".join(whys))


def _why_no_jars() -> str | None:
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if not missing:
        return None
    return f"no {' and no '.join(missing)} here (`apt install default-jdk-headless maven`)"
