"""Each advertised version of each API was answered, and that decoded, in a scenario that passed: on each broker."""

from __future__ import annotations

from typing import Any

import pytest

from flymq_protocol.api.k18_api_versions import ApiVersionsRequest
from flymq_protocol.registry import API
from tests.wire.client import Client

from .conftest import ADVERTISED

pytestmark = pytest.mark.compat


def test_every_advertised_version_was_answered(
    target: Any, client: Client, covered: dict[str, set[tuple[int, int]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run of this whole folder: it comes last on each broker, and looks at what the others did."""
    missing = ADVERTISED - covered[target.name]
    assert not missing, "never answered: " + ", ".join(
        f"{API[key].name} v{version}" for key, version in sorted(missing)
    )
    served = {
        (row.api_key, version)
        for row in client.call(ApiVersionsRequest(), 0).api_keys
        for version in range(row.min_version, row.max_version + 1)
    }
    assert served >= ADVERTISED
    with capsys.disabled():
        print(  # noqa: T201 - a figure of the run
            f"\n{target.name}: {len({key for key, _ in ADVERTISED})} APIs, {len(ADVERTISED)} pairs of API and version"
        )
