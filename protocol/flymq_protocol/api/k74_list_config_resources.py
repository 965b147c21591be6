"""ListConfigResources: resources that have settings of their own.

Versions:
    v0: client metrics only (KIP-714). v1: any type (KIP-1142).
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Int8, Int16, Int32, String


@message(key=74, versions="0-1", flexible="0+")
class ListConfigResourcesRequest(Message):
    resource_types: list[int] = field(Array(Int8), versions="1+")


@struct
class ConfigResource(Struct):
    """A resource that has settings of its own."""

    resource_name: str = field(String)
    resource_type: int = field(Int8, versions="1+", default=16, ignorable=True)


@message(key=74, versions="0-1", flexible="0+")
class ListConfigResourcesResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16)
    config_resources: list[ConfigResource] = field(Array(ConfigResource))
