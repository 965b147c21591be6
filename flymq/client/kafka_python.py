"""kafka-python: importing it, and the shapes that it wants."""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Protocol

from flymq.client.messages import Partition


def kafka() -> ModuleType:
    """kafka-python, imported without what it warns of on Python 3.11."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import kafka
        import kafka.structs
    return kafka  # type: ignore[no-any-return]


def topic_partition(partition: Partition) -> Any:
    """Its TopicPartition."""
    return kafka().TopicPartition(*partition)


def commit_offsets(offsets: Mapping[Partition, int]) -> dict[Any, Any]:
    """What its commits take; Kafka's leader epoch is not known here, and not needed."""
    commit = kafka().structs.OffsetAndMetadata
    return {topic_partition(partition): commit(offset, "", -1) for partition, offset in offsets.items()}


class Rebalanced(Protocol):
    """Who is told of rebalances, on kafka-python's thread, while the thread that polls waits for it."""

    async def revoked(self, partitions: list[Partition]) -> None: ...
    def assigned(self, partitions: list[Partition]) -> None: ...
    def lost(self, partitions: list[Partition]) -> None: ...


def rebalance_listener(to: Rebalanced) -> Any:
    """Its listener, that tells `to`. Coroutines, so that offsets can be committed before partitions are given up."""
    from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener

    class Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc, unused-ignore]
        async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
            await to.revoked([Partition(*partition) for partition in sorted(revoked)])

        async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
            to.assigned([Partition(*partition) for partition in sorted(assigned)])

        async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
            to.lost([Partition(*partition) for partition in sorted(lost)])

    return Listener()


def bounded(call: Callable[[], object], deadline: float) -> None:
    """Call it, and don't wait beyond the deadline (monotonic): its own time-outs do not cover everything."""

    def quietly() -> None:
        with contextlib.suppress(Exception):
            call()

    thread = threading.Thread(target=quietly, name="flymq-close", daemon=True)
    thread.start()
    thread.join(max(0.05, deadline - time.monotonic()))
