"""The list of gaps is the whole truth: what Kafka has is advertised, or listed with a reason; never both."""

from __future__ import annotations

import socket
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest

from flymq import EmbeddedBroker
from flymq.core.settings import BROKER_SETTINGS, TOPIC_SETTINGS, is_unused
from flymq_protocol.api.k18_api_versions import ApiVersionsResponse

_HERE = Path(__file__).parent
GAPS: list[dict[str, Any]] = tomllib.loads((_HERE / "known_gaps.toml").read_text())["gap"]
LISTED = {key: name for gap in GAPS for key, name in zip(gap["keys"], gap.get("apis", []), strict=True)}


def kafka_apis() -> dict[int, tuple[str, int, int]]:
    """Key -> name, lowest and highest version."""
    lines = (_HERE / "kafka_apis.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {int(key): (name, int(low), int(high)) for key, name, low, high in rows}


KAFKA = kafka_apis()


@pytest.fixture(scope="module")
def advertised() -> dict[int, tuple[int, int]]:
    """Key -> lowest and highest version, as a client is told."""
    with EmbeddedBroker() as broker, socket.create_connection((broker.host, broker.port)) as client:
        client.sendall(struct.pack(">ihhih", 10, 18, 0, 7, -1))
        stream = client.makefile("rb")
        (size,) = struct.unpack(">i", stream.read(4))
        response = ApiVersionsResponse.decode(0, stream.read(size)[4:])
        stream.close()
    return {row.api_key: (row.min_version, row.max_version) for row in response.api_keys}


def test_kafkas_table_is_there() -> None:
    assert len(KAFKA) == 77


@pytest.mark.parametrize("key", sorted(KAFKA))
def test_each_of_kafkas_apis_is_advertised_or_listed_and_not_both(
    key: int, advertised: dict[int, tuple[int, int]]
) -> None:
    assert (key in advertised) != (key in LISTED), f"{KAFKA[key][0]}: advertised {key in advertised}"


def test_nothing_is_advertised_that_kafka_does_not_have(advertised: dict[int, tuple[int, int]]) -> None:
    for key, (low, high) in advertised.items():
        _, kafka_low, kafka_high = KAFKA[key]
        assert kafka_low <= low <= high <= kafka_high, f"{KAFKA[key][0]}: {low}-{high}"


def test_no_version_of_an_advertised_api_is_missing(advertised: dict[int, tuple[int, int]]) -> None:
    missing = {
        KAFKA[key][0]: (versions, KAFKA[key][1:]) for key, versions in advertised.items() if versions != KAFKA[key][1:]
    }
    assert not missing


def test_keys_are_listed_once_under_kafkas_names() -> None:
    assert sum(len(gap["keys"]) for gap in GAPS) == len(LISTED)
    assert {key: KAFKA[key][0] for key in LISTED} == LISTED


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap["name"])
def test_each_gap_says_what_and_why(gap: dict[str, Any]) -> None:
    assert set(gap) <= {"name", "kip", "keys", "apis", "setting", "reason", "test"}
    assert gap["name"]
    assert gap["reason"].endswith(".")
    assert all(isinstance(kip, int) for kip in gap["kip"])
    assert gap["keys"] or gap["setting"], "a gap without an API names the setting that is not acted on"
    path, _, test = gap["test"].partition("::")
    assert f"def {test}(" in (_HERE.parent / path).read_text(), "no such test"
    if "setting" in gap:
        name = gap["setting"]
        assert name in BROKER_SETTINGS or name in TOPIC_SETTINGS or is_unused(name)
