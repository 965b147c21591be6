"""ApiVersions: v0-4.

Tells which APIs this broker serves, and in which versions.

Versions:
    v3: the client's software name and version (KIP-511); features (KIP-584). v4: supported features that
    begin at 0.
Behaviour:
    * Computed from the handler table, so that nothing is advertised that is not served.
    * The feature transaction.version is finalized at 2: the Java client then lets the broker add partitions, and
      the epoch rise with every transaction (KIP-890). Not group.version: what it stands for is not there yet.
      The epoch is 0, which is a known one.
    * Below v4 a feature is not told as supported whose minimum is 0: clients would choke (KAFKA-17492).
    * A version that is not known is answered in v0 by `unsupported_version`, without reading the body.
Errors:
    INVALID_REQUEST: the client's name or version is not of `[a-zA-Z0-9.-]`, or starts or ends in `.` or `-`.
    UNSUPPORTED_VERSION: see above; the one row says what to ask with.
Source:
    KIP-511, KIP-584; ApiVersionsRequest.isValid in Apache Kafka 4.
"""

from __future__ import annotations

import re

from flymq.broker.context import RequestContext, Services
from flymq.broker.handlers import HANDLERS
from flymq_protocol.api.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from flymq_protocol.errors import ErrorCode

_KEY = 18
_FEATURES = [("transaction.version", 0, 2, 2)]  # name, lowest and highest level, the one in force
_ZERO_FEATURES_FROM = 4
_SOFTWARE_FROM = 3
_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?\Z")


def handle(ctx: RequestContext, request: ApiVersionsRequest, services: Services) -> ApiVersionsResponse:
    if ctx.api_version >= _SOFTWARE_FROM and not (
        _SOFTWARE.match(request.client_software_name) and _SOFTWARE.match(request.client_software_version)
    ):
        return refuse(request, ErrorCode.INVALID_REQUEST)
    return ApiVersionsResponse(
        api_keys=[_row(key) for key in sorted(HANDLERS)],
        supported_features=[
            SupportedFeatureKey(name, low, high)
            for name, low, high, _ in _FEATURES
            if low > 0 or ctx.api_version >= _ZERO_FEATURES_FROM
        ],
        finalized_features_epoch=0,
        finalized_features=[FinalizedFeatureKey(name, level, level) for name, _, _, level in _FEATURES],
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
