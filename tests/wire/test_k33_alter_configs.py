"""AlterConfigs on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.errors import ErrorCode

from .altering import BROKER, GROUP, LOGGER, METRICS, SET, TOPIC, alter, own, replace, value
from .client import Client
from .kit import a_name, a_topic, until

OK = ErrorCode.NONE


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, retention_ms=7, cleanup_policy="compact")
    assert replace(client, TOPIC, topic.name, {"segment.ms": "9"}, version=version) == OK
    until(lambda: own(client, topic.name), {"segment.ms": "9"})
    assert replace(client, TOPIC, topic.name, {}, version=version) == OK
    until(lambda: own(client, topic.name), {})


def test_what_is_not_named_reverts(client: Client) -> None:
    try:
        assert alter(client, BROKER, "1", ("log.roll.ms", SET, "5"), ("log.retention.ms", SET, "6")) == OK
        assert replace(client, BROKER, "1", {"log.roll.ms": "7"}) == OK
        until(lambda: value(client, BROKER, "1", "log.roll.ms"), ("7", 2))
        assert value(client, BROKER, "1", "log.retention.ms") == (None, 5)
    finally:
        assert replace(client, BROKER, "1", {}) == OK


@pytest.mark.parametrize(
    ("kind", "key", "text"), [(GROUP, "consumer.session.timeout.ms", "50000"), (METRICS, "interval.ms", "1000")]
)
def test_what_groups_and_subscriptions_have_reverts(client: Client, kind: int, key: str, text: str) -> None:
    name = a_name()
    assert replace(client, kind, name, {key: text}) == OK
    until(lambda: value(client, kind, name, key)[0], text)
    assert replace(client, kind, name, {}) == OK
    until(lambda: value(client, kind, name, key)[1], 5)


@pytest.mark.parametrize(
    ("kind", "name", "values", "code"),
    [
        (TOPIC, None, {"no.such": "1"}, ErrorCode.INVALID_CONFIG),
        (TOPIC, None, {"retention.ms": None}, ErrorCode.INVALID_REQUEST),
        (TOPIC, "none", {"retention.ms": "1"}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "none", {"no.such": "1"}, ErrorCode.INVALID_CONFIG),
        (TOPIC, "bad name", {"no.such": "1"}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        (BROKER, "1", {"num.partitions": "1"}, ErrorCode.INVALID_REQUEST),
        (BROKER, "2", {}, ErrorCode.INVALID_REQUEST),
        (LOGGER, "1", {"root": "INFO"}, ErrorCode.INVALID_REQUEST),
        (99, "x", {}, ErrorCode.INVALID_REQUEST),
    ],
)
def test_refusals(
    client: Client, kind: int, name: str | None, values: dict[str, str | None], code: ErrorCode
) -> None:
    name = a_topic(client).name if name is None else name
    assert replace(client, kind, name, values) == code


def test_validate_only(client: Client) -> None:
    topic = a_topic(client, retention_ms=7).name
    assert replace(client, TOPIC, topic, {}, validate_only=True) == OK
    assert value(client, TOPIC, topic, "retention.ms") == ("7", 1)
