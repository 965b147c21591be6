"""What tests of the settings' APIs ask again and again."""

from __future__ import annotations

from typing import Any

from flymq.core.settings import Operation
from flymq_protocol.api.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from flymq_protocol.api.k33_alter_configs import AlterableConfig as Replacing
from flymq_protocol.api.k33_alter_configs import AlterConfigsRequest
from flymq_protocol.api.k33_alter_configs import AlterConfigsResource as ReplacedResource
from flymq_protocol.api.k44_incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

from .client import Client

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = Operation

Changes = list[tuple[str, int, str | None]]


def alter_all(
    client: Client, *resources: tuple[int, str, Changes], version: int = 1, validate_only: bool = False
) -> list[Any]:
    """The answers of IncrementalAlterConfigs, in the order of `resources`."""
    asked = [
        AlterConfigsResource(kind, name, [AlterableConfig(*change) for change in changes])
        for kind, name, changes in resources
    ]
    responses: list[Any] = client.call(IncrementalAlterConfigsRequest(asked, validate_only), version).responses
    assert [(one.resource_type, one.resource_name) for one in responses] == [
        (kind, name) for kind, name, _ in resources
    ]
    return responses


def alter(client: Client, kind: int, name: str, *changes: tuple[str, int, str | None], **flags: Any) -> int:
    """The error code of one resource."""
    (answer,) = alter_all(client, (kind, name, list(changes)), **flags)
    assert (answer.error_message is None) == (answer.error_code == 0)
    code: int = answer.error_code
    return code


def replace(
    client: Client, kind: int, name: str, own: dict[str, str | None], *, version: int = 2, validate_only: bool = False
) -> int:
    """The error code of AlterConfigs."""
    configs = [Replacing(*item) for item in own.items()]
    request = AlterConfigsRequest([ReplacedResource(kind, name, configs)], validate_only)
    (answer,) = client.call(request, version).responses
    assert (answer.resource_type, answer.resource_name) == (kind, name)
    code: int = answer.error_code
    return code


def described(client: Client, kind: int, name: str, *keys: str) -> dict[str, Any]:
    """The rows of DescribeConfigs, by name, with synonyms."""
    request = DescribeConfigsRequest([DescribeConfigsResource(kind, name, list(keys) or None)], True)
    (result,) = client.call(request, 4).results
    assert result.error_code == 0, result
    return {row.name: row for row in result.configs}


def own(client: Client, topic: str) -> dict[str, str | None]:
    """The topic's own values."""
    return {name: row.value for name, row in described(client, TOPIC, topic).items() if row.config_source == 1}


def value(client: Client, kind: int, name: str, key: str) -> tuple[str | None, int]:
    """(value in force, source)."""
    row = described(client, kind, name, key)[key]
    return row.value, row.config_source
