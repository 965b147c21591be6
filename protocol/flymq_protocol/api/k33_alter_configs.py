"""AlterConfigs: replace the settings of topics and brokers.

Versions:
    v2: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Nullable, String


@struct
class AlterableConfig(Struct):
    """A setting and its value; null is refused."""

    name: str = field(String)
    value: str | None = field(Nullable(String))


@struct
class AlterConfigsResource(Struct):
    """A topic or broker, and all settings that it is to have."""

    resource_type: int = field(Int8)
    resource_name: str = field(String)
    configs: list[AlterableConfig] = field(Array(AlterableConfig))


@message(key=33, versions="0-2", flexible="2+")
class AlterConfigsRequest(Message):
    resources: list[AlterConfigsResource] = field(Array(AlterConfigsResource))
    validate_only: bool = field(Bool)


@struct
class AlterConfigsResourceResponse(Struct):
    """Whether one resource was changed."""

    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))
    resource_type: int = field(Int8)
    resource_name: str = field(String)


@message(key=33, versions="0-2", flexible="2+")
class AlterConfigsResponse(Message):
    throttle_time_ms: int = field(Int32)
    responses: list[AlterConfigsResourceResponse] = field(Array(AlterConfigsResourceResponse))
