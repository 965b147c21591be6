"""IncrementalAlterConfigs: change single settings of topics, brokers and groups (KIP-339).

Versions:
    v1: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Nullable, String


@struct
class AlterableConfig(Struct):
    """A setting and what to do: 0 set, 1 delete, 2 append, 3 subtract."""

    name: str = field(String)
    config_operation: int = field(Int8)
    value: str | None = field(Nullable(String))


@struct
class AlterConfigsResource(Struct):
    """A resource, and changes of its settings."""

    resource_type: int = field(Int8)
    resource_name: str = field(String)
    configs: list[AlterableConfig] = field(Array(AlterableConfig))


@message(key=44, versions="0-1", flexible="1+")
class IncrementalAlterConfigsRequest(Message):
    resources: list[AlterConfigsResource] = field(Array(AlterConfigsResource))
    validate_only: bool = field(Bool)


@struct
class AlterConfigsResourceResponse(Struct):
    """Whether one resource was changed."""

    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))
    resource_type: int = field(Int8)
    resource_name: str = field(String)


@message(key=44, versions="0-1", flexible="1+")
class IncrementalAlterConfigsResponse(Message):
    throttle_time_ms: int = field(Int32)
    responses: list[AlterConfigsResourceResponse] = field(Array(AlterConfigsResourceResponse))
