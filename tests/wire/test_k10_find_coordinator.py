"""FindCoordinator on the wire."""

from __future__ import annotations

import pytest

from flymq_protocol.api.k10_find_coordinator import FindCoordinatorRequest
from flymq_protocol.errors import ErrorCode

from .client import Client

GROUP, TRANSACTION, SHARE = 0, 1, 2


def happy(client: Client, version: int) -> None:
    address = client.socket.getpeername()
    for key_type in (GROUP, TRANSACTION) if version else (GROUP,):
        if version < 4:
            found = client.call(FindCoordinatorRequest("one", key_type), version)
            assert (found.error_code, (found.host, found.port)) == (ErrorCode.NONE, address)
            continue
        names = ["one", "another", "", "ä"]
        response = client.call(FindCoordinatorRequest(key_type=key_type, coordinator_keys=names), version)
        assert [one.key for one in response.coordinators] == names
        assert {(one.error_code, one.host, one.port) for one in response.coordinators} == {(ErrorCode.NONE, *address)}


@pytest.mark.parametrize("version", [1, 4, 6])
@pytest.mark.parametrize(
    ("key_type", "code"),
    [
        (SHARE, ErrorCode.INVALID_REQUEST),
        (3, ErrorCode.INVALID_REQUEST),
        (-1, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_not_there(client: Client, version: int, key_type: int, code: ErrorCode) -> None:
    if version < 4:
        found = client.call(FindCoordinatorRequest("x", key_type), version)
    else:
        (found,) = client.call(FindCoordinatorRequest(key_type=key_type, coordinator_keys=["x"]), version).coordinators
    assert (found.error_code, found.node_id, found.port) == (code, -1, -1)
