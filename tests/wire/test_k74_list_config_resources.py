"""ListConfigResources on the wire."""

from __future__ import annotations

from flymq_protocol.api.k74_list_config_resources import ListConfigResourcesRequest
from flymq_protocol.errors import ErrorCode

from .altering import BROKER, DELETE, GROUP, LOGGER, METRICS, SET, TOPIC, alter
from .client import Client
from .kit import a_name, a_topic, until


def listed(client: Client, *types: int, version: int = 1) -> set[tuple[int, str]]:
    answer = client.call(ListConfigResourcesRequest(list(types)), version)
    assert answer.error_code == 0
    return {(one.resource_type, one.resource_name) for one in answer.config_resources}


def happy(client: Client, version: int) -> None:
    subscription, group, topic = a_name("metrics"), a_name("group"), a_topic(client).name
    assert alter(client, METRICS, subscription, ("interval.ms", SET, "1000")) == 0
    assert alter(client, GROUP, group, ("consumer.session.timeout.ms", SET, "50000")) == 0
    ours = {(METRICS, subscription), (GROUP, group), (TOPIC, topic), (BROKER, "1"), (LOGGER, "1")}
    if version == 0:
        until(lambda: listed(client, version=0) & ours, {(METRICS, subscription)})
        assert {kind for kind, _ in listed(client, version=0)} == {METRICS}
    else:
        until(lambda: listed(client) & ours, ours)
        for kind, name in ours:
            assert (kind, name) in listed(client, kind)
            assert {one for one, _ in listed(client, kind)} == {kind}
        assert listed(client, GROUP, METRICS) == listed(client, GROUP) | listed(client, METRICS)
    assert alter(client, METRICS, subscription, ("interval.ms", DELETE, None)) == 0
    assert alter(client, GROUP, group, ("consumer.session.timeout.ms", DELETE, None)) == 0
    until(lambda: listed(client, version=version) & {(METRICS, subscription), (GROUP, group)}, set())


def test_an_unknown_type(client: Client) -> None:
    for types in ([99], [TOPIC, 1]):
        answer = client.call(ListConfigResourcesRequest(types), 1)
        assert (answer.error_code, answer.config_resources) == (ErrorCode.UNSUPPORTED_VERSION, [])
