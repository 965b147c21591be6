"""DescribeConfigs on the wire."""

from __future__ import annotations

from typing import Any

from flymq_protocol.api.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import a_topic

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
OK = ErrorCode.NONE


def ask(client: Client, kind: int, name: str, keys: list[str] | None = None, version: int = 4, **flags: bool) -> Any:
    request = DescribeConfigsRequest([DescribeConfigsResource(kind, name, keys)], **flags)
    (result,) = client.call(request, version).results
    assert (result.resource_type, result.resource_name) == (kind, name)
    return result


def happy(client: Client, version: int) -> None:
    topic = a_topic(client, retention_ms=1000)
    for kind, name in ((TOPIC, topic.name), (BROKER, "1")):
        flags = {"include_documentation": True} if version >= 3 else {}
        found = ask(client, kind, name, None, version, include_synonyms=True, **flags)
        assert found.error_code == OK
        assert len(found.configs) > 20
        for row in found.configs:
            assert row.config_source in (1, 3, 4, 5)  # kafka-python crashes on others
            assert row.name
            if version >= 3:
                assert 1 <= row.config_type <= 9
                assert row.documentation
    (row,) = ask(client, TOPIC, topic.name, ["retention.ms"], version).configs
    assert (row.name, row.value, row.config_source, row.synonyms) == ("retention.ms", "1000", 1, [])


def test_keys(client: Client) -> None:
    topic = a_topic(client)
    names = ["retention.ms", "no.such", "cleanup.policy"]
    assert {row.name for row in ask(client, TOPIC, topic.name, names).configs} == {"retention.ms", "cleanup.policy"}
    everything = ask(client, TOPIC, topic.name).configs
    assert ask(client, TOPIC, topic.name, []).configs == everything


def test_refusals(client: Client) -> None:
    for kind, name, code in (
        (TOPIC, "none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        (BROKER, "7", ErrorCode.INVALID_REQUEST),
        (BROKER, "x", ErrorCode.INVALID_REQUEST),
        (LOGGER, "7", ErrorCode.INVALID_REQUEST),
        (LOGGER, "", ErrorCode.INVALID_REQUEST),
        (METRICS, "", ErrorCode.INVALID_REQUEST),
        (GROUP, "", ErrorCode.INVALID_REQUEST),
        (99, "x", ErrorCode.INVALID_REQUEST),
    ):
        refused = ask(client, kind, name)
        assert (refused.error_code, refused.configs) == (code, [])
