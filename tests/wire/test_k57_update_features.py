"""UpdateFeatures on the wire, and what ApiVersions says afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flymq.core.features import FEATURES
from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.api.k57_update_features import FeatureUpdateKey, UpdateFeaturesRequest
from flymq_protocol.errors import ErrorCode

from .client import Client
from .kit import until

NAME = "transaction.version"
HIGH = FEATURES[NAME].high
UPGRADE, SAFE, UNSAFE = 1, 2, 3
OK = ErrorCode.NONE
INVALID = ErrorCode.INVALID_UPDATE_VERSION


def update(
    client: Client, *features: tuple[str, int, int], version: int = 2, validate_only: bool = False
) -> ErrorCode:
    """(feature, level, upgrade type) each."""
    asked = [
        FeatureUpdateKey(name, level, upgrade_type=kind) if version else FeatureUpdateKey(name, level, kind != UPGRADE)
        for name, level, kind in features
    ]
    answer = client.call(UpdateFeaturesRequest(1000, asked, validate_only), version)
    assert (answer.error_message is None) == (answer.error_code == OK)
    if version < 2 and answer.error_code == OK:
        assert [(one.feature, one.error_code) for one in answer.results] == [(name, OK) for name, *_ in features]
    return ErrorCode(answer.error_code)


def in_force(client: Client) -> tuple[int, dict[str, int]]:
    """(epoch, level by feature)."""
    answer = client.call(ApiVersionsRequest("a", "1"), 4)
    return answer.finalized_features_epoch, {one.name: one.max_version_level for one in answer.finalized_features}


@pytest.fixture(autouse=True)
def as_before(client: Client) -> Iterator[None]:
    yield
    assert update(client, (NAME, HIGH, UPGRADE)) == OK
    until(lambda: in_force(client)[1].get(NAME), HIGH)


def happy(client: Client, version: int) -> None:
    epoch, levels = in_force(client)
    assert update(client, *((name, level, UPGRADE) for name, level in levels.items()), version=version) == OK
    same, unchanged = in_force(client)
    assert (same >= epoch, unchanged) == (True, levels)  # Kafka counts all changes of metadata
    assert update(client, (NAME, 1, SAFE), version=version) == (OK if version else INVALID)  # v0 can't lower
    assert update(client, (NAME, 1, SAFE)) == OK
    until(lambda: in_force(client)[1], {**levels, NAME: 1})
    lowered = in_force(client)[0]
    assert lowered > epoch
    assert update(client, (NAME, HIGH, UPGRADE), version=version) == OK
    until(lambda: in_force(client)[1], levels)
    assert in_force(client)[0] > lowered


def test_a_level_of_zero_is_not_shown(client: Client) -> None:
    _, levels = in_force(client)
    assert update(client, (NAME, 0, UNSAFE)) == OK
    until(lambda: in_force(client)[1], {name: level for name, level in levels.items() if name != NAME})


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize(
    ("name", "level", "kind"),
    [(NAME, HIGH + 1, UPGRADE), (NAME, -1, SAFE), (NAME, HIGH - 1, UPGRADE), ("no.such", 1, UPGRADE), ("", 1, UPGRADE)],
)
def test_refusals(client: Client, name: str, level: int, kind: int, version: int) -> None:
    before = in_force(client)[1]
    assert update(client, (name, level, kind), version=version) == INVALID
    assert update(client, (NAME, 1, SAFE), (name, level, kind), version=version) == INVALID
    assert in_force(client)[1] == before


def test_kinds(client: Client) -> None:
    assert update(client, (NAME, 1, 0)) == update(client, (NAME, 1, 4)) == INVALID
    assert update(client, (NAME, 1, SAFE)) == OK
    assert update(client, (NAME, 1, SAFE)) == OK
    assert update(client, (NAME, 2, SAFE)) == INVALID


def test_validate_only(client: Client) -> None:
    before = in_force(client)[1]
    assert update(client, (NAME, 1, SAFE), validate_only=True) == OK
    assert update(client, (NAME, 1, UPGRADE), validate_only=True) == INVALID
    assert in_force(client)[1] == before
