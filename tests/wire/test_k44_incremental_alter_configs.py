"""IncrementalAlterConfigs on the wire; that the changes act, see `test_settings_at_run_time`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

import pytest

from flymq import EmbeddedBroker
from flymq_protocol.api.k44_incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from flymq_protocol.errors import ErrorCode

from .altering import (
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
    own,
    value,
)
from .client import Client
from .kit import a_name, a_topic, until
from .marks import deviates

OK = ErrorCode.NONE
UNKNOWN_OPERATION = deviates("A resource twice in AlterConfigs; an unknown operation")


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, retention_ms=7)
    changes = [("retention.ms", DELETE, None), ("segment.ms", SET, "9"), ("cleanup.policy", APPEND, "compact")]
    assert alter(client, TOPIC, topic.name, *changes, version=version) == OK
    until(lambda: own(client, topic.name), {"segment.ms": "9", "cleanup.policy": "delete,compact"})
    assert alter(client, TOPIC, topic.name, ("cleanup.policy", SUBTRACT, "delete"), version=version) == OK
    until(lambda: value(client, TOPIC, topic.name, "cleanup.policy"), ("compact", 1))


KAFKAS = {"min.insync.replicas"}  # where there are eligible leader replicas: set for all, and stays


@pytest.fixture
def clean(client: Client) -> Iterator[None]:
    """The shared broker, and what is set for all, as they were."""
    yield
    for name, source in (("1", 2), ("", 3)):
        assert alter(client, BROKER, name, *((key, DELETE, None) for key in changed(client, name, source))) == OK
        until(partial(changed, client, name, source), set())


def changed(client: Client, broker: str, source: int) -> set[str]:
    return {key for key, row in described(client, BROKER, broker).items() if row.config_source == source} - KAFKAS


def test_what_is_set_at_run_time_goes_before_the_file_and_ones_own_before_that_of_all(
    client: Client, clean: None
) -> None:
    topic = a_topic(client)
    name = "log.retention.ms"
    assert alter(client, BROKER, "", (name, SET, "2000"), ("message.max.bytes", SET, "2000000")) == OK
    until(lambda: described(client, BROKER, "").keys() - KAFKAS, {name, "message.max.bytes"})
    until(lambda: value(client, TOPIC, topic.name, "retention.ms"), ("2000", 3))
    assert alter(client, BROKER, "1", (name, SET, "1000")) == OK
    until(lambda: value(client, BROKER, "1", name), ("1000", 2))
    row = described(client, BROKER, "1", name)[name]
    assert not row.read_only
    assert [(one.name, one.value, one.source) for one in row.synonyms] == [
        (name, "1000", 2), (name, "2000", 3), ("log.retention.hours", "168", 5),
    ]  # fmt: skip
    assert alter(client, TOPIC, topic.name, ("retention.ms", SET, "5")) == OK
    until(lambda: value(client, TOPIC, topic.name, "retention.ms"), ("5", 1))
    row = described(client, TOPIC, topic.name, "retention.ms")["retention.ms"]
    assert [(one.name, one.value, one.source) for one in row.synonyms] == [
        ("retention.ms", "5", 1), (name, "1000", 2), (name, "2000", 3), ("log.retention.hours", "168", 5),
    ]  # fmt: skip
    assert value(client, TOPIC, topic.name, "max.message.bytes") == ("2000000", 3)
    assert alter(client, BROKER, "", ("message.max.bytes", DELETE, None)) == OK
    until(lambda: value(client, TOPIC, topic.name, "max.message.bytes"), ("1048588", 5))


@deviates("Spaces around a value")
def test_spaces_around_a_value(client: Client, clean: None) -> None:
    assert alter(client, BROKER, "1", ("log.retention.ms", SET, " 2000 ")) == OK
    until(lambda: value(client, BROKER, "1", "log.retention.ms"), ("2000", 2))
    row = described(client, BROKER, "1", "log.retention.ms")["log.retention.ms"]
    assert row.synonyms[0].value == "2000"


def test_lists(client: Client) -> None:
    topic = a_topic(client).name
    for operation, words, found in (
        (APPEND, "compact,delete,compact", "delete,compact"),
        (SUBTRACT, "delete", "compact"),
        (SUBTRACT, "compact,delete", ""),
        (APPEND, " delete ", "delete"),
    ):
        assert alter(client, TOPIC, topic, ("cleanup.policy", operation, words)) == OK
        until(lambda: value(client, TOPIC, topic, "cleanup.policy"), (found, 1))
    assert alter(client, TOPIC, topic, ("cleanup.policy", APPEND, "shrink")) == ErrorCode.INVALID_CONFIG
    for operation in (APPEND, SUBTRACT):
        assert alter(client, TOPIC, topic, ("retention.ms", operation, "5")) == ErrorCode.INVALID_CONFIG


@deviates("Appending to a list that is no list, of a broker")
@pytest.mark.parametrize("operation", [APPEND, SUBTRACT])
def test_a_setting_of_the_broker_that_is_no_list(client: Client, operation: int) -> None:
    assert alter(client, BROKER, "1", ("message.max.bytes", operation, "5")) == ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("kind", "name", "change", "code"),
    [
        (TOPIC, None, ("no.such", SET, "1"), ErrorCode.INVALID_CONFIG),
        (TOPIC, None, ("no.such", DELETE, None), OK),
        (TOPIC, None, ("retention.ms", SET, "x"), ErrorCode.INVALID_CONFIG),
        (TOPIC, None, ("retention.ms", SET, "-2"), ErrorCode.INVALID_CONFIG),
        (TOPIC, None, ("retention.ms", SET, None), ErrorCode.INVALID_REQUEST),
        pytest.param(TOPIC, None, ("retention.ms", 7, "1"), ErrorCode.INVALID_REQUEST, marks=UNKNOWN_OPERATION),
        pytest.param(TOPIC, None, ("retention.ms", -1, "1"), ErrorCode.INVALID_REQUEST, marks=UNKNOWN_OPERATION),
        (TOPIC, None, ("remote.storage.enable", SET, "true"), ErrorCode.INVALID_CONFIG),
        (TOPIC, "none", ("retention.ms", SET, "1"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a/b", ("retention.ms", SET, "1"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (TOPIC, "", ("retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
        (BROKER, "1", ("num.partitions", SET, "2"), ErrorCode.INVALID_REQUEST),
        (BROKER, "1", ("listeners", SET, "PLAINTEXT://:1"), ErrorCode.INVALID_REQUEST),
        (BROKER, "1", ("message.max.bytes", SET, "-1"), ErrorCode.INVALID_REQUEST),
        (BROKER, "1", ("message.max.bytes", SET, None), ErrorCode.INVALID_REQUEST),
        (BROKER, "2", ("message.max.bytes", SET, "1"), ErrorCode.INVALID_REQUEST),
        (BROKER, "x", ("message.max.bytes", SET, "1"), ErrorCode.INVALID_REQUEST),
        (GROUP, "g", ("no.such", SET, "1"), ErrorCode.INVALID_CONFIG),
        (GROUP, "g", ("consumer.session.timeout.ms", SET, "44999"), ErrorCode.INVALID_CONFIG),
        (GROUP, "g", ("consumer.session.timeout.ms", SET, "60001"), ErrorCode.INVALID_CONFIG),
        (GROUP, "g", ("consumer.heartbeat.interval.ms", SET, "15001"), ErrorCode.INVALID_CONFIG),
        (GROUP, "g", ("consumer.assignment.interval.ms", SET, "-1"), ErrorCode.INVALID_CONFIG),
        (GROUP, "g", ("share.isolation.level", SET, "x"), ErrorCode.INVALID_CONFIG),
        (GROUP, "g", ("share.auto.offset.reset", SET, "by_duration:P"), ErrorCode.INVALID_CONFIG),
        (GROUP, "", ("consumer.session.timeout.ms", SET, "50000"), ErrorCode.INVALID_REQUEST),
        (METRICS, "m", ("no.such", SET, "1"), ErrorCode.INVALID_REQUEST),
        (METRICS, "m", ("interval.ms", SET, "x"), ErrorCode.INVALID_CONFIG),
        (METRICS, "m", ("match", SET, "client_foo=a"), ErrorCode.INVALID_CONFIG),
        (METRICS, "m", ("match", SET, "client_id=["), ErrorCode.INVALID_CONFIG),
        (METRICS, "", ("interval.ms", SET, "1000"), ErrorCode.INVALID_REQUEST),
        (LOGGER, "1", ("root", DELETE, None), ErrorCode.INVALID_REQUEST),
        (LOGGER, "1", ("root", APPEND, "INFO"), ErrorCode.INVALID_REQUEST),
        (LOGGER, "1", ("root", SET, None), ErrorCode.INVALID_REQUEST),
        (LOGGER, "1", ("root", SET, "info"), ErrorCode.INVALID_CONFIG),
        (LOGGER, "1", ("no.such", SET, "INFO"), ErrorCode.INVALID_CONFIG),
        (LOGGER, "2", ("root", SET, "INFO"), ErrorCode.INVALID_REQUEST),
        (LOGGER, "", ("root", SET, "INFO"), ErrorCode.INVALID_REQUEST),
        (99, "x", ("a", SET, "1"), ErrorCode.INVALID_REQUEST),
    ],
)
def test_refusals(
    client: Client, kind: int, name: str | None, change: tuple[str, int, str | None], code: ErrorCode
) -> None:
    name = a_topic(client).name if name is None else name
    assert alter(client, kind, name, change) == code


@pytest.mark.parametrize(
    ("kind", "name", "setting", "code"),
    [
        pytest.param(TOPIC, "__consumer_offsets", "retention.ms", ErrorCode.INVALID_TOPIC_EXCEPTION,
                     marks=deviates("Settings or partitions of an internal topic")),
        pytest.param(BROKER, "1", "no.such", ErrorCode.INVALID_REQUEST,
                     marks=deviates("Unknown broker settings, set at run time")),
        pytest.param(BROKER, "1", "num.io.threads", ErrorCode.INVALID_REQUEST,
                     marks=deviates("Settings without effect")),
    ],
)
def test_what_kafka_would_take(client: Client, kind: int, name: str, setting: str, code: ErrorCode) -> None:
    """Asked only: on Kafka they would stay."""
    assert alter(client, kind, name, (setting, SET, "5"), validate_only=True) == code


def test_settings_that_contradict_each_other(client: Client) -> None:
    topic = a_topic(client).name
    bounds = [("min.compaction.lag.ms", SET, "9"), ("max.compaction.lag.ms", SET, "8")]
    assert alter(client, TOPIC, topic, *bounds) == ErrorCode.INVALID_CONFIG


def test_a_resource_is_changed_whole_or_not_at_all_and_alone(client: Client) -> None:
    one, two = a_topic(client).name, a_topic(client).name
    half: list[tuple[str, int, str | None]] = [("segment.ms", SET, "5"), ("retention.ms", SET, "x")]
    codes = [answer.error_code for answer in alter_all(client, (TOPIC, one, half), (TOPIC, two, half[:1]))]
    assert codes == [ErrorCode.INVALID_CONFIG, OK]
    assert value(client, TOPIC, one, "segment.ms")[1] == 5
    until(lambda: value(client, TOPIC, two, "segment.ms"), ("5", 1))


def test_a_setting_or_resource_twice(client: Client) -> None:
    topic = a_topic(client).name
    change = ("segment.ms", int(SET), "5")
    assert alter(client, TOPIC, topic, change, change) == ErrorCode.INVALID_REQUEST
    answers = alter_all(client, (TOPIC, topic, [change]), (TOPIC, topic, [change]))
    assert [answer.error_code for answer in answers] == [ErrorCode.INVALID_REQUEST] * 2
    assert value(client, TOPIC, topic, "segment.ms")[1] == 5


def test_validate_only(client: Client, clean: None) -> None:
    topic = a_topic(client).name
    for kind, name, key in ((TOPIC, topic, "segment.ms"), (BROKER, "1", "log.roll.ms"), (BROKER, "", "log.roll.ms")):
        assert alter(client, kind, name, (key, SET, "5"), validate_only=True) == OK
        assert alter(client, kind, name, (key, SET, "x"), validate_only=True) != OK
    assert value(client, TOPIC, topic, "segment.ms")[1] == 5
    assert value(client, BROKER, "1", "log.roll.ms")[1] == 5


def test_changes_sent_together_build_on_each_other(client: Client) -> None:
    """In one packet: the second is asked for before the first is durable."""
    topic = a_topic(client).name
    names = ["retention.ms", "segment.ms", "retention.bytes", "flush.ms"]
    requests = [
        IncrementalAlterConfigsRequest([AlterConfigsResource(TOPIC, topic, [AlterableConfig(name, SET, "100")])])
        for name in names
    ]
    answers = client.pipeline(*((request, 1) for request in requests))
    assert [answer.responses[0].error_code for answer in answers] == [OK] * len(names)
    until(lambda: own(client, topic), dict.fromkeys(names, "100"))


def test_groups_and_subscriptions(client: Client) -> None:
    group = a_name("group")
    assert alter(client, GROUP, group, ("consumer.session.timeout.ms", SET, "50000")) == OK
    until(lambda: value(client, GROUP, group, "consumer.session.timeout.ms"), ("50000", 8))
    row = described(client, GROUP, group)["consumer.session.timeout.ms"]
    assert [(one.name, one.value, one.source) for one in row.synonyms] == [
        ("consumer.session.timeout.ms", "50000", 8), ("group.consumer.session.timeout.ms", "45000", 5),
    ]  # fmt: skip
    assert value(client, GROUP, "another", "consumer.session.timeout.ms") == ("45000", 5)
    subscription = a_name("metrics")
    assert alter(client, METRICS, subscription, ("match", SET, "client_id=a.*,client_software_name=b")) == OK
    until(lambda: value(client, METRICS, subscription, "match"), ("client_id=a.*,client_software_name=b", 7))
    assert value(client, METRICS, subscription, "interval.ms") == ("300000", 5)


def test_levels_of_loggers(client: Client, broker: EmbeddedBroker) -> None:
    logger = logging.getLogger("flymq.connection")
    before = logging.getLogger("flymq").level
    try:
        assert value(client, LOGGER, "1", "flymq.connection")[1] == 6
        assert alter(client, LOGGER, "1", ("flymq.connection", SET, "DEBUG")) == OK
        assert (logger.level, value(client, LOGGER, "1", "flymq.connection")) == (logging.DEBUG, ("DEBUG", 6))
        assert alter(client, LOGGER, "1", ("root", SET, "ERROR"), ("flymq.connection", DELETE, None)) == OK
        assert value(client, LOGGER, "1", "flymq.connection") == ("ERROR", 6)
        assert logging.getLogger().level != logging.ERROR  # of the program around the broker
        for level in ("TRACE", "FATAL"):
            assert alter(client, LOGGER, "1", ("flymq.connection", SET, level)) == OK
            assert value(client, LOGGER, "1", "flymq.connection") == (level, 6)
        assert alter(client, LOGGER, "1", ("root", SET, "INFO"), validate_only=True) == OK
        assert value(client, LOGGER, "1", "root") == ("ERROR", 6)
    finally:
        logger.setLevel(logging.NOTSET)
        logging.getLogger("flymq").setLevel(before)


def test_what_is_not_named_stays(client: Client) -> None:
    group = a_name("group")
    assert alter(client, GROUP, group, ("consumer.session.timeout.ms", SET, "50000")) == OK
    until(lambda: value(client, GROUP, group, "consumer.session.timeout.ms"), ("50000", 8))
    assert alter(client, GROUP, group, ("consumer.heartbeat.interval.ms", SET, "6000")) == OK
    until(lambda: value(client, GROUP, group, "consumer.heartbeat.interval.ms"), ("6000", 8))
    assert value(client, GROUP, group, "consumer.session.timeout.ms") == ("50000", 8)
