"""Every API that is advertised is really served, in every version: asked over a socket, answered, decoded.

Each handler row needs a module here, named like the handler, with `happy(client, version)`: a call in that
version that must succeed.
"""

from __future__ import annotations

from importlib import import_module

import pytest

from flymq.broker.handlers import HANDLERS
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.registry import API

from .client import Client
from .marks import deviates

PAIRS = [(row.key, version) for row in HANDLERS.values() for version in range(row.min_version, row.max_version + 1)]


@pytest.mark.parametrize(("key", "version"), PAIRS, ids=[f"{API[key].module}-v{version}" for key, version in PAIRS])
def test_a_call_succeeds(client: Client, key: int, version: int) -> None:
    module = import_module(f"tests.wire.test_{API[key].module}")
    module.happy(client, version)
    assert (key, version) in client.answered, f"happy() of {API[key].name} did not use version {version}"


@deviates("Kafka serves more: known_gaps.toml")
def test_what_is_advertised_is_what_was_called(client: Client) -> None:
    answer = client.call(ApiVersionsRequest("test", "1"), 4)
    advertised = {(row.api_key, v) for row in answer.api_keys for v in range(row.min_version, row.max_version + 1)}
    refused = {(0, 0), (0, 1), (0, 2)}  # advertised for librdkafka, refused as Kafka does: see test_k00_produce
    assert advertised - refused == set(PAIRS)
