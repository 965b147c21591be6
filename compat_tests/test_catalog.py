"""The catalog of clients, and the documentation of the language that their drivers speak, agree."""

from __future__ import annotations

import compat_tests.drivers
from compat_tests.drivers.catalog import CAPABILITIES
from compat_tests.drivers.clients import CLIENTS


def test_every_capability_is_documented() -> None:
    documented = compat_tests.drivers.__doc__ or ""
    assert {capability for capability in CAPABILITIES if capability not in documented} == set()


def test_clients_have_names_of_their_own() -> None:
    assert len({client.name for client in CLIENTS}) == len(CLIENTS)


def test_what_a_client_lacks_has_a_reason() -> None:
    assert all(reason for client in CLIENTS for reason in client.lacks.values())


def test_every_capability_is_somebodys() -> None:
    for capability in CAPABILITIES:
        assert any(capability not in client.lacks for client in CLIENTS), capability
