"""ApiVersions: which APIs and features a broker speaks. Always answered with response header v0.

Versions:
    v3: flexible, client software (KIP-511), features (KIP-584). v4: features whose minimum is 0.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int16, Int32, Int64, String


@message(key=18, versions="0-4", flexible="3+")
class ApiVersionsRequest(Message):
    client_software_name: str = field(String, versions="3+", ignorable=True)
    client_software_version: str = field(String, versions="3+", ignorable=True)


@struct
class ApiVersion(Struct):
    """An API key and the versions spoken."""

    api_key: int = field(Int16)
    min_version: int = field(Int16)
    max_version: int = field(Int16)


@struct
class SupportedFeatureKey(Struct):
    """A feature and the levels the broker could run."""

    name: str = field(String, versions="3+")
    min_version: int = field(Int16, versions="3+")
    max_version: int = field(Int16, versions="3+")


@struct
class FinalizedFeatureKey(Struct):
    """A feature and the level in force."""

    name: str = field(String, versions="3+")
    max_version_level: int = field(Int16, versions="3+")
    min_version_level: int = field(Int16, versions="3+")


@message(key=18, versions="0-4", flexible="3+")
class ApiVersionsResponse(Message):
    error_code: int = field(Int16)
    api_keys: list[ApiVersion] = field(Array(ApiVersion))
    throttle_time_ms: int = field(Int32, versions="1+", ignorable=True)
    supported_features: list[SupportedFeatureKey] = field(
        Array(SupportedFeatureKey), versions="3+", tag=0, ignorable=True
    )
    finalized_features_epoch: int = field(Int64, versions="3+", default=-1, tag=1, ignorable=True)
    finalized_features: list[FinalizedFeatureKey] = field(
        Array(FinalizedFeatureKey), versions="3+", tag=2, ignorable=True
    )
    zk_migration_ready: bool = field(Bool, versions="3+", tag=3, ignorable=True)
