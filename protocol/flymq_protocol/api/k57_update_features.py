"""UpdateFeatures: change finalized feature levels (KIP-584).

Versions:
    v1: validate_only, upgrade types (KIP-778). v2: no results by feature.
"""

from ..message import Message, Struct, field, message, struct
from ..types import Array, Bool, Int8, Int16, Int32, Nullable, String


@struct
class FeatureUpdateKey(Struct):
    """A feature and its new level. Upgrade types: 1 upgrade, 2 safe downgrade, 3 unsafe downgrade."""

    feature: str = field(String)
    max_version_level: int = field(Int16)
    allow_downgrade: bool = field(Bool, versions="0")
    upgrade_type: int = field(Int8, versions="1+", default=1)


@message(key=57, versions="0-2", flexible="0+")
class UpdateFeaturesRequest(Message):
    timeout_ms: int = field(Int32, default=60000)
    feature_updates: list[FeatureUpdateKey] = field(Array(FeatureUpdateKey))
    validate_only: bool = field(Bool, versions="1+")


@struct
class UpdatableFeatureResult(Struct):
    """Whether one feature was changed."""

    feature: str = field(String)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))


@message(key=57, versions="0-2", flexible="0+")
class UpdateFeaturesResponse(Message):
    throttle_time_ms: int = field(Int32)
    error_code: int = field(Int16)
    error_message: str | None = field(Nullable(String))
    results: list[UpdatableFeatureResult] = field(Array(UpdatableFeatureResult), versions="0-1", ignorable=True)
