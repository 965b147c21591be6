"""A handler that fails, at once or after a wait: the client gets its API's own error, the connection lives."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flymq import EmbeddedBroker
from flymq.broker.handlers import HANDLERS, HandlerRow
from flymq.env import Token, completed
from flymq.runtime.waiting import Pending
from flymq_protocol.errors import ErrorCode
from flymq_protocol.message import Struct
from flymq_protocol.registry import API

from .client import Client
from .requests import asking


def codes(answer: Struct) -> list[int]:
    """Every error code in it."""
    found = []
    for spec in answer.FIELDS:
        value = getattr(answer, spec.name)
        if spec.name in ("error_code", "partition_error_code"):
            found.append(value)
        elif isinstance(value, list):
            found.extend(code for item in value if isinstance(item, Struct) for code in codes(item))
    return found


def raise_at_once(*_: object) -> Any:
    raise RuntimeError("planted")


def fail_when_done(*_: object) -> Pending:
    return Pending(completed(), raise_at_once)


def fail_later(ctx: Any, request: Any, services: Any) -> Pending:
    token = Token()
    services.env.call_in(1, token.complete)
    return Pending(token, raise_at_once)


def answer_nonsense(*_: object) -> object:
    return object()


@pytest.fixture(scope="module")
def plant() -> Iterator[Callable[[Any], Client]]:
    """A client of a broker of which each handler is the one given."""
    patch = pytest.MonkeyPatch()
    clients = []
    chosen: list[Any] = [raise_at_once]
    loaded: Any = HandlerRow.loaded

    def plant_one(row: HandlerRow) -> Any:
        handle, *classes = loaded(row)
        planted = functools.wraps(handle)(lambda *request: chosen[0](*request))
        return planted, *classes

    patch.setattr(HandlerRow, "loaded", plant_one)
    with EmbeddedBroker() as broker:
        clients.append(Client(broker.port))

        def choose(handle: Any) -> Client:
            chosen[0] = handle
            return clients[0]

        yield choose
        clients[0].close()
    patch.undo()


PAIRS = [(row.key, version) for row in HANDLERS.values() for version in range(row.min_version, row.max_version + 1)]


@pytest.mark.parametrize(("key", "version"), PAIRS, ids=[f"{API[key].module}-v{version}" for key, version in PAIRS])
def test_the_apis_own_error(
    plant: Callable[[Any], Client], caplog: pytest.LogCaptureFixture, key: int, version: int
) -> None:
    """All on one connection: each answer shows that it has survived the failure before."""
    for handle in (raise_at_once, fail_when_done, fail_later, answer_nonsense):
        answer = plant(handle).call(asking(key, version), version)
        found = codes(answer)
        if version >= {1: 7, 3: 1, 9: 2}.get(key, 0):  # what has no place for it before
            assert ErrorCode.UNKNOWN_SERVER_ERROR in found
        assert set(found) <= {ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.NONE}
        assert len(answer.encode(version)) < 200  # and nothing that looks like success
    failed = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.name for record in failed] == ["flymq.dispatch"] * 4
    assert all(record.exc_info for record in failed)
