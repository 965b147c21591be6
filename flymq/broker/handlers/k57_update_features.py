"""UpdateFeatures: v0-2.

Changes which level of a feature is in force: all that are named, or none.

Versions:
    v1: validate_only; upgrade types (KIP-778). v0: allow_downgrade, which means nothing any more: each change must be
    an upgrade. v2: no results by feature: all in one.
Behaviour:
    * Answers once the levels are durable and in force; ApiVersions shows them, with an epoch that has risen.
    * The level that is in force already is fine.
    * validate_only: same checks and answer, nothing kept.
Errors:
    INVALID_UPDATE_VERSION: a feature or level that is not supported; a downgrade that isn't said to be one, or the
        other way round; an unknown upgrade type.
    KAFKA_STORAGE_ERROR: the store failed, nothing is changed. REQUEST_TIMED_OUT: the broker is stopping.
Source:
    KIP-584, KIP-778; FeatureControlManager in Apache Kafka 4.
"""

from __future__ import annotations

from flymq.broker.context import RequestContext, Services
from flymq.core.features import why_refused
from flymq.runtime.waiting import Ended, Pending
from flymq.storage.api import StorageError
from flymq_protocol.api.k57_update_features import (
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from flymq_protocol.errors import ErrorCode


def handle(
    ctx: RequestContext, request: UpdateFeaturesRequest, services: Services
) -> UpdateFeaturesResponse | Pending:
    current = services.features.levels
    levels = dict(current)
    for update in request.feature_updates:
        level = current.get(update.feature, 0)
        reason = why_refused(update.feature, update.max_version_level, level, update.upgrade_type)
        if reason is not None:
            message = f"The update failed for all features since the following feature had an error: {reason}"
            return UpdateFeaturesResponse(error_code=ErrorCode.INVALID_UPDATE_VERSION, error_message=message)
        levels[update.feature] = update.max_version_level
    if request.validate_only or levels == current:
        return _done(request)

    def finish(result: StorageError | Ended | None) -> UpdateFeaturesResponse:
        if isinstance(result, Ended):
            return refuse(request, ErrorCode.REQUEST_TIMED_OUT)
        if isinstance(result, StorageError):
            return refuse(request, ErrorCode.KAFKA_STORAGE_ERROR)
        return _done(request)

    return Pending(services.features.change(levels), finish)


def _done(request: UpdateFeaturesRequest) -> UpdateFeaturesResponse:
    return UpdateFeaturesResponse(
        error_message=None,
        results=[UpdatableFeatureResult(update.feature, 0, None) for update in request.feature_updates],
    )


def refuse(request: UpdateFeaturesRequest, code: ErrorCode) -> UpdateFeaturesResponse:
    """The error, for all of it."""
    return UpdateFeaturesResponse(error_code=code, error_message=None)
