"""DescribeConfigs: settings of topics, brokers and groups.

Versions:
    v1: sources and synonyms (KIP-226). v3: types and documentation (KIP-569). v4: flexible.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Nullable, String


@struct
class DescribeConfigsResource(Struct):
    """A topic, broker or group, and the settings asked for; null for all."""

    resource_type: int = field(Int8)
    resource_name: str = field(String)
    configuration_keys: list[str] | None = field(Nullable(Array(String)))


@message(key=32, versions="1-4", flexible="4+")
class DescribeConfigsRequest(Message):
    resources: list[DescribeConfigsResource] = field(Array(DescribeConfigsResource))
    include_synonyms: bool = field(Bool, versions="1+")
    include_documentation: bool = field(Bool, versions="3+")


@struct
class DescribeConfigsSynonym(Struct):
    """A place that gives the setting a value, strongest first."""

    name: str = field(String, versions="1+")
    value: str | None = field(Nullable(String), versions="1+")
    source: int = field(Int8, versions="1+")


@struct
class DescribeConfigsResourceResult(Struct):
    """A setting, its value and source."""

    name: str = field(String)
    value: str | None = field(Nullable(String))
    read_only: bool = field(Bool)
    config_source: int = field(Int8, versions="1+", default=-1, ignorable=True)
    is_sensitive: bool = field(Bool)
    synonyms: list[DescribeConfigsSynonym] = field(Array(DescribeConfigsSynonym), versions="1+", ignorable=True)
    config_type: int = field(Int8, versions="3+", ignorable=True)
    documentation: str | None = field(Nullable(String), versions="3+", ignorable=True)


@struct
class DescribeConfigsResult(Struct):
    """Settings of one resource."""

    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))
    resource_type: int = field(Int8)
    resource_name: str = field(String)
    configs: list[DescribeConfigsResourceResult] = field(Array(DescribeConfigsResourceResult))


@message(key=32, versions="1-4", flexible="4+")
class DescribeConfigsResponse(Message):
    throttle_time_ms: int = field(Int32)
    results: list[DescribeConfigsResult] = field(Array(DescribeConfigsResult))
