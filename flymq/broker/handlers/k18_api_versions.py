"""ApiVersions: v0-4.

Tells which APIs this broker serves, and in which versions.

Versions:
    v3: the client's software name and version (KIP-511); features (KIP-584). v4: supported features whose lowest
    level is 0, too: older clients fail on them (KAFKA-17492).
Behaviour:
    * Computed from the handler table, so that nothing is advertised that is not served.
    * Features are those of `flymq.core.features`; a level of 0 in force is the same as none, and left out.
    * A version that is not known is answered in v0 by `unsupported_version`, without reading the body.
Errors:
    INVALID_REQUEST: the client's name or version is not of `[a-zA-Z0-9.-]`, or starts or ends in `.` or `-`.
    UNSUPPORTED_VERSION: see above; the one row says what to ask with.
Source:
    KIP-511, KIP-584; BrokerFeatures, ApiVersionsRequest.isValid in Apache Kafka 4.
"""

from __future__ import annotations

import re

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import HANDLERS
from flymq.core.features import FEATURES
from flymq_protocol.api.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from flymq_protocol.errors import ErrorCode

_KEY = 18
_SOFTWARE_FROM = 3
_ZERO_MINIMUM_FROM = 4
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?\Z")


def handle(ctx: RequestContext, request: ApiVersionsRequest, services: Services) -> ApiVersionsResponse:
    if ctx.api_version >= _SOFTWARE_FROM and not (
        _SOFTWARE.match(request.client_software_name) and _SOFTWARE.match(request.client_software_version)
    ):
        return refuse(request, ErrorCode.INVALID_REQUEST)
    lowest_shown = 0 if ctx.api_version >= _ZERO_MINIMUM_FROM else 1
    return ApiVersionsResponse(
        api_keys=[_row(key) for key in sorted(HANDLERS)],
        supported_features=[
            SupportedFeatureKey(one.name, one.low, one.high) for one in FEATURES.values() if one.low >= lowest_shown
        ],
        finalized_features_epoch=services.features.epoch,
        finalized_features=[
            FinalizedFeatureKey(name, level, level) for name, level in services.features.levels.items() if level
        ],
    )


def unsupported_version() -> ApiVersionsResponse:
    """The answer to a version that is not served; to be encoded as v0 (KIP-511)."""
    return ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=[_row(_KEY)])


def _row(key: int) -> ApiVersion:
    served = HANDLERS[key]
    return ApiVersion(key, served.advertise_min, served.max_version)


def refuse(request: ApiVersionsRequest, code: ErrorCode) -> ApiVersionsResponse:
    """The error, without any row."""
    return ApiVersionsResponse(error_code=code)
