"""kafka-python: importing it, and the shapes that it wants."""

from __future__ import annotations

import collections
import contextlib
import functools
import threading
import time
import warnings
import weakref
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


def describe_cluster(admin: Any) -> dict[str, Any]:
    """Its cluster_id, controller_id and brokers, by a KafkaAdminClient, and raising its errors."""
    try:
        found: dict[str, Any] = admin.describe_cluster()
    except KeyError:  # it looks for what brokers before Kafka 3.7 do not tell
        found = admin._manager.run(admin._get_cluster_metadata, [])
        for broker in found["brokers"]:
            broker["broker_id"] = broker["node_id"]
    return found


@functools.cache
def direct_url() -> str:
    """A proxy_url for no proxy at all, but for sockets that do not outlive their client: see `close_sockets`."""
    from kafka.net.inet import KafkaNetSocket

    class Direct(KafkaNetSocket):  # type: ignore[misc, unused-ignore]
        SCHEMES = ("flymq-direct",)

        async def sock_connect(self, net: Any, sock: Any, *args: Any, **kwargs: Any) -> Any:
            net.flymq_sockets.add(sock)
            try:
                return await super().sock_connect(net, sock, *args, **kwargs)
            except BaseException:
                sock.close()
                raise

    return f"{Direct.SCHEMES[0]}://"


def close_sockets(client: Any) -> None:
    """See to it that a KafkaNetClient has closed all its sockets when it is closed.

    It leaves to the garbage collector those that did not connect, one for each attempt to reach a broker that is away,
    and those with something left to send.
    """
    net = client._net
    net.flymq_sockets = weakref.WeakSet()
    close = net.close

    def close_all() -> None:
        close()
        for sock in list(net.flymq_sockets):
            sock.close()

    net.close = close_all


class _Waiting(collections.defaultdict[Any, Any]):
    """A producer's batches by partition: those partitions that have some."""

    def keys(self) -> Any:
        return [partition for partition, batches in list(self.items()) if batches]


def forget_deleted_topics(producer: Any) -> None:
    """To be called before it sends anything.

    kafka-python looks for the leader of each partition that it ever sent to, also when nothing is left to send: once a
    topic is deleted, for ever, as fast as it can, a processor busy. Java's looks only where something waits.
    """
    producer._accumulator._batches = _Waiting(collections.deque)


def survive_refusals(producer: Any) -> None:
    """To be called before it sends anything.

    A record that the broker refuses, too large a one for example, makes an idempotent producer of kafka-python refuse
    everything from then on. Java's goes on under a new epoch; so does this one.
    """
    manager = producer._transaction_manager
    if manager is None or manager.is_transactional():
        return
    classify = manager.classify_batch_error

    def classified(error: Any, batch: Any, **more: Any) -> Any:
        found = classify(error, batch, **more)
        kind = error if isinstance(error, type) else type(error)
        if found != manager.ERROR_CLASS_FATAL or kind in manager._FATAL_ERRORS:
            return found
        if manager._supports_epoch_bump():
            return manager.ERROR_CLASS_NEEDS_EPOCH_BUMP
        return manager.ERROR_CLASS_NEEDS_PRODUCER_ID_RESET

    manager.classify_batch_error = classified


def fail_whole_transactions(producer: Any) -> None:
    """To be called before it sends anything: a record that is not written makes its transaction one to abort.

    kafka-python commits a transaction without the records that were not acknowledged in time, and begins a new epoch in
    the middle of it, which ends it on the broker.
    """
    manager = producer._transaction_manager
    classify = manager.classify_batch_error

    def classified(error: Any, batch: Any, **more: Any) -> Any:
        if manager.has_fatal_error():
            return manager.ERROR_CLASS_RETRIABLE  # stays as it is
        found = classify(error, batch, **more)
        return found if found == manager.ERROR_CLASS_FATAL else manager.ERROR_CLASS_ABORTABLE

    manager.classify_batch_error = classified
    # It can't, and says so where nobody waits for it.
    manager.reset_producer_id = lambda: None
    # The flush that it begins at the end of a transaction has no end: from then on, each record would be a batch.
    accumulator = producer._accumulator
    flushes = accumulator.flush_in_progress
    accumulator.flush_in_progress = lambda: manager.is_completing() or flushes()


def begin_epoch(manager: Any) -> Any:
    """Let a transactional producer number its records anew, between two transactions; what to wait for.

    Records that were numbered and not written leave a gap, which a broker takes for a loss: after an abort, Java's
    producer does this, too.
    """
    from kafka.producer.transaction_manager import InitProducerIdHandler, TransactionState

    with manager._lock:
        manager._transition_to(TransactionState.BUMPING_PRODUCER_EPOCH)
        manager._sequence_numbers.clear()
        manager._last_acked_offset.clear()
        request = InitProducerIdHandler(manager, manager.transaction_timeout_ms, is_epoch_bump=True)
        manager._enqueue_request(request)
        return request.result


def require_stable_offsets(consumer: Any) -> None:
    """Committed offsets that a transaction is about to change are waited for, as by Java's consumer: kafka-python takes
    the old ones, unless it reads committed messages only.
    """
    from kafka.protocol.consumer import IsolationLevel

    consumer._coordinator._isolation_level = IsolationLevel.READ_COMMITTED


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
