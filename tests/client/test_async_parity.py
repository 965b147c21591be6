"""What is awaited has the names, the parameters and the defaults of what is not."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from flymq import AsyncFlyMQClient, FlyMQClient
from flymq.client.admin.cluster import ClusterAdmin
from flymq.client.admin.groups import GroupAdmin
from flymq.client.admin.topics import TopicAdmin
from flymq.client.admin.transactions import TransactionAdmin
from flymq.client.aio import (
    AsyncClusterAdmin,
    AsyncConsumer,
    AsyncGroupAdmin,
    AsyncProducer,
    AsyncTopicAdmin,
    AsyncTransaction,
    AsyncTransactionAdmin,
)
from flymq.client.consumer import Consumer
from flymq.client.producer import Producer
from flymq.client.transactions import Transaction

PAIRS: list[tuple[type, type]] = [
    (FlyMQClient, AsyncFlyMQClient),
    (Producer, AsyncProducer),
    (Consumer, AsyncConsumer),
    (TopicAdmin, AsyncTopicAdmin),
    (GroupAdmin, AsyncGroupAdmin),
    (ClusterAdmin, AsyncClusterAdmin),
    (TransactionAdmin, AsyncTransactionAdmin),
    (Transaction, AsyncTransaction),
]
# Attributes that the instances have.
NAMESPACES = {"topics", "groups", "cluster", "transactions"}
# For whoever works for a consumer: the loop of the synchronous one, transactions, and kafka-python.
INTERNAL: dict[type, set[str]] = {
    Consumer: {
        "at_hand", "take_in_hand", "unstop", "finish", "lost", "assigned", "revoked", "offsets_to_send", "offsets_sent",
    }
}  # fmt: skip
# Consumer has it as a plain attribute.
ATTRIBUTES = {AsyncConsumer: {"group_id"}}
# Says when it is acknowledged by returning, and not with a future.
AWAITS_INSTEAD = {(Producer, "send")}
# These do not wait for anything.
NOT_AWAITED = {
    FlyMQClient: {"consumer", "producer"},
    Producer: {"transaction"},
    Consumer: {"stop", "assignment", "resumed_from"},
}


USED_WITH = [
    FlyMQClient, AsyncFlyMQClient, Producer, AsyncProducer, Consumer, AsyncConsumer, Transaction, AsyncTransaction,
]  # fmt: skip


def methods(kind: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(kind, name)
        for name in dir(kind)
        if not name.startswith("_") and name not in INTERNAL.get(kind, set()) | ATTRIBUTES.get(kind, set())
    }


def parameters(method: Any) -> list[tuple[str, Any, Any]]:
    found = [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]
    return [one for one in found if one[0] != "self"]


@pytest.mark.parametrize(("sync", "awaited"), PAIRS, ids=lambda kind: kind.__name__)
def test_they_have_the_same_names(sync: type, awaited: type) -> None:
    assert set(methods(awaited)) == set(methods(sync)) - (NAMESPACES if sync is FlyMQClient else set())


@pytest.mark.parametrize(
    ("sync", "awaited", "name"),
    [(sync, awaited, name) for sync, awaited in PAIRS for name in methods(awaited)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_method_has_the_same_parameters_and_is_awaited(sync: type, awaited: type, name: str) -> None:
    one, other = methods(sync)[name], methods(awaited)[name]
    assert inspect.getdoc(other)
    assert parameters(other) == parameters(one)
    waits = inspect.iscoroutinefunction(other) or inspect.isasyncgenfunction(other)
    assert waits == (name not in NOT_AWAITED.get(sync, ()))
    if inspect.isasyncgenfunction(other):
        assert inspect.isgeneratorfunction(one)
    if (sync, name) not in AWAITS_INSTEAD and name not in ("consumer", "producer", "transaction", "read", "batches"):
        assert inspect.signature(other).return_annotation == inspect.signature(one).return_annotation


def test_a_client_is_made_with_the_same_arguments() -> None:
    assert parameters(AsyncFlyMQClient.__init__) == parameters(FlyMQClient.__init__)


def test_the_namespaces_are_there_and_it_is_shown_as_what_it_is() -> None:
    async def main() -> None:
        async with AsyncFlyMQClient("a:1") as client:
            assert isinstance(client.topics, AsyncTopicAdmin)
            assert isinstance(client.groups, AsyncGroupAdmin)
            assert isinstance(client.cluster, AsyncClusterAdmin)
            assert isinstance(client.transactions, AsyncTransactionAdmin)
            assert repr(client) == "AsyncFlyMQClient('a:1')"

    asyncio.run(main())


@pytest.mark.parametrize("kind", USED_WITH)
def test_each_is_used_with_with(kind: type) -> None:
    assert hasattr(kind, "__aenter__" if kind.__name__.startswith("Async") else "__enter__")


def test_consumers_are_iterated_over() -> None:
    assert hasattr(Consumer, "__next__")
    assert hasattr(AsyncConsumer, "__anext__")
